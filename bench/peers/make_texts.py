#!/usr/bin/python3
"""Writes the text files that akin and its peers are timed on, from the real shared data sets.

What it is: texts.txt (20,000 distinct English sentences of the STS, caption and Wikipedia sets,
mean about 21 tokens, longest at most 115), queries.txt (1,000 sentences of exactly 12 tokens),
long512.txt and long8192.txt (Wikipedia passages joined until a text has that many tokens; the
long ones are cut a few tokens short of the limit, so that no engine truncates them).
Tokens are bert-base-uncased WordPiece, [CLS] and [SEP] counted. One text a line, UTF-8.
What it is not: a data set for training or for quality figures.

    /usr/bin/python3 make_texts.py OUT --model FOLDER_WITH_VOCAB [--data SHARED_DATA]
"""

import argparse
import glob
import gzip
import json
import os
import random
import sys

from wordpiece import WordPiece

STS = ["stsb_en/train", "stsb_en/dev", "stsb_en/test"]
STS += [f"sts{year}_en/test" for year in (12, 13, 14, 15, 16)]
CAPTIONS = ["captions_mixed_en/coco_val2017", "captions_mixed_en/clotho"]
WIKI = ["wikisplit_en/tune", "wikisplit_en/validation"]


def default_data_dir():
    here = os.path.dirname(os.path.abspath(__file__))
    return os.path.normpath(os.path.join(here, "..", "..", "..", "shared", "data"))


def rows(data, name):
    path = os.path.join(data, name + ".jsonl.gz")
    if not os.path.exists(path):
        return
    with gzip.open(path, "rt", encoding="utf-8") as f:
        for line in f:
            yield json.loads(line)


def texts_of(row):
    for key in ("s1", "s2", "pos"):
        if isinstance(row.get(key), str):
            yield row[key]
    yield from row.get("captions", ())


def distinct(data, names):
    seen = {}
    for name in names:
        for row in rows(data, name):
            for text in texts_of(row):
                text = " ".join(text.split())
                if text:
                    seen[text] = True
    return list(seen)


def pick_sentences(data, count, rng, tokenizer):
    """More than half STS, the rest captions and a few longer Wikipedia sentences."""
    pools = [distinct(data, names) for names in (STS, CAPTIONS, WIKI)]
    for pool in pools:
        rng.shuffle(pool)
    shares = [0.60, 0.21, 0.19]
    out = []
    for pool, share in zip(pools, shares):
        fits = [t for t in pool if len(tokenizer.encode(t)) <= 115]
        out += fits[: int(count * share)]
    out = list(dict.fromkeys(out))
    rng.shuffle(out)
    return out[:count], pools


def long_texts(data, tokens, count, tokenizer):
    """Wikipedia passages joined until the text has close to `tokens` tokens and never more."""
    limit = tokens - 2
    out, words, used = [], [], 0
    for row in rows(data, "wikipedia_en/section"):
        for word in row["pos"].split():
            cost = len(tokenizer.encode(word)) - 2
            if used + cost > limit:
                out.append(" ".join(words))
                words, used = [], 0
                if len(out) == count:
                    return out
            words.append(word)
            used += cost
    return out


def write_lines(path, lines):
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        f.writelines(line + "\n" for line in lines)


def describe(name, lines, tokenizer):
    sizes = [len(tokenizer.encode(t)) for t in lines]
    mean = sum(sizes) / max(1, len(sizes))
    print(f"{name}: {len(lines)} texts, {sum(sizes)} tokens, mean {mean:.1f}, max {max(sizes)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", help="folder for the text files")
    parser.add_argument("--model", required=True, help="a model folder (its vocab.txt is read)")
    parser.add_argument("--data", default=default_data_dir(), help="the shared data folder")
    parser.add_argument("--count", type=int, default=20000)
    args = parser.parse_args()
    if not glob.glob(os.path.join(args.data, "stsb_en", "*.jsonl.gz")):
        print("skipped: no shared data")
        return 0
    os.makedirs(args.out, exist_ok=True)
    tokenizer = WordPiece(args.model, max_tokens=1 << 30)
    rng = random.Random(20261122)
    sentences, pools = pick_sentences(args.data, args.count, rng, tokenizer)
    queries = [t for pool in pools[:2] for t in pool if len(tokenizer.encode(t)) == 12]
    rng.shuffle(queries)
    files = {
        "texts.txt": sentences,
        "queries.txt": queries[:1000],
        "long512.txt": long_texts(args.data, 512, 256, tokenizer),
        "long8192.txt": long_texts(args.data, 8192, 16, tokenizer),
    }
    for name, lines in files.items():
        write_lines(os.path.join(args.out, name), lines)
        describe(name, lines, tokenizer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
