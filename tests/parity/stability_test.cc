// Same text, same bytes: in f32 a vector does not depend on its neighbours, their order, the size
// of the call or the number of threads. 10,000 random batchings over five families.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "core/encoder.h"
#include "engine/cpu_encoder.h"
#include "model/model.h"
#include "tiny_folder.h"

namespace akin::parity {
namespace {

constexpr size_t kBatchings = 2000;  // per family, five families

struct Pool {
  std::vector<std::string> texts, tasks;  // tasks: one per text, empty where there are none
  Mat<float> alone;                       // each text by itself, one thread
};

Pool make_pool(Encoder& encoder, bool with_tasks) {
  Rng rng(99);
  Pool pool;
  for (size_t i = 0; i < 32; ++i) {
    // Mostly short, some of a hundred tokens and more.
    pool.texts.push_back(tiny_text(rng, i % 8 == 7 ? 60 + rng.below(40) : 1 + rng.below(12)));
    const char* const names[] = {"", "retrieval.query", "retrieval.passage", "text-matching"};
    if (with_tasks) pool.tasks.emplace_back(names[rng.below(4)]);
  }
  pool.alone = Mat<float>(pool.texts.size(), encoder.info().dim);
  for (size_t i = 0; i < pool.texts.size(); ++i) {
    const std::string_view text = pool.texts[i];
    EncodeOptions options;
    if (with_tasks) options.task = pool.tasks[i];
    encoder.encode({&text, 1}, options, pool.alone.view().row_range(i, 1));
  }
  return pool;
}

class Stability : public testing::TestWithParam<std::string> {};
std::string kind_name(const testing::TestParamInfo<std::string>& kind) { return kind.param; }
INSTANTIATE_TEST_SUITE_P(All, Stability,
                         testing::Values("bert", "jina_bert", "jina_v3", "t5_gated", "modernbert"),
                         kind_name);

TEST_P(Stability, RandomBatchingsGiveTheSameBytes) {
  TinySpec spec;
  spec.kind = GetParam();
  spec.layers = 2;
  const TinyFolder folder(spec);
  std::unique_ptr<Encoder> encoders[2];
  for (size_t t = 0; t < 2; ++t) {
    encoders[t] = engine::make_cpu_encoder(model::load_model(folder.path()), {.threads = t + 1});
  }
  const bool with_tasks = spec.kind == "jina_v3";
  const Pool pool = make_pool(*encoders[0], with_tasks);
  const size_t dim = encoders[0]->info().dim;
  Rng rng(12345);
  size_t different = 0;
  for (size_t n = 0; n < kBatchings; ++n) {
    // One in twenty calls is large enough for several micro-batches.
    const size_t size = n % 20 == 0 ? 16 + rng.below(48) : 1 + rng.below(6);
    std::vector<std::string_view> texts;
    std::vector<size_t> picked;
    EncodeOptions options;
    for (size_t i = 0; i < size; ++i) {
      picked.push_back(rng.below(pool.texts.size()));
      texts.emplace_back(pool.texts[picked.back()]);
      if (with_tasks) options.tasks.push_back(pool.tasks[picked.back()]);
    }
    Mat<float> out(size, dim);
    encoders[rng.below(2)]->encode(texts, options, out.view());
    for (size_t i = 0; i < size; ++i) {
      different += std::memcmp(out.row(i), pool.alone.row(picked[i]), dim * sizeof(float)) != 0;
    }
  }
  EXPECT_EQ(different, 0U) << "vectors that differ from the same text encoded alone";
}

}  // namespace
}  // namespace akin::parity
