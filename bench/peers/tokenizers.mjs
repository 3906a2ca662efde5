// Prints the token ids of every line of a file, as Hugging Face's JavaScript tokenizer sees them.
//
//   node tokenizers.mjs --model DIR --texts FILE [--out ids.jsonl] [--skip-special no]
//
// What it is: the reference side of a tokenizer comparison. One JSON array of ids a line, in the
// order of the file, to --out or stdout; then one JSON line on stderr with MB/s and lines/s. Only
// LF ends a line: a text may hold CR, U+0085 or U+2028. No truncation and no padding.
// One known departure from the Rust library is put right before the clock starts: the JavaScript
// one looks at 16-bit halves, so it does not put spaces around ideographs beyond U+FFFF.
// What it is not: a judge; where it departs from the Rust tokenizers library, the latter is right.

import fs from 'node:fs';
import { Tokenizer } from '@huggingface/tokenizers';
import * as c from './common.mjs';

const opt = c.options({ out: '', 'skip-special': 'no' });
const tokenizer = new Tokenizer(c.readJson(opt.model, 'tokenizer.json'),
  c.readJson(opt.model, 'tokenizer_config.json'));
const normalizer = c.readJson(opt.model, 'tokenizer.json').normalizer;
const ASTRAL_CJK =
  /[\u{20000}-\u{2A6DF}\u{2A700}-\u{2B81F}\u{2B920}-\u{2CEAF}\u{2F800}-\u{2FA1F}]/gu;
const spaced = normalizer?.type === 'BertNormalizer' && normalizer.handle_chinese_chars;
const texts = c.readTexts(opt).map((t) => (spaced ? t.replace(ASTRAL_CJK, ' $& ') : t));
const settings = { add_special_tokens: opt['skip-special'] !== 'yes' };
for (const text of texts.slice(0, 2000)) tokenizer.encode(text, settings);  // lets the JIT settle

const start = c.now();
const ids = texts.map((text) => tokenizer.encode(text, settings).ids);
const seconds = (c.now() - start) / 1000;

const out = opt.out ? fs.openSync(opt.out, 'w') : 1;
for (let i = 0; i < ids.length; i += 4096) {
  fs.writeSync(out, ids.slice(i, i + 4096).map((r) => JSON.stringify(r) + '\n').join(''));
}
const bytes = texts.reduce((sum, t) => sum + Buffer.byteLength(t) + 1, 0);
const tokens = ids.reduce((sum, r) => sum + r.length, 0);
console.error(JSON.stringify({
  peer: '@huggingface/tokenizers (JavaScript)', lines: texts.length, bytes, tokens,
  seconds: Number(seconds.toFixed(3)), mb_per_s: Number((bytes / seconds / 1e6).toFixed(3)),
  lines_per_s: Math.round(texts.length / seconds), tokens_per_s: Math.round(tokens / seconds),
}));
