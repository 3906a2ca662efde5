#include "cli/load.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <system_error>

#include "base/error.h"
#include "base/log.h"
#include "cli/hand_over.h"
#include "cli/terminal.h"
#include "core/pooling_words.h"
#include "core/side.h"
#include "engine/cpu_encoder.h"
#include "model/rotary_base.h"
#include "store/hub_cache.h"

namespace akin::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSideWords[] = {"none", "query", "document"};

// Where models that come with akin lie: beside an installed program, or in the source tree it was
// built in.
std::vector<fs::path> shipped_roots() {
  std::vector<fs::path> roots;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return roots;
  roots.push_back(program.parent_path() / ".." / "share" / "akin" / "models");
  fs::path up = program.parent_path();
  for (int i = 0; i < 4 && up.has_relative_path(); ++i, up = up.parent_path()) {
    roots.push_back(up / "models");
  }
  return roots;
}

std::string shipped_names(const std::vector<std::pair<std::string, fs::path>>& shipped) {
  std::vector<std::string> names;
  names.reserve(shipped.size());
  for (const auto& [name, path] : shipped) names.push_back(name);
  return fmt::format("{}", fmt::join(names, ", "));
}

DeviceEncoderMaker& device_encoder_maker() {
  static DeviceEncoderMaker maker = nullptr;
  return maker;
}

}  // namespace

std::span<const std::string_view> choices(Side) { return kSideWords; }

std::vector<std::pair<std::string, fs::path>> shipped_models() {
  std::vector<std::pair<std::string, fs::path>> out;
  for (const auto& root : shipped_roots()) {
    std::error_code error;
    for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
      std::error_code ignored;
      if (!fs::exists(it->path() / "model.safetensors", ignored)) continue;
      out.emplace_back(it->path().filename().string(), fs::weakly_canonical(it->path(), ignored));
    }
    if (!out.empty()) break;
  }
  std::sort(out.begin(), out.end());
  return out;
}

fs::path resolve_model_folder(const std::string& model) {
  const auto shipped = shipped_models();
  if (model.empty()) {
    throw_error(ErrorKind::usage, "--model",
                "is needed: a model folder, a repository id{}; or set AKIN_MODEL",
                shipped.empty()
                    ? std::string()
                    : fmt::format(", or one that akin ships ({})", shipped_names(shipped)));
  }
  std::error_code error;
  if (fs::is_directory(model, error)) return model;
  for (const auto& [name, path] : shipped) {
    if (name == model) return path;
  }
  if (fs::exists(model, error)) {
    throw_error(ErrorKind::usage, "--model", "{} is a file; give the folder that holds the model",
                quote(model));
  }
  const size_t at = model.find('@');
  const std::string revision = at == std::string::npos ? "main" : model.substr(at + 1);
  try {
    return store::resolve_model(model.substr(0, at), store::hub_env(), revision);
  } catch (const Error& absent) {
    if (absent.kind() != ErrorKind::not_found || model.find('/') != std::string::npos ||
        shipped.empty())
      throw;
    throw Error(
        absent.kind(),
        fmt::format("{}. Models that akin ships: {}", absent.message(), shipped_names(shipped)),
        absent.where());
  }
}

model::LoadOptions load_options(const ModelOptions& options) {
  model::LoadOptions load;
  if (!options.pooling.empty()) load.pooling = pooling_from_words(options.pooling, "--pooling");
  return load;
}

model::Model load_model(const ModelOptions& options) {
  const model::LoadOptions load = load_options(options);
  const auto folder = resolve_model_folder(options.model);
  auto model = model::load_model(folder, load);
  if (options.rope_base != 0) model::set_rotary_base(model, options.rope_base);
  const size_t limit = options.max_tokens;
  if (limit > 0 && (model.max_tokens == 0 || limit < model.max_tokens)) model.max_tokens = limit;
  std::error_code error;  // a snapshot's folder is named by its commit: the repository says more
  if (!fs::exists(options.model, error) && folder.filename() != options.model) {
    model.name = options.model;
  }
  return model;
}

void set_device_encoder_maker(DeviceEncoderMaker maker) { device_encoder_maker() = maker; }

std::unique_ptr<Encoder> load_encoder(const ModelOptions& options) {
  if (options.device != "cpu") {
    if (options.rope_base != 0) {
      throw_error(ErrorKind::usage, "--rope-base",
                  "is for --device cpu; for others write the base into the folder's config.json");
    }
    if (device_encoder_maker() == nullptr) hand_over("--device " + options.device);
    return device_encoder_maker()(options);
  }
  auto encoder = engine::make_cpu_encoder(load_model(options),
                                          {.threads = options.threads, .precision = options.dtype});
  if (options.dtype != Precision::f32 && encoder->info().family == "static_embedding") {
    log_warning(
        "{} is a static model, a mean of table rows: it has no {} path, its vectors are those "
        "of f32",
        encoder->info().name, precision_name(options.dtype));
  }
  return encoder;
}

