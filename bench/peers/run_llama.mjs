// Times llama.cpp (node-llama-cpp's prebuilt CPU binaries) from text to normalised vector.
//
//   node run_llama.mjs --model DIR --texts FILE --threads 1 --mode bulk|query|long
//        --precision f32|q8_0 [--contexts 1] [--n N] [--dump vectors.npy]
//
// What it is: llama.cpp through its Node binding, one text at a time, which is all that the
// binding's embedding context can do; --contexts K runs K of them side by side on threads/K
// threads each. Texts go longest first; there is no padding to avoid.
// What it is not: llama.cpp's own server, which can put several texts into one batch.

import path from 'node:path';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';
import * as c from './common.mjs';

const opt = c.options({ contexts: '1' });
const contexts = Number(opt.contexts);
const require = createRequire(import.meta.url);
const home = path.dirname(require.resolve('node-llama-cpp'));
const version = JSON.parse(fs.readFileSync(path.join(home, '..', 'package.json'), 'utf8')).version;

const begin = c.now();
const llama = await getLlama({
  gpu: false, build: 'never', progressLogs: false, logLevel: LlamaLogLevel.error,
  maxThreads: opt.threads,
});
const file = path.join(opt.model, opt.precision === 'q8_0' ? 'model-q8_0.gguf' : 'model-f32.gguf');
const model = await llama.loadModel({ modelPath: file });
const limit = c.readJson(opt.model, 'config.json').max_position_embeddings;
const texts = c.readTexts(opt);
const tokenize = (text) => model.tokenize(text, false, 'trimLeadingSpace');
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

async function embed(context, tokens) {
  const { vector } = await context.getEmbeddingFor(tokens);
  const out = Float32Array.from(vector);
  let sum = 0;
  for (const x of out) sum += x * x;
  const scale = 1 / Math.sqrt(sum);
  return out.map((x) => x * scale);
}

const clip = (tokens) => tokens.slice(0, limit - 2);
const about = { peer: 'llama.cpp (node-llama-cpp)', version };

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
