#include "cli/mine_inputs.h"

#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/number_words.h"
#include "cli/terminal.h"

namespace akin::cli {

void warn_of_bad_rows(const nlohmann::ordered_json& report, Context& context) {
  for (const auto& input : report.at("inputs")) {
    const auto bad = input.at("bad_rows").get<uint64_t>();
    if (bad == 0) continue;
    const auto& first = input.at("first_bad_rows").at(0);
    context.warn(
        fmt::format("{}: {} of {} rows could not be read and were skipped; the first is {}: {}",
                    printable(input.at("path").get<std::string>()), thousands(bad),
                    thousands(input.at("rows").get<uint64_t>()),
                    first.at("where").get<std::string>(), first.at("message").get<std::string>()));
  }
}

}  // namespace akin::cli
