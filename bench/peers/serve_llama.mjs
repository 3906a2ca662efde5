// An embeddings server as one would write it around llama.cpp in Node: node:http and node-llama-cpp,
// whose embedding context takes one text at a time.
//
//   node serve_llama.mjs --model DIR [--port 8090] [--threads 1] [--context 512] [--precision f32|q8_0]
//
// What it is: requests wait in the context's own queue; --context is the longest text in tokens, the
// model's limit unless told otherwise (a shorter one costs less memory and time).

import * as c from './common.mjs';
import { about, embed, open } from './llama.mjs';
import { serve } from './serve_http.mjs';

const opt = c.options({ port: '8090', texts: '-', context: '0' });
const { model, tokenize, limit } = await open(opt);
const contextSize = Math.min(limit, Number(opt.context) || limit);
const context = await model.createEmbeddingContext({
  contextSize, batchSize: contextSize, threads: opt.threads,
});

async function answer(text) {
  const tokens = tokenize(text).slice(0, contextSize - 2);
  return { vector: await embed(context, tokens), tokens: tokens.length + 2 };
}

serve(Number(opt.port), answer, about);
