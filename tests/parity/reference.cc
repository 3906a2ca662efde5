// See reference.h. Shapes: L tokens, D hidden, H heads, d head size, F inner size of the FFN.
#include "reference.h"

#include <cmath>
#include <limits>
#include <string>

#include "base/error.h"
#include "kernels/test_activation.h"

namespace akin::parity {
namespace {

Row values(const model::Weights& weights, const std::string& name) {
  const std::vector<float> floats = tensor_to_f32(weights.at(name));
  return {floats.begin(), floats.end()};
}

Rows matrix(const model::Weights& weights, const std::string& name) {
  const Row flat = values(weights, name);
  const auto cols = static_cast<size_t>(weights.at(name).shape.at(1));
  Rows out;
  for (size_t i = 0; i < flat.size(); i += cols) {
    out.emplace_back(flat.begin() + static_cast<ptrdiff_t>(i),
                     flat.begin() + static_cast<ptrdiff_t>(i + cols));
  }
  return out;
}

// y = M x, M [out, in].
Row times(const Rows& m, const Row& x) {
  Row y(m.size(), 0.0);
  for (size_t o = 0; o < m.size(); ++o) {
    for (size_t i = 0; i < x.size(); ++i) y[o] += m[o][i] * x[i];
  }
  return y;
}

void add(Row& x, const Row& y, double factor = 1.0) {
  for (size_t i = 0; i < x.size(); ++i) x[i] += factor * y[i];
}

Row norm(const model::Model& model, const std::string& name, const Row& x) {
  const model::Weights& weights = *model.weights;
  const auto n = static_cast<double>(x.size());
  double mean = 0, square = 0;
  if (model.arch.norm == NormKind::layer_norm) {
    for (const double v : x) mean += v / n;
  }
  for (const double v : x) square += (v - mean) * (v - mean) / n;
  const double scale = 1.0 / std::sqrt(square + static_cast<double>(model.arch.norm_eps));
  const Row gain = values(weights, name + ".weight");
  Row y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = (x[i] - mean) * scale * gain[i];
  if (model.arch.norm_bias) add(y, values(weights, name + ".bias"));
  return y;
}

// W x + b, and with an adapter + s B (A x).
Rows linear(const model::Model& model, const std::string& name, const Rows& x, bool bias,
            int32_t adapter) {
  const model::Weights& weights = *model.weights;
  const Rows w = matrix(weights, name + ".weight");
  Rows y;
  for (const Row& row : x) y.push_back(times(w, row));
  if (bias) {
    const Row b = values(weights, name + ".bias");
    for (Row& row : y) add(row, b);
  }
  if (adapter < 0) return y;
  const std::string lora = "adapter." + std::to_string(adapter) + "." + name;
  if (!weights.has(lora + ".lora_a")) return y;
  const Rows a = matrix(weights, lora + ".lora_a"), b = matrix(weights, lora + ".lora_b");
  for (size_t i = 0; i < x.size(); ++i) {
    add(y[i], times(b, times(a, x[i])), static_cast<double>(model.arch.lora_scaling));
  }
  return y;
}

// Row `id` of an embedding table, and with an adapter + s A[id] B.
Row table_row(const model::Model& model, const std::string& name, size_t id, int32_t adapter) {
  const model::Weights& weights = *model.weights;
  Row row = matrix(weights, name).at(id);
  const std::string lora = "adapter." + std::to_string(adapter) + "." + name;
  if (adapter < 0 || !weights.has(lora + ".lora_a")) return row;
  const Row a = matrix(weights, lora + ".lora_a").at(id);
  const Rows b = matrix(weights, lora + ".lora_b");  // [r, D]
  for (size_t r = 0; r < a.size(); ++r) {
    add(row, b[r], a[r] * static_cast<double>(model.arch.lora_scaling));
  }
  return row;
}

// Rotates one head's slice in place: dims (k, k + n/2) or (2k, 2k + 1) by position * base^(-2k/n).
void rotate(double* x, int64_t n, double position, double base, bool interleaved) {
  for (int64_t k = 0; k < n / 2; ++k) {
    const double angle =
        position * std::pow(base, -2.0 * static_cast<double>(k) / static_cast<double>(n));
    const int64_t i = interleaved ? 2 * k : k, j = interleaved ? 2 * k + 1 : k + n / 2;
    const double a = x[i], b = x[j];
    x[i] = a * std::cos(angle) - b * std::sin(angle);
    x[j] = b * std::cos(angle) + a * std::sin(angle);
  }
}

bool is_local(const ArchSpec& arch, int64_t layer) {
  return arch.local_window > 0 && layer % arch.global_every != 0;
}

void rotate_all(const ArchSpec& arch, int64_t layer, Rows& x) {
  if (arch.position != PositionKind::rotary) return;
  const int64_t n = arch.rotary_dim == 0 ? arch.head_dim : arch.rotary_dim;
  const bool own_base = is_local(arch, layer) && arch.rotary_base_local > 0;
  const double base = own_base ? arch.rotary_base_local : arch.rotary_base;
  for (size_t i = 0; i < x.size(); ++i) {
    for (int64_t h = 0; h < arch.heads; ++h) {
      rotate(x[i].data() + h * arch.head_dim, n, static_cast<double>(i), base,
             arch.rotary_interleaved);
    }
  }
}

void softmax(Row& x) {
  double top = -std::numeric_limits<double>::infinity(), sum = 0;
  for (const double v : x) top = std::max(top, v);
  for (double& v : x) sum += v = std::exp(v - top);
  for (double& v : x) v /= sum;
}

void unit(Row& x) {
  double square = 0;
  for (const double v : x) square += v * v;
  const double length = std::max(std::sqrt(square), 1e-12);
  for (double& v : x) v /= length;
}

}  // namespace

int64_t relative_bucket(int64_t key_minus_query, int64_t buckets, int64_t max_distance) {
  const int64_t half = buckets / 2, exact = half / 2, n = std::abs(key_minus_query);
  const int64_t base = key_minus_query > 0 ? half : 0;
  if (n < exact) return base + n;
  const double ratio = std::log(static_cast<double>(n) / static_cast<double>(exact)) /
                       std::log(static_cast<double>(max_distance) / static_cast<double>(exact));
  // 1e-9: a distance that is exactly on a bucket's edge belongs to the bucket it opens.
  const auto step = static_cast<int64_t>(ratio * static_cast<double>(half - exact) + 1e-9);
  return base + std::min(half - 1, exact + step);
}

// Heads beyond the largest power of two take every second slope of twice that power.
double alibi_slope(int64_t head, int64_t heads) {
  int64_t power = 1;
  while (2 * power <= heads) power *= 2;
  const auto slope = [](int64_t i, int64_t n) {
    return std::exp2(-8.0 * static_cast<double>(i + 1) / static_cast<double>(n));
  };
  return head < power ? slope(head, power) : slope(2 * (head - power), 2 * power);
}

Rows Reference::embed(const ReferenceText& text) const {
  const ArchSpec& arch = model_.arch;
  Rows x;
  for (size_t i = 0; i < text.ids.size(); ++i) {
    Row row = table_row(model_, "embed.token", static_cast<size_t>(text.ids[i]), text.adapter);
    if (arch.position == PositionKind::absolute || arch.absolute_too) {
      add(row,
          table_row(model_, "embed.position", i + static_cast<size_t>(arch.position_offset), -1));
    }
    if (arch.type_vocab > 0) add(row, table_row(model_, "embed.type", 0, text.adapter));
    if (arch.embedding_norm) row = norm(model_, "embed.norm", row);
    x.push_back(std::move(row));
  }
  return x;
}

Rows Reference::attention(const Rows& x, int64_t layer, int32_t adapter) const {
  const ArchSpec& arch = model_.arch;
  const std::string name = "layer." + std::to_string(layer) + ".attn.";
  Rows q = linear(model_, name + "q", x, arch.qkv_bias, adapter);
  Rows k = linear(model_, name + "k", x, arch.qkv_bias, adapter);
  const Rows v = linear(model_, name + "v", x, arch.qkv_bias, adapter);
  if (arch.qk_norm) {
    for (Row& row : q) row = norm(model_, name + "q_norm", row);
    for (Row& row : k) row = norm(model_, name + "k_norm", row);
  }
  rotate_all(arch, layer, q);
  rotate_all(arch, layer, k);
  Rows bias;
  if (arch.position == PositionKind::relative_bias) {
    bias = matrix(*model_.weights, "relative_bias.weight");  // [buckets, H]
  }
  const double scale = arch.attention_scale != 0
                           ? static_cast<double>(arch.attention_scale)
                           : 1.0 / std::sqrt(static_cast<double>(arch.head_dim));
  const auto length = static_cast<int64_t>(x.size());
  Rows mixed(x.size(), Row(static_cast<size_t>(arch.heads * arch.head_dim), 0.0));
  for (int64_t h = 0; h < arch.heads; ++h) {
    const auto first = static_cast<size_t>(h * arch.head_dim);
    const auto last = first + static_cast<size_t>(arch.head_dim);
    for (int64_t i = 0; i < length; ++i) {
      const auto at = static_cast<size_t>(i);
      Row scores(x.size(), -std::numeric_limits<double>::infinity());
      for (int64_t j = 0; j < length; ++j) {
        if (is_local(arch, layer) && std::abs(i - j) > arch.local_window / 2) continue;
        double dot = 0;
        for (size_t c = first; c < last; ++c) dot += q[at][c] * k[static_cast<size_t>(j)][c];
        dot *= scale;
        if (arch.position == PositionKind::alibi) {
          dot -= alibi_slope(h, arch.heads) * static_cast<double>(std::abs(i - j));
        }
        if (!bias.empty()) {
          const int64_t bucket =
              relative_bucket(j - i, arch.relative_buckets, arch.relative_max_distance);
          dot += bias[static_cast<size_t>(bucket)][static_cast<size_t>(h)];
        }
        scores[static_cast<size_t>(j)] = dot;
      }
      softmax(scores);
      for (size_t j = 0; j < x.size(); ++j) {
        for (size_t c = first; c < last; ++c) mixed[at][c] += scores[j] * v[j][c];
      }
    }
  }
  return linear(model_, name + "out", mixed, arch.attn_out_bias, adapter);
}

Rows Reference::feed_forward(const Rows& x, int64_t layer, int32_t adapter) const {
  const ArchSpec& arch = model_.arch;
  const std::string name = "layer." + std::to_string(layer) + ".ffn.";
  Rows up = linear(model_, name + "up", x, arch.ffn_in_bias, adapter);
  if (arch.gated_ffn) {
    const Rows gate = linear(model_, name + "gate", x, arch.ffn_in_bias, adapter);
    for (size_t i = 0; i < up.size(); ++i) {
      for (size_t c = 0; c < up[i].size(); ++c)
        up[i][c] *= kernels::activation_of(arch.activation, gate[i][c]);
    }
  } else {
    for (Row& row : up) {
      for (double& value : row) value = kernels::activation_of(arch.activation, value);
    }
  }
  return linear(model_, name + "down", up, arch.ffn_out_bias, adapter);
}

Rows Reference::transformer_layer(const Rows& x, int64_t layer, int32_t adapter) const {
  const ArchSpec& arch = model_.arch;
  const std::string name = "layer." + std::to_string(layer) + ".";
  const auto norm_all = [&](const std::string& part, const Rows& rows) {
    Rows out;
    for (const Row& row : rows) out.push_back(norm(model_, name + part, row));
    return out;
  };
  const auto sum = [](Rows a, const Rows& b) {
    for (size_t i = 0; i < a.size(); ++i) add(a[i], b[i]);
    return a;
  };
  if (arch.norm_place == NormPlace::pre) {
    const bool normed = layer > 0 || arch.first_layer_attn_norm;
    const Rows y = sum(x, attention(normed ? norm_all("attn.norm", x) : x, layer, adapter));
    return sum(y, feed_forward(norm_all("ffn.norm", y), layer, adapter));
  }
  Rows y = sum(x, attention(x, layer, adapter));
  if (arch.attn_inner_norm) y = sum(x, norm_all("attn.inner_norm", y));
  y = norm_all("attn.norm", y);
  return norm_all("ffn.norm", sum(y, feed_forward(y, layer, adapter)));
}

Rows Reference::token_vectors(const ReferenceText& text) const {
  Rows x = embed(text);
  for (int64_t i = 0; i < model_.arch.layers; ++i) x = transformer_layer(x, i, text.adapter);
  if (model_.arch.final_norm) {
    for (Row& row : x) row = norm(model_, "final_norm", row);
  }
  return x;
}

Row Reference::static_vector(const ReferenceText& text) const {
  const model::Weights& weights = *model_.weights;
  const Rows table = matrix(weights, "static.embeddings");
  const model::StaticSpec& spec = model_.static_spec;
  Row mapping, scale;
  if (spec.has_mapping) mapping = values(weights, "static.mapping");
  if (spec.has_weights) scale = values(weights, "static.weights");
  Row sum(table.at(0).size(), 0.0);
  double count = 0;
  for (const int32_t id : text.ids) {
    if (spec.skip_unk && model_.tokenizer->unk_id() == id) continue;
    const auto at = static_cast<size_t>(id);
    const size_t row = spec.has_mapping ? static_cast<size_t>(mapping.at(at)) : at;
    add(sum, table.at(row), spec.has_weights ? scale.at(at) : 1.0);
    count += 1;
  }
  for (double& value : sum) value /= std::max(count, 1.0);
  return sum;
}

// cls and last_token are the text's first and last token; the averages and max leave the prompt
// out; weighted_mean weighs a token by its 1-based place in the whole text.
Row Reference::pool(const Rows& tokens, size_t prompt_tokens) const {
  const size_t begin = model_.pooling.include_prompt ? 0 : prompt_tokens;
  const size_t dim = tokens.at(0).size();
  const auto averaged = static_cast<double>(tokens.size() - begin);
  Row out;
  for (const PoolingMode mode : model_.pooling.modes) {
    Row part(dim, 0.0);
    if (mode == PoolingMode::cls) part = tokens.front();
    if (mode == PoolingMode::last_token) part = tokens.back();
    if (mode == PoolingMode::max) part = tokens.at(begin);
    double weights = 0;
    for (size_t i = begin; i < tokens.size(); ++i) {
      const auto weight = static_cast<double>(i + 1);
      for (size_t c = 0; c < dim; ++c) {
        if (mode == PoolingMode::max) part[c] = std::max(part[c], tokens[i][c]);
        if (mode == PoolingMode::mean) part[c] += tokens[i][c] / averaged;
        if (mode == PoolingMode::mean_sqrt_len) part[c] += tokens[i][c] / std::sqrt(averaged);
        if (mode == PoolingMode::weighted_mean) part[c] += tokens[i][c] * weight;
      }
      weights += weight;
    }
    if (mode == PoolingMode::weighted_mean) {
      for (double& value : part) value /= weights;
    }
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

Row Reference::heads(Row vector) const {
  const model::Weights& weights = *model_.weights;
  for (const model::Head& head : model_.heads) {
    if (head.kind == model::HeadKind::normalize) {
      unit(vector);
      continue;
    }
    const model::DenseSpec& dense = model_.dense.at(head.dense_index);
    const std::string name = "dense." + std::to_string(head.dense_index);
    Row y = times(matrix(weights, name + ".weight"), vector);
    if (dense.bias) add(y, values(weights, name + ".bias"));
    for (double& value : y) value = kernels::activation_of(dense.activation, value);
    if (dense.use_residual) {
      add(y, dense.in == dense.out ? vector
                                   : times(matrix(weights, name + ".residual.weight"), vector));
    }
    vector = std::move(y);
  }
  return vector;
}

Row Reference::vector(const ReferenceText& text, const ReferenceOptions& options) const {
  Row out = model_.arch.kind == ModelKind::static_embedding
                ? static_vector(text)
                : pool(token_vectors(text), text.prompt_tokens);
  out = heads(std::move(out));
  if (options.dims != 0) out.resize(options.dims);
  if (options.normalize) unit(out);
  return out;
}

}  // namespace akin::parity
