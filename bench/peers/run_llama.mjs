// Times llama.cpp (node-llama-cpp's prebuilt CPU binaries) from text to normalised vector.
//
//   node run_llama.mjs --model DIR --texts FILE --threads 1 --mode bulk|query|long
//        --precision f32|q8_0 [--contexts 1] [--n N] [--dump vectors.npy]
//
// What it is: llama.cpp through its Node binding, one text at a time, which is all that the
// binding's embedding context can do; --contexts K runs K of them side by side on threads/K
// threads each. Texts go longest first; there is no padding to avoid.
// What it is not: llama.cpp's own server, which can put several texts into one batch.

import * as c from './common.mjs';
import { about, embed, open } from './llama.mjs';

const opt = c.options({ contexts: '1' });
const contexts = Number(opt.contexts);
const begin = c.now();
const { model, tokenize, limit } = await open(opt);
const texts = c.readTexts(opt);
// A context larger than the longest text costs memory and time, so it is made to measure.
const longest = Math.min(limit, 2 + texts.reduce((m, t) => Math.max(m, tokenize(t).length), 0));
const contextSize = opt.mode === 'bulk' ? Math.max(128, longest + 2) : longest + 2;
const pool = [];
for (let i = 0; i < contexts; i++) {
  pool.push(await model.createEmbeddingContext({
    contextSize, batchSize: contextSize, threads: Math.max(1, Math.floor(opt.threads / contexts)),
  }));
}
const load_ms = c.now() - begin;

const clip = (tokens) => tokens.slice(0, limit - 2);
if (opt.mode === 'bulk') {
  texts.slice(0, 512).forEach(tokenize);
  for (const context of pool) {
    for (const text of texts.slice(0, 8)) await embed(context, tokenize(text));
  }
  const vectors = new Array(texts.length);
  const samples = [];
  const cpu = c.cpuSeconds();
  const start = c.now();
  const ids = texts.map((t) => clip(tokenize(t)));
  const tokenized = c.now();
  const queue = ids.map((_, i) => i).sort((a, b) => ids[a].length - ids[b].length);
  await Promise.all(pool.map(async (context) => {
    while (queue.length > 0) {
      const i = queue.pop();
      const t = c.now();
      vectors[i] = await embed(context, ids[i]);
      samples.push(c.now() - t);
    }
  }));
  const end = c.now();
  const cpu_s = c.cpuSeconds() - cpu;
  if (opt.dump) c.writeNpy(opt.dump, vectors.slice(0, c.DUMPED));
  const tokens = ids.reduce((sum, r) => sum + r.length + 2, 0);
  c.report(opt, { ...about, load_ms, tokens, texts: texts.length, total_ms: end - start, cpu_s,
    model_ms: end - tokenized, samples, batch: 1, contexts });
} else {
  let tokens = 0;
  const one = async (text) => {
    const ids = clip(tokenize(text));
    tokens += ids.length + 2;
    return embed(pool[0], ids);
  };
  if (opt.dump) {
    const rows = [];
    for (const text of texts.slice(0, c.DUMPED)) rows.push(await one(text));
    c.writeNpy(opt.dump, rows);
  }
  const warmup = opt.mode === 'query' ? 30 : 1;
  await c.timeOneByOne(texts.slice(0, warmup), 0, warmup, one);
  tokens = 0;
  const { samples, total_ms, cpu_s } = await c.timeOneByOne(texts, opt.seconds, 0, one);
  c.report(opt, { ...about, load_ms, tokens, texts: samples.length, total_ms, cpu_s, samples,
    batch: 1, contexts: 1 });
}
process.exit(0);
