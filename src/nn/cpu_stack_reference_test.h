// The training stack's forward pass in plain double loops, straight from the definitions, dropout
// masks included: what cpu_stack_test.cc takes values and central differences from. Slow on
// purpose.
//
// Shapes: L tokens of a text, D hidden, H heads, d head_dim, W = H d.
#pragma once

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/mat.h"
#include "core/arch_spec.h"
#include "core/token_batch.h"
#include "kernels/dropout.h"
#include "kernels/positions.h"
#include "kernels/test_activation.h"
#include "nn/cpu_stack.h"

namespace akin::nn::reference {

using Row = std::vector<double>;
using Rows = std::vector<Row>;
struct Weight {
  size_t rows, cols;
  Row values;
};
using Weights = std::map<std::string, Weight>;

class Forward {
 public:
  Forward(const ArchSpec& arch, const StackOptions& options, const Weights& weights, uint64_t seed)
      : arch_(arch), options_(options), weights_(weights), seed_(seed) {}

  // One text, the `number`-th of its run, under an adapter or -1.
  Rows run(std::span<const int32_t> ids, uint64_t number, int32_t adapter = -1) const {
    number_ = number;
    adapter_ = adapter;
    Rows x = embed(ids);
    drop(x, 0, 0);
    for (int64_t i = 0; i < arch_.layers; ++i) x = layer(x, i);
    return arch_.final_norm ? norm("final_norm", x) : x;
  }

