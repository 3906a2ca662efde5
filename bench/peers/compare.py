#!/usr/bin/python3
"""Runs akin and its peers side by side on the same weights and texts and prints markdown tables.

What it is: the referee. Contestants take turns, round after round; the machine's f32 ceiling is
measured before every turn, so that a noisy neighbour hits everyone and is seen; medians are
reported. Bulk runs use a sample of the texts made of whole groups of 64 neighbours in length, so
that a peer that sorts by length pads no more than it would on the whole file.
What it is not: a statistics package. Two-thread figures on shared machines are good to 20 %.

    /usr/bin/python3 compare.py --models DIR... --texts FILE [--queries FILE] [--long FILE]
        [--akin BINARY] [--ceiling BINARY] [--threads 1,2] [--rounds 3] [--out results.md]

Work per token is 2 (4 D D + 2 D F) flop a layer (D hidden, F ffn), and attention is 4 L L D flop
a layer for a text of L tokens; only real tokens count. The share of the ceiling is against f32
for every precision, so int8 and bf16 can pass 100 %.
"""

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile

import numpy as np

from wordpiece import WordPiece

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
# name -> (command, precision, share of the bulk sample it gets: slow engines see fewer texts)
PEERS = {
    "ort-f32": (["node", "run_ort.mjs"], "f32", 1.0),
    "ort-int8": (["node", "run_ort.mjs"], "int8", 1.0),
    "torch-f32": ([PYTHON, "run_pytorch.py"], "f32", 0.5),
    "torch-bf16": ([PYTHON, "run_pytorch.py"], "bf16", 1.0),
    "tjs-f32": (["node", "run_transformers.mjs"], "f32", 0.5),
    "tjs-int8": (["node", "run_transformers.mjs"], "int8", 0.5),
    "llama-f32": (["node", "run_llama.mjs"], "f32", 0.25),
    "llama-q8_0": (["node", "run_llama.mjs"], "q8_0", 0.25),
}
KIND = {"f32": "f32", "int8": "int8", "q8_0": "int8", "bf16": "bf16"}
GUESS_FLOPS = 60e9  # a thread of a peer; only sets how many texts fill --seconds


class Model:
    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        self.name = os.path.basename(self.folder)
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
            config = json.load(f)
        self.layers, self.dim = config["num_hidden_layers"], config["hidden_size"]
        self.ffn, self.limit = config["intermediate_size"], config["max_position_embeddings"]
        self.tokenizer = WordPiece(folder, self.limit)

    def flops(self, lengths):
        per_token = 2 * (4 * self.dim * self.dim + 2 * self.dim * self.ffn)
        attention = sum(4 * n * n * self.dim for n in lengths)
        return self.layers * (per_token * sum(lengths) + attention)


def read_lines(path):
    with open(path, encoding="utf-8", newline="\n") as f:
        return f.read().split("\n")[:-1]


def sample(model, texts, seconds, threads):
    """Whole groups of 64 texts of neighbouring length, evenly over the range, then shuffled."""
    sized = sorted(((len(model.tokenizer.encode(t)), t) for t in texts), key=lambda p: p[0])
    groups = [sized[i : i + 64] for i in range(0, len(sized), 64)]
    per_text = model.flops([n for n, _ in sized]) / len(sized)
    want = max(3, round(seconds * GUESS_FLOPS * threads / per_text / 64))
    if want < len(groups):
        step = len(groups) / want
        groups = [groups[int((i + 0.5) * step)] for i in range(want)]
    out = [t for group in groups for _, t in group]
    random.Random(1).shuffle(out)
    return out


