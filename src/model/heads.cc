// What follows the token vectors: pooling and the sentence-transformers modules after it.
#include "base/error.h"
#include "model/load.h"

namespace akin::model {
namespace {

void add_dense(const store::StDense& dense, Model& model, MappedWeights& weights) {
  const std::filesystem::path folder = model.folder / dense.path;
  const std::string where = (folder / "config.json").string();
  if (dense.in != static_cast<int64_t>(model.dim)) {
    throw_error(ErrorKind::bad_format, where,
                "in_features is {}, but the vector that reaches this module has {} dims; the "
                "folder mixes two models, download it again",
                dense.in, model.dim);
  }
  DenseSpec spec;
  spec.in = dense.in;
  spec.out = dense.out;
  spec.bias = dense.bias;
  spec.use_residual = dense.use_residual;
  spec.activation = activation_from_name(dense.activation, where);
  const std::string name = fmt::format("dense.{}", model.dense.size());
  std::vector<WeightRule> rules{
      {.name = name + ".weight", .tensor = "linear.weight", .shape = {spec.out, spec.in}}};
  if (spec.bias) {
    rules.push_back({.name = name + ".bias", .tensor = "linear.bias", .shape = {spec.out}});
  }
  if (spec.use_residual && spec.in != spec.out) {
    rules.push_back({.name = name + ".residual.weight",
                     .tensor = "residual.weight",
                     .shape = {spec.out, spec.in}});
  }
  weights.apply(store::TensorFiles::open_folder(folder), rules, folder.string());
  model.heads.push_back({HeadKind::dense, model.dense.size()});
  model.dense.push_back(spec);
  model.dim = static_cast<size_t>(spec.out);
}

}  // namespace

std::string pooling_name(const PoolingSpec& spec) {
  std::vector<std::string_view> names;
  for (const PoolingMode mode : spec.modes) names.push_back(pooling_mode_name(mode));
  return fmt::format("{}", fmt::join(names, "+"));
}

void read_heads(const store::StFolder& st, Model& model, MappedWeights& weights) {
  size_t next_dense = 0;
  bool pooled = model.arch.kind == ModelKind::static_embedding;
  for (const store::StModule& module : st.modules) {
    if (module.type == "Pooling") {
      pooled = true;
    } else if (module.type == "Dense") {
      AKIN_CHECK(next_dense < st.dense.size());
      if (!pooled) {
        throw_error(ErrorKind::unsupported, (model.folder / "modules.json").string(),
                    "a Dense module before Pooling; akin runs Dense on pooled vectors only");
      }
      add_dense(st.dense[next_dense++], model, weights);
    } else if (module.type == "Normalize") {
      model.heads.push_back({HeadKind::normalize, 0});
    }
  }
}

PoolingSpec choose_pooling(const std::filesystem::path& folder, const store::StFolder& st,
                           const LoadOptions& options, const FamilyPlan& plan) {
  const bool is_static = plan.arch.kind == ModelKind::static_embedding;
  const std::optional<PoolingSpec> own =
      is_static ? PoolingSpec{{PoolingMode::mean}, true} : st.pooling;
  if (own) {
    if (options.pooling && options.pooling->modes != own->modes) {
      throw_error(ErrorKind::usage, "--pooling", "{} asked, but {} was made with {}; leave it out",
                  pooling_name(*options.pooling), folder.string(), pooling_name(*own));
    }
    return *own;
  }
  if (options.pooling && !options.pooling->modes.empty()) return *options.pooling;
  if (plan.pooling) return *plan.pooling;
  throw_error(ErrorKind::not_found, folder.string(),
              "how to pool is not written down (looked for: {}), and is never guessed; pass "
              "--pooling cls, mean or lasttoken, as the model's authors say",
              st.modules.empty() ? "modules.json with 1_Pooling/config.json"
                                 : "a Pooling module in modules.json");
}

}  // namespace akin::model
