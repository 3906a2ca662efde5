"""Writes a BERT folder's weights as ONNX graphs, f32 and dynamically quantised to int8.

What it is: the form ONNX Runtime runs fastest on a CPU, so that it is measured at its best. The
graph uses ONNX Runtime's own fused operators (com.microsoft: EmbedLayerNormalization, Attention,
BiasGelu, DynamicQuantizeMatMul, QAttention), which is what its transformer optimiser makes of an
exported BERT, with one exception: SkipLayerNormalization computes its moments one number at a
time (a fifth of the int8 run), so the standard's MeanVarianceNormalization stands in, which is
vectorised: 8 % faster in f32, 22 % in int8 (6x384, version 1.30). Mean pooling and L2
normalisation are in the graph too. Inputs and the first output are named as Hugging Face exports
name them.
What it is not: a general exporter; it knows post-norm BERT and nothing else.

int8 is weights per output channel, symmetric, activations per tensor at run time (u8).
"""

import json
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MICROSOFT = "com.microsoft"


class Graph:
    """Collects nodes and weights; each op method returns the name of its output."""

    def __init__(self):
        self.nodes, self.weights, self.count = [], [], 0

    def weight(self, name, value):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def op(self, kind, inputs, domain="", outputs=None, **attributes):
        if outputs is None:
            self.count += 1
            outputs = [f"{kind}_{self.count}"]
        name = outputs[0] + "_node"
        node = helper.make_node(kind, inputs, outputs, name=name, domain=domain, **attributes)
        self.nodes.append(node)
        return outputs[0]


def quantize_columns(matrix):
    """[in, out] float -> int8 of the same shape and one scale per column; zero points are 0."""
    scale = np.abs(matrix).max(axis=0) / 127.0
    scale[scale == 0] = 1.0
    codes = np.clip(np.rint(matrix / scale), -127, 127).astype(np.int8)
    return codes, scale.astype(np.float32)


