#!/usr/bin/python3
"""Times PyTorch (Debian's python3-torch, CPU) from text to normalised vector.

What it is: the reference forward of BERT in eval mode under inference_mode, written with the
functions that PyTorch's own layers use (linear, layer_norm, gelu, batched products), texts sorted
by length, padded to the longest of a batch. It is also the reference for vectors (--dump).
What it is not: Hugging Face's transformers, which adds overhead of its own.

    /usr/bin/python3 run_pytorch.py --model DIR --texts FILE --threads 1 --mode bulk|query|long
        [--precision f32|bf16] [--batch 32] [--n N] [--dump vectors.npy]

Debian's OpenBLAS takes new Xeons for a Prescott; OPENBLAS_CORETYPE is set before it loads, and the
OpenMP build (libopenblas0-openmp) should be installed for more than one thread.
"""

import argparse
import json
import os
import resource
import sys
import time


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--texts", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--mode", choices=("bulk", "query", "long"), default="bulk")
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--n", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--dump", default="")
    parser.add_argument("--coretype", default="SkylakeX", help="which kernels OpenBLAS takes")
    return parser.parse_args()


ARGS = parse()
# Before anything loads OpenBLAS.
with open("/proc/cpuinfo", encoding="ascii", errors="replace") as cpuinfo:
    if "avx512f" in cpuinfo.read():
        os.environ["OPENBLAS_CORETYPE"] = ARGS.coretype
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = str(ARGS.threads)

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from make_models import read_safetensors  # noqa: E402
from wordpiece import WordPiece  # noqa: E402

DUMPED = 200