EncodeOptions encode_options(const EncodeFlags& flags, Side side, const EncoderInfo& info,
                             Context& context) {
  if (flags.prompt && !flags.prompt_name.empty()) {
    throw_error(ErrorKind::usage, "--prompt", "and --prompt-name are two prompts; give one");
  }
  EncodeOptions out;
  out.prompt_name = flags.prompt_name;
  out.prompt = flags.prompt;
  out.task = flags.task;
  out.dims = flags.dims;
  out.allow_any_dims = flags.allow_any_dims;
  out.normalize = flags.normalize;
  if (!flags.normalize && info.normalizes && (flags.dims == 0 || flags.dims == info.dim)) {
    context.warn(fmt::format(
        "akin: warning: --no-normalize changes nothing: {} ends in a Normalize step of its own",
        info.name));
  }
  out.truncate = flags.truncate;
  const bool chosen = !flags.prompt_name.empty() || flags.prompt.has_value();
  if (side != Side::none) {
    const bool query = side == Side::query;
    if (!chosen) out.prompt_name = side_prompt_name(info, query);
    if (flags.task.empty()) out.task = side_task(info, query);
  } else if (!chosen && flags.task.empty() && !info.prompts.empty() &&
             info.default_prompt_name.empty()) {
    std::vector<std::string> names;
    for (const auto& [name, text] : info.prompts) names.push_back(name);
    context.warn(
        fmt::format("akin: warning: {} has prompts ({}) and none was chosen; use --as query or "
                    "--as document, or --prompt \"\" to say none",
                    info.name, fmt::join(names, ", ")));
  }
  resolve_dims(info, out);
  resolve_prompt(info, out);
  resolve_task(info, out.task);
  return out;
}

SideOptions side_options(EncodeFlags flags, const std::optional<std::string>& query_prompt,
                         const std::optional<std::string>& document_prompt, const EncoderInfo& info,
                         Context& context) {
  flags.truncate = Truncate::right;
  SideOptions out;
  flags.prompt = query_prompt;
  out.query = encode_options(flags, Side::query, info, context);
  flags.prompt = document_prompt;
  out.document = encode_options(flags, Side::document, info, context);
  return out;
}

InputReader::InputReader(std::vector<std::string> files, const InputOptions& options,
                         const Context& context)
    : options_(options) {
  if (files.empty()) {
    if (context.interactive() || ::isatty(STDIN_FILENO) != 0) {
      throw_error(ErrorKind::usage, "input", "none given; name files, - for stdin, or --text TEXT");
    }
    files.emplace_back("-");
  }
  files_ = std::move(files);
  bool unknown_size = false;
  for (const auto& file : files_) {
    std::error_code error;
    if (file == "-") continue;
    if (!fs::exists(file, error)) throw_error(ErrorKind::not_found, file, "no such file or folder");
    const bool plain = fs::is_regular_file(file, error);
    const auto size = plain ? fs::file_size(file, error) : 0;
    bytes_total_ += error ? 0 : size;
    unknown_size = unknown_size || !plain;
  }
  if (unknown_size || files_.front() == "-" || files_.back() == "-") bytes_total_ = 0;
}

bool InputReader::next(InputText& text) {
  while (true) {
    if (!source_) {
      if (next_file_ == files_.size()) return false;
      file_ = files_[next_file_++];
      std::error_code error;
      folder_ = file_ != "-" && fs::is_directory(file_, error) ? file_ : std::string();
      store::TextSourceOptions options;
      options.format = options_.input_format;
      options.fields = options_.field;
      options.id_field = options_.id_field;
      options.skip_bad_rows = options_.skip_bad_rows;
      source_ = store::open_text_source(file_, options);
    }
    if (source_->next(row_)) {
      if (!folder_.empty()) file_ = (fs::path(folder_) / row_.id).string();
      text.whole_file = !folder_.empty();
      text.line = row_.line;
      text.id = std::move(row_.id);
      text.text = row_.values.empty() ? std::string() : std::move(row_.values[0]);
      for (size_t i = 1; i < row_.values.size(); ++i) {
        if (!text.text.empty() && !row_.values[i].empty()) text.text += ' ';
        text.text += row_.values[i];
      }
      return true;
    }
    bad_rows_ += source_->bad_rows();
    bytes_done_ += source_->bytes_read();
    source_.reset();
  }
}

void check_no_input(const std::string& flag, const std::string& out,
                    std::span<const std::string> inputs) {
  std::error_code error;  // of a file that is not there
  for (const auto& input : inputs) {
    if (out != "-" && input != "-" && fs::equivalent(out, input, error)) {
      throw_error(ErrorKind::usage, flag, "{} is an input, too; name another file", quote(out));
    }
  }
}

uint64_t InputReader::bad_rows() const { return bad_rows_ + (source_ ? source_->bad_rows() : 0); }
uint64_t InputReader::bytes_read() const {
  return bytes_done_ + (source_ ? source_->bytes_read() : 0);
}

Error with_place(const Error& error, const std::function<std::string(size_t)>& place) {
  constexpr std::string_view kPrefix = "input ";
  const std::string_view where = error.where();
  size_t index = 0;
  if (!where.starts_with(kPrefix)) return error;
  const auto [end, failed] =
      std::from_chars(where.data() + kPrefix.size(), where.data() + where.size(), index);
  if (failed != std::errc() || end != where.data() + where.size()) return error;
  return {error.kind(), error.message(), place(index)};
}

std::string speed_words(uint64_t texts, uint64_t tokens, double seconds) {
  const double safe = std::max(seconds, 1e-9);
  std::string out = fmt::format("{} texts", thousands(texts));
  if (tokens > 0) out += fmt::format(", {} tokens", thousands(tokens));
  out += fmt::format(" in {:.{}f} s: {} texts/s", seconds, seconds < 1 ? 3 : 1,
                     rate(static_cast<double>(texts) / safe));
  if (tokens > 0) out += fmt::format(", {} tokens/s", rate(static_cast<double>(tokens) / safe));
  return out;
}

}  // namespace akin::cli
