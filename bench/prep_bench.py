#!/usr/bin/env python3
"""Does `akin prep` find planted faults, how fast is it, and does its memory stay flat?

Not a test: it needs real pairs and minutes. Standard library only.

  bench/prep_bench.py faults --akin build/src/akin --pairs pairs.jsonl.gz --other-language de.txt \
      --eval-texts sts.jsonl.gz --model models/static-en-64
  bench/prep_bench.py memory --akin build/src/akin --millions 1 20

faults: takes real pairs of English text as clean, plants faults among them, each marked by its row, runs
one filter at a time, and prints recall (of what was planted) and precision (of what was removed; what the
filter removes of the real pairs counts against it, though real pairs have faults of their own). For
dedup and near the real pairs are first freed of repeats by the same filter.
memory: generates pairs on the fly, a tenth of them repeats, and prints peak memory and CPU seconds of
normalise, length and dedup.
"""
import argparse
import gzip
import json
import os
import random
import re
import resource
import subprocess
import tempfile
import time


def open_text(path):
    return gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path, encoding="utf-8")


def read_pairs(path, count):
    out = []
    with open_text(path) as file:
        for line in file:
            row = json.loads(line)
            positive = row["pos"] if isinstance(row["pos"], str) else row["pos"][0]
            if row["query"].strip() and positive.strip():
                out.append((row["query"], positive))
            if len(out) == count:
                break
    return out


def texts_of(path):
    with open_text(path) as file:
        for line in file:
            if ".jsonl" not in path:
                yield line.strip()
                continue
            for value in json.loads(line).values():
                if isinstance(value, str) and len(value.split()) >= 4:
                    yield value


