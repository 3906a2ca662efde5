#include "train/objectives/texts.h"

#include <algorithm>

#include "base/error.h"
#include "data/packed_store.h"

namespace akin::train {

Sources open_texts(const Recipe& recipe, const PretrainStage& stage,
                   const std::filesystem::path& data, const std::filesystem::path& folder,
                   const nn::TextModel& model, const ProgressSink& progress) {
  const auto& description = model.description();
  Sources out;
  const auto gate = open_gate(recipe, data);
  for (SourceTable source : recipe.sources) {
    if (source.old) {
      throw_error(ErrorKind::usage, source.name, "pre-training holds no old source; leave it out");
    }
    source.single = true;
    source.classes = false;
    data::MixtureSource opened;
    opened.name = source.name;
    opened.store = open_store(source, data, folder, gate.get(), progress);
    if (recipe.pretrain.pack) {
      opened.store = data::pack_store(opened.store, *description.tokenizer,
                                      {stage.length, description.do_lower_case}, progress);
    }
    opened.weight = source.weight;
    opened.batch = source.batch == 0
                       ? stage.batch
                       : std::max<uint64_t>(1, source.batch * stage.batch / recipe.train.batch);
    opened.distinct = false;
    data::CollateOptions collate;
    collate.max_query_tokens = stage.length;
    if (source.max_query_tokens > 0) {
      collate.max_query_tokens = std::min<size_t>(stage.length, source.max_query_tokens);
    }
    collate.lower_case = description.do_lower_case;
    out.mixture.push_back(std::move(opened));
    out.collate.push_back(std::move(collate));
    out.loss_names.emplace_back(
        choices(recipe.pretrain.objective)[static_cast<size_t>(recipe.pretrain.objective)]);
    out.tasks.emplace_back();
  }
  return out;
}

}  // namespace akin::train
