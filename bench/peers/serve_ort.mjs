// An embeddings server as one would write it around ONNX Runtime in Node: node:http, the Hugging
// Face tokenizer, dynamic batches. For serve_load_bench, beside `akin serve` with the same weights.
//
//   node serve_ort.mjs --model DIR [--port 8090] [--threads 1] [--batch 32] [--precision f32|int8]
//
// What it is: POST /v1/embeddings in OpenAI's shape (base64 or floats). A request is tokenised when
// it comes; while ONNX Runtime works on its own thread, others gather; everything that waits is then
// taken together, sorted by length and run in batches, so that little is padding. No waiting when
// idle. What it is not: a product: no limits, keys, drain or metrics, which only cost time.

import http from 'node:http';
import path from 'node:path';
import * as ort from 'onnxruntime-node';
import { Tokenizer } from '@huggingface/tokenizers';
import * as c from './common.mjs';

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

async function answer(body) {
  const { input, model, encoding_format: format } = JSON.parse(body);
  const texts = Array.isArray(input) ? input : [input];
  const results = await Promise.all(texts.map(embed));
  const tokens = results.reduce((sum, r) => sum + r.tokens, 0);
  const print = (v) => (format === 'base64'
    ? Buffer.from(v.buffer, v.byteOffset, v.byteLength).toString('base64') : Array.from(v));
  return JSON.stringify({
    object: 'list',
    data: results.map((r, index) => ({ object: 'embedding', index, embedding: print(r.vector) })),
    model, usage: { prompt_tokens: tokens, total_tokens: tokens },
  });
}

const server = http.createServer((request, response) => {
  const parts = [];
  const send = (status, text) => {
    const bytes = Buffer.from(text);
    response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': bytes.length });
    response.end(bytes);
  };
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    answer(Buffer.concat(parts).toString('utf8')).then((text) => send(200, text),
      (error) => send(500, JSON.stringify({ error: { message: String(error) } })));
  });
});
server.keepAliveTimeout = 75_000;
server.listen({ port: opt.port, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(JSON.stringify({ peer: 'onnxruntime-node', version: ort.env.versions.common, port: opt.port }));
});
