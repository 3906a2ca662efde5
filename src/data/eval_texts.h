// The texts of evaluation sets, from whatever files hold them, for the contamination filter.
// Internal to data/.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace akin::data {

// Calls f(text, "file:line") for each text of the files and folders. Which columns hold texts:
// `columns`, or without them all those of known names. Text files (.txt) give a text a line. A
// folder gives its data files but those named qrels. The texts are valid UTF-8. Errors: not_found,
// io, usage; bad_format, also for a file with no such column.
void each_eval_text(std::span<const std::string> paths, std::span<const std::string> columns,
                    const std::function<void(std::string_view text, const std::string& where)>& f);

}  // namespace akin::data
