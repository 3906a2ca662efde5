// Published npm clients, unmodified, against a running `akin serve`: each client's vectors are compared
// with those that `akin embed` writes, each rerank with cosines of them, each error with its status.
//
//   npm install --prefix bench/peers/clients          (or elsewhere, and --modules says where)
//   node bench/peers/clients/check.mjs --akin build/src/akin --model models/static-en-zh-256
//   node bench/peers/clients/check.mjs --url http://127.0.0.1:8080 --akin ... --model ...   a server that runs
//
// A client that is not installed is reported as skipped; exit 1 when one that is there fails.
import { execFileSync, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import net from 'node:net';
import path from 'node:path';
import process from 'node:process';

const options = { akin: 'build/src/akin', model: 'models/static-en-zh-256', url: '', modules: import.meta.dirname };
for (let i = 2; i + 1 < process.argv.length; i += 2) options[process.argv[i].replace(/^--/, '')] = process.argv[i + 1];

const texts = ['How do I reset my password?', 'I forgot my login.', '我忘记密码了，怎么办？', 'Boil the pasta "al dente".',
  'A tab\tand a line\nbreak', 'emoji \u{1F600} and \u00e9'];
const query = 'lost password';
const documents = texts.slice(0, 4);

function embedded(list) {
  const args = ['embed', '--model', options.model, '--format', 'jsonl', '--quiet'];
  for (const text of list) args.push('--text', text);
  return execFileSync(options.akin, args, { maxBuffer: 1 << 28 }).toString().trim().split('\n')
    .map((line) => { const row = JSON.parse(line); return row.embedding ?? row.vector; });
}

async function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function startServer() {
  const port = await freePort();
  const child = spawn(options.akin, ['serve', '--model', `tiny=${options.model}`, '--port', String(port), '--log', 'none'],
    { stdio: ['ignore', 'inherit', 'inherit'] });
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; i < 300; ++i) {
    try { if ((await fetch(`${url}/health`)).ok) return { url, child }; } catch { /* not yet */ }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  child.kill();
  throw new Error('akin serve did not come up in 30 s');
}

async function load(name) {
  const require = createRequire(path.join(path.resolve(options.modules), 'package.json'));
  let file;
  try { file = require.resolve(name); } catch { return null; }
  return { module: await import(pathToFileURL(file).href), require };
}

let expected, pair;
function near(got, want, tolerance = 1e-6) {
  if (got.length !== want.length) throw new Error(`${got.length} numbers, expected ${want.length}`);
  let worst = 0;
  for (let i = 0; i < want.length; ++i) worst = Math.max(worst, Math.abs(got[i] - want[i]));
  if (!(worst <= tolerance)) throw new Error(`differs by ${worst}`);
  return worst;
}
const nearAll = (got, want, tolerance) => {
  if (got.length !== want.length) throw new Error(`${got.length} vectors, expected ${want.length}`);
  return Math.max(...got.map((row, i) => near(row, want[i], tolerance)));
};
async function fails(status, work) {
  try { await work(); } catch (error) {
    const got = error.status ?? error.statusCode ?? error.status_code ?? error.httpResponse?.status ?? error.cause?.statusCode;
    if (status && got !== undefined && got !== status) throw new Error(`status ${got}, expected ${status}: ${error.message}`);
    return;
  }
  throw new Error('expected an error');
}
function ranked(results) {  // [{index, score}] against cosines of akin embed's vectors
  const scores = pair.slice(1).map((row) => row.reduce((sum, value, i) => sum + value * pair[0][i], 0));
  const order = scores.map((_, i) => i).sort((a, b) => scores[b] - scores[a]);
  if (results.some((item, i) => item.index !== order[i])) throw new Error(`order ${results.map((r) => r.index)}, expected ${order}`);
  near(results.map((item) => item.score), results.map((item) => scores[item.index]), 1e-5);
}

const clients = {
  async openai({ module }, url) {
    const client = new module.OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
    const both = await client.embeddings.create({ model: 'tiny', input: texts });  // asks for base64 by itself
    nearAll(both.data.map((item) => item.embedding), expected);
    const floats = await client.embeddings.create({ model: 'tiny', input: texts, encoding_format: 'float' });
    nearAll(floats.data.map((item) => item.embedding), expected);
    const one = await client.embeddings.create({ model: 'tiny', input: texts[0] });
    near(one.data[0].embedding, expected[0]);
    const models = await client.models.list();
    if (models.data[0].id !== 'tiny') throw new Error(`models: ${JSON.stringify(models.data)}`);
    await client.models.retrieve('tiny');
    await fails(404, () => client.embeddings.create({ model: 'nope', input: 'a' }));
    await fails(400, () => client.embeddings.create({ model: 'tiny', input: '' }));
    return 'embeddings as base64 and floats, models, errors 404 and 400';
  },
  async '@langchain/openai'({ module }, url) {
    const client = new module.OpenAIEmbeddings({ model: 'tiny', apiKey: 'none', maxRetries: 0, configuration: { baseURL: `${url}/v1` },
      stripNewLines: false });
    nearAll(await client.embedDocuments(texts), expected);
    near(await client.embedQuery(texts[1]), expected[1]);
    await fails(404, () => new module.OpenAIEmbeddings({ model: 'nope', apiKey: 'none', maxRetries: 0,
      configuration: { baseURL: `${url}/v1` } }).embedQuery('a'));
    return 'embedDocuments, embedQuery, error 404';
  },
  async 'cohere-ai'({ module }, url) {
    const make = module.CohereClientV2 ?? module.default.CohereClientV2;
    const client = new make({ token: 'none', environment: url });
    const answer = await client.embed({ model: 'tiny', texts, inputType: 'classification',
      embeddingTypes: ['float', 'int8', 'uint8', 'binary', 'ubinary'] });
    nearAll(answer.embeddings.float, expected);
    const dims = expected[0].length;
    nearAll(answer.embeddings.int8, expected.map((row) => row.map((value) => Math.round(127 * value))), 1);
    if (answer.embeddings.ubinary[0].length !== Math.ceil(dims / 8)) throw new Error('ubinary is of another length');
    nearAll(answer.embeddings.ubinary, answer.embeddings.binary.map((row) => row.map((byte) => byte + 128)));
    const rerank = await client.rerank({ model: 'tiny', query, documents });
    ranked(rerank.results.map((item) => ({ index: item.index, score: item.relevanceScore })));
    await fails(404, () => client.embed({ model: 'nope', texts: ['a'], inputType: 'classification', embeddingTypes: ['float'] },
      { maxRetries: 0 }));
    await fails(400, () => client.embed({ model: 'tiny', texts: [], inputType: 'classification', embeddingTypes: ['float'] },
      { maxRetries: 0 }));
    return 'v2 embed in five types, v2 rerank, errors 404 and 400';
  },
  async ollama({ module }, url) {
    const client = new module.Ollama({ host: url });
    const answer = await client.embed({ model: 'tiny', input: texts });
    nearAll(answer.embeddings, expected);
    const old = await client.embeddings({ model: 'tiny', prompt: texts[0] });
    const length = Math.hypot(...old.embedding);
    near(old.embedding.map((value) => value / length), expected[0]);
    const { models } = await client.list();
    if (models[0].name !== 'tiny') throw new Error(`list: ${JSON.stringify(models)}`);
    const shown = await client.show({ model: 'tiny' });
    if (!shown.capabilities.includes('embedding')) throw new Error('show: no embedding capability');
    await client.ps();
    await client.version?.();
    await fails(404, () => client.embed({ model: 'nope', input: 'a' }));
    return 'embed, embeddings, list, show, ps, version, error 404';
  },
  async '@huggingface/inference'({ module }, url) {
    const client = new module.InferenceClient(undefined, { endpointUrl: url });
    nearAll(await client.featureExtraction({ endpointUrl: url, inputs: texts }), expected);
    const scores = await client.sentenceSimilarity({ endpointUrl: url,
      inputs: { source_sentence: query, sentences: documents } });
    ranked(scores.map((score, index) => ({ index, score })).sort((a, b) => b.score - a.score));
    await fails(400, () => client.featureExtraction({ endpointUrl: url, inputs: [] }));
    return 'featureExtraction, sentenceSimilarity, error 400';
  },
};

const started = options.url ? { url: options.url } : await startServer();
let failed = 0, skipped = 0;
try {
  expected = embedded(texts);
  pair = embedded([query, ...documents]);
  for (const [name, check] of Object.entries(clients)) {
    const loaded = await load(name);
    if (!loaded) {
      ++skipped;
      console.log(`skipped  ${name}: not installed (npm install --prefix bench/peers/clients)`);
      continue;
    }
    try {
      console.log(`ok       ${name}: ${await check(loaded, started.url)}`);
    } catch (error) {
      ++failed;
      console.log(`FAILED   ${name}: ${error.message}`);
    }
  }
} finally {
  started.child?.kill('SIGTERM');
}
console.log(`${Object.keys(clients).length - failed - skipped} clients agree with akin embed, ${failed} fail, ${skipped} skipped`);
process.exit(failed ? 1 : 0);