class Bert:
    """Post-norm BERT encoder with mean pooling. B texts, L tokens, D hidden."""

    def __init__(self, folder, dtype):
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
            config = json.load(f)
        self.layers, self.heads = config["num_hidden_layers"], config["num_attention_heads"]
        self.eps, self.dim = config["layer_norm_eps"], config["hidden_size"]
        self.limit, self.dtype = config["max_position_embeddings"], dtype
        tensors = read_safetensors(os.path.join(folder, "model.safetensors"))
        self.w = {k: torch.from_numpy(np.array(v)).to(dtype) for k, v in tensors.items()}
        for i in range(self.layers):  # one product instead of three
            p = f"encoder.layer.{i}.attention.self."
            for kind in ("weight", "bias"):
                parts = [self.w.pop(f"{p}{part}.{kind}") for part in ("query", "key", "value")]
                self.w[f"{p}qkv.{kind}"] = torch.cat(parts)

    def linear(self, x, name):
        return F.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def norm(self, x, name):
        weight, bias = self.w[name + ".weight"], self.w[name + ".bias"]
        return F.layer_norm(x, (self.dim,), weight, bias, self.eps)

    def attend(self, x, hidden, p):
        b, length, dim = x.shape
        qkv = self.linear(x, p + "attention.self.qkv")
        q, k, v = qkv.view(b, length, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        scores = torch.matmul(q * (dim // self.heads) ** -0.5, k.transpose(-1, -2))
        if hidden is not None:
            scores = scores.masked_fill_(hidden, float("-inf"))
        out = torch.matmul(torch.softmax(scores, -1), v)
        return out.transpose(1, 2).reshape(b, length, dim)

    def __call__(self, ids, lengths):
        """ids [B, L] int64, lengths [B] -> [B, D] float32, rows normalised."""
        e, length = "embeddings.", ids.shape[1]
        x = F.embedding(ids, self.w[e + "word_embeddings.weight"])
        x = x + self.w[e + "position_embeddings.weight"][:length]
        x = self.norm(x + self.w[e + "token_type_embeddings.weight"][0], e + "LayerNorm")
        real = torch.arange(length)[None] < lengths[:, None]
        hidden = None if bool(real.all()) else ~real[:, None, None, :]
        for i in range(self.layers):
            p = f"encoder.layer.{i}."
            a = self.linear(self.attend(x, hidden, p), p + "attention.output.dense")
            x = self.norm(a + x, p + "attention.output.LayerNorm")
            h = F.gelu(self.linear(x, p + "intermediate.dense"))
            x = self.norm(self.linear(h, p + "output.dense") + x, p + "output.LayerNorm")
        total = torch.bmm(real[:, None].to(x.dtype), x)[:, 0].float()
        return F.normalize(total, dim=1)


def forward(bert, rows):
    lengths = torch.tensor([len(r) for r in rows])
    ids = torch.zeros((len(rows), int(lengths.max())), dtype=torch.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    with torch.inference_mode():
        return bert(ids, lengths)


def sorted_batches(lengths, size):
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    return [order[i : i + size] for i in range(0, len(order), size)]


def run_bulk(bert, tokenizer, texts):
    """-> seconds in all, processor seconds, seconds of the model alone, samples, tokens, vectors"""
    warm = sorted((tokenizer.encode(t) for t in texts[:512]), key=len)
    for part in (0.0, 0.5, 0.9):
        at = int(part * len(warm))
        forward(bert, warm[at : at + ARGS.batch])
    start, cpu = time.perf_counter(), time.process_time()
    ids = [tokenizer.encode(t) for t in texts]
    tokenized = time.perf_counter()
    vectors, samples = np.empty((len(ids), bert.dim), np.float32), []
    for batch in sorted_batches([len(r) for r in ids], ARGS.batch):
        t = time.perf_counter()
        vectors[batch] = forward(bert, [ids[i] for i in batch]).numpy()
        samples.append(time.perf_counter() - t)
    end, cpu = time.perf_counter(), time.process_time() - cpu
    return end - start, cpu, end - tokenized, samples, sum(map(len, ids)), vectors


def run_single(bert, tokenizer, texts):
    vectors = []
    if ARGS.dump:
        vectors = [forward(bert, [tokenizer.encode(t)])[0].numpy() for t in texts[:DUMPED]]
    for text in texts[: 30 if ARGS.mode == "query" else 1]:
        forward(bert, [tokenizer.encode(text)])
    samples, tokens, model = [], 0, 0.0
    start, cpu = time.perf_counter(), time.process_time()
    for text in texts:
        t = time.perf_counter()
        ids = tokenizer.encode(text)
        tokenized = time.perf_counter()
        forward(bert, [ids])
        end = time.perf_counter()
        samples.append(end - t)
        model += end - tokenized
        tokens += len(ids)
        if end - start > ARGS.seconds:
            break
    cpu = time.process_time() - cpu
    return time.perf_counter() - start, cpu, model, samples, tokens, vectors


def quantile_ms(samples, q):
    ordered = sorted(samples)
    return round(1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))], 3)


def main():
    torch.set_num_threads(ARGS.threads)
    begin = time.perf_counter()
    bert = Bert(ARGS.model, torch.bfloat16 if ARGS.precision == "bf16" else torch.float32)
    tokenizer = WordPiece(ARGS.model, bert.limit)
    load = time.perf_counter() - begin
    with open(ARGS.texts, encoding="utf-8") as f:
        texts = f.read().split("\n")[:-1]
    texts = texts[: ARGS.n] if ARGS.n else texts
    run = run_bulk if ARGS.mode == "bulk" else run_single
    total, cpu, model, samples, tokens, vectors = run(bert, tokenizer, texts)
    if ARGS.dump:
        np.save(ARGS.dump, np.asarray(vectors[:DUMPED], np.float32))
    n = len(texts) if ARGS.mode == "bulk" else len(samples)
    line = {
        "peer": "pytorch",
        "version": torch.__version__,
        "precision": ARGS.precision,
        "model": os.path.basename(os.path.abspath(ARGS.model)),
        "threads": ARGS.threads,
        "mode": ARGS.mode,
        "tokens_per_s": round(tokens / total, 1),
        "sentences_per_s": round(n / total, 2),
        "model_tokens_per_s": round(tokens / model, 1),
        "cpu_tokens_per_s": round(tokens / cpu, 1),
        "p50_ms": quantile_ms(samples, 0.5),
        "p99_ms": quantile_ms(samples, 0.99),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "load_ms": round(1000 * load, 1),
        "n": n,
        "tokens": tokens,
        "batch": ARGS.batch if ARGS.mode == "bulk" else 1,
    }
    print(json.dumps(line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
