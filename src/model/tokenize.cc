#include "model/tokenize.h"

#include <algorithm>

#include "core/counters.h"
#include "text/prompted.h"
#include "text/truncate.h"

namespace akin::model {
namespace {

constexpr size_t kTextsPerPiece = 64;

}  // namespace

// The tokens of kTextsPerPiece texts.
struct TextTokenizer::Piece {
  std::vector<int32_t> ids;
  std::vector<uint32_t> lengths, prompt_tokens;
  std::vector<int32_t> adapters;
  std::vector<size_t> truncated;
  uint64_t invalid = 0;
};

std::string TextTokenizer::prompt(const EncodeOptions& options, size_t index) const {
  if (!options.prompt && options.prompt_name.empty()) {
    const auto it =
        model_.task_prompts.find(options.tasks.empty() ? options.task : options.tasks[index]);
    if (it != model_.task_prompts.end()) return it->second;
  }
  return resolve_prompt(info_, options);
}

size_t TextTokenizer::append(const std::string& prompt, std::string_view text,
                             std::vector<int32_t>& ids, size_t* replaced) const {
  return text::encode_prompted(*model_.tokenizer, prompt, text, model_.do_lower_case, special(),
                               ids, replaced);
}

// Leading tokens that pooling leaves out: [CLS] and the prompt's, when the model says
// include_prompt = false.
uint32_t TextTokenizer::prompt_tokens(const std::string& prompt) const {
  if (model_.pooling.include_prompt) return 0;
  return text::count_prompt_tokens(*model_.tokenizer, prompt, model_.do_lower_case, special());
}

void TextTokenizer::tokenize_piece(std::span<const std::string_view> texts,
                                   const EncodeOptions& options, size_t begin, bool cut,
                                   Piece& piece) const {
  const size_t prefix = model_.tokenizer->prefix_ids().size(),
               suffix = model_.tokenizer->suffix_ids().size();
  const size_t end = std::min(texts.size(), begin + kTextsPerPiece), limit = model_.max_tokens;
  std::vector<int32_t> ids;
  std::string last_prompt;
  uint32_t last_prompt_tokens = 0;
  for (size_t i = begin; i < end; ++i) {
    ids.clear();
    size_t replaced = 0;
    const std::string chosen = prompt(options, i);
    append(chosen, texts[i], ids, &replaced);
    piece.invalid += replaced > 0 ? 1 : 0;
    if (cut && limit > 0 && ids.size() > limit) {
      if (options.truncate == Truncate::error) {
        throw_error(ErrorKind::too_long, fmt::format("input {}", i),
                    "{} tokens, model limit {}; pass --truncate right (or left) to cut it",
                    ids.size(), limit);
      }
      text::cut_ids(ids, limit, prefix, suffix, options.truncate);
      piece.truncated.push_back(i);
    }
    if (chosen != last_prompt) {
      last_prompt = chosen;
      last_prompt_tokens = prompt_tokens(chosen);
    }
    piece.prompt_tokens.push_back(last_prompt_tokens);
    piece.adapters.push_back(
        resolve_task(info_, options.tasks.empty() ? options.task : options.tasks[i]));
    piece.ids.insert(piece.ids.end(), ids.begin(), ids.end());
    piece.lengths.push_back(static_cast<uint32_t>(ids.size()));
  }
}

TokenBatch TextTokenizer::tokenize(std::span<const std::string_view> texts,
                                   const EncodeOptions& options, ThreadPool& pool,
                                   EncodeReport& report) const {
  if (!options.tasks.empty() && options.tasks.size() != texts.size()) {
    throw_error(ErrorKind::usage, "tasks", "{} given for {} texts; give one per text, or none",
                options.tasks.size(), texts.size());
  }
  std::vector<Piece> pieces((texts.size() + kTextsPerPiece - 1) / kTextsPerPiece);
  const auto work = [&](size_t p, size_t) {
    tokenize_piece(texts, options, p * kTextsPerPiece, true, pieces[p]);
  };
  if (pieces.size() == 1) {
    work(0, 0);
  } else {
    parallel_for(pool, pieces.size(), 1, work);
  }
  TokenBatch batch;
  size_t total = 0;
  for (const Piece& piece : pieces) total += piece.ids.size();
  if (total > UINT32_MAX)
    throw_error(ErrorKind::usage, "", "{} tokens in one call; encode fewer texts at a time", total);
  batch.ids.reserve(total);
  for (const Piece& piece : pieces) {
    batch.ids.insert(batch.ids.end(), piece.ids.begin(), piece.ids.end());
    for (const uint32_t length : piece.lengths)
      batch.offsets.push_back(batch.offsets.back() + length);
    batch.prompt_tokens.insert(batch.prompt_tokens.end(), piece.prompt_tokens.begin(),
                               piece.prompt_tokens.end());
    if (!info_.tasks.empty())
      batch.adapters.insert(batch.adapters.end(), piece.adapters.begin(), piece.adapters.end());
    report.truncated.insert(report.truncated.end(), piece.truncated.begin(), piece.truncated.end());
    report.invalid_utf8 += piece.invalid;
  }
  report.texts += texts.size();
  report.tokens += total;
  if (!report.truncated.empty()) {
    count_event("truncated_texts", report.truncated.size(),
                fmt::format("texts over the model's limit of {} tokens were cut, as asked",
                            model_.max_tokens));
  }
  if (report.invalid_utf8 > 0) {
    count_event("invalid_utf8_texts", report.invalid_utf8,
                "texts with bytes that are not UTF-8 were read with U+FFFD in their place");
  }
  return batch;
}

std::vector<uint32_t> TextTokenizer::count(std::span<const std::string_view> texts,
                                           const EncodeOptions& options, ThreadPool& pool) const {
  std::vector<uint32_t> counts(texts.size());
  parallel_for(pool, (texts.size() + kTextsPerPiece - 1) / kTextsPerPiece, 1,
               [&](size_t p, size_t) {
                 Piece piece;
                 tokenize_piece(texts, options, p * kTextsPerPiece, false, piece);
                 std::copy(piece.lengths.begin(), piece.lengths.end(),
                           counts.begin() + static_cast<ptrdiff_t>(p * kTextsPerPiece));
               });
  return counts;
}

void TextTokenizer::token_offsets(std::string_view text, const EncodeOptions& options,
                                  TokenVectors& vectors) const {
  const std::string chosen = prompt(options, 0);
  const text::Encoding encoding =
      model_.tokenizer->encode_with_offsets(chosen + std::string(text), true);
  const auto shift = static_cast<uint32_t>(chosen.size());
  std::vector<uint32_t> begin = encoding.begin, end = encoding.end;
  size_t first = 0, dropped = begin.size() - std::min(begin.size(), vectors.ids.size());
  if (dropped > 0) {  // the same cut as cut_ids made
    const size_t suffix = model_.tokenizer->suffix_ids().size();
    first = options.truncate == Truncate::left ? model_.tokenizer->prefix_ids().size()
                                               : begin.size() - suffix - dropped;
    const auto cut = [&](std::vector<uint32_t>& v) {
      v.erase(v.begin() + static_cast<ptrdiff_t>(first),
              v.begin() + static_cast<ptrdiff_t>(first + dropped));
    };
    cut(begin);
    cut(end);
  }
  for (size_t i = 0; i < begin.size(); ++i) {
    vectors.begin.push_back(begin[i] > shift ? begin[i] - shift : 0);
    vectors.end.push_back(end[i] > shift ? end[i] - shift : 0);
  }
}

}  // namespace akin::model
