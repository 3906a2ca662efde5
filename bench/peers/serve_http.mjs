// The HTTP half of a peer's embeddings server, as one would write it with node:http: POST
// /v1/embeddings in OpenAI's shape (base64 or floats). For serve_load_bench, beside `akin serve`.
//
// What it is not: a product: no limits, keys, drain or metrics, which only cost time.

import http from 'node:http';

async function answer(body, embed) {
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

// embed(text) -> promise of { vector: Float32Array, tokens }. Prints `about` once it listens.
export function serve(port, embed, about) {
  const server = http.createServer((request, response) => {
    const parts = [];
    const send = (status, text) => {
      const bytes = Buffer.from(text);
      response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': bytes.length });
      response.end(bytes);
    };
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      answer(Buffer.concat(parts).toString('utf8'), embed).then((text) => send(200, text),
        (error) => send(500, JSON.stringify({ error: { message: String(error) } })));
    });
  });
  server.keepAliveTimeout = 75_000;
  server.listen({ port, host: '127.0.0.1', backlog: 4096 }, () => {
    console.log(JSON.stringify({ ...about, port }));
  });
}