def run(akin, rows, folder, *options):
    """The rows that a run removed (1-based), and its CPU and wall seconds."""
    path, out = os.path.join(folder, "in.jsonl"), os.path.join(folder, "out.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        for i, (query, positive) in enumerate(rows):
            file.write(json.dumps({"query": query, "positive": positive, "task": str(i)}) + "\n")
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    subprocess.run([akin, "prep", path, "--out", out, "--quiet", *options], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.time() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(out, encoding="utf-8") as file:
        kept = {int(json.loads(line)["task"]) for line in file}
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return set(range(len(rows))) - kept, cpu, wall


def change_words(text, rng, share):
    words = text.split()
    for at in rng.sample(range(len(words)), max(1, int(len(words) * share))):
        words[at] = rng.choice(["other", "thing", "about", "maybe", "such"])
    return " ".join(words)


def jaccard(a, b):
    a, b = (set(re.findall(r"\w+", text.lower())) for text in (a, b))
    return len(a & b) / max(1, len(a | b))


def dress(text, rng):
    """The same text in other case and white space."""
    return "  ".join(rng.choice([str.upper, str.lower, str.title])(word) for word in text.split()) + " "


def plant(clean, faults, rng):
    """Faults go behind the clean rows they may repeat, in random order. Returns rows and faulty numbers."""
    rng.shuffle(faults)
    return clean + faults, set(range(len(clean), len(clean) + len(faults)))


def measure(name, akin, rows, planted, folder, *options):
    removed, cpu, wall = run(akin, rows, folder, *options)
    hits = len(removed & planted)
    result = {"fault": name, "rows": len(rows), "planted": len(planted), "removed": len(removed),
              "recall": round(hits / max(1, len(planted)), 4), "precision": round(hits / max(1, len(removed)), 4),
              "cpu_us_per_pair": round(1e6 * cpu / len(rows), 2), "pairs_per_s": round(len(rows) / wall),
              "options": " ".join(options)}
    print(json.dumps(result), flush=True)


def faults(args):
    rng = random.Random(args.seed)
    pairs = read_pairs(args.pairs, args.count)
    count = len(pairs) // 10
    with tempfile.TemporaryDirectory() as folder:
        go = lambda name, rows, planted, *options: measure(name, args.akin, rows, planted, folder, *options)
        for filters in (["--filters", "dedup"], ["--filters", "near"]):
            removed, _, _ = run(args.akin, pairs, folder, *filters)
            pairs = [pair for i, pair in enumerate(pairs) if i not in removed]
        exact = [(dress(q, rng), dress(p, rng)) for q, p in rng.sample(pairs, count)]
        go("exact duplicates", *plant(pairs, exact, rng), "--filters", "dedup")
        long = [pair for pair in pairs if min(len(pair[0].split()), len(pair[1].split())) >= 10]
        groups = {"0.9 and more": (0.9, 1.01), "0.8 to 0.9": (0.8, 0.9), "0.6 to 0.8": (0.6, 0.8)}
        for name, (least, below) in groups.items():
            near = []
            for query, positive in rng.sample(long, len(long)):
                share = rng.choice([0.02, 0.05, 0.1])
                changed = change_words(query, rng, share), change_words(positive, rng, share)
                if least <= min(jaccard(query, changed[0]), jaccard(positive, changed[1])) < below:
                    near.append(changed)
                if len(near) == count:
                    break
            go(f"near duplicates, Jaccard {name}", *plant(pairs, near, rng), "--filters", "near")
        foreign = [text for text in texts_of(args.other_language) if len(text) >= 20]
        wrong = [(q, rng.choice(foreign)) if i % 2 else (rng.choice(foreign), p)
                 for i, (q, p) in enumerate(rng.sample(pairs, count))]
        go("wrong language", *plant(pairs, wrong, rng), "--filters", "language", "--languages", "en")
        if args.language_model:
            go("wrong language, fastText", *plant(pairs, wrong, rng), "--filters", "language", "--languages", "en",
               "--language-model", args.language_model)
        texts = [t for path in args.eval_texts for t in texts_of(path)]
        leaked = [(q, dress(rng.choice(texts), rng)) if i % 2 else (dress(rng.choice(texts), rng), p)
                  for i, (q, p) in enumerate(rng.sample(pairs, count))]
        go("evaluation texts", *plant(pairs, leaked, rng), "--filters", "contamination", "--eval-texts",
           ",".join(args.eval_texts))
        few = rng.sample(pairs, min(len(pairs), args.model_count))
        shuffled = [(q, rng.choice(few)[1]) for q, _ in rng.sample(few, len(few) // 10)]
        for top, pool in ((2, 1_000_000), (10, 1_000_000), (2, 1000), (2, 100)):
            go(f"shuffled positives, top {top} of {pool}", *plant(few, shuffled, rng), "--filters", "consistency",
               "--model", args.model, "--top", str(top), "--pool", str(pool))
        for least in (0.3, 0.43):
            go(f"shuffled positives, cosine {least}", *plant(few, shuffled, rng), "--filters", "similarity",
               "--model", args.model, "--min-similarity", str(least))


def memory(args):
    for millions in args.millions:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            out, path = os.path.join(folder, "out.jsonl"), os.path.join(folder, "in.jsonl")
            count = int(millions * 1_000_000)
            with open(path, "w", encoding="ascii") as file:
                step, block = 9_973_711, []
                for i in range(count):
                    n = i * step % count if i % 10 else (i // 10) * step % count
                    block.append('{"query":"what is %d in words","positive":"it is answer %d"}\n' % (n, n))
                    if len(block) == 100_000:
                        file.write("".join(block))
                        block.clear()
                file.write("".join(block))
            command = [args.akin, "prep", path, "--out", out, "--quiet", "--filters", "normalise,length,dedup"]
            start = time.time()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            wall, cpu = time.time() - start, usage.ru_utime + usage.ru_stime
            if status != 0:
                raise SystemExit(f"akin prep ended with {status}")
            with open(out + ".report.json", encoding="utf-8") as file:
                report = json.load(file)
            print(json.dumps({"millions": millions, "peak_mb": round(usage.ru_maxrss / 1024),
                              "cpu_us_per_pair": round(1e6 * cpu / count, 2), "pairs_per_s": round(count / wall),
                              "kept": report["records_out"]}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("faults")
    one.add_argument("--akin", required=True)
    one.add_argument("--pairs", required=True)
    one.add_argument("--count", type=int, default=50_000)
    one.add_argument("--model-count", type=int, default=20_000)
    one.add_argument("--other-language", required=True)
    one.add_argument("--language-model")
    one.add_argument("--eval-texts", nargs="+", required=True)
    one.add_argument("--model", required=True)
    one.add_argument("--seed", type=int, default=1)
    two = commands.add_parser("memory")
    two.add_argument("--akin", required=True)
    two.add_argument("--millions", type=float, nargs="+", default=[1, 20])
    two.add_argument("--folder", default=None)
    args = parser.parse_args()
    faults(args) if args.command == "faults" else memory(args)


if __name__ == "__main__":
    main()