class Ceiling:
    """Median GFLOP/s by threads, from a program that prints '1 thread 103 [..]' or JSON lines."""

    def __init__(self, program):
        self.program, self.seen = program, {}

    def measure(self):
        if not self.program:
            return
        done = subprocess.run([self.program], capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            match = re.match(r"(\d+) threads? +([\d.]+)", line)
            if match:
                self.seen.setdefault(int(match[1]), []).append(float(match[2]))
            elif line.startswith("{"):
                entry = json.loads(line)
                kind = str(entry.get("kind", entry.get("dtype", "f32")))
                if kind == "f32" and "value" in entry:
                    threads = int(entry.get("threads", 1))
                    self.seen.setdefault(threads, []).append(float(entry["value"]))

    def gflops(self, threads):
        values = self.seen.get(threads)
        return statistics.median(values) if values else None

    def reset(self):
        self.seen = {}


def run(command, env=None):
    """-> (JSON of the last line that is JSON, None) or (None, why not)"""
    try:
        done = subprocess.run(
            command, cwd=HERE, capture_output=True, text=True, env=env, timeout=1800, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            return json.loads(line), None
    said = (done.stderr or done.stdout).strip().splitlines()
    return None, f"exit {done.returncode}: {said[-1][:200] if said else 'nothing printed'}"


def command_of(name, args, model, texts, threads, mode, dump=""):
    if name.startswith("akin-"):
        dtype = name.split("-", 1)[1]
        command = [args.akin, "bench", "--model", model.folder, "--texts", texts]
        command += ["--threads", str(threads), "--dtype", dtype, "--mode", mode, "--json"]
        # One pass a run, as the peers make: the rounds give the median, not the run.
        command += ["--repeat", "1", "--seconds", str(args.seconds)]
        return command + (["--dump", dump] if dump else [])
    head, precision, _ = PEERS[name]
    command = head + ["--model", model.folder, "--texts", texts, "--threads", str(threads)]
    command += ["--mode", mode, "--precision", precision, "--seconds", str(args.seconds)]
    return command + (["--dump", dump] if dump else [])


def precision_of(name):
    return PEERS[name][1] if name in PEERS else name.split("-", 1)[1]


def median(results, key):
    values = [r[key] for r in results if isinstance(r.get(key), (int, float))]
    return statistics.median(values) if values else None


def contest(args, model, files, threads, mode, ceiling, log):
    """files: contestant -> text file. -> contestant -> list of results, or a reason string"""
    results, reasons = {}, {}
    names = list(files)
    for round_number in range(args.rounds):
        turn = round_number % len(names)
        for name in names[turn:] + names[:turn]:
            if name in reasons:
                continue
            ceiling.measure()
            command = command_of(name, args, model, files[name], threads, mode)
            got, why = run(command)
            if got is None:
                reasons[name] = why
                continue
            got["texts_file"] = files[name]
            results.setdefault(name, []).append(got)
            log.write(json.dumps({"contestant": name, "round": round_number, **got}) + "\n")
            log.flush()
            rate = got.get("tokens_per_s")
            print(f"  {model.name} {mode} {threads}T {name} {rate}", file=sys.stderr, flush=True)
    return results, reasons


def cell(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def table(args, model, results, reasons, threads, mode, ceiling, lengths):
    peak = ceiling.gflops(threads)
    lines = [f"### {model.name}, {mode}, {threads} thread{'s' if threads > 1 else ''}", ""]
    span = ceiling.seen.get(threads)
    if span:
        lines.append(
            f"f32 ceiling, measured in between: median {peak:.0f} GFLOP/s"
            f" [{min(span):.0f}-{max(span):.0f}], {len(span)} measurements."
        )
        lines.append("")
    lines.append(
        "| engine | precision | tokens/s [min-max] | without tokenizer | per CPU second | texts/s |"
        " p50 ms | p99 ms | RSS MB | load ms | share of f32 ceiling | akin / it |"
    )
    lines.append("|---|---|---|---|---|---|---|---|---|---|---|---|")
    akin = {}
    for name, runs in results.items():
        if name.startswith("akin-"):
            akin[KIND.get(precision_of(name), precision_of(name))] = runs
    for name, runs in results.items():
        rates = [r["tokens_per_s"] for r in runs]
        rate = statistics.median(rates)
        work = model.flops(lengths[runs[0]["texts_file"]]) / sum(lengths[runs[0]["texts_file"]])
        share = None if not peak else 100 * rate * work / (peak * 1e9)
        mine = akin.get(KIND.get(precision_of(name), precision_of(name)))
        ratio = "-"
        if mine and not name.startswith("akin-"):
            if mode == "bulk":
                ratio = f"{median(mine, 'tokens_per_s') / rate:.2f}"
                both = [median(r, "cpu_tokens_per_s") for r in (mine, runs)]
                if None not in both:
                    ratio += f" ({both[0] / both[1]:.2f} per CPU s)"
            else:
                ratio = f"{median(runs, 'p50_ms') / median(mine, 'p50_ms'):.2f}"
        version = runs[0].get("version", "")
        lines.append(
            f"| {runs[0].get('peer', 'akin')} {version} | {precision_of(name)}"
            f" | {cell(rate)} [{cell(min(rates))}-{cell(max(rates))}]"
            f" | {cell(median(runs, 'model_tokens_per_s'))}"
            f" | {cell(median(runs, 'cpu_tokens_per_s'))}"
            f" | {cell(median(runs, 'sentences_per_s'), 1)}"
            f" | {cell(median(runs, 'p50_ms'), 2)} | {cell(median(runs, 'p99_ms'), 2)}"
            f" | {cell(median(runs, 'peak_rss_mb'))} | {cell(median(runs, 'load_ms'))}"
            f" | {'-' if share is None else f'{share:.0f} %'} | {ratio} |"
        )
    for name, why in reasons.items():
        lines.append(f"| {name} | {precision_of(name)} | not run: {why} |" + " |" * 9)
    return "\n".join(lines) + "\n"


def vectors(args, model, names, texts, folder):
    """Every contestant's first 200 vectors against PyTorch's in f32."""
    path = os.path.join(folder, "first.txt")
    write_lines(path, texts[:200])
    got = {}
    for name in ["torch-f32"] + [n for n in names if n != "torch-f32"]:
        dump = os.path.join(folder, name + ".npy")
        # bulk for everyone: it is the path that batches, where mistakes would show
        _, why = run(command_of(name, args, model, path, 1, "bulk", dump))
        got[name] = np.load(dump) if why is None and os.path.exists(dump) else why or "no dump"
    lines = [f"### {model.name}: vectors against PyTorch f32 (first {len(texts[:200])} texts)", ""]
    lines.append("| engine | max abs difference | min cosine | mean cosine |")
    lines.append("|---|---|---|---|")
    base = got["torch-f32"]
    if isinstance(base, str):
        return "\n".join(lines + [f"| torch-f32 | not run: {base} | | |"]) + "\n"
    for name, value in got.items():
        if isinstance(value, str) or value.shape != base.shape:
            why = value if isinstance(value, str) else f"shape {value.shape}"
            lines.append(f"| {name} | not compared: {why} | | |")
            continue
        norms = np.linalg.norm(value, axis=1) * np.linalg.norm(base, axis=1)
        cosine = (value * base).sum(1) / norms
        worst = np.abs(value - base).max()
        lines.append(f"| {name} | {worst:.2e} | {cosine.min():.6f} | {cosine.mean():.6f} |")
    return "\n".join(lines) + "\n"


def write_lines(path, lines):
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        f.writelines(line + "\n" for line in lines)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", required=True, help="folders of make_models.py")
    parser.add_argument("--texts", required=True, help="texts.txt of make_texts.py (bulk)")
    parser.add_argument("--queries", help="queries.txt (one at a time)")
    parser.add_argument("--long", help="long512.txt or long8192.txt (one at a time)")
    parser.add_argument("--akin", help="the akin program; left out, only the peers run")
    parser.add_argument("--akin-dtypes", default="f32,int8")
    parser.add_argument("--ceiling", help="program that prints the machine's f32 GFLOP/s")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8, help="about how long one run takes")
    parser.add_argument("--peers", default=",".join(PEERS), help="of " + ", ".join(PEERS))
    parser.add_argument("--modes", default="bulk,query,long")
    parser.add_argument("--no-vectors", action="store_true")
    parser.add_argument("--out", help="markdown file to append to; stdout always gets it")
    parser.add_argument("--log", default=os.devnull, help="every run as a JSON line")
    args = parser.parse_args()
    for name in ("texts", "queries", "long", "akin", "ceiling"):
        if getattr(args, name):
            setattr(args, name, os.path.abspath(getattr(args, name)))
    return args


def emit(args, text):
    print(text, flush=True)
    if args.out:
        with open(args.out, "a", encoding="utf-8") as f:
            f.write(text + "\n")


def files_for(args, model, names, mode, threads, folder):
    """-> contestant -> text file, file -> token counts of its texts"""
    files, lengths = {}, {}
    fixed = {"query": args.queries, "long": args.long}.get(mode)
    for name in names:
        part = PEERS[name][2] if name in PEERS else 1.0
        path = fixed or os.path.join(folder, f"{model.name}-{threads}-{part}.txt")
        if path not in lengths:
            if mode == "bulk":
                lines = sample(model, read_lines(args.texts), args.seconds * part, threads)
                write_lines(path, lines)
            lengths[path] = [len(model.tokenizer.encode(t)) for t in read_lines(path)]
        files[name] = path
    return files, lengths


def main():
    args = parse()
    names = [n for n in args.peers.split(",") if n]
    if args.akin:
        names = ["akin-" + d for d in args.akin_dtypes.split(",")] + names
    available = {"bulk": args.texts, "query": args.queries, "long": args.long}
    modes = [m for m in args.modes.split(",") if available.get(m)]
    with tempfile.TemporaryDirectory() as folder, open(args.log, "a", encoding="utf-8") as log:
        for model in map(Model, args.models):
            for mode in modes:
                for threads in map(int, args.threads.split(",")):
                    files, lengths = files_for(args, model, names, mode, threads, folder)
                    ceiling = Ceiling(args.ceiling)
                    done = contest(args, model, files, threads, mode, ceiling, log)
                    emit(args, table(args, model, *done, threads, mode, ceiling, lengths))
            if not args.no_vectors:
                emit(args, vectors(args, model, names, read_lines(args.texts), folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
