// What every JavaScript peer runner shares: options, texts, batches, timing, the result line.
//
// What it is not: an engine, or a tokenizer; each run_*.mjs brings its own.

import fs from 'node:fs';
import path from 'node:path';

const DEFAULTS = {
  model: '', texts: '', threads: '1', mode: 'bulk', precision: 'f32', batch: '32', n: '0',
  dump: '', graph: '', seconds: '20',
};

export function options(extra = {}) {
  const out = { ...DEFAULTS, ...extra };
  const args = process.argv.slice(2);
  for (let i = 0; i < args.length; i += 2) {
    const name = args[i].replace(/^--/, '');
    if (!(name in out) || i + 1 >= args.length) {
      const known = Object.keys(out).join(' --');
      console.error(`unknown or incomplete option ${args[i]}; known: --${known}`);
      process.exit(2);
    }
    out[name] = args[i + 1];
  }
  for (const name of ['threads', 'batch', 'n', 'seconds']) out[name] = Number(out[name]);
  if (!out.model || !out.texts) {
    console.error('--model DIR and --texts FILE are needed');
    process.exit(2);
  }
  return out;
}

export function readTexts(opt) {
  const lines = fs.readFileSync(opt.texts, 'utf8').split('\n');
  if (lines.at(-1) === '') lines.pop();
  return opt.n > 0 ? lines.slice(0, opt.n) : lines;
}

export function readJson(...parts) {
  return JSON.parse(fs.readFileSync(path.join(...parts), 'utf8'));
}

export const now = () => performance.now();

// Processor seconds of this process so far, all threads: steadier than the clock on a busy machine.
export function cpuSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

// The model's length limit cuts the ids; the last one stays [SEP].
export function clip(ids, limit) {
  return ids.length <= limit ? ids : [...ids.slice(0, limit - 1), ids.at(-1)];
}

// ids: array of id arrays -> int64 tensors [batch, longest]. An int64 is two int32 halves.
export function feeds(ort, ids) {
  const length = ids.reduce((m, r) => Math.max(m, r.length), 0);
  const size = ids.length * length;
  const tensors = {};
  const halves = {};
  for (const name of ['input_ids', 'attention_mask', 'token_type_ids']) {
    const data = new BigInt64Array(size);
    halves[name] = new Int32Array(data.buffer);
    tensors[name] = new ort.Tensor('int64', data, [ids.length, length]);
  }
  ids.forEach((row, b) => {
    for (let i = 0; i < row.length; i++) {
      halves.input_ids[2 * (b * length + i)] = row[i];
      halves.attention_mask[2 * (b * length + i)] = 1;
    }
  });
  return tensors;
}

// Indices of texts, sorted by length, in batches. With `equal`, a batch holds one length only.
export function sortedBatches(lengths, size, equal = false) {
  const order = lengths.map((_, i) => i).sort((a, b) => lengths[b] - lengths[a]);
  const out = [];
  let batch = [];
  for (const i of order) {
    const full = batch.length === size;
    if (full || (equal && batch.length > 0 && lengths[batch[0]] !== lengths[i])) {
      out.push(batch);
      batch = [];
    }
    batch.push(i);
  }
  if (batch.length > 0) out.push(batch);
  return out;
}

// Times encode(text) one by one, for at most opt.seconds, after a short warm-up.
export async function timeOneByOne(texts, seconds, warmup, encode) {
  for (let i = 0; i < Math.min(warmup, texts.length); i++) await encode(texts[i]);
  const samples = [];
  const cpu = cpuSeconds();
  const begin = now();
  for (let i = 0; now() - begin < seconds * 1000 && i < 2000; i++) {
    const t = now();
    await encode(texts[i % texts.length]);
    samples.push(now() - t);
    if (i + 1 >= texts.length && now() - begin > seconds * 200) break;
  }
  return { samples, total_ms: now() - begin, cpu_s: cpuSeconds() - cpu };
}

function quantile(sorted, q) {
  if (sorted.length === 0) return null;
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

const round = (x, digits) => (x === null ? null : Number(x.toFixed(digits)));

// samples: milliseconds of one batch (bulk) or one text (query, long).
export function report(opt, fields) {
  const { peer, version, load_ms, tokens, texts, total_ms, cpu_s, model_ms, samples, ...rest } =
    fields;
  const sorted = [...samples].sort((a, b) => a - b);
  const line = {
    peer, version, precision: opt.precision, model: path.basename(path.resolve(opt.model)),
    threads: opt.threads, mode: opt.mode,
    tokens_per_s: round((1000 * tokens) / total_ms, 1),
    sentences_per_s: round((1000 * texts) / total_ms, 2),
    model_tokens_per_s: model_ms ? round((1000 * tokens) / model_ms, 1) : null,
    cpu_tokens_per_s: round(tokens / cpu_s, 1),
    p50_ms: round(quantile(sorted, 0.5), 3), p99_ms: round(quantile(sorted, 0.99), 3),
    peak_rss_mb: round(process.resourceUsage().maxRSS / 1024, 1),
    load_ms: round(load_ms, 1), n: texts, tokens, ...rest,
  };
  console.log(JSON.stringify(line));
}

// NumPy's .npy, version 1.0, float32, C order. rows: Float32Array of equal length.
export function writeNpy(file, rows) {
  const shape = `(${rows.length}, ${rows[0].length})`;
  let head = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`;
  head += ' '.repeat((64 - ((10 + head.length + 1) % 64)) % 64) + '\n';
  const prefix = Buffer.from('\x93NUMPY\x01\x00__', 'latin1');
  prefix.writeUInt16LE(head.length, 8);
  const body = rows.map((r) => Buffer.from(r.buffer, r.byteOffset, r.byteLength));
  fs.writeFileSync(file, Buffer.concat([prefix, Buffer.from(head, 'latin1'), ...body]));
}

export const DUMPED = 200;
