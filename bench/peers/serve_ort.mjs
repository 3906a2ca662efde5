// An embeddings server as one would write it around ONNX Runtime in Node: node:http, the Hugging
// Face tokenizer, dynamic batches.
//
//   node serve_ort.mjs --model DIR [--port 8090] [--threads 1] [--batch 32] [--precision f32|int8]
//
// What it is: a request is tokenised when it comes; while ONNX Runtime works on its own thread, others
// gather; everything that waits is then taken together, sorted by length and run in batches, so that
// little is padding. No waiting when idle.

import path from 'node:path';
import * as ort from 'onnxruntime-node';
import { Tokenizer } from '@huggingface/tokenizers';
import * as c from './common.mjs';
import { serve } from './serve_http.mjs';

const opt = c.options({ port: '8090', texts: '-' });
opt.port = Number(opt.port);
const name = opt.precision === 'int8' ? 'model_quantized.onnx' : 'model.onnx';
const limit = c.readJson(opt.model, 'config.json').max_position_embeddings;
const tokenizer = new Tokenizer(c.readJson(opt.model, 'tokenizer.json'),
  c.readJson(opt.model, 'tokenizer_config.json'));
const session = await ort.InferenceSession.create(path.join(opt.model, 'onnx', name), {
  executionProviders: ['cpu'], graphOptimizationLevel: 'all', executionMode: 'sequential',
  intraOpNumThreads: opt.threads, interOpNumThreads: 1, enableCpuMemArena: true,
  enableMemPattern: true,
  extra: { session: { set_denormal_as_zero: '1' } },
});

const waiting = [];  // { ids, done, failed }
let running = false;

async function forward(rows) {
  const out = await session.run(c.feeds(ort, rows), ['sentence_embedding']);
  const { data, dims: [, dim] } = out.sentence_embedding;
  return rows.map((_, i) => data.subarray(i * dim, (i + 1) * dim));
}

async function work() {
  running = true;
  while (waiting.length > 0) {
    const taken = waiting.splice(0).sort((a, b) => a.ids.length - b.ids.length);
    for (let at = 0; at < taken.length; at += opt.batch) {
      const batch = taken.slice(at, at + opt.batch);
      try {
        const vectors = await forward(batch.map((item) => item.ids));
        batch.forEach((item, i) => item.done(vectors[i]));
      } catch (error) {
        batch.forEach((item) => item.failed(error));
      }
    }
  }
  running = false;
}

function embed(text) {
  const ids = c.clip(tokenizer.encode(text).ids, limit);
  return new Promise((done, failed) => {
    waiting.push({ ids, done: (vector) => done({ vector, tokens: ids.length }), failed });
    if (!running) setImmediate(() => { if (!running) work(); });
  });
}

serve(opt.port, embed, { peer: 'onnxruntime-node', version: ort.env.versions.common });
