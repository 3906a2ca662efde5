#!/usr/bin/env python3
"""Writes tests/goldens/*.json: vectors of the tiny model folders, computed with PyTorch.

An outside implementation for both the C++ reference and the engine: it reads config.json and the
checkpoint's own tensor names (no canonical names, no ArchSpec) and runs the forward pass in float64
with torch.nn.functional. It knows nothing of tokenizers: the cases are lists of ids.

  1. build/tests/akin_parity_test --gtest_filter=TinyFolder.WriteAll   with AKIN_TINY_FOLDERS=DIR
  2. /usr/bin/python3 tools/make_goldens.py DIR tests/goldens          (Debian: python3-torch)
"""

import json
import math
import pathlib
import random
import struct
import sys

import numpy
import torch
import torch.nn.functional as F


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    kinds = {"F32": numpy.float32, "F16": numpy.float16, "I32": numpy.int32}
    out = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        raw = numpy.frombuffer(data[8 + length + begin : 8 + length + end], kinds[entry["dtype"]])
        out[name] = torch.tensor(raw.astype(numpy.float64)).reshape(entry["shape"])
    return out


class Weights:
    """Tensors of one checkpoint, with a task's LoRA adapters merged in (W + s B A)."""

    def __init__(self, tensors, prefix="", adapter=-1, scaling=0.0):
        self.t, self.prefix, self.adapter, self.scaling = tensors, prefix, adapter, scaling

    def __contains__(self, name):
        return self.prefix + name in self.t

    def __getitem__(self, name):
        name = self.prefix + name
        if name in self.t:
            return self.t[name]
        stem = name[: -len("weight")] + "parametrizations.weight."
        weight = self.t[stem + "original"]
        if self.adapter < 0:
            return weight
        a, b = self.t[stem + "0.lora_A"][self.adapter], self.t[stem + "0.lora_B"][self.adapter]
        delta = torch.matmul(a, b) if "embeddings" in name else torch.matmul(b, a)
        return weight + self.scaling * delta

    def linear(self, name, x):
        bias = self[name + ".bias"] if name + ".bias" in self else None
        return F.linear(x, self[name + ".weight"], bias)

    def norm(self, name, x, eps):
        old = name + ".gamma" in self
        weight = self[name + (".gamma" if old else ".weight")]
        key = name + (".beta" if old else ".bias")
        return F.layer_norm(x, (x.shape[-1],), weight, self[key] if key in self else None, eps)


def split_heads(x, heads):
    return x.view(x.shape[0], heads, -1).transpose(0, 1)  # [H, L, d]


def attend(q, k, v, scale=None, bias=None):
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = torch.matmul(q, k.transpose(1, 2)) * scale
    if bias is not None:
        scores = scores + bias
    mixed = torch.matmul(F.softmax(scores, dim=-1), v)
    return mixed.transpose(0, 1).reshape(q.shape[1], -1)


def gelu_new(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def t5_bucket_table(length, buckets, max_distance):
    """As T5's code computes it, in float32. Entry [i, j] is for query i and key j."""
    distance = torch.arange(length)[None, :] - torch.arange(length)[:, None]
    half = buckets // 2
    result = (distance > 0).long() * half
    n = distance.abs()
    exact = half // 2
    large = exact + (
        torch.log(n.float() / exact) / math.log(max_distance / exact) * (half - exact)
    ).long()
    large = torch.minimum(large, torch.full_like(large, half - 1))
    return result + torch.where(n < exact, n, large)


def relative_bias(table, length, buckets=32, max_distance=128):
    return F.embedding(t5_bucket_table(length, buckets, max_distance), table).permute(2, 0, 1)


def alibi_bias(heads, length):
    def of_power(n):
        start = 2 ** (-(2 ** -(math.log2(n) - 3)))
        return [start ** (i + 1) for i in range(n)]

    power = 2 ** math.floor(math.log2(heads))
    slopes = of_power(power)
    if power < heads:
        slopes += of_power(2 * power)[0::2][: heads - power]
    distance = (torch.arange(length)[None, :] - torch.arange(length)[:, None]).abs().double()
    return -torch.tensor(slopes, dtype=torch.float64)[:, None, None] * distance


def rotate(x, base, dims, interleaved):
    """[H, L, d] -> the same, rotated as complex numbers."""
    part, rest = x[..., :dims], x[..., dims:]
    if interleaved:
        pairs = part.reshape(*part.shape[:-1], -1, 2)
    else:
        pairs = torch.stack(part.chunk(2, dim=-1), dim=-1)
    frequency = base ** (-torch.arange(0, dims, 2).double() / dims)
    angle = torch.outer(torch.arange(x.shape[1]).double(), frequency)
    turn = torch.polar(torch.ones_like(angle), angle)
    turned = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * turn)
    if interleaved:
        out = turned.reshape(*part.shape)
    else:
        out = torch.cat((turned[..., 0], turned[..., 1]), dim=-1)
    return torch.cat((out, rest), dim=-1)


