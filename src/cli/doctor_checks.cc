#include "cli/doctor_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/finite.h"
#include "base/json.h"
#include "cli/similarity_measure.h"
#include "engine/pair_scorer.h"
#include "model/classification_head.h"
#include "model/unused.h"
#include "store/safetensors.h"
#include "store/st_folder.h"
#include "text/tokenizer.h"

namespace akin::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kProbeTexts[] = {
    "akin", "The quick brown fox jumps over the lazy dog.", "如何在命令行中播放音乐文件？",
    "Café № 5, 2024: naïve coöperation — 100% of ½ a million 😀",
    ("semantic search 语义搜索 finds texts by meaning, not by words; it needs a model, a tokenizer "
     "and some patience.")};
constexpr double kTolerance = 1e-5;         // of unit vectors, between machines and versions
constexpr double kRoundedTolerance = 0.05;  // of int8

EncodeOptions probe_options() {
  EncodeOptions options;
  options.prompt = "";
  options.truncate = Truncate::right;
  return options;
}

Mat<float> probe_vectors(Encoder& encoder) {
  Mat<float> out(std::size(kProbeTexts), encoder.info().dim);
  encoder.encode(kProbeTexts, probe_options(), out.view());
  return out;
}

std::vector<int32_t> probe_ids(const text::Tokenizer* tokenizer, std::string_view text) {
  std::vector<int32_t> ids;
  if (tokenizer != nullptr) tokenizer->encode(text, true, ids);
  return ids;
}

// Number of values that are not finite, counted in chunks so that memory stays small.
uint64_t count_bad(const Tensor& tensor) {
  constexpr size_t kChunk = size_t{1} << 18;
  std::vector<float> values;
  uint64_t bad = 0;
  const auto total = static_cast<size_t>(tensor.elements());
  for (size_t begin = 0; begin < total; begin += kChunk) {
    check_interrupted();
    values.resize(std::min(kChunk, total - begin));
    tensor_to_f32(tensor, begin, values);
    for (const float value : values) bad += std::isfinite(value) ? 0 : 1;
  }
  return bad;
}

Findings compare_probe(const JsonValue& record, Encoder& encoder, const text::Tokenizer* tokenizer,
                       double allowed) {
  const auto texts = record.at("texts").items(), vectors = record.at("vectors").items();
  double worst = 0;
  for (size_t i = 0; i < texts.size() && i < vectors.size(); ++i) {
    const std::string_view text = texts[i].as_string();
    Mat<float> got(1, encoder.info().dim);
    encoder.encode(std::span(&text, 1), probe_options(), got.view());
    const auto expected = vectors[i].items();
    if (expected.size() != got.cols()) {
      return {
          {Verdict::fail, "probe",
           fmt::format("vectors have {} numbers, the record has {}", got.cols(), expected.size()),
           "the folder holds another model than the record; download it again"}};
    }
    for (size_t d = 0; d < got.cols(); ++d)
      worst = std::max(worst, std::fabs(expected[d].as_double() - static_cast<double>(got(0, d))));
    if (const auto ids = record.find("ids"); ids && tokenizer != nullptr) {
      const auto now = probe_ids(tokenizer, text);
      const auto then = ids->items().at(i).items();
      bool same = now.size() == then.size();
      for (size_t t = 0; same && t < now.size(); ++t) same = now[t] == then[t].as_int();
      if (!same)
        return {{Verdict::fail, "probe",
                 fmt::format("{} gives other token ids than on record", quote(text)),
                 "the tokenizer files changed; download the folder again"}};
    }
  }
  if (worst > allowed) {
    return {
        {Verdict::fail, "probe",
         fmt::format("a vector differs from the record by {:.2g}, allowed {:.2g}", worst, allowed),
         "weights, pooling or tokenizer changed; download the folder again, or --write-probe to "
         "accept"}};
  }
  return {{Verdict::ok, "probe",
           fmt::format("{} probe texts give the vectors on record (largest difference {:.1g})",
                       texts.size(), worst),
           ""}};
}

}  // namespace