class Writer:
    """attention: "fused" (Attention / QAttention) or "mha" (three products, MultiHeadAttention)."""

    def __init__(self, tensors, config, int8, attention, masked):
        self.t, self.config, self.int8 = tensors, config, int8
        self.attention_kind, self.masked = attention, masked
        self.g = Graph()
        self.g.weight("three", np.array([3], np.int64))
        self.eps = float(config["layer_norm_eps"])

    def w(self, name):
        return np.asarray(self.t[name], dtype=np.float32)

    def quantized(self, x, name, matrix, bias):
        """x times an int8 matrix, plus bias when given."""
        g = self.g
        codes, scale = quantize_columns(matrix)
        inputs = [x, g.weight(name + "_q", codes), g.weight(name + "_scale", scale)]
        inputs.append(g.weight(name + "_zero", np.zeros(scale.shape, np.int8)))
        if bias is not None:
            inputs.append(g.weight(name + "_bias", bias))
        return g.op("DynamicQuantizeMatMul", inputs, MICROSOFT)

    def matmul(self, x, name):
        """x W^T without the bias, which the following fused operator adds."""
        matrix = self.w(name + ".weight").T
        if self.int8:
            return self.quantized(x, name, matrix, None)
        return self.g.op("MatMul", [x, self.g.weight(name + "_w", matrix)])

    def linear(self, x, name):
        if self.int8:
            bias = self.w(name + ".bias")
            return self.quantized(x, name, self.w(name + ".weight").T, bias)
        bias = self.g.weight(name + "_b", self.w(name + ".bias"))
        return self.g.op("Add", [self.matmul(x, name), bias])

    def add_norm(self, x, skip, norm, bias):
        """LayerNorm(x + bias + skip); MeanVarianceNormalization wants 4 dimensions."""
        g = self.g
        x = g.op("Add", [x, g.weight(bias, self.w(bias))])
        x = g.op("Unsqueeze", [g.op("Add", [x, skip]), "three"])
        x = g.op("MeanVarianceNormalization", [x], axes=[2, 3])
        gain, shift = (g.weight(n, self.w(n)) for n in (norm + ".weight", norm + ".bias"))
        return g.op("Add", [g.op("Mul", [g.op("Squeeze", [x, "three"]), gain]), shift])

    def attention(self, x, mask, p):
        g, heads = self.g, self.config["num_attention_heads"]
        names = [p + "attention.self." + part for part in ("query", "key", "value")]
        bias = np.concatenate([self.w(n + ".bias") for n in names])
        if self.attention_kind == "mha":
            inputs = [self.matmul(x, n) for n in names] + [g.weight(p + "qkv_bias", bias)]
            inputs += [mask] if self.masked else []
            return g.op("MultiHeadAttention", inputs, MICROSOFT, num_heads=heads)
        matrix = np.concatenate([self.w(n + ".weight").T for n in names], axis=1)
        if not self.int8:
            inputs = [x, g.weight(p + "qkv", matrix), g.weight(p + "qkv_bias", bias)]
            inputs += [mask] if self.masked else []
            return g.op("Attention", inputs, MICROSOFT, num_heads=heads)
        codes, scale = quantize_columns(matrix)
        base = p + "x"
        outputs = [base + "_u8", base + "_scale", base + "_zero"]
        g.op("DynamicQuantizeLinear", [x], outputs=outputs)
        inputs = [outputs[0], g.weight(p + "qkv_q", codes), g.weight(p + "qkv_bias", bias)]
        inputs += [outputs[1], g.weight(p + "qkv_scale", scale), mask if self.masked else ""]
        inputs += [outputs[2], g.weight(p + "qkv_zero", np.zeros(scale.shape, np.int8))]
        return g.op("QAttention", inputs, MICROSOFT, num_heads=heads)

    def layer(self, x, mask, i):
        g, p = self.g, f"encoder.layer.{i}."
        a = self.matmul(self.attention(x, mask, p), p + "attention.output.dense")
        bias = p + "attention.output.dense.bias"
        x = self.add_norm(a, x, p + "attention.output.LayerNorm", bias)
        if self.int8:
            h = g.op("Gelu", [self.linear(x, p + "intermediate.dense")], MICROSOFT)
        else:
            bias = p + "intermediate.dense.bias"
            inputs = [self.matmul(x, p + "intermediate.dense"), g.weight(bias, self.w(bias))]
            h = g.op("BiasGelu", inputs, MICROSOFT)
        out = self.matmul(h, p + "output.dense")
        return self.add_norm(out, x, p + "output.LayerNorm", p + "output.dense.bias")

    def embed(self):
        g = self.g
        ids = g.op("Cast", ["input_ids"], to=TensorProto.INT32)
        types = g.op("Cast", ["token_type_ids"], to=TensorProto.INT32)
        mask = g.op("Cast", ["attention_mask"], to=TensorProto.INT32)
        names = ["word_embeddings", "position_embeddings", "token_type_embeddings"]
        names = ["embeddings." + n + ".weight" for n in names]
        names += ["embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"]
        inputs = [ids, types] + [g.weight(n, self.w(n)) for n in names] + [mask]
        outputs = ["embedded", "lengths"]
        g.op("EmbedLayerNormalization", inputs, MICROSOFT, outputs=outputs, epsilon=self.eps)
        return outputs

    def model(self):
        g, hidden = self.g, self.config["hidden_size"]
        x, lengths = self.embed()
        for i in range(self.config["num_hidden_layers"]):
            x = self.layer(x, lengths, i)
        g.op("Identity", [x], outputs=["last_hidden_state"])
        # A normalised mean is a normalised sum: a product with the mask as a row [B, 1, L].
        row = g.op("Cast", ["attention_mask"], to=TensorProto.FLOAT)
        row = g.op("Unsqueeze", [row, g.weight("one", np.array([1], np.int64))])
        total = g.op("MatMul", [row, x])
        total = g.op("Squeeze", [total, "one"])
        g.op("LpNormalization", [total], outputs=["sentence_embedding"], axis=1, p=2)
        int64, float32 = TensorProto.INT64, TensorProto.FLOAT
        names = ("input_ids", "attention_mask", "token_type_ids")
        inputs = [helper.make_tensor_value_info(n, int64, ["batch", "length"]) for n in names]
        shapes = {"last_hidden_state": ["batch", "length", hidden]}
        shapes["sentence_embedding"] = ["batch", hidden]
        outputs = [helper.make_tensor_value_info(n, float32, s) for n, s in shapes.items()]
        graph = helper.make_graph(g.nodes, "bert", inputs, outputs, g.weights)
        opsets = [helper.make_opsetid("", 15), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def write(folder, name, int8=False, attention="fused", masked=True):
    from make_models import read_safetensors

    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    tensors = read_safetensors(os.path.join(folder, "model.safetensors"))
    os.makedirs(os.path.join(folder, "onnx"), exist_ok=True)
    model = Writer(tensors, config, int8, attention, masked).model()
    onnx.save(model, os.path.join(folder, "onnx", name))


def write_all(folder):
    """The file names are those that transformers.js looks for (dtype fp32 and q8)."""
    write(folder, "model.onnx")
    write(folder, "model_quantized.onnx", int8=True)
    # Without padding (texts of one length in a batch) no mask is needed, and ONNX Runtime may
    # take its blocked attention, which pays on long texts.
    write(folder, "model_nomask.onnx", attention="mha", masked=False)
    write(folder, "model_quantized_nomask.onnx", int8=True, attention="mha", masked=False)
