// The CPU training stack against a double-precision forward pass: values, and gradients by central
// differences, for every kind of spec it runs; and what it promises about bytes.
#include "nn/cpu_stack.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "base/rng.h"
#include "base/test_mat.h"
#include "nn/cpu_stack_reference_test.h"

namespace akin::nn {
namespace {

constexpr size_t kVocab = 13, kPositions = 24;

ArchSpec tiny() {
  ArchSpec arch;
  arch.family = "bert";
  arch.vocab_size = kVocab;
  arch.hidden = 12;
  arch.layers = 2;
  arch.heads = 2;
  arch.head_dim = 6;
  arch.ffn_hidden = 20;
  arch.type_vocab = 2;
  return arch;
}

reference::Weights random_weights(const ArchSpec& arch, uint64_t seed) {
  Rng rng(seed);
  reference::Weights out;
  const auto put = [&](const std::string& name, size_t rows, size_t cols, double mean,
                       double scale) {
    reference::Weight& w = out[name];
    w = {rows, cols, {}};
    for (size_t i = 0; i < rows * cols; ++i) {
      w.values.push_back(static_cast<double>(static_cast<float>(mean + scale * rng.normal())));
    }
  };
  const auto norm = [&](const std::string& name, size_t size) {
    put(name + ".weight", 1, size, 1.0, 0.3);
    if (arch.norm == NormKind::layer_norm && arch.norm_bias) put(name + ".bias", 1, size, 0, 0.2);
  };
  const auto linear = [&](const std::string& name, size_t rows, size_t cols, bool bias) {
    put(name + ".weight", rows, cols, 0, 1.0 / std::sqrt(static_cast<double>(cols)));
    if (bias) put(name + ".bias", 1, rows, 0, 0.3);
  };
  const auto dim = static_cast<size_t>(arch.hidden), ffn = static_cast<size_t>(arch.ffn_hidden),
             width = static_cast<size_t>(arch.heads * arch.head_dim);
  put("embed.token", kVocab, dim, 0, 1);
  if (arch.position == PositionKind::absolute || arch.absolute_too)
    put("embed.position", kPositions, dim, 0, 0.5);
  if (arch.type_vocab > 0) put("embed.type", static_cast<size_t>(arch.type_vocab), dim, 0, 0.5);
  if (arch.position == PositionKind::relative_bias) {
    put("relative_bias.weight", static_cast<size_t>(arch.relative_buckets),
        static_cast<size_t>(arch.heads), 0, 0.5);
  }
  if (arch.embedding_norm) norm("embed.norm", dim);
  for (int64_t i = 0; i < arch.layers; ++i) {
    const std::string attn = "layer." + std::to_string(i) + ".attn.",
                      feed = "layer." + std::to_string(i) + ".ffn.";
    for (const char* side : {"q", "k", "v"}) linear(attn + side, width, dim, arch.qkv_bias);
    if (arch.qk_norm) {
      norm(attn + "q_norm", width);
      norm(attn + "k_norm", width);
    }
    linear(attn + "out", dim, width, arch.attn_out_bias);
    if (arch.attn_inner_norm) norm(attn + "inner_norm", dim);
    if (arch.norm_place == NormPlace::post || i > 0 || arch.first_layer_attn_norm)
      norm(attn + "norm", dim);
    if (arch.gated_ffn) linear(feed + "gate", ffn, dim, arch.ffn_in_bias);
    linear(feed + "up", ffn, dim, arch.ffn_in_bias);
    linear(feed + "down", dim, ffn, arch.ffn_out_bias);
    norm(feed + "norm", dim);
  }
  if (arch.final_norm) norm("final_norm", dim);
  for (size_t t = 0; t < arch.adapters.size(); ++t) {  // the second one has another rank, no FFN
    const std::string base = "adapter." + std::to_string(t) + ".";
    const size_t rank = 3 + t;
    for (const auto& [name, w] : reference::Weights(out)) {
      const bool table = name == "embed.token" || name == "embed.type";
      if (!table && (!name.ends_with(".weight") || name.starts_with("adapter.") || w.rows == 1 ||
                     name.starts_with("relative") || (t == 1 && name.find("ffn") != name.npos)))
        continue;
      const std::string pair = base + (table ? name : name.substr(0, name.size() - 7));
      put(pair + ".lora_a", table ? w.rows : rank, table ? rank : w.cols, 0, 0.3);
      put(pair + ".lora_b", table ? rank : w.rows, table ? w.cols : rank, 0, 0.3);
    }
  }
  return out;
}

int32_t adapter_of(const TokenBatch& batch, size_t text) {
  return batch.adapters.empty() ? -1 : batch.adapters[text];
}

// Owned f32 tensors under names, and the views the stack wants.
struct Tensors {
  std::map<std::string, Mat<float>> owned;
  StackTensors views;

