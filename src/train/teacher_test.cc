// What a batch is told by a teacher whose vectors are known beforehand.
#include "train/teacher.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "base/error.h"

namespace akin::train {
namespace {

// A vector for each text it knows; documents are read with "d: " before them.
class TableEncoder final : public Encoder {
 public:
  TableEncoder() { info_.dim = 2; }
  const EncoderInfo& info() const override { return info_; }
  EncodeReport encode(std::span<const std::string_view> texts, const EncodeOptions& options,
                      MatView<float> out) override {
    for (size_t i = 0; i < texts.size(); ++i) {
      const std::string read = options.prompt.value_or("") + std::string(texts[i]);
      const auto it = vectors.find(read);
      if (it == vectors.end()) throw_error(ErrorKind::not_found, "test", "{}", read);
      out(i, 0) = it->second[0];
      out(i, 1) = it->second[1];
    }
    return {};
  }
  TokenVectors encode_tokens(std::string_view, const EncodeOptions&) override { return {}; }
  std::vector<uint32_t> count_tokens(std::span<const std::string_view>,
                                     const EncodeOptions&) override {
    return {};
  }
  std::map<std::string, std::array<float, 2>> vectors = {{"q1", {3, 0}},      {"q2", {0, 2}},
                                                         {"d: p1", {1, 0}},   {"d: p2", {0, 1}},
                                                         {"d: near", {3, 4}}, {"d: far", {-1, 0}}};

 private:
  EncoderInfo info_;
};

struct Asked {
  TeacherModel teacher;
  data::TrainBatch batch;
  Asked() {
    teacher.encoder = std::make_shared<TableEncoder>();
    teacher.document.prompt = "d: ";
    teacher.temperature = 0.5;
    batch.rows = 2;
    batch.negatives = 2;
    batch.records = {row("q1", "p1", {"near", "far"}), row("q2", "p2", {"far", "near"})};
  }
  static data::Record row(const std::string& query, const std::string& positive,
                          std::vector<std::string> negatives) {
    data::Record out;
    out.query = query;
    out.positive = positive;
    out.negatives = std::move(negatives);
    return out;
  }
  TeacherAnswer answer(const loss::LossNeeds& needs) const {
    return ask_teacher(teacher, batch, needs, at::kCPU);
  }
};

TEST(Teacher, GivesVectorsAsTheyAre) {
  const auto answer = Asked().answer({.teacher = true});
  EXPECT_TRUE(answer.queries.equal(at::tensor({3.F, 0.F, 0.F, 2.F}).view({2, 2})));
  EXPECT_TRUE(answer.documents.equal(at::tensor({1.F, 0.F, 0.F, 1.F}).view({2, 2})));
  EXPECT_FALSE(answer.scores.defined());
}

TEST(Teacher, ScoresThePositiveThenEachNegative) {
  const auto answer = Asked().answer({.negatives = true, .scores = true});
  EXPECT_FALSE(answer.queries.defined());
  const at::Tensor wanted = at::tensor({2.F, 1.2F, -2.F, 2.F, 0.F, 1.6F}).view({2, 3});
  EXPECT_LT((answer.scores - wanted).abs().max().item<float>(), 1e-6F);
}

TEST(Teacher, IsNotAskedWhereTheDataKnows) {
  Asked asked;
  asked.batch.scores = {1, 0, 0, 1, 0, 0};
  EXPECT_FALSE(asked.answer({.negatives = true, .scores = true}).scores.defined());
  EXPECT_FALSE(asked.answer({}).queries.defined());
}

TEST(Teacher, TextsWithoutDocumentsHaveNoVectorsOfThem) {
  Asked asked;
  asked.batch.has_documents = false;
  const auto answer = asked.answer({.teacher = true, .documents = false});
  EXPECT_TRUE(answer.queries.defined());
  EXPECT_FALSE(answer.documents.defined());
}

}  // namespace
}  // namespace akin::train
