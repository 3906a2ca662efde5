"""Writes a BERT folder's weights as GGUF files for llama.cpp, f32 and q8_0.

What it is: a GGUF version 3 writer with the keys and tensor names of llama.cpp's "bert"
architecture (mean pooling, WordPiece vocabulary with U+2581 before words).
Follows the GGUF specification in the ggml repository, docs/gguf.md.
What it is not: a reader, or a converter for other families.

q8_0 needs rows of a multiple of 32; rows that are not (hidden 312) are stored as f16 instead, as
llama.cpp's own quantiser does.
"""

import json
import os
import struct

import numpy as np

ALIGNMENT = 32
F32, F16, Q8_0 = 0, 1, 8  # ggml_type
U32, I32, FLOAT, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9  # metadata value types

TENSOR_NAMES = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.LayerNorm": "token_embd_norm",
}
LAYER_NAMES = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


def text(value):
    data = value.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def pair(key, kind, value):
    head = text(key) + struct.pack("<I", kind)
    if kind == STRING:
        return head + text(value)
    if kind == ARRAY:
        item_kind, items = value
        head += struct.pack("<IQ", item_kind, len(items))
        if item_kind == STRING:
            return head + b"".join(text(v) for v in items)
        return head + np.asarray(items, "<i4").tobytes()
    return head + struct.pack({U32: "<I", FLOAT: "<f", BOOL: "<?"}[kind], value)


def gguf_name(name):
    """Hugging Face's tensor name -> llama.cpp's, or None for the pooler."""
    base, kind = name.rsplit(".", 1)
    if base in TENSOR_NAMES:
        return TENSOR_NAMES[base] + "." + kind
    if base.startswith("encoder.layer."):
        number, rest = base[len("encoder.layer.") :].split(".", 1)
        return f"blk.{number}.{LAYER_NAMES[rest]}.{kind}"
    return None


def quantize_q8_0(matrix):
    """Blocks of 32: an f16 scale, then 32 int8 codes."""
    blocks = matrix.reshape(-1, 32)
    scale = (np.abs(blocks).max(axis=1) / 127.0).astype(np.float32)
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    codes = np.rint(blocks * inverse[:, None]).astype(np.int8)
    out = np.empty((len(blocks), 34), np.uint8)
    out[:, :2] = scale.astype("<f2").view(np.uint8).reshape(-1, 2)
    out[:, 2:] = codes.view(np.uint8)
    return out.tobytes()


def encode_tensor(name, value, quantized):
    value = np.asarray(value, np.float32)
    small = value.ndim < 2 or name.startswith(("position_embd", "token_types"))
    if small or not quantized:
        return F32, value.astype("<f4").tobytes()
    if value.shape[1] % 32:
        return F16, value.astype("<f2").tobytes()
    return Q8_0, quantize_q8_0(value)


def word_piece_tokens(folder):
    """llama.cpp marks the beginning of a word; WordPiece marks the rest of it."""
    with open(os.path.join(folder, "vocab.txt"), encoding="utf-8") as f:
        tokens = f.read().split("\n")[:-1]
    out, kinds = [], []
    for token in tokens:
        special = token.startswith("[") and token.endswith("]") and len(token) > 2
        if special:
            out.append(token)
        else:
            out.append(token[2:] if token.startswith("##") else "\u2581" + token)
        kinds.append(3 if special else 1)  # control, normal
    return tokens, out, kinds


def metadata(folder, config, quantized):
    tokens, pieces, kinds = word_piece_tokens(folder)
    bert = [
        ("context_length", U32, config["max_position_embeddings"]),
        ("embedding_length", U32, config["hidden_size"]),
        ("feed_forward_length", U32, config["intermediate_size"]),
        ("block_count", U32, config["num_hidden_layers"]),
        ("attention.head_count", U32, config["num_attention_heads"]),
        ("attention.layer_norm_epsilon", FLOAT, config["layer_norm_eps"]),
        ("attention.causal", BOOL, False),
        ("pooling_type", U32, 1),  # mean
    ]
    ggml = [
        ("model", STRING, "bert"),
        ("pre", STRING, "default"),
        ("token_type_count", U32, config["type_vocab_size"]),
        ("tokens", ARRAY, (STRING, pieces)),
        ("token_type", ARRAY, (I32, kinds)),
        ("unknown_token_id", U32, tokens.index("[UNK]")),
        ("seperator_token_id", U32, tokens.index("[SEP]")),  # llama.cpp's spelling
        ("padding_token_id", U32, tokens.index("[PAD]")),
        ("cls_token_id", U32, tokens.index("[CLS]")),
        ("bos_token_id", U32, tokens.index("[CLS]")),
        ("eos_token_id", U32, tokens.index("[SEP]")),
        ("mask_token_id", U32, tokens.index("[MASK]")),
    ]
    pairs = [pair("general.architecture", STRING, "bert")]
    pairs.append(pair("general.name", STRING, os.path.basename(folder.rstrip("/"))))
    pairs.append(pair("general.alignment", U32, ALIGNMENT))
    pairs.append(pair("general.quantization_version", U32, 2))
    pairs.append(pair("general.file_type", U32, 7 if quantized else 0))
    pairs += [pair("bert." + key, kind, value) for key, kind, value in bert]
    pairs += [pair("tokenizer.ggml." + key, kind, value) for key, kind, value in ggml]
    return pairs


def write(folder, name, quantized):
    from make_models import read_safetensors

    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    pairs = metadata(folder, config, quantized)
    infos, blobs, offset = [], [], 0
    for source, value in read_safetensors(os.path.join(folder, "model.safetensors")).items():
        target = gguf_name(source)
        if target is None:
            continue
        kind, data = encode_tensor(target, value, quantized)
        shape = value.shape[::-1]  # ggml counts dimensions from the fastest
        info = text(target) + struct.pack("<I", len(shape))
        info += struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, offset)
        infos.append(info)
        data += b"\0" * (-len(data) % ALIGNMENT)
        blobs.append(data)
        offset += len(data)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(pairs)))
        f.write(b"".join(pairs) + b"".join(infos))
        f.write(b"\0" * (-f.tell() % ALIGNMENT))
        for blob in blobs:
            f.write(blob)


def write_all(folder):
    write(folder, "model-f32.gguf", quantized=False)
    write(folder, "model-q8_0.gguf", quantized=True)
