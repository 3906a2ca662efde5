// Tables of a recipe that add to a model instead of making one: [adapters], [ewc], [teacher].
// Fields only; recipe.h reads them, nn/adapters.h, train/ewc.h and train/teacher.h do what they ask
// for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/precision_choices.h"

namespace akin::train {

// [adapters]: without names, the model itself is trained.
struct AdaptersTable {
  std::vector<std::string> names;
  int64_t rank = 8;
  double alpha = 8;
  bool rslora = false;
  double dropout = 0;
  std::vector<std::string> targets = {"attention", "embedding"};
  bool merged = false;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("names=TASK", names,
      "LoRA adapters that are trained, one a task, over frozen weights; those that the model has "
      "go on, others are new");
    v("rank=N", rank, "of new adapters");
    v("alpha=X", alpha, "new adapters count alpha / rank");
    v("rslora", rslora, "new adapters count alpha / sqrt(rank)");
    v("dropout=P", dropout, "of what an adapter reads");
    v("targets=NAME", targets,
      "what new adapters ride on: attention, ffn, embedding, or single linears (q, k, v, out, up, "
      "gate, down)");
    v("merged", merged, "write merged/TASK, too: each adapter within weights of its own");
  }
};

enum class FisherLabels : uint8_t { sampled, empirical };
enum class KeepFisher : uint8_t { online, sum };
inline std::span<const std::string_view> choices(FisherLabels) {
  static constexpr std::string_view kWords[] = {"sampled", "empirical"};
  return kWords;
}
inline std::span<const std::string_view> choices(KeepFisher) {
  static constexpr std::string_view kWords[] = {"online", "sum"};
  return kWords;
}

// [ewc]
struct EwcTable {
  std::string from;
  double lambda = 0;
  uint64_t estimate = 0, candidates = 64;
  FisherLabels labels = FisherLabels::sampled;
  double clip = 0.999;
  KeepFisher keep = KeepFisher::online;
  double decay = 0.9;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("lambda=X", lambda,
      "how much the loss grows when weights that earlier data needs move; 0 = they are free");
    v("from=FILE", from,
      "fisher.safetensors of the run that made the model; see also a source's old");
    v("estimate=N", estimate,
      "queries from which fisher.safetensors is made, after the last step (and of old sources, "
      "before the first); 0 = none");
    v("candidates=N", candidates, "documents that a query chooses among in the estimate");
    v("labels=KIND", labels, "whose gradients count: of sampled choices, or of the right ones");
    v("clip=Q", clip, "importance above this quantile counts as the quantile; 1 = as it is");
    v("keep=KIND", keep,
      "several stages: online (decay times the old Fisher, held at the last weights) or sum (all "
      "penalties, exactly)");
    v("decay=X", decay, "of the old Fisher at each stage, for online");
  }
};

// [teacher]: without a model, none. What opens it is not in this room.
struct TeacherTable {
  std::string model, pooling;
  Precision dtype = Precision::f32;
  std::optional<std::string> query_prompt, document_prompt;
  uint64_t dims = 0, max_tokens = 0;
  double temperature = 0.05;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("model=MODEL", model,
      "whose vectors vector_distill and vector_mse imitate, and whose scores kl_distill does where "
      "the records have none");
    v("pooling=MODE", pooling, "of a teacher whose folder names none");
    v("dtype=TYPE", dtype, "precision of the teacher");
    v("query-prompt=TEXT", query_prompt, "before the queries that it reads; else its own");
    v("document-prompt=TEXT", document_prompt, "before the documents that it reads; else its own");
    v("dims=N", dims, "of its vectors the first N (Matryoshka); 0 = all");
    v("max-tokens=N", max_tokens,
      "it reads no more of a text, as the student perhaps does not; 0 = as it can");
    v("temperature=T", temperature, "its cosines over T are its scores");
  }
};

}  // namespace akin::train
