// Times transformers.js (@huggingface/transformers on onnxruntime-node) from text to vector.
//
//   node run_transformers.mjs --model DIR --texts FILE --threads 1 --mode bulk|query|long
//        --precision f32|int8 [--batch 32] [--n N] [--dump vectors.npy]
//
// What it is: the library's own feature-extraction pipeline, mean pooling, normalised, on the same
// ONNX files as run_ort.mjs (dtype fp32 and q8); texts sorted by length in characters, as a user
// who cannot see the tokens would.
// What it is not: a measure of ONNX Runtime: run_ort.mjs is.

import path from 'node:path';
import { env, pipeline } from '@huggingface/transformers';
import * as c from './common.mjs';

const opt = c.options();
env.allowRemoteModels = false;
env.localModelPath = path.dirname(path.resolve(opt.model)) + path.sep;

const begin = c.now();
const extract = await pipeline('feature-extraction', path.basename(path.resolve(opt.model)), {
  dtype: opt.precision === 'int8' ? 'q8' : 'fp32',
  device: 'cpu',
  session_options: { intraOpNumThreads: opt.threads, interOpNumThreads: 1 },
});
const load_ms = c.now() - begin;
const texts = c.readTexts(opt);
const about = { peer: 'transformers.js', version: env.version };
const run = (input) => extract(input, { pooling: 'mean', normalize: true });
const count = (text) => extract.tokenizer.encode(text).length;

if (opt.mode === 'bulk') {
  texts.slice(0, 512).forEach(count);
  for (let i = 0; i < 3; i++) await run(texts.slice(16 * i, 16 * i + 16));
  const vectors = new Array(texts.length);
  const samples = [];
  const cpu = c.cpuSeconds();
  const start = c.now();
  for (const batch of c.sortedBatches(texts.map((t) => t.length), opt.batch)) {
    const t = c.now();
    const out = await run(batch.map((i) => texts[i]));
    const dim = out.dims[1];
    batch.forEach((i, row) => { vectors[i] = out.data.slice(row * dim, (row + 1) * dim); });
    samples.push(c.now() - t);
  }
  const total_ms = c.now() - start;
  const cpu_s = c.cpuSeconds() - cpu;
  if (opt.dump) c.writeNpy(opt.dump, vectors.slice(0, c.DUMPED));
  const tokens = texts.reduce((sum, t) => sum + count(t), 0);
  c.report(opt, { ...about, load_ms, tokens, texts: texts.length, total_ms, cpu_s, samples,
    batch: opt.batch });
} else {
  const one = async (text) => (await run(text)).data;
  if (opt.dump) {
    const rows = [];
    for (const text of texts.slice(0, c.DUMPED)) rows.push(Float32Array.from(await one(text)));
    c.writeNpy(opt.dump, rows);
  }
  await c.timeOneByOne(texts.slice(0, 30), 0, opt.mode === 'query' ? 30 : 1, one);
  const { samples, total_ms, cpu_s } = await c.timeOneByOne(texts, opt.seconds, 0, one);
  const used = texts.slice(0, samples.length);
  const tokens = samples.reduce((sum, _, i) => sum + count(texts[i % texts.length]), 0);
  c.report(opt, { ...about, load_ms, tokens, texts: used.length, total_ms, cpu_s, samples,
    batch: 1 });
}
