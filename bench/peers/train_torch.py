#!/usr/bin/python3
"""Training akin against a plain PyTorch loop, in turns on one machine: the same first weights, pairs,
batch size, loss (InfoNCE both ways), AdamW and rate. PyTorch sees ids that akin's tokenizer made, pads
each side to its longest text, and sorts windows of batches by length, as sentence-transformers does.

    bench/peers/train_torch.py AKIN PAIRS.jsonl VOCAB --layers 4 --hidden 312 --heads 12 --ffn 1200

VOCAB: a folder with a tokenizer. PAIRS: JSON lines of query and positive. Prints, a line each: pairs/s of both (medians of --turns), their
ratio, and the mean loss of the first and the last quarter of the steps of both.
"""
import argparse
import json
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ARGS = argparse.ArgumentParser()
ARGS.add_argument("akin")
ARGS.add_argument("pairs")
ARGS.add_argument("vocab")
ARGS.add_argument("--layers", type=int, default=4)
ARGS.add_argument("--hidden", type=int, default=312)
ARGS.add_argument("--heads", type=int, default=12)
ARGS.add_argument("--ffn", type=int, default=1200)
ARGS.add_argument("--batch", type=int, default=64)
ARGS.add_argument("--steps", type=int, default=24)
ARGS.add_argument("--turns", type=int, default=3)
ARGS.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
ARGS.add_argument("--torch-threads", default="1,2", help="tried in the first turn; the faster is kept")
ARGS.add_argument("--max-tokens", type=int, default=128)
ARGS.add_argument("--rate", type=float, default=5e-4)
ARGS.add_argument("--precisions", default="f32,bf16")
OPTIONS = ARGS.parse_args()
os.environ["OPENBLAS_CORETYPE"] = ""  # OpenBLAS chooses its own kernels

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402


def recipe(precision, steps, rate):
    return f"""
[model]
tokenizer = "{os.path.abspath(OPTIONS.vocab)}"
layers = {OPTIONS.layers}
hidden = {OPTIONS.hidden}
heads = {OPTIONS.heads}
ffn_hidden = {OPTIONS.ffn}
max_tokens = {OPTIONS.max_tokens}
dropout = 0
attention_dropout = 0
precision = "{precision}"
[train]
steps = {steps}
batch = {OPTIONS.batch}
learning_rate = {rate}
schedule = "constant"
warmup = 0
log_every = 1
checkpoint_every = 0
threads = {OPTIONS.threads}
[[source]]
path = "{os.path.abspath(OPTIONS.pairs)}"
"""


def run_akin(precision, steps, rate, folder):
    path = os.path.join(folder, "recipe.toml")
    with open(path, "w") as file:
        file.write(recipe(precision, steps, rate))
    out = os.path.join(folder, f"run-{precision}-{steps}-{time.time_ns()}")
    subprocess.run([OPTIONS.akin, "train", path, "--out", out, "--quiet"], check=True,
                   stdout=subprocess.DEVNULL)
    lines = [json.loads(line) for line in open(os.path.join(out, "log.jsonl"))]
    return out, [line for line in lines if "loss" in line]


def read_safetensors(path):
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        body = bytearray(file.read())
    out = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        out[name] = torch.frombuffer(body[begin:end], dtype=torch.float32).reshape(entry["shape"]).clone()
    return out


