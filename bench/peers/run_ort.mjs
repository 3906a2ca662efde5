// Times ONNX Runtime (onnxruntime-node, CPU) from text to normalised vector.
//
//   node run_ort.mjs --model DIR --texts FILE --threads 1 --mode bulk|query|long
//        --precision f32|int8 [--batch 32] [--n N] [--dump vectors.npy] [--graph onnx/model.onnx]
//
// What it is: ONNX Runtime as well tuned as we know how: fused graphs (bert_onnx.py), texts sorted
// by length, pooling in the graph, one output fetched. tokens_per_s counts tokenisation (the
// Hugging Face JavaScript tokenizer); model_tokens_per_s leaves it out.
// What it is not: transformers.js (run_transformers.mjs), which adds its own work around this.

import path from 'node:path';
import * as ort from 'onnxruntime-node';
import { Tokenizer } from '@huggingface/tokenizers';
import * as c from './common.mjs';

const opt = c.options();
const int8 = opt.precision === 'int8';

function graphFile() {
  if (opt.graph) return path.join(opt.model, opt.graph);
  const name = int8 ? 'model_quantized' : 'model';
  return path.join(opt.model, 'onnx', name + (opt.mode === 'bulk' ? '' : '_nomask') + '.onnx');
}

const graph = graphFile();
const equal = graph.includes('nomask');  // no mask: one length a batch

async function load() {
  const tokenizer = new Tokenizer(c.readJson(opt.model, 'tokenizer.json'),
    c.readJson(opt.model, 'tokenizer_config.json'));
  const session = await ort.InferenceSession.create(graph, {
    executionProviders: ['cpu'], graphOptimizationLevel: 'all', executionMode: 'sequential',
    intraOpNumThreads: opt.threads, interOpNumThreads: 1, enableCpuMemArena: true,
    enableMemPattern: true,
    extra: { session: { set_denormal_as_zero: '1' } },
  });
  return { tokenizer, session };
}

async function forward(session, ids) {
  const out = await session.run(c.feeds(ort, ids), ['sentence_embedding']);
  return out.sentence_embedding;
}

const begin = c.now();
const { tokenizer, session } = await load();
const load_ms = c.now() - begin;
const limit = c.readJson(opt.model, 'config.json').max_position_embeddings;
const encode = (text) => c.clip(tokenizer.encode(text).ids, limit);
const texts = c.readTexts(opt);
const about = { peer: 'onnxruntime-node', version: ort.env.versions.common };

if (opt.mode === 'bulk') {
  const warm = texts.slice(0, 512).map(encode).sort((a, b) => a.length - b.length);
  for (const from of [0, 0.5, 0.9]) {
    const at = Math.floor(from * warm.length);
    await forward(session, warm.slice(at, at + opt.batch));
  }
  const vectors = new Array(texts.length);
  const samples = [];
  const cpu = c.cpuSeconds();
  const start = c.now();
  const ids = texts.map(encode);
  const tokenized = c.now();
  for (const batch of c.sortedBatches(ids.map((r) => r.length), opt.batch, equal)) {
    const t = c.now();
    const out = await forward(session, batch.map((i) => ids[i]));
    const dim = out.dims[1];
    batch.forEach((i, row) => { vectors[i] = out.data.subarray(row * dim, (row + 1) * dim); });
    samples.push(c.now() - t);
  }
  const end = c.now();
  const cpu_s = c.cpuSeconds() - cpu;
  if (opt.dump) c.writeNpy(opt.dump, vectors.slice(0, c.DUMPED));
  const tokens = ids.reduce((sum, r) => sum + r.length, 0);
  c.report(opt, { ...about, load_ms, tokens, texts: texts.length, total_ms: end - start, cpu_s,
    model_ms: end - tokenized, samples, batch: opt.batch, graph: path.basename(graph) });
} else {
  let tokens = 0;
  let model_ms = 0;
  let measured = false;
  const one = async (text) => {
    const ids = encode(text);
    const t = c.now();
    const out = await forward(session, [ids]);
    if (measured) model_ms += c.now() - t;
    if (measured) tokens += ids.length;
    return out.data;
  };
  if (opt.dump) {
    const rows = [];
    for (const text of texts.slice(0, c.DUMPED)) rows.push(await one(text));
    c.writeNpy(opt.dump, rows);
  }
  const warmup = opt.mode === 'query' ? 30 : 1;
  await c.timeOneByOne(texts.slice(0, warmup), 0, warmup, one);
  measured = true;
  const { samples, total_ms, cpu_s } = await c.timeOneByOne(texts, opt.seconds, 0, one);
  c.report(opt, { ...about, load_ms, tokens, texts: samples.length, total_ms, cpu_s, model_ms,
    samples, batch: 1, graph: path.basename(graph) });
}
