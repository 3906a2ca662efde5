#!/usr/bin/env python3
"""Makes models/static-zh-200 from a table of Chinese character vectors.

What it does: reads vocab.txt (line i is row i, most frequent first) and embeddings.safetensors ([V, D] F16), scales each
row to unit length times a smooth inverse frequency weight (Arora et al., ICLR 2017, with a = SIF_A and frequencies from
Zipf's law on the rank), Latin letters by a further LETTER because one by one they say little, and writes a static
embedding folder: tokenizer.json with one token a character, config.json, modules.json, model.safetensors (F16). Both
constants were chosen on the development part of STS-B in Chinese.
What it is not: training. Needs Python 3.8 and its standard library only.

  tools/make_static_zh.py SOURCE_FOLDER OUT_FOLDER
"""

import json
import math
import os
import struct
import sys

SIF_A = 0.001
LETTER = 0.1
UNKNOWN, PADDING = "<UNK>", "<PAD>"


def read_table(folder):
    with open(os.path.join(folder, "vocab.txt"), encoding="utf-8", newline="\n") as file:
        vocab = file.read().split("\n")
    if vocab[-1] == "":
        vocab.pop()
    with open(os.path.join(folder, "embeddings.safetensors"), "rb") as file:
        data = file.read()
    (size,) = struct.unpack("<Q", data[:8])
    entry = json.loads(data[8:8 + size])["embeddings"]
    rows, dims = entry["shape"]
    if entry["dtype"] != "F16" or rows != len(vocab):
        sys.exit(f"expected F16 [{len(vocab)}, D], got {entry['dtype']} {entry['shape']}")
    values = struct.unpack(f"<{rows * dims}e", data[8 + size:8 + size + 2 * rows * dims])
    return vocab, [values[i * dims:(i + 1) * dims] for i in range(rows)]


def weigh(vocab, table):
    words = [i for i, token in enumerate(vocab) if token not in (UNKNOWN, PADDING)]
    harmonic = sum(1 / (rank + 2.7) for rank in range(len(words)))
    out = [[0.0] * len(table[0]) for _ in table]
    for rank, i in enumerate(words):
        length = math.sqrt(sum(x * x for x in table[i])) or 1.0
        weight = SIF_A / (SIF_A + 1 / ((rank + 2.7) * harmonic))
        if vocab[i].isascii() and vocab[i].isalpha():
            weight *= LETTER
        out[i] = [x / length * weight for x in table[i]]
    return out


def tokenizer(vocab):
    special = [{"id": vocab.index(token), "content": token, "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True} for token in (UNKNOWN, PADDING)]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": None,
        "decoder": {"type": "WordPiece", "prefix": "", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": UNKNOWN, "continuing_subword_prefix": "",
                  "max_input_chars_per_word": 100, "vocab": {token: i for i, token in enumerate(vocab)}},
    }


def write_safetensors(path, table):
    body = b"".join(struct.pack(f"<{len(row)}e", *row) for row in table)
    header = json.dumps({"__metadata__": {"format": "pt"}, "embeddings": {
        "dtype": "F16", "shape": [len(table), len(table[0])], "data_offsets": [0, len(body)]}},
        separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + body)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: tools/make_static_zh.py SOURCE_FOLDER OUT_FOLDER")
    source, out = sys.argv[1:]
    vocab, table = read_table(source)
    os.makedirs(out, exist_ok=True)
    write_safetensors(os.path.join(out, "model.safetensors"), weigh(vocab, table))
    files = {
        "tokenizer.json": tokenizer(vocab),
        "config.json": {"model_type": "model2vec", "architectures": ["StaticModel"], "hidden_dim": len(table[0]),
                        "seq_length": 1000000, "normalize": True},
        "modules.json": [
            {"idx": 0, "name": "0", "path": ".", "type": "sentence_transformers.models.StaticEmbedding"},
            {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"}],
    }
    for name, value in files.items():
        with open(os.path.join(out, name), "w", encoding="utf-8") as file:
            json.dump(value, file, ensure_ascii=False, indent=None if name == "tokenizer.json" else 2)
            file.write("\n")


if __name__ == "__main__":
    main()
