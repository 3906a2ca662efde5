// Records, a vocabulary and recipes of small models that the tests of akin train share.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "run_program.h"

namespace akin::cli_test {

inline const std::vector<std::string> kThings = {"river",  "engine", "garden", "market", "winter",
                                                 "violin", "planet", "bridge", "window", "forest"};
inline const std::vector<std::string> kDeeds = {"grows", "sleeps", "waits", "moves", "sings"};

// Pairs that share a thing; triplets whose negative has another; grades; a vocabulary of it all.
inline void write_data(const TemporaryFolder& folder) {
  std::string pairs, triplets, graded, texts;
  for (size_t i = 0; i < 400; ++i) {
    const std::string& thing = kThings[i % kThings.size()];
    const std::string& other = kThings[(i + 1 + i / 10 % 8) % kThings.size()];
    const std::string& deed = kDeeds[i / 10 % kDeeds.size()];
    const std::string query = "the " + thing + " " + deed + " " + std::to_string(i);
    const std::string positive = "a " + thing + " that " + deed + " " + std::to_string(i);
    const std::string negative = "a " + other + " that " + deed;
    pairs += nlohmann::json{{"query", query}, {"positive", positive}}.dump() + "\n";
    triplets +=
        nlohmann::json{{"query", query}, {"positive", positive}, {"negatives", {negative}}}.dump() +
        "\n";
    graded += nlohmann::json{{"query", query},
                             {"positive", i % 2 == 0 ? positive : negative},
                             {"label", i % 2 == 0 ? 1.0 : 0.1 * static_cast<double>(i % 5)}}
                  .dump() +
              "\n";
    texts += query + "\n" + positive + "\n";
  }
  folder.write("pairs.jsonl", pairs);
  folder.write("triplets.jsonl", triplets);
  folder.write("graded.jsonl", graded);
  folder.write("texts.txt", texts);
  const auto made = run({"tokenizer", "train", "--type", "wordpiece", "--vocab-size", "300",
                         "--out", folder.file("vocab"), folder.file("texts.txt")});
  ASSERT_EQ(made.code, 0) << made.err;
}

inline constexpr const char* kTransformer = R"(
[model]
tokenizer = "vocab"
layers = 2
hidden = 32
heads = 2
ffn_hidden = 64
max_tokens = 32
[train]
steps = 40
batch = 16
learning_rate = 1e-3
log_every = 5
checkpoint_every = 4
threads = 2
grad_cache = 24
ema = 0.9
[loss]
name = "infonce"
[matryoshka]
dims = [32, 16]
[[source]]
path = "pairs.jsonl"
[[source]]
path = "triplets.jsonl"
negatives = 1
loss = "jina_triplet"
[[source]]
path = "graded.jsonl"
loss = "cosent"
distinct = false
[[source]]
name = "alone"
path = "texts.txt"
single = true
loss = "simcse_unsup"
)";

inline std::vector<std::string> command(const TemporaryFolder& folder, const std::string& recipe,
                                        const std::string& out) {
  return {"train", folder.file(recipe), "--data", folder.path().string(),
          "--out", folder.file(out)};
}

inline constexpr const char* kStatic = R"(
[model]
family = "static_embedding"
tokenizer = "vocab"
hidden = 16
[train]
steps = 60
batch = 32
learning_rate = 2e-2
weight_decay = 0
[[source]]
path = "pairs.jsonl"
)";

}  // namespace akin::cli_test
