#include "train/teacher.h"

#include <string_view>
#include <vector>

#include "nn/torch_ops.h"

namespace akin::train {
namespace {

using Texts = std::vector<std::string_view>;

// [texts, Et]
at::Tensor encode(const TeacherModel& teacher, const Texts& texts, const EncodeOptions& options) {
  const size_t dims = resolve_dims(teacher.encoder->info(), options);
  const auto rows = static_cast<int64_t>(texts.size());
  at::Tensor out = at::empty({rows, static_cast<int64_t>(dims)}, at::kFloat);
  teacher.encoder->encode(texts, options,
                          MatView<float>(out.data_ptr<float>(), texts.size(), dims));
  return out;
}

// Cosines of each query with its positive, then with its own negatives. [B, 1 + M]
at::Tensor own_cosines(const at::Tensor& queries, const at::Tensor& documents,
                       const at::Tensor& negatives) {
  const int64_t rows = queries.size(0), dims = queries.size(1);
  const at::Tensor candidates =
      at::cat({documents.unsqueeze(1), negatives.view({rows, -1, dims})}, 1);
  return at::bmm(nn::normalize_rows(candidates), nn::normalize_rows(queries).unsqueeze(2))
      .squeeze(2);
}

}  // namespace

TeacherAnswer ask_teacher(const TeacherModel& teacher, const data::TrainBatch& batch,
                          const loss::LossNeeds& needs, const at::Device& device) {
  const bool scores = needs.scores && batch.scores.empty();
  if (!needs.teacher && !scores) return {};
  Texts queries, documents, negatives;
  for (const data::Record& record : batch.records) {
    queries.emplace_back(record.query);
    if (batch.has_documents) documents.emplace_back(record.positive);
    if (scores) negatives.insert(negatives.end(), record.negatives.begin(), record.negatives.end());
  }
  const at::Tensor of_queries = encode(teacher, queries, teacher.query);
  at::Tensor of_documents;
  if (batch.has_documents) of_documents = encode(teacher, documents, teacher.document);
  TeacherAnswer out;
  if (needs.teacher) {
    out.queries = of_queries.to(device);
    if (of_documents.defined()) out.documents = of_documents.to(device);
  }
  if (scores) {
    const at::Tensor of_negatives = encode(teacher, negatives, teacher.document);
    out.scores =
        (own_cosines(of_queries, of_documents, of_negatives) / teacher.temperature).to(device);
  }
  return out;
}

}  // namespace akin::train
