#!/usr/bin/python3
"""Writes BERT encoders with seeded random weights, one folder per size, in every peer's format.

What it is: the generator of the models that akin and its peers are timed on. Speed does not depend
on what the weights mean, only on their shape and on sane activations, so random weights of a
trained model's scale (linear std 0.04-0.05, LayerNorm gains around 1) stand in for downloads.
Each folder is a sentence-transformers folder: config, safetensors (F32, Hugging Face names),
tokenizer, pooling; plus onnx/*.onnx (bert_onnx.py) and *.gguf (gguf.py) of the same weights.
What it is not: a source of useful vectors; nor part of akin's build or tests.

    /usr/bin/python3 make_models.py OUT --tokenizer tokenizer.json [--only 6x384] [--forms folder]

Needs Debian's python3-numpy, and python3-onnx for the ONNX form.
"""

import argparse
import json
import os

import numpy as np

# name: layers, hidden, heads, ffn, positions, std of the linear weights.
SIZES = {
    "4x312": (4, 312, 12, 1200, 512, 0.05),
    "6x384": (6, 384, 12, 1536, 512, 0.05),
    "12x768": (12, 768, 12, 3072, 512, 0.04),
    "12x768-8k": (12, 768, 12, 3072, 8192, 0.04),
}
FORMS = ("folder", "onnx", "gguf")


def make_tensors(layers, hidden, ffn, positions, vocab, std):
    """Name -> float32 array, in Hugging Face's names and layout (linear weights [out, in])."""
    rng = np.random.default_rng(20261122)
    tensors = {}

    def normal(name, shape, scale, mean=0.0):
        tensors[name] = (mean + scale * rng.standard_normal(shape)).astype(np.float32)

    def layer_norm(name):
        normal(name + ".weight", (hidden,), 0.1, 1.0)
        normal(name + ".bias", (hidden,), 0.05)

    def linear(name, n_out, n_in):
        normal(name + ".weight", (n_out, n_in), std)
        normal(name + ".bias", (n_out,), 0.02)

    normal("embeddings.word_embeddings.weight", (vocab, hidden), 0.05)
    tensors["embeddings.word_embeddings.weight"][0] = 0.0  # padding_idx, as PyTorch leaves it
    normal("embeddings.token_type_embeddings.weight", (2, hidden), 0.01)
    layer_norm("embeddings.LayerNorm")
    for i in range(layers):
        p = f"encoder.layer.{i}."
        for part in ("query", "key", "value"):
            linear(p + "attention.self." + part, hidden, hidden)
        linear(p + "attention.output.dense", hidden, hidden)
        layer_norm(p + "attention.output.LayerNorm")
        linear(p + "intermediate.dense", ffn, hidden)
        linear(p + "output.dense", hidden, ffn)
        layer_norm(p + "output.LayerNorm")
    linear("pooler.dense", hidden, hidden)
    # Last, so that the 512 and the 8192 variants share every other weight.
    normal("embeddings.position_embeddings.weight", (positions, hidden), 0.02)
    return tensors


def write_safetensors(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    names = sorted(tensors)
    for name in names:
        end = offset + tensors[name].nbytes
        shape = list(tensors[name].shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            f.write(np.ascontiguousarray(tensors[name], "<f4").tobytes())


def read_safetensors(path):
    with open(path, "rb") as f:
        size = int.from_bytes(f.read(8), "little")
        header = json.loads(f.read(size))
    data = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + size)
    header.pop("__metadata__", None)
    out = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        out[name] = data[begin:end].view("<f4").reshape(entry["shape"])
    return out


def write_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False, indent=2)
        f.write("\n")


def bert_config(layers, hidden, heads, ffn, positions, vocab):
    return {
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": 0.1,
        "classifier_dropout": None,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": ffn,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": positions,
        "model_type": "bert",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "torch_dtype": "float32",
        "type_vocab_size": 2,
        "use_cache": True,
        "vocab_size": vocab,
    }


def write_tokenizer(folder, tokenizer, positions):
    tokenizer["truncation"] = None
    tokenizer["padding"] = None
    write_json(os.path.join(folder, "tokenizer.json"), tokenizer)
    special = {"cls_token": "[CLS]", "mask_token": "[MASK]", "pad_token": "[PAD]"}
    special.update({"sep_token": "[SEP]", "unk_token": "[UNK]"})
    write_json(os.path.join(folder, "special_tokens_map.json"), special)
    config = {
        "clean_up_tokenization_spaces": True,
        "do_basic_tokenize": True,
        "do_lower_case": True,
        "model_max_length": positions,
        "never_split": None,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer",
    }
    config.update(special)
    write_json(os.path.join(folder, "tokenizer_config.json"), config)
    vocab = tokenizer["model"]["vocab"]
    with open(os.path.join(folder, "vocab.txt"), "w", encoding="utf-8") as f:
        f.write("".join(t + "\n" for t in sorted(vocab, key=vocab.get)))


def write_folder(folder, size, tokenizer):
    layers, hidden, heads, ffn, positions, std = size
    vocab = len(tokenizer["model"]["vocab"])
    tensors = make_tensors(layers, hidden, ffn, positions, vocab, std)
    config = bert_config(layers, hidden, heads, ffn, positions, vocab)
    write_json(os.path.join(folder, "config.json"), config)
    write_tokenizer(folder, tokenizer, positions)
    steps = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = []
    for i, (path, kind) in enumerate(steps):
        kind = "sentence_transformers.models." + kind
        modules.append({"idx": i, "name": str(i), "path": path, "type": kind})
    write_json(os.path.join(folder, "modules.json"), modules)
    limit = {"max_seq_length": positions, "do_lower_case": False}
    write_json(os.path.join(folder, "sentence_bert_config.json"), limit)
    versions = {"sentence_transformers": "2.7.0", "transformers": "4.40.0", "pytorch": "2.2.0"}
    about = {"__version__": versions, "prompts": {}, "default_prompt_name": None}
    about["similarity_fn_name"] = "cosine"
    write_json(os.path.join(folder, "config_sentence_transformers.json"), about)
    pooling = {"word_embedding_dimension": hidden, "pooling_mode_cls_token": False}
    pooling["pooling_mode_mean_tokens"] = True
    for mode in ("max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"):
        pooling["pooling_mode_" + mode] = False
    pooling["include_prompt"] = True
    write_json(os.path.join(folder, "1_Pooling", "config.json"), pooling)
    os.makedirs(os.path.join(folder, "2_Normalize"), exist_ok=True)
    write_safetensors(os.path.join(folder, "model.safetensors"), tensors)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", help="folder that gets one sub-folder per size")
    parser.add_argument("--tokenizer", required=True, help="a BERT tokenizer.json")
    parser.add_argument("--only", help="comma-separated sizes of " + ", ".join(SIZES))
    parser.add_argument("--forms", default=",".join(FORMS), help="of " + ", ".join(FORMS))
    args = parser.parse_args()
    forms = args.forms.split(",")
    with open(args.tokenizer, encoding="utf-8") as f:
        tokenizer = json.load(f)
    for name in args.only.split(",") if args.only else SIZES:
        folder = os.path.join(args.out, name)
        os.makedirs(folder, exist_ok=True)
        if "folder" in forms:
            write_folder(folder, SIZES[name], tokenizer)
        if "onnx" in forms:
            import bert_onnx

            bert_onnx.write_all(folder)
        if "gguf" in forms:
            import gguf

            gguf.write_all(folder)
        print(name, "done", flush=True)


if __name__ == "__main__":
    main()