def bert(w, c, ids):
    eps, heads = c["layer_norm_eps"], c["num_attention_heads"]
    first = c["pad_token_id"] + 1 if c["model_type"] in ("roberta", "xlm-roberta") else 0
    x = F.embedding(ids, w["embeddings.word_embeddings.weight"])
    x = x + w["embeddings.position_embeddings.weight"][first : first + len(ids)]
    x = x + w["embeddings.token_type_embeddings.weight"][0]
    x = w.norm("embeddings.LayerNorm", x, eps)
    for i in range(c["num_hidden_layers"]):
        p = f"encoder.layer.{i}."
        q, k, v = (
            split_heads(w.linear(p + "attention.self." + n, x), heads)
            for n in ("query", "key", "value")
        )
        y = w.linear(p + "attention.output.dense", attend(q, k, v))
        x = w.norm(p + "attention.output.LayerNorm", x + y, eps)
        y = w.linear(p + "output.dense", F.gelu(w.linear(p + "intermediate.dense", x)))
        x = w.norm(p + "output.LayerNorm", x + y, eps)
    return x


def distilbert(w, c, ids):
    eps = 1e-12
    x = F.embedding(ids, w["embeddings.word_embeddings.weight"])
    x = x + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = w.norm("embeddings.LayerNorm", x, eps)
    for i in range(c["n_layers"]):
        p = f"transformer.layer.{i}."
        q, k, v = (
            split_heads(w.linear(p + f"attention.{n}_lin", x), c["n_heads"]) for n in "qkv"
        )
        x = w.norm(p + "sa_layer_norm", x + w.linear(p + "attention.out_lin", attend(q, k, v)), eps)
        y = w.linear(p + "ffn.lin2", F.gelu(w.linear(p + "ffn.lin1", x)))
        x = w.norm(p + "output_layer_norm", x + y, eps)
    return x


def mpnet(w, c, ids):
    eps, heads = c["layer_norm_eps"], c["num_attention_heads"]
    first = c["pad_token_id"] + 1
    x = F.embedding(ids, w["embeddings.word_embeddings.weight"])
    x = x + w["embeddings.position_embeddings.weight"][first : first + len(ids)]
    x = w.norm("embeddings.LayerNorm", x, eps)
    bias = relative_bias(w["encoder.relative_attention_bias.weight"], len(ids))
    for i in range(c["num_hidden_layers"]):
        p = f"encoder.layer.{i}."
        q, k, v = (split_heads(w.linear(p + "attention.attn." + n, x), heads) for n in "qkv")
        y = w.linear(p + "attention.attn.o", attend(q, k, v, bias=bias))
        x = w.norm(p + "attention.LayerNorm", x + y, eps)
        y = w.linear(p + "output.dense", F.gelu(w.linear(p + "intermediate.dense", x)))
        x = w.norm(p + "output.LayerNorm", x + y, eps)
    return x


