// Backward turns the batch around: for every row that was used, the texts it was used in. Each row
// is then summed by one thread in the order of the texts.
#include "nn/static_stack.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <memory>
#include <span>

#include "base/error.h"
#include "base/mat.h"
#include "kernels/elementwise.h"
#include "nn/autograd_op.h"

namespace akin::nn {
namespace {

constexpr size_t kTextsPerTask = 64, kRowsPerTask = 64;

// Uses by row: entries [begin[i], begin[i + 1]) are those of rows[i].
struct ByRow {
  struct Entry {
    uint32_t text;
    float weight;
  };
  std::vector<int64_t> rows;  // ascending
  std::vector<uint32_t> begin;
  std::vector<Entry> entries;
};

ByRow turn_around(const StaticStack::Uses& in, size_t table_rows) {
  std::vector<uint32_t> count(table_rows, 0);
  for (const StaticStack::Use& use : in.uses) ++count[use.row];
  ByRow out;
  out.begin.push_back(0);
  for (size_t row = 0; row < table_rows; ++row) {
    if (count[row] == 0) continue;
    out.rows.push_back(static_cast<int64_t>(row));
    const uint32_t begin = out.begin.back();
    out.begin.push_back(begin + count[row]);
    count[row] = begin;  // from here on: where the row's next entry goes
  }
  out.entries.resize(in.uses.size());
  for (size_t b = 0; b + 1 < in.offsets.size(); ++b) {
    for (uint32_t i = in.offsets[b]; i < in.offsets[b + 1]; ++i)
      out.entries[count[in.uses[i].row]++] = {static_cast<uint32_t>(b), in.uses[i].weight};
  }
  return out;
}

at::Tensor sparse_gradient(const StaticStack::Uses& uses, const at::Tensor& d_out,
                           int64_t table_rows, ThreadPool& pool) {
  const at::Tensor contiguous = d_out.contiguous();
  const int64_t dim = contiguous.size(1);
  const float* const given = contiguous.data_ptr<float>();
  const ByRow by_row = turn_around(uses, static_cast<size_t>(table_rows));
  const auto used = static_cast<int64_t>(by_row.rows.size());
  at::Tensor values = at::empty({used, dim}, at::kFloat);
  const MatView<float> out(values.data_ptr<float>(), by_row.rows.size(), static_cast<size_t>(dim));
  parallel_for(pool, by_row.rows.size(), kRowsPerTask, [&](size_t i, size_t) {
    const std::span<float> row(out.row(i), out.cols());
    std::fill(row.begin(), row.end(), 0.0F);
    for (uint32_t e = by_row.begin[i]; e < by_row.begin[i + 1]; ++e) {
      const ByRow::Entry& entry = by_row.entries[e];
      kernels::add_scaled(given + static_cast<int64_t>(entry.text) * dim, entry.weight, row);
    }
  });
  return at::_sparse_coo_tensor_unsafe(at::tensor(by_row.rows, at::kLong).unsqueeze(0), values,
                                       {table_rows, dim})
      ._coalesced_(true);
}

at::Tensor mean_by_operations(const StaticStack::Uses& uses, const at::Tensor& table) {
  const auto texts = static_cast<int64_t>(uses.offsets.size()) - 1;
  std::vector<int64_t> rows, text_of;
  std::vector<float> weights;
  for (int64_t b = 0; b < texts; ++b) {
    for (uint32_t i = uses.offsets[static_cast<size_t>(b)];
         i < uses.offsets[static_cast<size_t>(b) + 1]; ++i) {
      rows.push_back(uses.uses[i].row);
      weights.push_back(uses.uses[i].weight);
      text_of.push_back(b);
    }
  }
  const auto there = [&](const at::Tensor& t) { return t.to(table.device()); };
  const at::Tensor used = table.index_select(0, there(at::tensor(rows, at::kLong)));
  return at::zeros({texts, table.size(1)}, table.options())
      .index_add(0, there(at::tensor(text_of, at::kLong)),
                 used * there(at::tensor(weights)).unsqueeze(1));
}

}  // namespace

StaticStack::StaticStack(const model::Model& model, ThreadPool& pool) : pool_(pool) {
  const model::StaticSpec& spec = model.static_spec;
  tokens_ = static_cast<size_t>(model.weights->at("static.embeddings").shape.at(0));
  if (spec.has_mapping) {
    const Tensor& mapping = model.weights->at("static.mapping");  // rows checked by load_model
    for (int64_t i = 0; i < mapping.elements(); ++i)
      mapping_.push_back(static_cast<uint32_t>(tensor_int_at(mapping, static_cast<size_t>(i))));
    tokens_ = mapping_.size();
  }
  if (spec.has_weights) {
    weights_ = tensor_to_f32(model.weights->at("static.weights"));
    tokens_ = std::min(tokens_, weights_.size());
  }
  if (spec.skip_unk) unk_ = model.tokenizer->unk_id().value_or(-1);
}

StaticStack::Uses StaticStack::find_uses(const TokenBatch& batch) const {
  Uses out;
  out.uses.reserve(batch.tokens());
  for (size_t b = 0; b < batch.size(); ++b) {
    const size_t first = out.uses.size();
    for (const int32_t id : batch.text(b)) {
      if (id == unk_) continue;
      const auto index = static_cast<size_t>(id);
      if (id < 0 || index >= tokens_) {
        throw_error(ErrorKind::bad_format, "token ids",
                    "id {}, the table knows {} tokens; the tokenizer is another model's", id,
                    tokens_);
      }
      out.uses.push_back({mapping_.empty() ? static_cast<uint32_t>(id) : mapping_[index],
                          weights_.empty() ? 1.0F : weights_[index]});
    }
    const auto count = static_cast<float>(out.uses.size() - first);
    for (size_t i = first; i < out.uses.size(); ++i) out.uses[i].weight /= count;
    out.offsets.push_back(static_cast<uint32_t>(out.uses.size()));
  }
  return out;
}

at::Tensor StaticStack::forward(const at::Tensor& table, const TokenBatch& batch) const {
  const auto uses = std::make_shared<const Uses>(find_uses(batch));
  if (!table.is_cpu()) return mean_by_operations(*uses, table);
  const at::Tensor rows = table.detach();
  const auto dim = static_cast<size_t>(rows.size(1));
  const float* const data = rows.data_ptr<float>();
  at::Tensor result = at::zeros({static_cast<int64_t>(batch.size()), rows.size(1)}, at::kFloat);
  float* const out = result.data_ptr<float>();
  parallel_for(pool_, batch.size(), kTextsPerTask, [&](size_t b, size_t) {
    const std::span<float> vector(out + b * dim, dim);
    for (uint32_t i = uses->offsets[b]; i < uses->offsets[b + 1]; ++i) {
      const Use& use = uses->uses[i];
      kernels::add_scaled(data + static_cast<size_t>(use.row) * dim, use.weight, vector);
    }
  });
  const std::vector<at::Tensor> inputs{table};
  const int64_t table_rows = rows.size(0);
  return with_backward(
      result, inputs, "StaticEmbedding",
      [uses, table_rows, &pool = pool_](const at::Tensor& d_out, const std::vector<bool>&) {
        return std::vector<at::Tensor>{sparse_gradient(*uses, d_out, table_rows, pool)};
      });
}

}  // namespace akin::nn
