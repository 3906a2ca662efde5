// The parts of a step that have an answer known beforehand: the optimizer, the schedule, the event
// file, the checkpoint.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"
#include "train/adamw.h"
#include "train/checkpoint.h"
#include "train/schedule.h"
#include "train/tensorboard.h"

namespace akin::train {
namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path path = fs::temp_directory_path() / fmt::format("akin_train_test_{}", getpid());
  Folder() { fs::create_directories(path); }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

at::Tensor values(std::vector<int64_t> shape, uint64_t seed) {
  at::Tensor out = at::empty(at::IntArrayRef(shape), at::kFloat);
  Rng rng(seed);
  for (int64_t i = 0; i < out.numel(); ++i) {
    out.data_ptr<float>()[i] = static_cast<float>(rng.normal());
  }
  return out;
}

nn::Parameter parameter(const std::string& name, std::vector<int64_t> shape, uint64_t seed) {
  nn::Parameter out;
  out.name = name;
  out.value = values(std::move(shape), seed).requires_grad_(true);
  return out;
}

// The update rule of the paper, one weight at a time, in double.
struct Reference {
  std::vector<double> w, m, v;
  void step(const std::vector<double>& g, double lr, double decay, const AdamWOptions& o, int t) {
    for (size_t i = 0; i < w.size(); ++i) {
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * g[i];
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * g[i] * g[i];
      const double mh = m[i] / (1 - std::pow(o.beta1, t)), vh = v[i] / (1 - std::pow(o.beta2, t));
      w[i] -= lr * decay * w[i];
      w[i] -= lr * mh / (std::sqrt(vh) + o.epsilon);
    }
  }
};

std::vector<double> as_doubles(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

TEST(AdamW, EqualsTheRule) {
  ThreadPool pool(2);
  AdamWOptions options;
  options.clip = 3;
  std::vector<nn::Parameter> parameters = {parameter("a", {5, 7}, 1), parameter("b", {9}, 2)};
  parameters[1].decay = false;
  std::vector<Reference> references;
  for (const auto& p : parameters) {
    const auto w = as_doubles(p.value);
    references.push_back({w, std::vector<double>(w.size()), std::vector<double>(w.size())});
  }
  AdamW optimizer(parameters, options, pool);
  for (int t = 1; t <= 5; ++t) {
    double squares = 0;
    std::vector<std::vector<double>> gradients;
    for (size_t i = 0; i < 2; ++i) {
      auto g = values(parameters[i].value.sizes().vec(), 10 * static_cast<uint64_t>(t) + i);
      gradients.push_back(as_doubles(g));
      for (const double x : gradients.back()) squares += x * x;
      parameters[i].value.mutable_grad() = g;
    }
    const double norm = optimizer.step(0.01);
    EXPECT_NEAR(norm, std::sqrt(squares), 1e-5);
    for (size_t i = 0; i < 2; ++i) {
      for (double& x : gradients[i]) x *= std::min(1.0, options.clip / std::sqrt(squares));
      references[i].step(gradients[i], 0.01, i == 0 ? options.weight_decay : 0, options, t);
      const auto got = as_doubles(parameters[i].value);
      for (size_t j = 0; j < got.size(); ++j) EXPECT_NEAR(got[j], references[i].w[j], 2e-6);
      EXPECT_FALSE(parameters[i].value.grad().defined());
    }
  }
}

TEST(AdamW, SparseRowsTouchNothingElse) {
  ThreadPool pool(2);
  std::vector<nn::Parameter> sparse = {parameter("t", {6, 4}, 3)},
                             dense = {parameter("t", {6, 4}, 3)};
  const at::Tensor before = sparse[0].value.detach().clone();
  AdamW a(sparse, {}, pool), b(dense, {}, pool);
  const at::Tensor rows = values({3, 4}, 4);
  const at::Tensor indices = at::tensor({4, 1, 4}, at::kLong).view({1, 3});
  const at::Tensor gradient = at::sparse_coo_tensor(indices, rows, {6, 4});
  sparse[0].value.mutable_grad() = gradient;
  dense[0].value.mutable_grad() = gradient.to_dense();
  EXPECT_NEAR(a.step(0.1), b.step(0.1), 1e-6);
  for (const int64_t row : {1, 4}) {
    EXPECT_LT((sparse[0].value[row] - dense[0].value[row]).abs().max().item<float>(), 1e-6F);
  }
  for (const int64_t row : {0, 2, 3, 5}) EXPECT_TRUE(sparse[0].value[row].equal(before[row]));
}

TEST(AdamW, GradientsThatAreNotFiniteChangeNothing) {
  ThreadPool pool(1);
  std::vector<nn::Parameter> parameters = {parameter("a", {3}, 1)};
  const at::Tensor before = parameters[0].value.detach().clone();
  AdamW optimizer(parameters, {}, pool);
  parameters[0].value.mutable_grad() = at::full({3}, NAN);
  EXPECT_FALSE(std::isfinite(optimizer.step(0.1)));
  EXPECT_TRUE(parameters[0].value.equal(before));
  EXPECT_EQ(optimizer.steps(), 0U);
}

TEST(AdamW, StateContinuesBitForBit) {
  ThreadPool pool(2);
  AdamWOptions options;
  options.ema = 0.9;
  const auto make = [] { return std::vector<nn::Parameter>{parameter("a", {40, 3}, 1)}; };
  const auto feed = [](std::vector<nn::Parameter>& p, int t) {
    p[0].value.mutable_grad() = values({40, 3}, static_cast<uint64_t>(t));
  };
  auto whole = make(), first = make();
  AdamW a(whole, options, pool), b(first, options, pool);
  for (int t = 0; t < 6; ++t) {
    feed(whole, t);
    a.step(0.01);
  }
  for (int t = 0; t < 3; ++t) {
    feed(first, t);
    b.step(0.01);
  }
  auto second = make();
  second[0].value.detach().copy_(first[0].value.detach());
  AdamW c(second, options, pool);
  c.restore(b.state(), b.steps());
  for (int t = 3; t < 6; ++t) {
    feed(second, t);
    c.step(0.01);
  }
  EXPECT_TRUE(second[0].value.equal(whole[0].value));
  EXPECT_TRUE(c.averages()[0].equal(a.averages()[0]));
  EXPECT_FALSE(a.averages()[0].equal(whole[0].value.detach()));
  EXPECT_THROW(c.restore({}, 3), Error);
}

TEST(Schedule, WarmsUpAndFalls) {
  TrainTable train;
  train.steps = 100;
  train.learning_rate = 1;
  train.warmup = 0.1;
  EXPECT_DOUBLE_EQ(learning_rate(train, 0), 0.1);
  EXPECT_DOUBLE_EQ(learning_rate(train, 9), 1);
  EXPECT_DOUBLE_EQ(learning_rate(train, 10), 1);
  EXPECT_DOUBLE_EQ(learning_rate(train, 55), 0.5);
  EXPECT_NEAR(learning_rate(train, 99), 1.0 / 90, 1e-12);
  train.schedule = Schedule::cosine;
  EXPECT_NEAR(learning_rate(train, 55), 0.5, 1e-12);
  train.schedule = Schedule::constant;
  EXPECT_DOUBLE_EQ(learning_rate(train, 99), 1);
}

TEST(Checkpoint, IsLeftOutWhileItWouldTakeTooMuchOfTheTime) {
  const CheckpointPace::Clock::time_point start;
  const auto at = [&](int64_t seconds) { return start + std::chrono::seconds(seconds); };
  CheckpointPace usual(std::nullopt), asked(200), never(0);
  EXPECT_TRUE(usual.due(500, at(1)));
  EXPECT_FALSE(usual.due(501, at(1)));
  for (CheckpointPace* pace : {&usual, &asked, &never}) pace->wrote(at(1), at(2));
  EXPECT_FALSE(usual.due(1000, at(51)));
  EXPECT_TRUE(usual.due(1500, at(52)));
  EXPECT_TRUE(asked.due(400, at(3)));
  EXPECT_FALSE(asked.due(500, at(3)));
  EXPECT_FALSE(never.due(500, at(100)));
}

TEST(Checkpoint, RoundTripAndDamage) {
  const Folder folder;
  const fs::path path = folder.path / "c.safetensors";
  Checkpoint out;
  out.tensors["weight.a"] = values({3, 5}, 1);
  out.state = {{"step", 12}, {"name", "ä"}};
  write_checkpoint(path, out);
  const Checkpoint in = read_checkpoint(path);
  EXPECT_TRUE(in.tensors.at("weight.a").equal(out.tensors["weight.a"]));
  EXPECT_EQ(in.state, out.state);
  std::string bytes = read_file(path);
  bytes[bytes.size() - 3] ^= 1;
  write_file(path, bytes);
  EXPECT_THROW(read_checkpoint(path), Error);
  write_file(path, bytes.substr(0, bytes.size() / 2));
  try {
    read_checkpoint(path);
    FAIL() << "a cut file was read";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("download"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("remove the checkpoint"), std::string::npos);
  }
  EXPECT_THROW(read_checkpoint(folder.path / "none"), Error);
}

// Frames as TensorFlow reads them: the checksums are those of CRC-32C with its mask. The sum of
// "123456789" is E3069283, as every list of CRC check values has it.
TEST(EventFile, FramesHaveTheirChecksums) {
  const Folder folder;
  {
    EventWriter writer(folder.path);
    writer.scalar("loss", 3, 0.5F);
    writer.flush();
  }
  const fs::path file = *fs::directory_iterator(folder.path);
  const std::string bytes = read_file(file);
  const auto crc = [](std::string_view text) {
    uint32_t sum = ~0U;
    for (const char c : text) {
      sum ^= static_cast<uint8_t>(c);
      for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0x82F63B78U : 0);
    }
    return ~sum;
  };
  ASSERT_EQ(crc("123456789"), 0xE3069283U);
  const auto masked = [&](std::string_view text) {
    const uint32_t sum = crc(text);
    return ((sum >> 15) | (sum << 17)) + 0xA282EAD8U;
  };
  size_t at = 0, frames = 0;
  std::string last;
  while (at < bytes.size()) {
    uint64_t length = 0;
    uint32_t head = 0, tail = 0;
    memcpy(&length, bytes.data() + at, 8);
    memcpy(&head, bytes.data() + at + 8, 4);
    EXPECT_EQ(head, masked(std::string_view(bytes).substr(at, 8)));
    last = bytes.substr(at + 12, length);
    memcpy(&tail, bytes.data() + at + 12 + length, 4);
    EXPECT_EQ(tail, masked(last));
    at += 16 + length;
    ++frames;
  }
  EXPECT_EQ(frames, 2U);
  EXPECT_NE(last.find("loss"), std::string::npos);
}

}  // namespace
}  // namespace akin::train