class Layer(torch.nn.Module):
    def __init__(self, weights, prefix):
        super().__init__()

        def linear(name):
            weight, bias = weights[f"{prefix}{name}.weight"], weights[f"{prefix}{name}.bias"]
            layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
            layer.weight.data.copy_(weight)
            layer.bias.data.copy_(bias)
            return layer

        self.query, self.key, self.value = (linear(f"attention.self.{n}") for n in ("query", "key", "value"))
        self.out, self.up, self.down = (linear(n) for n in ("attention.output.dense", "intermediate.dense", "output.dense"))
        self.attention_norm = torch.nn.LayerNorm(OPTIONS.hidden, eps=1e-12)
        self.ffn_norm = torch.nn.LayerNorm(OPTIONS.hidden, eps=1e-12)

    def forward(self, x, bias):
        rows, tokens, dim = x.shape
        split = lambda y: y.view(rows, tokens, OPTIONS.heads, dim // OPTIONS.heads).transpose(1, 2)
        q, k, v = split(self.query(x)), split(self.key(x)), split(self.value(x))
        scores = q @ k.transpose(2, 3) / (dim // OPTIONS.heads) ** 0.5 + bias
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(rows, tokens, dim)
        x = self.attention_norm(x + self.out(mixed))
        return self.ffn_norm(x + self.down(F.gelu(self.up(x))))


class Encoder(torch.nn.Module):
    def __init__(self, weights):
        super().__init__()
        table = lambda name: torch.nn.Embedding.from_pretrained(weights[f"embeddings.{name}.weight"].clone(), freeze=False)
        self.words, self.positions = table("word_embeddings"), table("position_embeddings")
        self.types = table("token_type_embeddings")
        self.norm = torch.nn.LayerNorm(OPTIONS.hidden, eps=1e-12)
        self.layers = torch.nn.ModuleList(Layer(weights, f"encoder.layer.{i}.") for i in range(OPTIONS.layers))

    def forward(self, ids, mask):
        x = self.words(ids) + self.positions.weight[: ids.shape[1]] + self.types.weight[0]
        x = self.norm(x)
        bias = (1 - mask)[:, None, None, :] * -1e9
        for layer in self.layers:
            x = layer(x, bias)
        return (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)


def tokenize(folder, pairs):
    ids = []
    for side in ("query", "positive"):
        path = os.path.join(folder, side + ".txt")
        with open(path, "w") as file:
            file.write("".join(" ".join(pair[side].split()) + "\n" for pair in pairs))
        lines = subprocess.run([OPTIONS.akin, "tokenize", "--model", OPTIONS.model, "--file", path,
                                "--input-format", "lines", "--json", "--quiet"],
                               check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        side_ids = [json.loads(line)["ids"] for line in lines]
        ids.append([i if len(i) <= OPTIONS.max_tokens else i[: OPTIONS.max_tokens - 1] + i[-1:] for i in side_ids])
    return list(zip(*ids))


def padded(texts):
    longest = max(map(len, texts))
    ids = torch.zeros(len(texts), longest, dtype=torch.long)
    mask = torch.zeros(len(texts), longest)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.tensor(text)
        mask[row, : len(text)] = 1
    return ids, mask


def run_torch(weights, pairs, threads):
    torch.set_num_threads(threads)
    model = Encoder(weights)
    optimizer = torch.optim.AdamW(model.parameters(), lr=OPTIONS.rate, weight_decay=0.01)
    order = list(range(len(pairs)))
    random.Random(1).shuffle(order)
    losses, seconds = [], []
    for step in range(OPTIONS.steps):
        start = time.perf_counter()
        rows = [pairs[order[(step * OPTIONS.batch + i) % len(order)]] for i in range(OPTIONS.batch)]
        rows.sort(key=lambda pair: len(pair[0]) + len(pair[1]))
        q = F.normalize(model(*padded([r[0] for r in rows])), dim=-1)
        d = F.normalize(model(*padded([r[1] for r in rows])), dim=-1)
        scores = q @ d.T / 0.05
        target = torch.arange(len(rows))
        loss = F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    return losses, OPTIONS.batch / statistics.median(seconds)


def ends(losses):
    quarter = max(1, len(losses) // 4)
    return f"{statistics.mean(losses[:quarter]):.3f} -> {statistics.mean(losses[-quarter:]):.3f}"


def main():
    pairs = [json.loads(line) for line in open(OPTIONS.pairs)]
    with tempfile.TemporaryDirectory() as folder:
        first, _ = run_akin("f32", 1, 1e-30, folder)  # weights as a new model has them
        OPTIONS.model = os.path.join(first, "model")
        weights = read_safetensors(os.path.join(OPTIONS.model, "model.safetensors"))
        tokens = tokenize(folder, pairs)
        speeds = {name: [] for name in OPTIONS.precisions.split(",") + ["torch"]}
        curves = {}
        best = None
        for _ in range(OPTIONS.turns):
            for precision in OPTIONS.precisions.split(","):
                _, lines = run_akin(precision, OPTIONS.steps, OPTIONS.rate, folder)
                speeds[precision].append(statistics.median(line["pairs_per_second"] for line in lines))
                curves[precision] = [line["loss"] for line in lines]
            for threads in [best] if best else map(int, OPTIONS.torch_threads.split(",")):
                losses, speed = run_torch(weights, tokens, threads)
                speeds["torch"].append((speed, threads))
                curves["torch"] = losses
            best = max(speeds["torch"])[1]
        torch_speed = statistics.median(s for s, threads in speeds["torch"] if threads == best)
        average = sum(len(q) + len(d) for q, d in tokens) / len(tokens)
        print(f"{len(pairs)} pairs of {average:.1f} tokens, batches of {OPTIONS.batch}, {OPTIONS.layers}x{OPTIONS.hidden}")
        print(f"torch {torch.__version__}, {best} threads: {torch_speed:.1f} pairs/s, loss {ends(curves['torch'])}")
        for precision in OPTIONS.precisions.split(","):
            speed = statistics.median(speeds[precision])
            print(f"akin {precision}, {OPTIONS.threads} threads: {speed:.1f} pairs/s, loss {ends(curves[precision])}, "
                  f"{speed / torch_speed:.2f} times torch")


if __name__ == "__main__":
    sys.exit(main())