  explicit Tensors(const reference::Weights& weights, bool values = true) {
    for (const auto& [name, w] : weights) {
      Mat<float>& mat = owned[name] = Mat<float>(w.rows, w.cols);
      if (values) std::copy(w.values.begin(), w.values.end(), mat.data());
      views[name] = {mat.view()};
    }
  }
};

TokenBatch random_batch(std::vector<size_t> lengths, uint64_t seed) {
  Rng rng(seed);
  TokenBatch batch;
  for (const size_t length : lengths) {
    for (size_t i = 0; i < length; ++i)
      batch.ids.push_back(static_cast<int32_t>(rng.below(kVocab)));
    batch.offsets.push_back(static_cast<uint32_t>(batch.ids.size()));
  }
  return batch;
}

struct StackRun {
  Mat<float> out;
  Tensors gradients;
};

struct TestSetup {
  ArchSpec arch;
  StackOptions options;
  uint64_t seed = 0, first_text = 0;
  size_t threads = 1;
};

StackRun run_stack(const TestSetup& setup, const reference::Weights& weights,
                   const TokenBatch& batch, const Mat<float>& d_out,
                   const std::vector<std::string>& frozen = {}) {
  ThreadPool pool(setup.threads);
  const auto stack = CpuStack::make(setup.arch, setup.options, pool);
  const Tensors tensors(weights);
  stack->set_weights(tensors.views);
  StackRun run{Mat<float>(batch.tokens(), static_cast<size_t>(setup.arch.hidden)),
               Tensors(weights, false)};
  const auto pass = stack->forward(batch, setup.seed, setup.first_text, true, run.out.view());
  StackTensors gradients = run.gradients.views;
  for (const std::string& name : frozen) gradients.erase(name);
  stack->backward(*pass, d_out.view(), gradients);
  return run;
}

double objective(const TestSetup& setup, const reference::Weights& weights, const TokenBatch& batch,
                 const Mat<float>& d_out) {
  double sum = 0;
  const reference::Forward forward(setup.arch, setup.options, weights, setup.seed);
  for (size_t b = 0; b < batch.size(); ++b) {
    const reference::Rows rows =
        forward.run(batch.text(b), setup.first_text + b, adapter_of(batch, b));
    for (size_t i = 0; i < rows.size(); ++i) {
      for (size_t c = 0; c < rows[i].size(); ++c)
        sum += rows[i][c] * static_cast<double>(d_out(batch.offsets[b] + i, c));
    }
  }
  return sum;
}

void expect_values(const TestSetup& setup, const reference::Weights& weights,
                   const TokenBatch& batch, const Mat<float>& out, double tolerance) {
  const reference::Forward forward(setup.arch, setup.options, weights, setup.seed);
  for (size_t b = 0; b < batch.size(); ++b) {
    const reference::Rows rows =
        forward.run(batch.text(b), setup.first_text + b, adapter_of(batch, b));
    for (size_t i = 0; i < rows.size(); ++i) {
      for (size_t c = 0; c < rows[i].size(); ++c)
        ASSERT_NEAR(out(batch.offsets[b] + i, c), rows[i][c], tolerance)
            << "text " << b << " token " << i << " column " << c;
    }
  }
}

// Two entries of every weight, against (f(w + h) - f(w - h)) / 2h in double.
void expect_gradients(const TestSetup& setup, reference::Weights weights, const TokenBatch& batch,
                      const Mat<float>& d_out, const Tensors& gradients, double tolerance) {
  Rng rng(99);
  for (auto& [name, w] : weights) {
    const Mat<float>& gradient = gradients.owned.at(name);
    double size = 0;
    for (size_t i = 0; i < w.values.size(); ++i)
      size = std::max(size, static_cast<double>(std::abs(gradient.data()[i])));
    for (int n = 0; n < 2; ++n) {
      const size_t i = rng.below(w.values.size());
      const double value = w.values[i];
      constexpr double kStep = 1e-5;
      w.values[i] = value + kStep;
      const double up = objective(setup, weights, batch, d_out);
      w.values[i] = value - kStep;
      const double down = objective(setup, weights, batch, d_out);
      w.values[i] = value;
      EXPECT_NEAR(gradient.data()[i], (up - down) / (2 * kStep), tolerance * (1 + size))
          << name << " [" << i << "]";
    }
  }
}

struct Case {
  const char* name;
  void (*change)(TestSetup&);
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

const Case kCases[] = {
    {"bert", [](TestSetup&) {}},
    {"dropout",
     [](TestSetup& s) {
       s.seed = 77;
       s.first_text = 5;
       s.options.dropout = 0.2;
       s.options.attention_dropout = 0.3;
     }},
    {"roberta_offset_relu",
     [](TestSetup& s) {
       s.arch.position_offset = 2;
       s.arch.type_vocab = 0;
       s.arch.activation = Activation::relu;
     }},
    {"rotary",
     [](TestSetup& s) {
       s.arch.position = PositionKind::rotary;
       s.arch.gated_ffn = true;
       s.arch.activation = Activation::silu;
       s.arch.qkv_bias = s.arch.ffn_in_bias = s.arch.ffn_out_bias = false;
     }},
    {"rotary_interleaved_part",
     [](TestSetup& s) {
       s.arch.position = PositionKind::rotary;
       s.arch.rotary_interleaved = true;
       s.arch.rotary_dim = 4;
       s.arch.activation = Activation::gelu_tanh;
     }},
    {"alibi_gated_qk_norm",
     [](TestSetup& s) {
       s.arch.position = PositionKind::alibi;
       s.arch.gated_ffn = true;
       s.arch.qk_norm = true;
       s.options.attention_dropout = 0.2;
       s.seed = 3;
     }},
    {"t5",
     [](TestSetup& s) {
       s.arch.position = PositionKind::relative_bias;
       s.arch.relative_buckets = 8;
       s.arch.relative_max_distance = 12;
       s.arch.attention_scale = 1;
       s.arch.norm = NormKind::rms_norm;
       s.arch.norm_place = NormPlace::pre;
       s.arch.norm_eps = 1e-6F;
       s.arch.embedding_norm = false;
       s.arch.final_norm = true;
       s.arch.type_vocab = 0;
       s.arch.head_dim = 5;  // H d != D
       s.arch.qkv_bias = s.arch.attn_out_bias = s.arch.ffn_in_bias = s.arch.ffn_out_bias = false;
       s.arch.activation = Activation::gelu_tanh;
       s.arch.gated_ffn = true;
       s.options.dropout = 0.1;
       s.options.attention_dropout = 0.1;
       s.seed = 12;
     }},
    {"mpnet",
     [](TestSetup& s) {
       s.arch.position = PositionKind::relative_bias;
       s.arch.absolute_too = true;
       s.arch.relative_buckets = 8;
       s.arch.relative_max_distance = 16;
     }},
    {"modernbert",
     [](TestSetup& s) {
       s.arch.position = PositionKind::rotary;
       s.arch.rotary_base = 160000;
       s.arch.rotary_base_local = 100;
       s.arch.norm_place = NormPlace::pre;
       s.arch.first_layer_attn_norm = false;
       s.arch.final_norm = true;
       s.arch.norm_bias = false;
       s.arch.local_window = 4;
       s.arch.global_every = 2;
       s.arch.gated_ffn = true;
       s.arch.type_vocab = 0;
     }},
    {"adapters",
     [](TestSetup& s) {
       s.arch.adapters = {"query", "document"};
       s.arch.lora_scaling = 0.7F;
     }},
    {"adapters_dropout_rotary_gated",
     [](TestSetup& s) {
       s.arch.adapters = {"query", "document"};
       s.arch.lora_scaling = 0.5F;
       s.arch.position = PositionKind::rotary;
       s.arch.norm_place = NormPlace::pre;
       s.arch.final_norm = true;
       s.arch.gated_ffn = true;
       s.options.dropout = 0.1;
       s.options.adapter_dropout = 0.2;
       s.seed = 21;
     }},
    {"inner_norm",
     [](TestSetup& s) {
       s.arch.attn_inner_norm = true;
       s.options.dropout = 0.1;
       s.seed = 4;
     }},
};

class StackCase : public testing::TestWithParam<Case> {};

TEST_P(StackCase, EqualsDoublePrecision) {
  TestSetup setup;
  setup.arch = tiny();
  GetParam().change(setup);
  const reference::Weights weights = random_weights(setup.arch, 1);
  TokenBatch batch = random_batch({6, 1, 11, 4, 3}, 2);
  if (!setup.arch.adapters.empty()) batch.adapters = {1, 0, 0, -1, 1};
  const Mat<float> d_out = random_mat(batch.tokens(), static_cast<size_t>(setup.arch.hidden), 3);
  const StackRun run = run_stack(setup, weights, batch, d_out);
  expect_values(setup, weights, batch, run.out, 1e-5);
  expect_gradients(setup, weights, batch, d_out, run.gradients, 2e-5);

  if (!bf16_available()) return;
  setup.options.precision = TrainPrecision::bf16;  // 2^-9 relative a rounding, through two layers
  const StackRun rough = run_stack(setup, weights, batch, d_out);
  expect_values(setup, weights, batch, rough.out, 0.15);
  expect_gradients(setup, weights, batch, d_out, rough.gradients, 0.1);
}

INSTANTIATE_TEST_SUITE_P(Specs, StackCase, testing::ValuesIn(kCases),
                         [](const auto& spec) { return std::string(spec.param.name); });

bool same_bytes(const StackRun& a, const StackRun& b) {
  if (std::memcmp(a.out.data(), b.out.data(), a.out.rows() * a.out.cols() * sizeof(float)) != 0)
    return false;
  for (const auto& [name, mat] : a.gradients.owned) {
    if (std::memcmp(mat.data(), b.gradients.owned.at(name).data(),
                    mat.rows() * mat.cols() * sizeof(float)) != 0)
      return false;
  }
  return true;
}

class StackBytes : public testing::Test {
 protected:
  StackBytes() {
    setup_.arch = tiny();
    setup_.options.dropout = 0.1;
    setup_.options.attention_dropout = 0.1;
    setup_.seed = 8;
    weights_ = random_weights(setup_.arch, 5);
    std::vector<size_t> lengths;
    for (size_t i = 0; i < 90; ++i) lengths.push_back(1 + i * 7 % 20);
    batch_ = random_batch(lengths, 6);
    d_out_ = random_mat(batch_.tokens(), 12, 7);
  }
  StackRun run(const TestSetup& setup) const { return run_stack(setup, weights_, batch_, d_out_); }
  TestSetup setup_;
  reference::Weights weights_;
  TokenBatch batch_;
  Mat<float> d_out_;
};

TEST_F(StackBytes, RecomputeEqualsKeep) {
  const StackRun kept = run(setup_);
  setup_.options.recompute = true;
  EXPECT_TRUE(same_bytes(kept, run(setup_)));
}

TEST_F(StackBytes, SameThreadsSameBytesOtherThreadsClose) {
  const StackRun one = run(setup_);
  setup_.threads = 2;
  const StackRun two = run(setup_), again = run(setup_);
  EXPECT_TRUE(same_bytes(two, again));
  EXPECT_EQ(std::memcmp(one.out.data(), two.out.data(), batch_.tokens() * 12 * sizeof(float)), 0);
  for (const auto& [name, mat] : one.gradients.owned) {
    for (size_t i = 0; i < mat.rows() * mat.cols(); ++i)
      ASSERT_NEAR(mat.data()[i], two.gradients.owned.at(name).data()[i],
                  1e-5 * (10 + std::abs(mat.data()[i])))
          << name;
  }
}

TEST_F(StackBytes, MissingNamesAreSkippedAndOthersTheSame) {
  const StackRun all = run(setup_);
  const StackRun some =
      run_stack(setup_, weights_, batch_, d_out_,
                {"embed.token", "layer.0.attn.k.weight", "layer.1.ffn.norm.bias"});
  EXPECT_EQ(some.gradients.owned.at("embed.token")(1, 1), 0.0F);
  EXPECT_EQ(some.gradients.owned.at("layer.0.attn.k.weight")(1, 1), 0.0F);
  for (const char* name : {"layer.0.attn.q.weight", "layer.1.ffn.norm.weight", "embed.position"}) {
    const Mat<float>& a = all.gradients.owned.at(name);
    EXPECT_EQ(std::memcmp(a.data(), some.gradients.owned.at(name).data(),
                          a.rows() * a.cols() * sizeof(float)),
              0)
        << name;
  }
}

TEST_F(StackBytes, AChunkRepeatsTheMasksOfTheWholeBatch) {
  const StackRun all = run(setup_);
  TokenBatch chunk;
  for (size_t b = 40; b < 45; ++b) {
    chunk.ids.insert(chunk.ids.end(), batch_.text(b).begin(), batch_.text(b).end());
    chunk.offsets.push_back(static_cast<uint32_t>(chunk.ids.size()));
  }
  setup_.first_text = 40;
  const StackRun part = run_stack(setup_, weights_, chunk, random_mat(chunk.tokens(), 12, 1));
  EXPECT_EQ(std::memcmp(part.out.data(), all.out.row(batch_.offsets[40]),
                        chunk.tokens() * 12 * sizeof(float)),
            0);
}

TEST_F(StackBytes, GradientsAreAddedTo) {
  ThreadPool pool(2);
  const auto stack = CpuStack::make(setup_.arch, setup_.options, pool);
  const Tensors tensors(weights_);
  stack->set_weights(tensors.views);
  Mat<float> out(batch_.tokens(), 12);
  const Tensors gradients(weights_, false);
  const auto pass = stack->forward(batch_, 0, 0, true, out.view());
  stack->backward(*pass, d_out_.view(), gradients.views);
  const float once = gradients.owned.at("layer.0.ffn.up.weight")(2, 3),
              token = gradients.owned.at("embed.token")(3, 3);
  stack->backward(*pass, d_out_.view(), gradients.views);
  EXPECT_NEAR(gradients.owned.at("layer.0.ffn.up.weight")(2, 3), 2 * once, 1e-4);
  EXPECT_NEAR(gradients.owned.at("embed.token")(3, 3), 2 * token, 1e-4);
  EXPECT_EQ(stack->forward(batch_, 0, 0, false, out.view()), nullptr);
}

class StackAdapters : public StackBytes {
 protected:
  StackAdapters() {
    setup_.arch.adapters = {"a", "b", "c"};
    setup_.arch.lora_scaling = 0.25F;
    setup_.seed = 0;
    weights_ = random_weights(setup_.arch, 5);
    for (size_t b = 0; b < batch_.size(); ++b)
      batch_.adapters.push_back(static_cast<int32_t>(b * 7 % 4) - 1);
  }
};

TEST_F(StackAdapters, WithBOfZerosAreTheBaseModelBitForBit) {
  for (auto& [name, w] : weights_) {
    if (name.ends_with("lora_b")) std::fill(w.values.begin(), w.values.end(), 0.0);
  }
  const StackRun with = run(setup_);
  batch_.adapters.clear();
  const StackRun without = run(setup_);
  EXPECT_EQ(std::memcmp(with.out.data(), without.out.data(), batch_.tokens() * 12 * sizeof(float)),
            0);
}

TEST_F(StackAdapters, AMixedBatchEqualsOneAdapterAtATime) {
  setup_.threads = 2;
  const StackRun mixed = run(setup_);
  std::map<std::string, Mat<float>> sums;
  for (int32_t adapter = -1; adapter < 3; ++adapter) {
    TokenBatch own;
    std::vector<size_t> rows;
    for (size_t b = 0; b < batch_.size(); ++b) {
      if (batch_.adapters[b] != adapter) continue;
      own.ids.insert(own.ids.end(), batch_.text(b).begin(), batch_.text(b).end());
      own.offsets.push_back(static_cast<uint32_t>(own.ids.size()));
      own.adapters.push_back(adapter);
      for (size_t t = batch_.offsets[b]; t < batch_.offsets[b + 1]; ++t) rows.push_back(t);
    }
    Mat<float> d_own(rows.size(), 12);
    for (size_t i = 0; i < rows.size(); ++i) std::copy_n(d_out_.row(rows[i]), 12, d_own.row(i));
    const StackRun alone = run_stack(setup_, weights_, own, d_own);
    for (size_t i = 0; i < rows.size(); ++i) {
      ASSERT_EQ(std::memcmp(alone.out.row(i), mixed.out.row(rows[i]), 12 * sizeof(float)), 0)
          << "adapter " << adapter << " token " << i;
    }
    for (const auto& [name, mat] : alone.gradients.owned) {
      Mat<float>& sum = sums.try_emplace(name, mat.rows(), mat.cols()).first->second;
      for (size_t i = 0; i < mat.rows() * mat.cols(); ++i) sum.data()[i] += mat.data()[i];
    }
  }
  for (const auto& [name, sum] : sums) {
    const Mat<float>& mat = mixed.gradients.owned.at(name);
    for (size_t i = 0; i < mat.rows() * mat.cols(); ++i)
      ASSERT_NEAR(mat.data()[i], sum.data()[i], 1e-5 * (10 + std::abs(sum.data()[i]))) << name;
  }
}

TEST_F(StackAdapters, MergedEqualsUnmerged) {
  std::fill(batch_.adapters.begin(), batch_.adapters.end(), 2);
  const StackRun unmerged = run(setup_);
  reference::Weights merged;
  for (const auto& [name, w] : weights_) {
    if (!name.starts_with("adapter.")) merged.insert({name, w});
  }
  for (auto& [name, w] : merged) {
    const bool table = name.starts_with("embed.");
    const std::string base =
        "adapter.2." + (name.ends_with(".weight") ? name.substr(0, name.size() - 7) : name);
    if (!weights_.contains(base + ".lora_a")) continue;
    const reference::Weight &a = weights_[base + ".lora_a"], &b = weights_[base + ".lora_b"];
    const reference::Weight &left = table ? a : b, &right = table ? b : a;
    for (size_t r = 0; r < w.rows; ++r) {
      for (size_t c = 0; c < w.cols; ++c) {
        for (size_t k = 0; k < left.cols; ++k)
          w.values[r * w.cols + c] +=
              0.25 * left.values[r * left.cols + k] * right.values[k * right.cols + c];
      }
    }
  }
  setup_.arch.adapters.clear();
  batch_.adapters.clear();
  const StackRun base = run_stack(setup_, merged, batch_, d_out_);
  for (size_t i = 0; i < batch_.tokens() * 12; ++i)
    ASSERT_NEAR(unmerged.out.data()[i], base.out.data()[i], 1e-5);
}

TEST(Stack, RefusesWhatItDoesNotRun) {
  ThreadPool pool(1);
  ArchSpec arch = tiny();
  arch.attn_inner_norm = true;
  arch.norm_place = NormPlace::pre;
  EXPECT_THROW(CpuStack::make(arch, {}, pool), Error);
  arch = tiny();
  const auto stack = CpuStack::make(arch, {}, pool);
  reference::Weights weights = random_weights(arch, 1);
  weights.erase("layer.1.ffn.up.weight");
  EXPECT_THROW(stack->set_weights(Tensors(weights).views), Error);
  weights = random_weights(arch, 1);
  const Tensors tensors(weights);
  stack->set_weights(tensors.views);
  TokenBatch batch = random_batch({3}, 1);
  batch.ids[1] = kVocab;
  Mat<float> out(3, 12);
  EXPECT_THROW(stack->forward(batch, 0, 0, false, out.view()), Error);
  batch = random_batch({3}, 1);
  batch.adapters = {0};  // the model has none
  EXPECT_THROW(stack->forward(batch, 0, 0, false, out.view()), Error);
  batch = random_batch({kPositions + 1}, 1);
  Mat<float> longer(kPositions + 1, 12);
  EXPECT_THROW(stack->forward(batch, 0, 0, false, longer.view()), Error);
  EXPECT_NE(stack->forward(TokenBatch{}, 0, 0, true, Mat<float>(0, 12).view()), nullptr);
}

}  // namespace
}  // namespace akin::nn