 private:
  const Weight& at(const std::string& name) const { return weights_.at(name); }
  Row row(const std::string& name, size_t r) const {
    const Weight& w = at(name);
    const auto begin = w.values.begin() + static_cast<ptrdiff_t>(r * w.cols);
    return {begin, begin + static_cast<ptrdiff_t>(w.cols)};
  }
  static void add(Row& a, const Row& b) {
    for (size_t i = 0; i < b.size(); ++i) a[i] += b[i];
  }
  static Rows sum(Rows a, const Rows& b) {
    for (size_t i = 0; i < a.size(); ++i) add(a[i], b[i]);
    return a;
  }
  void drop(Rows& x, size_t layer, size_t site) const {
    if (seed_ == 0 || options_.dropout == 0) return;
    const auto dropout =
        kernels::make_dropout(options_.dropout, kernels::dropout_key(seed_, number_, layer, site));
    uint32_t element = 0;
    for (Row& r : x) {
      for (double& v : r) v *= static_cast<double>(kernels::dropout_factor(dropout, element++));
    }
  }
  Rows norm(const std::string& name, const Rows& x) const {
    Rows out = x;
    for (Row& r : out) {
      const auto n = static_cast<double>(r.size());
      double mean = 0, square = 0;
      if (arch_.norm == NormKind::layer_norm) {
        for (const double v : r) mean += v / n;
      }
      for (const double v : r) square += (v - mean) * (v - mean) / n;
      const double scale = 1 / std::sqrt(square + static_cast<double>(arch_.norm_eps));
      for (size_t i = 0; i < r.size(); ++i)
        r[i] = (r[i] - mean) * scale * at(name + ".weight").values[i];
      if (weights_.contains(name + ".bias")) add(r, at(name + ".bias").values);
    }
    return out;
  }
  Rows linear(const std::string& name, const Rows& x) const {
    const Weight& w = at(name + ".weight");
    Rows out;
    for (const Row& r : x) {
      Row y(w.rows, 0.0);
      for (size_t o = 0; o < w.rows; ++o) {
        for (size_t i = 0; i < w.cols; ++i) y[o] += w.values[o * w.cols + i] * r[i];
      }
      if (weights_.contains(name + ".bias")) add(y, at(name + ".bias").values);
      out.push_back(std::move(y));
    }
    return sum(out, adapted(name, x));
  }
  static Row times(const Weight& w, const Row& x) {
    Row y(w.rows, 0.0);
    for (size_t o = 0; o < w.rows; ++o) {
      for (size_t i = 0; i < w.cols; ++i) y[o] += w.values[o * w.cols + i] * x[i];
    }
    return y;
  }
  // scaling * B (A mask(x)) of the text's adapter; empty rows where it has none here.
  Rows adapted(const std::string& name, Rows x) const {
    const std::string base = "adapter." + std::to_string(adapter_) + "." + name;
    if (adapter_ < 0 || !weights_.contains(base + ".lora_a")) return Rows(x.size());
    if (seed_ != 0 && options_.adapter_dropout > 0) {
      const auto site = name.ends_with("out")                   ? 5
                        : name.ends_with("down")                ? 7
                        : name.find("ffn") != std::string::npos ? 6
                                                                : 4;
      const auto dropout = kernels::make_dropout(
          options_.adapter_dropout,
          kernels::dropout_key(seed_, number_, std::stoul(name.substr(6)), site));
      uint32_t element = 0;
      for (Row& r : x) {
        for (double& v : r) v *= static_cast<double>(kernels::dropout_factor(dropout, element++));
      }
    }
    for (Row& r : x) {
      r = times(at(base + ".lora_b"), times(at(base + ".lora_a"), r));
      for (double& v : r) v *= static_cast<double>(arch_.lora_scaling);
    }
    return x;
  }
  void add_table_row(Row& r, const std::string& name, size_t id) const {
    add(r, row(name, id));
    const std::string base = "adapter." + std::to_string(adapter_) + "." + name;
    if (adapter_ < 0 || !weights_.contains(base + ".lora_a")) return;
    const Row a = row(base + ".lora_a", id);
    for (size_t k = 0; k < a.size(); ++k) {
      Row b = row(base + ".lora_b", k);
      for (double& v : b) v *= a[k] * static_cast<double>(arch_.lora_scaling);
      add(r, b);
    }
  }
  Rows embed(std::span<const int32_t> ids) const {
    Rows x;
    for (size_t i = 0; i < ids.size(); ++i) {
      Row r(static_cast<size_t>(arch_.hidden), 0.0);
      add_table_row(r, "embed.token", static_cast<size_t>(ids[i]));
      if (weights_.contains("embed.type")) add_table_row(r, "embed.type", 0);
      if (weights_.contains("embed.position"))
        add(r, row("embed.position", i + static_cast<size_t>(arch_.position_offset)));
      x.push_back(std::move(r));
    }
    return arch_.embedding_norm ? norm("embed.norm", x) : x;
  }
  bool local(int64_t layer) const {
    return arch_.local_window > 0 && layer % arch_.global_every != 0;
  }
  void rotate(int64_t layer, Rows& x) const {
    if (arch_.position != PositionKind::rotary) return;
    const int64_t n = arch_.rotary_dim > 0 ? arch_.rotary_dim : arch_.head_dim;
    const double base =
        local(layer) && arch_.rotary_base_local > 0 ? arch_.rotary_base_local : arch_.rotary_base;
    for (size_t i = 0; i < x.size(); ++i) {
      for (int64_t h = 0; h < arch_.heads; ++h) {
        double* v = x[i].data() + h * arch_.head_dim;
        for (int64_t k = 0; k < n / 2; ++k) {
          const double angle =
              static_cast<double>(i) *
              std::pow(base, -2.0 * static_cast<double>(k) / static_cast<double>(n));
          const int64_t p = arch_.rotary_interleaved ? 2 * k : k,
                        q = arch_.rotary_interleaved ? 2 * k + 1 : k + n / 2;
          const double a = v[p], b = v[q];
          v[p] = a * std::cos(angle) - b * std::sin(angle);
          v[q] = b * std::cos(angle) + a * std::sin(angle);
        }
      }
    }
  }
  double position_bias(int64_t h, int64_t distance) const {
    if (arch_.position == PositionKind::alibi) {
      const kernels::BiasTable table = kernels::make_alibi_table(
          1 + static_cast<size_t>(std::abs(distance)), static_cast<size_t>(arch_.heads));
      return static_cast<double>(table.values[static_cast<size_t>(h) * table.stride + table.center +
                                              static_cast<size_t>(std::abs(distance))]);
    }
    if (arch_.position != PositionKind::relative_bias) return 0;
    const int64_t bucket =
        kernels::relative_bucket(distance, arch_.relative_buckets, arch_.relative_max_distance);
    return at("relative_bias.weight").values[static_cast<size_t>(bucket * arch_.heads + h)];
  }
  // Scores of query i, head h, through the softmax.
  Row weights_of(const Rows& q, const Rows& k, int64_t layer, int64_t h, size_t i) const {
    const auto length = static_cast<int64_t>(q.size());
    Row p(q.size(), 0.0);
    double max = -1e300, total = 0;
    std::vector<bool> seen(q.size(), true);
    for (int64_t j = 0; j < length; ++j) {
      const int64_t distance = j - static_cast<int64_t>(i);
      const auto key = static_cast<size_t>(j);
      if (local(layer) && std::abs(distance) > arch_.local_window / 2) {
        seen[key] = false;
        continue;
      }
      for (int64_t c = h * arch_.head_dim; c < (h + 1) * arch_.head_dim; ++c)
        p[key] += q[i][static_cast<size_t>(c)] * k[key][static_cast<size_t>(c)];
      p[key] = p[key] * static_cast<double>(arch_.resolved_attention_scale()) +
               position_bias(h, distance);
      max = std::max(max, p[key]);
    }
    for (size_t j = 0; j < p.size(); ++j) total += p[j] = seen[j] ? std::exp(p[j] - max) : 0;
    for (double& v : p) v /= total;
    return p;
  }
  Rows attention(const Rows& x, int64_t layer) const {
    const std::string name = "layer." + std::to_string(layer) + ".attn.";
    Rows q = linear(name + "q", x), k = linear(name + "k", x);
    const Rows v = linear(name + "v", x);
    if (arch_.qk_norm) {
      q = norm(name + "q_norm", q);
      k = norm(name + "k_norm", k);
    }
    rotate(layer, q);
    rotate(layer, k);
    kernels::Dropout dropout;
    if (seed_ != 0 && options_.attention_dropout > 0) {
      dropout = kernels::make_dropout(
          options_.attention_dropout,
          kernels::dropout_key(seed_, number_, static_cast<uint64_t>(layer), 3));
    }
    const size_t length = x.size(), head_dim = static_cast<size_t>(arch_.head_dim);
    Rows mixed(length, Row(static_cast<size_t>(arch_.heads) * head_dim, 0.0));
    for (int64_t h = 0; h < arch_.heads; ++h) {
      for (size_t i = 0; i < length; ++i) {
        const Row p = weights_of(q, k, layer, h, i);
        for (size_t j = 0; j < length; ++j) {
          const auto element =
              static_cast<uint32_t>((static_cast<size_t>(h) * length + i) * length + j);
          const double weight =
              p[j] * (dropout.active()
                          ? static_cast<double>(kernels::dropout_factor(dropout, element))
                          : 1.0);
          for (size_t c = 0; c < head_dim; ++c) {
            const size_t at_column = static_cast<size_t>(h) * head_dim + c;
            mixed[i][at_column] += weight * v[j][at_column];
          }
        }
      }
    }
    Rows out = linear(name + "out", mixed);
    drop(out, static_cast<size_t>(layer), 1);
    return out;
  }
  Rows feed_forward(const Rows& x, int64_t layer) const {
    const std::string name = "layer." + std::to_string(layer) + ".ffn.";
    Rows up = linear(name + "up", x);
    const Rows gate = arch_.gated_ffn ? linear(name + "gate", x) : up;
    for (size_t i = 0; i < up.size(); ++i) {
      for (size_t c = 0; c < up[i].size(); ++c)
        up[i][c] = kernels::activation_of(arch_.activation, gate[i][c]) *
                   (arch_.gated_ffn ? up[i][c] : 1.0);
    }
    Rows out = linear(name + "down", up);
    drop(out, static_cast<size_t>(layer), 2);
    return out;
  }
  Rows layer(const Rows& x, int64_t layer) const {
    const std::string name = "layer." + std::to_string(layer) + ".";
    if (arch_.norm_place == NormPlace::pre) {
      const bool normed = layer > 0 || arch_.first_layer_attn_norm;
      const Rows y = sum(x, attention(normed ? norm(name + "attn.norm", x) : x, layer));
      return sum(y, feed_forward(norm(name + "ffn.norm", y), layer));
    }
    Rows y = sum(x, attention(x, layer));
    if (arch_.attn_inner_norm) y = sum(x, norm(name + "attn.inner_norm", y));
    y = norm(name + "attn.norm", y);
    return norm(name + "ffn.norm", sum(y, feed_forward(y, layer)));
  }

  const ArchSpec& arch_;
  const StackOptions& options_;
  const Weights& weights_;
  const uint64_t seed_;
  mutable uint64_t number_ = 0;
  mutable int32_t adapter_ = -1;
};

}  // namespace akin::nn::reference
