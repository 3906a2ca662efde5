// Compares akin's token ids and offsets with the reference, the npm package `tokenizers` (Hugging
// Face's Rust library), line by line. What it is not: a speed test, nor a test without network (the
// package must be installed).
//
//   npm install --prefix DIR tokenizers
//   node tools/compare_tokenizers.mjs DIR TEXT TOKENIZER_JSON AKIN_OUTPUT [--offsets]
//
// AKIN_OUTPUT is what `tokenizer_bench --ids TEXT FOLDER` (or --offsets) printed.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const [dir, textPath, jsonPath, akinPath, mode] = process.argv.slice(2);
if (!akinPath) {
  console.error("usage: compare_tokenizers.mjs DIR TEXT TOKENIZER_JSON AKIN_OUTPUT [--offsets]");
  process.exit(2);
}
const require = createRequire(path.resolve(dir) + "/");
const { Tokenizer } = require("tokenizers");
const tokenizer = Tokenizer.fromFile(jsonPath);
tokenizer.disableTruncation();
tokenizer.disablePadding();

const lines = fs.readFileSync(textPath, "utf8").split("\n");
if (lines.at(-1) === "") lines.pop();
const ours = fs.readFileSync(akinPath, "utf8").split("\n");

// Byte offsets of a line -> offsets in code points, which is what the package gives.
function codePointOffsets(line) {
  const at = new Map();
  let bytes = 0;
  let points = 0;
  for (const c of line) {
    at.set(bytes, points);
    const size = Buffer.byteLength(c);
    for (let i = 1; i < size; i++) at.set(bytes + i, points);
    bytes += size;
    points += 1;
  }
  at.set(bytes, points);
  return at;
}

let differences = 0;
let tokens = 0;
for (let i = 0; i < lines.length; i++) {
  const encoding = await tokenizer.encode(lines[i], null, { addSpecialTokens: true });
  const ids = encoding.getIds();
  tokens += ids.length;
  let expected = ids.join(" ");
  let got = ours[i];
  if (mode === "--offsets") {
    const offsets = encoding.getOffsets();
    expected = ids.map((id, k) => `${id}:${offsets[k][0]}:${offsets[k][1]}`).join(" ");
    const at = codePointOffsets(lines[i]);
    got = got.split(" ").map((t) => {
      const [id, begin, end] = t.split(":").map(Number);
      return `${id}:${at.get(begin)}:${at.get(end)}`;
    }).join(" ");
  }
  if (expected === got) continue;
  differences += 1;
  if (differences <= 10) {
    console.log(JSON.stringify({ line: i + 1, text: lines[i] }));
    const [e, g] = [expected.split(" "), got.split(" ")];
    const k = e.findIndex((x, n) => x !== g[n]);
    console.log(`  token ${k}: reference ${e.slice(k, k + 8).join(" ")} | akin ${g.slice(k, k + 8).join(" ")}`);
  }
}
console.log(JSON.stringify({ reference: `tokenizers ${require("tokenizers/package.json").version}`,
  lines: lines.length, tokens, lines_that_differ: differences, mode: mode ? "offsets" : "ids" }));