def t5(w, c, ids):
    eps = c["layer_norm_epsilon"]

    def rms(name, x):
        return w[name + ".weight"] * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)

    x = F.embedding(ids, w["shared.weight"])
    table = w["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
    bias = relative_bias(table, len(ids))
    for i in range(c["num_layers"]):
        p = f"encoder.block.{i}.layer."
        y = rms(p + "0.layer_norm", x)
        q, k, v = (split_heads(w.linear(p + "0.SelfAttention." + n, y), c["num_heads"]) for n in "qkv")
        x = x + w.linear(p + "0.SelfAttention.o", attend(q, k, v, 1.0, bias))
        y = rms(p + "1.layer_norm", x)
        dense = p + "1.DenseReluDense."
        if c["feed_forward_proj"] == "gated-gelu":
            y = gelu_new(w.linear(dense + "wi_0", y)) * w.linear(dense + "wi_1", y)
        else:
            y = F.relu(w.linear(dense + "wi", y))
        x = x + w.linear(dense + "wo", y)
    return rms("encoder.final_layer_norm", x)


def jina_bert(w, c, ids):
    eps, heads, ffn = c["layer_norm_eps"], c["num_attention_heads"], c["intermediate_size"]
    act = F.relu if c["feed_forward_type"] == "reglu" else F.gelu
    x = F.embedding(ids, w["embeddings.word_embeddings.weight"])
    x = w.norm("embeddings.LayerNorm", x + w["embeddings.token_type_embeddings.weight"][0], eps)
    bias = alibi_bias(heads, len(ids))
    for i in range(c["num_hidden_layers"]):
        p = f"encoder.layer.{i}."
        q, k, v = (w.linear(p + "attention.self." + n, x) for n in ("query", "key", "value"))
        code = p + "layer_norm_1.weight" in w
        if code:
            q = w.norm(p + "attention.self.layer_norm_q", q, eps)
            k = w.norm(p + "attention.self.layer_norm_k", k, eps)
        y = attend(split_heads(q, heads), split_heads(k, heads), split_heads(v, heads), None, bias)
        y = w.norm(p + "attention.output.LayerNorm", x + w.linear(p + "attention.output.dense", y), eps)
        if code:
            x = w.norm(p + "layer_norm_1", x + y, eps)
            h = w.linear(p + "mlp.up_gated_layer", x)
            y = w.linear(p + "mlp.down_layer", h[:, :ffn] * act(h[:, ffn:]))
            x = w.norm(p + "layer_norm_2", x + y, eps)
        else:
            h = w.linear(p + "mlp.gated_layers", y)
            x = w.norm(
                p + "mlp.layernorm", y + w.linear(p + "mlp.wo", act(h[:, :ffn]) * h[:, ffn:]), eps
            )
    return x


def flash(w, c, ids, names):
    """jina-embeddings-v3 and nomic-bert: post-norm, fused Wqkv, rotary."""
    x = F.embedding(ids, w["embeddings.word_embeddings.weight"])
    x = w.norm("emb_ln", x + w["embeddings.token_type_embeddings.weight"][0], names["eps"])
    for i in range(names["layers"]):
        p = f"encoder.layers.{i}."
        qkv = w.linear(p + names["attn"] + ".Wqkv", x).chunk(3, dim=-1)
        q, k, v = (split_heads(part, names["heads"]) for part in qkv)
        q, k = (rotate(z, names["base"], names["dims"], names["interleaved"]) for z in (q, k))
        y = w.linear(p + names["attn"] + ".out_proj", attend(q, k, v))
        x = w.norm(p + "norm1", x + y, names["eps"])
        if c.get("activation_function") == "swiglu":
            y = w.linear(p + "mlp.fc11", x) * F.silu(w.linear(p + "mlp.fc12", x))
        else:
            y = F.gelu(w.linear(p + "mlp.fc1", x))
        x = w.norm(p + "norm2", x + w.linear(p + "mlp.fc2", y), names["eps"])
    return x


def jina_v3(w, c, ids):
    heads = c["num_attention_heads"]
    names = dict(eps=c["layer_norm_eps"], layers=c["num_hidden_layers"], heads=heads, attn="mixer",
                 base=c["rotary_emb_base"], dims=c["hidden_size"] // heads, interleaved=False)
    return flash(w, c, ids, names)


def nomic(w, c, ids):
    dims = round(c["n_embd"] // c["n_head"] * c["rotary_emb_fraction"])
    names = dict(eps=c["layer_norm_epsilon"], layers=c["n_layer"], heads=c["n_head"], attn="attn",
                 base=c["rotary_emb_base"], dims=dims, interleaved=c["rotary_emb_interleaved"])
    return flash(w, c, ids, names)


def modernbert(w, c, ids):
    eps, heads = c["norm_eps"], c["num_attention_heads"]
    x = w.norm("embeddings.norm", F.embedding(ids, w["embeddings.tok_embeddings.weight"]), eps)
    distance = (torch.arange(len(ids))[None, :] - torch.arange(len(ids))[:, None]).abs()
    window = torch.zeros(len(ids), len(ids), dtype=torch.float64)
    window[distance > c["local_attention"] // 2] = -math.inf
    for i in range(c["num_hidden_layers"]):
        p = f"layers.{i}."
        is_global = i % c["global_attn_every_n_layers"] == 0
        y = x if i == 0 else w.norm(p + "attn_norm", x, eps)
        q, k, v = (split_heads(z, heads) for z in w.linear(p + "attn.Wqkv", y).chunk(3, dim=-1))
        base = c["global_rope_theta"] if is_global else c["local_rope_theta"]
        q, k = (rotate(z, base, z.shape[-1], False) for z in (q, k))
        x = x + w.linear(p + "attn.Wo", attend(q, k, v, None, None if is_global else window))
        gate, up = w.linear(p + "mlp.Wi", w.norm(p + "mlp_norm", x, eps)).chunk(2, dim=-1)
        x = x + w.linear(p + "mlp.Wo", F.gelu(gate) * up)
    return w.norm("final_norm", x, eps)


FORWARD = {"bert": bert, "bert_old": bert, "roberta": bert, "xlm_roberta": bert,
           "distilbert": distilbert, "mpnet": mpnet, "t5": t5, "t5_gated": t5,
           "jina_bert": jina_bert, "jina_bert_reglu": jina_bert, "jina_bert_code": jina_bert,
           "jina_v3": jina_v3, "jina_v3_plain": jina_v3, "modernbert": modernbert,
           "nomic": nomic, "nomic_partial": nomic}
PREFIX = {"bert_old": "bert.", "roberta": "roberta.", "distilbert": "distilbert.",
          "jina_v3": "roberta.", "modernbert": "model."}


def rounded(row):
    return [float(f"{value:.10g}") for value in row.tolist()]


def golden(kind, folder):
    config = json.loads((folder / "config.json").read_text())
    tensors = read_safetensors(folder / "model.safetensors")
    rng = random.Random(7)
    adapters = [-1, 0, 1, 2] if "lora_adaptations" in config else [-1]
    scaling = config.get("lora_alpha", 1) / config.get("lora_rank", 1)
    cases = []
    for n, length in enumerate((1, 2, 9, 40, 170)):
        ids = [rng.randrange(config["vocab_size"]) for _ in range(length)]
        adapter = adapters[n % len(adapters)]
        weights = Weights(tensors, PREFIX.get(kind, ""), adapter, scaling)
        tokens = FORWARD[kind](weights, config, torch.tensor(ids))
        cases.append({"ids": ids, "adapter": adapter, "first": rounded(tokens[0]),
                      "last": rounded(tokens[-1]), "mean": rounded(tokens.mean(dim=0))})
    total = sum(float(tensor.sum()) for tensor in tensors.values())
    return {"made_by": "tools/make_goldens.py", "torch": torch.__version__,
            "numpy": numpy.__version__, "dtype": "float64", "kind": kind,
            "weights_sum": float(f"{total:.10g}"), "cases": cases}


def main():
    folders, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        for kind in FORWARD:
            text = json.dumps(golden(kind, folders / kind))
            assert len(text) < 50_000, kind
            (out / f"{kind}.json").write_text(text + "\n")
    buckets = [{"buckets": b, "max_distance": d, "of_distance": t5_bucket_table(400, b, d)[200].tolist(),
                "first_distance": -200} for b, d in ((32, 128), (32, 256), (16, 64))]
    slopes = {str(h): (-alibi_bias(h, 2)[:, 0, 1]).tolist() for h in (1, 2, 3, 4, 6, 8, 12, 13, 16)}
    tables = {"made_by": "tools/make_goldens.py", "torch": torch.__version__,
              "relative_buckets": buckets, "alibi_slopes": slopes}
    (out / "positions.json").write_text(json.dumps(tables) + "\n")


if __name__ == "__main__":
    main()
