// Opening a text source by its name, plain lines, and folders of text files. JSONL is jsonl.cc,
// CSV and TSV are table.cc.
#include "store/text_source.h"

#include <algorithm>
#include <array>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "core/counters.h"
#include "store/row_source.h"

namespace akin::store {
namespace fs = std::filesystem;

const std::string_view kTextFields[5] = {"text", "sentence", "content", "query", "title"};

RowSource::RowSource(std::unique_ptr<ByteStream> in, std::string where, TextSourceOptions options)
    : options_(std::move(options)),
      where_(std::move(where)),
      lines_(std::move(in), options_.max_row_bytes) {}

void RowSource::bad_row(uint64_t line, std::string_view message) {
  const std::string where = fmt::format("{}:{}", where_, line);
  if (message.ends_with('.')) message.remove_suffix(1);  // a parser's own
  if (!options_.skip_bad_rows) {
    throw_error(ErrorKind::bad_format, where,
                "{}. Repair the row, or pass --skip-bad-rows (in a recipe: skip_bad_rows)",
                message);
  }
  ++bad_rows_;
  count_event("bad_rows", 1, fmt::format("{}: {}; skipped", where, message));
}

void RowSource::too_long_row(uint64_t line) {
  bad_row(line, fmt::format("the row is longer than {} bytes", options_.max_row_bytes));
}

namespace {

class LinesSource : public RowSource {
 public:
  using RowSource::RowSource;
  bool next(TextRow& row) override {
    while (true) {
      std::string_view line;
      const LineReader::Result result = lines_.next(line);
      if (result == LineReader::Result::end) return false;
      if (result == LineReader::Result::too_long) {
        too_long_row(lines_.line_number());
        continue;
      }
      if (line.ends_with('\r')) line.remove_suffix(1);
      row.line = lines_.line_number();
      row.values.resize(1);
      row.values[0].assign(line);
      return true;
    }
  }
};

class FolderSource : public TextSource {
 public:
  FolderSource(const fs::path& folder, TextSourceOptions options)
      : folder_(folder), options_(std::move(options)) {
    collect(folder, 0);
    std::sort(files_.begin(), files_.end());
    say_left_out();
    for (const fs::path& file : files_) {
      std::error_code ignored;
      const uint64_t size = fs::file_size(file, ignored);
      if (!ignored) total_ += size;
    }
  }

  bool next(TextRow& row) override {
    while (position_ < files_.size()) {
      check_interrupted();
      const fs::path& file = files_[position_++];
      try {
        std::string content = read_file(file, options_.max_row_bytes);
        read_ += content.size();
        if (content.starts_with("\xEF\xBB\xBF")) content.erase(0, 3);
        row.line = 1;
        row.id = file.lexically_relative(folder_).string();
        row.values.resize(1);
        row.values[0] = std::move(content);
        return true;
      } catch (const Error& error) {
        if (!options_.skip_bad_rows) throw;
        ++bad_rows_;
        count_event("bad_rows", 1, fmt::format("{}; skipped", error.what()));
      }
    }
    return false;
  }
  uint64_t bad_rows() const override { return bad_rows_; }
  uint64_t bytes_read() const override { return read_; }
  uint64_t bytes_total() const override { return total_; }

 private:
  static constexpr int kMaxDepth = 64;

  // Links to folders are not followed, so that no loop is possible; hidden names are left out.
  void collect(const fs::path& folder, int depth) {
    if (depth > kMaxDepth) return;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      check_interrupted();
      const fs::path& path = it->path();
      if (path.filename().native().starts_with('.')) continue;
      std::error_code ignored;
      if (it->is_directory(ignored)) {
        if (!it->is_symlink(ignored)) collect(path, depth + 1);
      } else if (it->is_regular_file(ignored)) {
        if (is_text_name(path)) {
          files_.push_back(path);
        } else if (++left_out_; first_left_out_.empty() || path < first_left_out_) {
          first_left_out_ = path;
        }
      }
    }
    if (error) {
      throw_error(ErrorKind::io, folder.string(), "cannot list the folder: {}", error.message());
    }
  }
  void say_left_out() const {
    const std::string others =
        left_out_ == 0 ? "none"
                       : fmt::format("{}, such as {}", left_out_,
                                     quote(first_left_out_.lexically_relative(folder_).string()));
    if (files_.empty()) {
      throw_error(ErrorKind::not_found, folder_.string(),
                  "the folder holds no .txt and no .md file (other files: {}); each such file is "
                  "one text. Name files of rows (.jsonl, .csv, .tsv, .gz) themselves",
                  others);
    }
    if (left_out_ > 0) {
      log_warning(
          "{}: files left out: {}; of a folder only .txt and .md files are read, each as one text",
          folder_.string(), others);
    }
  }
  static bool is_text_name(const fs::path& path) {
    const std::string extension = path.extension().string();
    return extension == ".txt" || extension == ".md";
  }

  const fs::path folder_;
  const TextSourceOptions options_;
  std::vector<fs::path> files_;
  uint64_t left_out_ = 0;
  fs::path first_left_out_;
  size_t position_ = 0;
  uint64_t bad_rows_ = 0, read_ = 0, total_ = 0;
};

TextFormat format_of(const fs::path& path) {
  fs::path name = path.filename();
  if (name.extension() == ".gz" || name.extension() == ".zst") name = name.stem();
  std::string extension = name.extension().string();
  for (char& c : extension) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (extension == ".jsonl" || extension == ".ndjson" || extension == ".json") {
    return TextFormat::jsonl;
  }
  if (extension == ".tsv" || extension == ".tab") return TextFormat::tsv;
  if (extension == ".csv") return TextFormat::csv;
  return TextFormat::lines;
}

}  // namespace

std::unique_ptr<TextSource> make_text_source(std::unique_ptr<ByteStream> in, std::string where,
                                             const TextSourceOptions& options) {
  switch (options.format) {
    case TextFormat::jsonl:
      return make_jsonl_source(std::move(in), std::move(where), options);
    case TextFormat::tsv:
    case TextFormat::csv:
      return make_table_source(std::move(in), std::move(where), options,
                               options.format == TextFormat::csv);
    case TextFormat::automatic:
    case TextFormat::lines:
      break;
  }
  if (!options.fields.empty() || !options.id_field.empty()) {
    throw_error(ErrorKind::usage, where,
                "plain lines have no fields; name the format (jsonl, tsv or csv) to read fields");
  }
  return std::make_unique<LinesSource>(std::move(in), std::move(where), options);
}

std::unique_ptr<TextSource> open_text_folder(const fs::path& folder,
                                             const TextSourceOptions& options) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw_error(ErrorKind::not_found, folder.string(), "no such folder");
  }
  return std::make_unique<FolderSource>(folder, options);
}

std::unique_ptr<TextSource> open_text_source(const fs::path& path,
                                             const TextSourceOptions& options) {
  std::error_code ignored;
  if (path != "-" && fs::is_directory(path, ignored)) return open_text_folder(path, options);
  TextSourceOptions resolved = options;
  if (resolved.format == TextFormat::automatic) {
    resolved.format = path == "-" ? TextFormat::lines : format_of(path);
  }
  return make_text_source(open_byte_stream(path), path == "-" ? "stdin" : path.string(), resolved);
}

}  // namespace akin::store
