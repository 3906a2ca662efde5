// The spec of an index as JSON, the words of its options, and which models go together.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "index/document_store.h"

namespace akin::index {
namespace {

constexpr std::string_view kModes[] = {"vector", "words", "hybrid"};
constexpr std::string_view kMethods[] = {"auto", "exact", "funnel", "graph"};
constexpr std::string_view kIfPresent[] = {"replace", "skip", "error"};

size_t read_size(const JsonValue& value, std::string_view key, int64_t least, int64_t most) {
  const auto found = value.at(key);
  const int64_t number = found.as_int();
  if (number < least || number > most) {
    throw_error(ErrorKind::bad_format, found.where(), "is {}, expected {} to {}", number, least,
                most);
  }
  return static_cast<size_t>(number);
}

Code read_code(const JsonValue& value, std::string_view key) {
  const auto found = value.at(key);
  const auto word = found.as_string();
  for (const Code code : {Code::f32, Code::f16, Code::int8, Code::binary}) {
    if (code_name(code) == word) return code;
  }
  throw_error(ErrorKind::bad_format, found.where(), "{} is no code", quote(word));
}

constexpr int64_t kMostDims = 1 << 16;

VectorStoreSpec read_vectors(const JsonValue& value) {
  VectorStoreSpec out;
  out.dims = read_size(value, "dims", 1, kMostDims);
  out.full = read_code(value, "store");
  if (out.full != Code::f32 && out.full != Code::f16) {
    throw_error(ErrorKind::bad_format, value.where(), "the vectors are f32 or f16");
  }
  for (const auto& item : value.at("codes").items()) {
    out.extra.push_back(
        {read_code(item, "code"), read_size(item, "dims", 1, static_cast<int64_t>(out.dims))});
    if (out.extra.size() > 64) throw_error(ErrorKind::bad_format, value.where(), "too many codes");
  }
  return out;
}

}  // namespace

std::span<const std::string_view> choices(Mode) { return kModes; }
std::span<const std::string_view> choices(Method) { return kMethods; }
std::span<const std::string_view> choices(IfPresent) { return kIfPresent; }

std::string spec_to_json(const IndexSpec& spec) {
  nlohmann::ordered_json codes = nlohmann::ordered_json::array();
  for (const auto& code : spec.vectors.extra) {
    codes.push_back({{"code", code_name(code.code)}, {"dims", code.dims}});
  }
  const nlohmann::ordered_json out = {{"model", spec.model},
                                      {"model_source", spec.model_source},
                                      {"fingerprint", spec.fingerprint},
                                      {"precision", spec.precision},
                                      {"pooling", spec.pooling},
                                      {"rope_base", spec.rope_base},
                                      {"similarity", spec.similarity},
                                      {"document_prompt", spec.document_prompt},
                                      {"document_task", spec.document_task},
                                      {"dims", spec.vectors.dims},
                                      {"store", code_name(spec.vectors.full)},
                                      {"codes", codes},
                                      {"graph", spec.graph},
                                      {"links", spec.hnsw.links},
                                      {"build_breadth", spec.hnsw.build_breadth},
                                      {"seed", spec.hnsw.seed},
                                      {"words", spec.words}};
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

IndexSpec spec_from_json(std::string_view json, const std::string& where) {
  const auto document = JsonDocument::parse(json, where);
  const JsonValue value(document);
  IndexSpec out;
  out.vectors = read_vectors(value);
  out.model = value.get("model", "");
  out.model_source = value.get("model_source", "");
  out.fingerprint = value.get("fingerprint", "");
  out.precision = value.get("precision", "");
  out.pooling = value.get("pooling", "");
  out.rope_base = value.get("rope_base", 0.0);
  out.similarity = value.get("similarity", "cosine");
  out.vectors.unit_prefixes = out.similarity == "cosine";
  out.document_prompt = value.get("document_prompt", "");
  out.document_task = value.get("document_task", "");
  out.graph = value.get("graph", false);
  out.hnsw.links = read_size(value, "links", 2, 1 << 10);
  out.hnsw.build_breadth = read_size(value, "build_breadth", 1, 1 << 20);
  out.hnsw.seed = static_cast<uint64_t>(value.at("seed").as_int());
  out.words = value.get("words", true);
  return out;
}

}  // namespace akin::index
