// llama.cpp through node-llama-cpp's prebuilt CPU binaries, for run_llama.mjs and serve_llama.mjs.

import path from 'node:path';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';
import { readJson } from './common.mjs';

const home = path.dirname(createRequire(import.meta.url).resolve('node-llama-cpp'));
const { version } = JSON.parse(fs.readFileSync(path.join(home, '..', 'package.json'), 'utf8'));
export const about = { peer: 'llama.cpp (node-llama-cpp)', version };

// opt: model (a folder with .gguf files), precision (f32 or q8_0), threads.
export async function open(opt) {
  const llama = await getLlama({
    gpu: false, build: 'never', progressLogs: false, logLevel: LlamaLogLevel.error,
    maxThreads: opt.threads,
  });
  const file = path.join(opt.model, opt.precision === 'q8_0' ? 'model-q8_0.gguf' : 'model-f32.gguf');
  const model = await llama.loadModel({ modelPath: file });
  return {
    model,
    limit: readJson(opt.model, 'config.json').max_position_embeddings,
    tokenize: (text) => model.tokenize(text, false, 'trimLeadingSpace'),
  };
}

// Normalised: Float32Array.
export async function embed(context, tokens) {
  const { vector } = await context.getEmbeddingFor(tokens);
  const out = Float32Array.from(vector);
  let sum = 0;
  for (const x of out) sum += x * x;
  const scale = 1 / Math.sqrt(sum);
  return out.map((x) => x * scale);
}