Findings check_files(const fs::path& folder) {
  fs::path body = folder;  // of the weights and the tokenizer
  try {
    body /= store::read_st_folder(folder, {.pooling_given = true}).transformer_path;
  } catch (const Error&) {
    // said when the model is opened
  }
  const auto has = [&](const char* name) {
    std::error_code error;
    return fs::exists(body / name, error);
  };
  Findings out;
  std::error_code error;
  if (!fs::exists(folder / "modules.json", error) && !model::is_classifier_folder(folder)) {
    out.push_back({Verdict::warn, "files", "no modules.json: not a sentence-transformers folder",
                   "pooling must come from the family or from --pooling"});
  }
  const bool safe = has("model.safetensors") || has("model.safetensors.index.json");
  if (!safe && !has("pytorch_model.bin")) {
    out.push_back({Verdict::fail, "files",
                   "no weights: no model.safetensors, model.safetensors.index.json or "
                   "pytorch_model.bin",
                   "the folder is incomplete; download it again"});
  } else if (!safe) {
    out.push_back({Verdict::warn, "files",
                   "weights are a pickle (pytorch_model.bin), read as tensors only",
                   "a safetensors copy opens faster and holds no code"});
  }
  if (!has("tokenizer.json") && text::Tokenizer::has_older_form(body)) {
    out.push_back({Verdict::warn, "files", "no tokenizer.json; an older tokenizer form is used",
                   "save the tokenizer in its fast form if ids differ"});
  } else if (!has("tokenizer.json")) {
    out.push_back({Verdict::fail, "files",
                   "no tokenizer: no tokenizer.json and none of the older forms (vocab.txt, a "
                   "sentencepiece model, vocab.json with merges.txt)",
                   "the folder is incomplete; download it again"});
  }
  if (out.empty())
    out.push_back({Verdict::ok, "files", "modules, weights and tokenizer are there", ""});
  return out;
}

Findings check_classifier(const fs::path& folder, size_t threads, Precision precision) {
  const auto loaded =
      engine::load_text_classifier(folder, {.threads = threads, .precision = precision});
  const auto& labels = loaded.classifier->labels();
  const Finding settings = {
      Verdict::ok, "settings",
      fmt::format("family {}, {}: {}", loaded.info.family,
                  labels.size() == 1 ? "a reranker" : "a classifier", list_some(labels)),
      ""};
  std::vector<ClassifierInput> inputs;
  for (const std::string_view text : kProbeTexts) inputs.push_back({text, kProbeTexts[0]});
  const Mat<float> logits = loaded.classifier->classify(inputs, Truncate::right).logits;
  if (all_finite({logits.data(), logits.rows() * logits.cols()}))
    return {settings, {Verdict::ok, "scores", "finite for every probe text", ""}};
  return {settings,
          {Verdict::fail, "scores", "some are not finite numbers",
           "the weights are damaged; download the folder again"}};
}

Findings check_unused(const fs::path& folder, const model::Model& model) {
  const auto body =
      folder / store::read_st_folder(folder, {.pooling_given = true}).transformer_path;
  const auto files = store::TensorFiles::open_folder(body);
  const auto unused = model::find_unused(files.tensors(), *model.weights);
  if (unused.names.empty()) return {};
  const std::string layers = unused.layers == 0
                                 ? std::string()
                                 : fmt::format(" (layers above the {} of config.json: {})",
                                               model.arch.layers, unused.layers);
  return {{Verdict::warn, "weights",
           fmt::format("tensors that the model does not use: {}, such as {}{}", unused.names.size(),
                       quote(unused.names.front()), layers),
           "harmless if they are of a head; else config.json is not that of these weights"}};
}

Findings check_weights(const model::Model& model) {
  uint64_t tensors = 0;
  for (const auto& name : model.weights->names()) {
    const Tensor& tensor = model.weights->at(name);
    ++tensors;
    if (const uint64_t bad = count_bad(tensor); bad > 0) {
      return {{Verdict::fail, "weights",
               fmt::format("{} has {} values that are not finite", name, bad),
               "the file is damaged or training diverged; download or train again"}};
    }
  }
  return {{Verdict::ok, "weights", fmt::format("{} tensors, every value finite", tensors), ""}};
}

Findings check_tokenizer(const model::Model& model) {
  if (!model.tokenizer)
    return {{Verdict::fail, "tokenizer", "none", "copy tokenizer.json into the folder"}};
  const bool is_static = model.arch.kind == ModelKind::static_embedding;
  const char* table = !is_static                      ? "embed.token"
                      : model.static_spec.has_mapping ? "static.mapping"
                                                      : "static.embeddings";
  if (!model.weights->has(table))
    return {{Verdict::fail, "tokenizer", fmt::format("no tensor {} to look ids up in", table),
             "the weights are not this model's"}};
  const auto& shape = model.weights->at(table).shape;
  const auto rows = static_cast<size_t>(shape.empty() ? 0 : shape[0]);
  const size_t vocabulary = model.tokenizer->vocab_size();
  if (vocabulary > rows) {
    return {{Verdict::fail, "tokenizer",
             fmt::format("vocabulary of {} ids, embedding table of {} rows", vocabulary, rows),
             "tokenizer and weights are of two models; download the folder again"}};
  }
  return {{Verdict::ok, "tokenizer",
           fmt::format("{}, {} ids, {} rows", model.tokenizer->model_type(), vocabulary, rows),
           ""}};
}

