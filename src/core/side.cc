#include "core/side.h"

#include <algorithm>

namespace akin {

std::string side_prompt_name(const EncoderInfo& info, bool query) {
  static constexpr std::string_view kQuery[] = {"query", "retrieval.query", "search_query"};
  static constexpr std::string_view kDocument[] = {"document", "passage", "corpus",
                                                   "retrieval.passage", "search_document"};
  const std::span<const std::string_view> names =
      query ? std::span<const std::string_view>(kQuery) : kDocument;
  for (const auto name : names) {
    if (info.prompts.contains(std::string(name))) return std::string(name);
  }
  return {};
}

std::string side_task(const EncoderInfo& info, bool query) {
  const std::string name = query ? "retrieval.query" : "retrieval.passage";
  const bool known = std::find(info.tasks.begin(), info.tasks.end(), name) != info.tasks.end();
  return known ? name : std::string();
}

}  // namespace akin
