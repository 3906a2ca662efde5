// Static embeddings: no layers, a vector is the mean of its tokens' rows. Two layouts: model2vec
// (tensors embeddings, optional mapping and weights; older files name the table "0") and
// sentence-transformers' StaticEmbedding module (tensor embedding.weight, no config.json).
#include "base/error.h"
#include "model/family.h"

namespace akin::model {
namespace {

bool claims(const JsonValue& config) { return is_model_type(config, {"model2vec", "static"}); }

std::string_view table_name(const TensorTable& tensors) {
  for (const std::string_view name : {"embeddings", "embedding.weight", "0"}) {
    if (tensors.contains(name)) return name;
  }
  return {};
}

FamilyPlan plan(ConfigReader& config, const TensorTable& tensors) {
  FamilyPlan out;
  ArchSpec& arch = out.arch;
  arch.family = "static_embedding";
  arch.kind = ModelKind::static_embedding;
  arch.position = PositionKind::none;
  arch.embedding_norm = false;
  config.ignore({"apply_pca", "apply_zipf", "embedding_dtype", "hidden_dim", "sif_coefficient",
                 "tokenizer_name", "seq_length", "vocabulary_quantization", "pca_dims"});
  // What follows the mean. Python model2vec also cuts at 512 tokens unless told otherwise; that is
  // an argument of its encode(), not a property of the folder, and nothing is cut here.
  out.static_spec.normalize = config.flag("normalize", false);

  const std::string_view table = table_name(tensors);
  if (table.empty()) {
    throw_error(ErrorKind::not_found, config.where(),
                "the weights have none of the tensors \"embeddings\", \"embedding.weight\", \"0\", "
                "one of which a static model needs");
  }
  // model2vec drops unknown tokens before the mean, sentence-transformers does not.
  out.static_spec.skip_unk = table != "embedding.weight";
  const Tensor& rows = tensors.find(table)->second;
  if (rows.shape.size() != 2 || rows.shape[0] < 1 || rows.shape[1] < 1 ||
      rows.shape[0] > kMaxVocab || rows.shape[1] > kMaxHidden) {
    throw_error(ErrorKind::bad_format, config.where(),
                "tensor {} is {}, expected [rows, dim] with rows in [1, {}], dim in [1, {}]",
                quote(table), rows.shape_string(), kMaxVocab, kMaxHidden);
  }
  arch.hidden = rows.shape[1];
  arch.vocab_size = rows.shape[0];
  WeightPlan weights(arch, tensors);
  weights.tensor("static.embeddings", table, rows.shape);
  const auto mapping = tensors.find("mapping");
  out.static_spec.has_mapping = mapping != tensors.end();
  if (out.static_spec.has_mapping) {
    const std::vector<int64_t>& shape = mapping->second.shape;
    arch.vocab_size = shape.size() == 1 && shape[0] <= kMaxVocab ? shape[0] : 0;
    weights.tensor("static.mapping", "mapping", {arch.vocab_size});
  }
  out.static_spec.has_weights = tensors.contains("weights");
  if (out.static_spec.has_weights) weights.tensor("static.weights", "weights", {arch.vocab_size});
  out.weights = weights.take();
  return out;
}

}  // namespace

Family family_static_embedding() {
  return {"static_embedding", "model2vec (potion, M2V), StaticEmbedding modules", claims, plan};
}

}  // namespace akin::model
