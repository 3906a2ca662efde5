// Processes as threads of the test, over loopback: what a group moves, how it ends, and that a step
// of several has the gradients of one.
#include "train/distributed.h"

#include <ATen/ATen.h>
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "loss/matryoshka.h"
#include "train/distributed_run.h"
#include "train/distributed_step.h"
#include "train/sources.h"
#include "train/step.h"

namespace akin::train {
namespace {

namespace fs = std::filesystem;

uint16_t free_port() {
  const int opened = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof name;
  const bool good = ::bind(opened, reinterpret_cast<sockaddr*>(&name), length) == 0 &&
                    ::getsockname(opened, reinterpret_cast<sockaddr*>(&name), &length) == 0;
  ::close(opened);
  if (!good) throw std::runtime_error("no port");
  return ntohs(name.sin_port);
}

Launch launch(size_t rank, size_t size, uint16_t port, uint64_t wait = 20) {
  return {rank, size, rank, "127.0.0.1", port, true, wait};
}

using Act = std::function<void(Group&)>;

// What each process threw, "" for nothing.
std::vector<std::string> together(size_t size, const Act& act) {
  const uint16_t port = free_port();
  std::vector<std::string> out(size);
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        const auto group = join(launch(rank, size, port));
        try {
          act(*group);
        } catch (const Error& error) {
          throw group->ending(error);
        }
      } catch (const std::exception& error) {
        out[rank] = error.what();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  return out;
}

void expect_none(const std::vector<std::string>& errors) {
  for (const auto& error : errors) EXPECT_EQ(error, "");
}

class DistributedTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_join()) GTEST_SKIP() << "libtorch without Gloo, or without its headers";
  }
};

TEST_F(DistributedTest, TensorsAndWordsMove) {
  constexpr size_t kSize = 3;
  expect_none(together(kSize, [](Group& group) {
    const auto rank = static_cast<float>(group.rank());
    at::Tensor values = at::full({2, 2}, rank + 1);
    group.sum(values);
    EXPECT_TRUE(values.equal(at::full({2, 2}, 6.0F)));
    const at::Tensor all = group.gather(at::full({1, 2}, rank));
    EXPECT_TRUE(all.equal(at::tensor({0.0F, 0.0F, 1.0F, 1.0F, 2.0F, 2.0F}).view({3, 2})));
    EXPECT_EQ(group.told(group.leads() ? "words" : "others"), "words");
    const auto said = group.exchange(std::string(group.rank(), 'x'));
    EXPECT_EQ(said, (std::vector<std::string>{"", "x", "xx"}));
    EXPECT_TRUE(group.any(group.rank() == 2));
    EXPECT_FALSE(group.any(false));
    at::Tensor own = at::tensor({-0.0F, rank, 1e-40F});
    group.share(own);
    const at::Tensor expected = at::tensor({-0.0F, 0.0F, 1e-40F});
    EXPECT_TRUE(own.view(at::kInt).equal(expected.view(at::kInt)));
  }));
}

TEST_F(DistributedTest, TurnsFollowEachOther) {
  std::atomic<int> first{0};
  expect_none(together(3, [&](Group& group) {
    group.in_turn([&] {
      if (group.leads()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        first = 1;
      }
      EXPECT_EQ(first.load(), 1);
    });
  }));
}

TEST_F(DistributedTest, CheckpointsAndScoresAreShared) {
  expect_none(together(2, [](Group& group) {
    std::optional<Checkpoint> none, some;
    std::optional<DevScores> scores;
    share_checkpoint(group, none);
    EXPECT_FALSE(none);
    if (group.leads()) {
      some.emplace();
      some->state = {{"step", 3}};
      some->tensors["a"] = at::arange(6, at::kFloat).view({2, 3});
      scores.emplace();
      scores->tasks["t"] = 0.5;
      scores->main = 0.5;
    }
    share_checkpoint(group, some);
    EXPECT_EQ(some->state["step"], 3);
    EXPECT_TRUE(some->tensors["a"].equal(at::arange(6, at::kFloat).view({2, 3})));
    share_scores(group, scores);
    EXPECT_EQ(scores->tasks["t"], 0.5);
    EXPECT_EQ(scores->main, 0.5);
    EXPECT_FALSE(scores->general);
  }));
}

TEST_F(DistributedTest, WhoEndsIsNamedByTheOthers) {
  for (const size_t failing : {0U, 1U}) {
    const auto errors = together(3, [&](Group& group) {
      if (group.rank() == failing) throw_error(ErrorKind::usage, "disk", "it is full");
      group.any(false);
    });
    for (size_t r = 0; r < errors.size(); ++r) {
      EXPECT_NE(errors[r].find("disk: it is full"), std::string::npos) << errors[r];
      if (r == failing) continue;
      EXPECT_NE(errors[r].find(fmt::format("process {} (", failing)), std::string::npos)
          << errors[r];
      EXPECT_NE(errors[r].find("--resume"), std::string::npos) << errors[r];
    }
  }
}