Findings check_settings(const model::Model& model) {
  Findings out;
  const auto info = model::encoder_info(model, Precision::f32);
  out.push_back({Verdict::ok, "settings",
                 fmt::format("family {}, pooling {}, {} dims, similarity {}", info.family,
                             info.pooling, info.dim, info.similarity),
                 ""});
  if (!info.default_prompt_name.empty() && !info.prompts.contains(info.default_prompt_name)) {
    out.push_back(
        {Verdict::fail, "settings",
         fmt::format("default prompt {} is not among the prompts", quote(info.default_prompt_name)),
         "mend config_sentence_transformers.json"});
  }
  if (info.max_tokens == 0 && model.arch.kind == ModelKind::transformer) {
    out.push_back({Verdict::warn, "settings", "no length limit declared",
                   "set max_seq_length in sentence_bert_config.json"});
  }
  if (!model.ignored_keys.empty()) {
    out.push_back({Verdict::warn, "settings",
                   fmt::format("configuration keys that nobody read: {}",
                               fmt::join(model.ignored_keys, ", ")),
                   "harmless when they do not change vectors; see akin info"});
  }
  return out;
}

Findings check_vectors(Encoder& encoder) {
  const Mat<float> all = probe_vectors(encoder);
  size_t empty = 0;
  for (size_t i = 0; i < all.rows(); ++i) {
    const float length = std::sqrt(measure(Measure::dot, all.row(i), all.row(i), all.cols()));
    if (!std::isfinite(length))
      return {{Verdict::fail, "vectors",
               fmt::format("{} gives numbers that are not finite", quote(kProbeTexts[i])),
               "the weights are damaged; download the folder again"}};
    if (length == 0) {
      ++empty;
    } else if (std::fabs(length - 1) > 1e-4) {
      return {{Verdict::fail, "vectors", fmt::format("length {} where 1 was asked", length),
               "please report this"}};
    }
    Mat<float> alone(1, all.cols());
    encoder.encode(std::span(&kProbeTexts[i], 1), probe_options(), alone.view());
    if (encoder.info().precision == Precision::f32 &&
        std::memcmp(alone.data(), all.row(i), all.cols() * sizeof(float)) != 0) {
      return {{Verdict::fail, "vectors",
               fmt::format("{} gives other bytes alone than in company", quote(kProbeTexts[i])),
               "please report this"}};
    }
  }
  if (empty == all.rows())
    return {{Verdict::fail, "vectors", "every probe text gives a zero vector",
             "tokenizer and weights do not fit each other"}};
  if (empty > 0)
    return {{Verdict::warn, "vectors",
             fmt::format("{} of {} probe texts give a zero vector", empty, all.rows()),
             "expected where the model does not know the language of a text"}};
  return {{Verdict::ok, "vectors", "finite, unit length, the same bytes alone and in company", ""}};
}

Findings check_probe(const fs::path& folder, Encoder& encoder, const text::Tokenizer* tokenizer,
                     bool rounded) {
  const fs::path file = folder / kProbeFile;
  std::error_code error;
  if (!fs::exists(file, error)) {
    return {{Verdict::warn, "probe",
             fmt::format("no {} in the folder, so nothing to compare with", kProbeFile),
             "akin doctor --write-probe records today's vectors"}};
  }
  try {
    const auto document = JsonDocument::load(file, uint64_t{64} << 20);
    return compare_probe(JsonValue(document), encoder, tokenizer,
                         rounded ? kRoundedTolerance : kTolerance);
  } catch (const Error& wrong) {
    return {{Verdict::fail, "probe", wrong.what(),
             "delete the record, or write it again with --write-probe"}};
  }
}

void write_probe(const fs::path& folder, Encoder& encoder, const text::Tokenizer* tokenizer) {
  const Mat<float> vectors = probe_vectors(encoder);
  std::string out = nlohmann::ordered_json{
      {"akin", AKIN_VERSION},
      {"fingerprint", encoder.info().fingerprint},
      {"texts",
       kProbeTexts}}.dump();
  out.pop_back();
  std::vector<std::string> ids, rows;
  for (size_t i = 0; i < vectors.rows(); ++i) {
    ids.push_back(fmt::format("[{}]", fmt::join(probe_ids(tokenizer, kProbeTexts[i]), ",")));
    rows.push_back(fmt::format("[{}]", fmt::join(std::span(vectors.row(i), vectors.cols()), ",")));
  }
  out += fmt::format(",\n\"ids\":[{}],\n\"vectors\":[\n{}\n]}}\n", fmt::join(ids, ","),
                     fmt::join(rows, ",\n"));
  write_file(folder / kProbeFile, out);
}

}  // namespace akin::cli