TEST_F(DistributedTest, WhoIsKilledIsNamedByTheOthers) {
  const auto start = std::chrono::steady_clock::now();
  const auto errors = together(3, [&](Group& group) {
    if (group.rank() == 1) return;  // its connections close without a word
    group.any(false);
  });
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  EXPECT_EQ(errors[1], "");
  for (const size_t r : {0U, 2U}) {
    EXPECT_NE(errors[r].find("process 1 ("), std::string::npos) << errors[r];
    EXPECT_NE(errors[r].find("without a word"), std::string::npos) << errors[r];
  }
}

TEST_F(DistributedTest, WhoDoesSomethingElseIsRefused) {
  const auto errors = together(2, [](Group& group) {
    check_same(group, {{"recipe", {{"train", {{"steps", 10}, {"seed", group.rank()}}}}}});
  });
  for (const auto& error : errors) {
    EXPECT_NE(error.find("process 1 does not"), std::string::npos) << error;
    EXPECT_NE(error.find("recipe.train.seed"), std::string::npos) << error;
  }
}

TEST_F(DistributedTest, WhoDoesNotComeIsNamed) {
  const auto refused = [](size_t rank) {
    try {
      join(launch(rank, 2, free_port(), 1));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::io);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(refused(1).find("no process 0 here within 1 s"), std::string::npos) << refused(1);
  EXPECT_NE(refused(0).find("still no process 1"), std::string::npos) << refused(0);
}

TokenBatch texts_of_lengths(const std::vector<size_t>& lengths) {
  TokenBatch out;
  uint32_t state = 7;
  for (const size_t length : lengths) {
    for (size_t i = 0; i < length; ++i) {
      state = state * 1664525U + 1013904223U;
      out.ids.push_back(static_cast<int32_t>(4 + state / 65536 % 12));
    }
    out.offsets.push_back(static_cast<uint32_t>(out.ids.size()));
    out.prompt_tokens.push_back(0);
  }
  return out;
}

TEST(Portions, AboutAsManyTokensEach) {
  EXPECT_EQ(portions(texts_of_lengths({3, 3, 3, 3}), 2), (std::vector<size_t>{0, 2, 4}));
  EXPECT_EQ(portions(texts_of_lengths({1, 1, 1, 9}), 2), (std::vector<size_t>{0, 3, 4}));
  EXPECT_EQ(portions(texts_of_lengths({9, 1, 1}), 3), (std::vector<size_t>{0, 1, 2, 3}));
  EXPECT_EQ(portions(texts_of_lengths({1, 1, 9}), 3), (std::vector<size_t>{0, 1, 2, 3}));
  EXPECT_EQ(portions(texts_of_lengths({5, 5}), 1), (std::vector<size_t>{0, 2}));
  EXPECT_THROW(portions(texts_of_lengths({5}), 2), Error);
}

// The losses, each on its kind of batch.
struct Case {
  std::string name, family, loss;
  size_t processes = 2, grad_cache = 0;
  bool matryoshka = false, dropout = false, twice = false, adapters = false;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class GradientsTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!can_join()) GTEST_SKIP() << "libtorch without Gloo, or without its headers";
    fs::create_directories(folder_);
    std::string vocab = R"("[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3)";
    for (size_t i = 4; i < 16; ++i) vocab += fmt::format(", \"w{}\": {}", i, i);
    write_file(folder_ / "tokenizer.json", fmt::format(R"({{"version": "1.0",
"added_tokens": [], "normalizer": null, "pre_tokenizer": {{"type": "Whitespace"}},
"post_processor": null, "decoder": null, "model": {{"type": "WordPiece", "unk_token": "[UNK]",
"continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {{{}}}}}}})",
                                                       vocab));
    make_model()->save(folder_ / "model", {});
    make_batch();
  }
  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  std::unique_ptr<nn::TextModel> make_model() const {
    nn::TextModelOptions options;
    options.threads = 2;
    options.numbers.dropout = options.numbers.attention_dropout = GetParam().dropout ? 0.3 : 0;
    if (fs::exists(folder_ / "model")) {
      if (GetParam().adapters) {
        options.adapters.names = {"query", "document", "unused"};
        options.adapters.targets = {"attention", "embedding", "ffn"};
      }
      return nn::TextModel::open(folder_ / "model", options);
    }
    nn::ScratchSpec spec;
    spec.family = GetParam().family;
    spec.layers = 2;
    spec.hidden = 16;
    spec.heads = 2;
    spec.ffn_hidden = 24;
    spec.max_positions = 16;
    spec.init_std = 0.3;
    spec.tokenizer = folder_ / "tokenizer.json";
    return nn::TextModel::from_scratch(spec, options);
  }

  void make_batch() {
    batch_.rows = 5;
    batch_.negatives = GetParam().loss == "jina_triplet" ? 2 : 0;
    std::vector<size_t> lengths = {3, 7, 2, 5, 4};
    if (!GetParam().twice) lengths.insert(lengths.end(), {9, 2, 6, 8, 5});
    for (size_t i = 0; i < batch_.rows * batch_.negatives; ++i) lengths.push_back(3 + i % 5);
    batch_.texts = texts_of_lengths(lengths);
    batch_.has_documents = !GetParam().twice;
    for (size_t i = 0; i < lengths.size(); ++i) {
      batch_.text_ids.push_back(static_cast<int64_t>(i));
    }
    batch_.labels = {0.1F, 0.9F, 0.5F, 0.9F, 0.3F};
    if (GetParam().adapters) choose_adapters(batch_, {1, 0});
    if (GetParam().twice) embed_twice(batch_);
  }

  // The gradients of a step, as one process or as one of several leaves them.
  std::vector<at::Tensor> gradients(Group* group) const {
    const auto model = make_model();
    auto loss = loss::make_loss(GetParam().loss, {});
    if (GetParam().matryoshka) loss = loss::make_matryoshka(std::move(loss), {{16, 8}, {}});
    StepOptions options;
    options.dropout_seed = 12345;
    options.grad_cache = GetParam().grad_cache;
    options.group = group;
    const StepOutcome outcome = leave_gradients(*model, batch_, *loss, options);
    std::vector<at::Tensor> out = {at::full({1}, outcome.loss, at::kDouble)};
    for (const auto& parameter : model->parameters()) out.push_back(parameter.value.grad());
    return out;
  }

  fs::path folder_ = fs::temp_directory_path() / fmt::format("akin_distributed_{}", ::getpid());
  data::TrainBatch batch_;
};

TEST_P(GradientsTest, OfSeveralProcessesAreThoseOfOne) {
  const auto alone = gradients(nullptr);
  std::vector<std::vector<at::Tensor>> found(GetParam().processes);
  expect_none(together(GetParam().processes,
                       [&](Group& group) { found[group.rank()] = gradients(&group); }));
  double most = 0;
  for (const auto& own : found) {
    ASSERT_EQ(own.size(), alone.size());
    for (size_t i = 0; i < alone.size(); ++i) {
      ASSERT_EQ(own[i].defined(), alone[i].defined()) << i;
      if (!own[i].defined()) continue;
      ASSERT_EQ(own[i].is_sparse(), alone[i].is_sparse()) << i;
      const auto dense = [](const at::Tensor& t) { return t.is_sparse() ? t.to_dense() : t; };
      const at::Tensor expected = dense(alone[i]);
      const double largest = expected.abs().max().item<double>();
      if (i > 0) most = std::max(most, largest);
      // f32: a value of 16 has steps of 1.9e-6
      EXPECT_LT((dense(own[i]) - expected).abs().max().item<double>(),
                1e-6 * std::max(1.0, largest))
          << i;
      EXPECT_TRUE(dense(own[i]).equal(dense(found[0][i]))) << i;  // no process drifts away
    }
  }
  EXPECT_GT(most, 1e-2);  // there was something to compare
}

INSTANTIATE_TEST_SUITE_P(
    Cases, GradientsTest,
    testing::Values(Case{"infonce", "bert", "infonce"},
                    Case{"three_processes", "bert", "infonce", 3},
                    Case{.name = "dropout", .family = "bert", .loss = "infonce", .dropout = true},
                    Case{"grad_cache", "bert", "infonce", 2, 3, false, true},
                    Case{"matryoshka", "bert", "infonce", 2, 2, true, true},
                    Case{"cosent", "bert", "cosent"},
                    Case{"cosent_matryoshka", "bert", "cosent", 2, 3, true},
                    Case{"triplets", "bert", "jina_triplet", 3, 0, false, true},
                    Case{"triplets_matryoshka", "bert", "jina_triplet", 2, 4, true},
                    Case{.name = "simcse",
                         .family = "bert",
                         .loss = "simcse_unsup",
                         .dropout = true,
                         .twice = true},
                    Case{.name = "adapters", .family = "bert", .loss = "infonce", .adapters = true},
                    Case{"static", "static_embedding", "infonce"},
                    Case{"static_grad_cache", "static_embedding", "infonce", 3, 2, true}),
    [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace akin::train
