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
  std::vector<uint32_t> entries;  // of each text
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

bool TextTokenizer::fit(std::vector<int32_t>& ids, size_t index, Truncate truncate) const {
  const size_t limit = model_.max_tokens;
  if (!is_over(ids.size())) return false;
  if (truncate == Truncate::error || truncate == Truncate::chunk) {
    throw_error(ErrorKind::too_long, fmt::format("input {}", index),
                "{} tokens, model limit {}; pass --truncate right (or left, middle) to cut it, or "
                "chunk to read it in pieces",
                ids.size(), limit);
  }
  text::cut_ids(ids, limit, model_.tokenizer->prefix_ids().size(),
                model_.tokenizer->suffix_ids().size(), truncate);
  return true;
}

void TextTokenizer::divide(const std::vector<int32_t>& ids, const std::string& prompt, size_t index,
                           Piece& piece) const {
  const size_t suffix = model_.tokenizer->suffix_ids().size(), limit = model_.max_tokens;
  size_t head = model_.tokenizer->prefix_ids().size();
  if (!prompt.empty()) {
    head = text::count_prompt_tokens(*model_.tokenizer, prompt, model_.do_lower_case, special());
  }
  if (head + suffix >= limit) {
    throw_error(ErrorKind::too_long, fmt::format("input {}", index),
                "its prompt and special tokens are {} of the model's limit of {}; nothing is left "
                "for pieces of the text",
                head + suffix, limit);
  }
  const size_t body = ids.size() - head - suffix, room = limit - head - suffix;
  const size_t count = (body + room - 1) / room;
  const auto add = [&](size_t begin, size_t end) {
    piece.ids.insert(piece.ids.end(), ids.begin() + static_cast<ptrdiff_t>(begin),
                     ids.begin() + static_cast<ptrdiff_t>(end));
  };
  for (size_t i = 0; i < count; ++i) {
    const size_t begin = body * i / count, end = body * (i + 1) / count;
    add(0, head);
    add(head + begin, head + end);
    add(ids.size() - suffix, ids.size());
    piece.lengths.push_back(static_cast<uint32_t>(head + end - begin + suffix));
  }
  piece.entries.push_back(static_cast<uint32_t>(count));
}

void TextTokenizer::tokenize_piece(std::span<const std::string_view> texts,
                                   const EncodeOptions& options, size_t begin, bool cut,
                                   Piece& piece) const {
  const size_t end = std::min(texts.size(), begin + kTextsPerPiece);
  std::vector<int32_t> ids;
  std::string last_prompt;
  uint32_t last_prompt_tokens = 0;
  for (size_t i = begin; i < end; ++i) {
    ids.clear();
    size_t replaced = 0;
    const std::string chosen = prompt(options, i);
    append(chosen, texts[i], ids, &replaced);
    piece.invalid += replaced > 0 ? 1 : 0;
    if (cut && options.truncate == Truncate::chunk && is_over(ids.size())) {
      divide(ids, chosen, i, piece);
    } else {
      if (cut && fit(ids, i, options.truncate)) piece.truncated.push_back(i);
      piece.ids.insert(piece.ids.end(), ids.begin(), ids.end());
      piece.lengths.push_back(static_cast<uint32_t>(ids.size()));
      piece.entries.push_back(1);
    }
    if (chosen != last_prompt) {
      last_prompt = chosen;
      last_prompt_tokens = prompt_tokens(chosen);
    }
    piece.prompt_tokens.resize(piece.lengths.size(), last_prompt_tokens);
    piece.adapters.resize(
        piece.lengths.size(),
        resolve_task(info_, options.tasks.empty() ? options.task : options.tasks[i]));
  }
}

TokenBatch TextTokenizer::tokenize(std::span<const std::string_view> texts,
                                   const EncodeOptions& options, ThreadPool& pool,
                                   EncodeReport& report) const {
  const RunPieces run = [&pool](size_t count, const std::function<void(size_t)>& work) {
    if (count == 1) {
      work(0);
    } else {
      parallel_for(pool, count, 1, [&](size_t p, size_t) { work(p); });
    }
  };
  return tokenize(texts, options, run, report);
}

TokenBatch TextTokenizer::tokenize(std::span<const std::string_view> texts,
                                   const EncodeOptions& options, EncodeReport& report) const {
  const RunPieces run = [](size_t count, const std::function<void(size_t)>& work) {
    for (size_t p = 0; p < count; ++p) work(p);
  };
  return tokenize(texts, options, run, report);
}

TokenBatch TextTokenizer::tokenize(std::span<const std::string_view> texts,
                                   const EncodeOptions& options, const RunPieces& run,
                                   EncodeReport& report) const {
  if (!options.tasks.empty() && options.tasks.size() != texts.size()) {
    throw_error(ErrorKind::usage, "tasks", "{} given for {} texts; give one per text, or none",
                options.tasks.size(), texts.size());
  }
  std::vector<Piece> pieces((texts.size() + kTextsPerPiece - 1) / kTextsPerPiece);
  run(pieces.size(),
      [&](size_t p) { tokenize_piece(texts, options, p * kTextsPerPiece, true, pieces[p]); });
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
    batch.pieces.insert(batch.pieces.end(), piece.entries.begin(), piece.entries.end());
  }
  const auto chunked = static_cast<uint64_t>(std::count_if(
      batch.pieces.begin(), batch.pieces.end(), [](uint32_t count) { return count > 1; }));
  if (chunked == 0) batch.pieces.clear();
  report.chunked += chunked;
  report.texts += texts.size();
  report.tokens += total;
  count_report(report);
  return batch;
}

void TextTokenizer::count_report(const EncodeReport& report) const {
  if (!report.truncated.empty()) {
    count_event(
        "truncated_texts", report.truncated.size(),
        fmt::format("texts over the model's limit of {} tokens were cut to it", model_.max_tokens));
  }
  if (report.chunked > 0) {
    count_event("chunked_texts", report.chunked,
                fmt::format("texts over the model's limit of {} tokens were read in pieces and "
                            "their vectors averaged, as asked",
                            model_.max_tokens));
  }
  if (report.invalid_utf8 > 0) {
    count_event("invalid_utf8_texts", report.invalid_utf8,
                "texts with bytes that are not UTF-8 were read with U+FFFD in their place");
  }
}

TokenBatch TextTokenizer::wrap(std::span<const std::span<const int32_t>> ids,
                               bool add_special_tokens, size_t known, const EncodeOptions& options,
                               EncodeReport& report) const {
  const bool wrapped = add_special_tokens && special();
  const int32_t adapter = resolve_task(info_, options.task);
  TokenBatch batch;
  std::vector<int32_t> text;
  for (size_t i = 0; i < ids.size(); ++i) {
    for (const int32_t id : ids[i]) {
      if (id < 0 || static_cast<size_t>(id) >= known) {
        throw_error(ErrorKind::usage, fmt::format("input {}", i),
                    "token id {} is outside the model's vocabulary of {}", id, known);
      }
    }
    text.clear();
    const auto add = [&text](std::span<const int32_t> more) {
      text.insert(text.end(), more.begin(), more.end());
    };
    if (wrapped) add(model_.tokenizer->prefix_ids());
    add(ids[i]);
    if (wrapped) add(model_.tokenizer->suffix_ids());
    if (fit(text, i, options.truncate)) report.truncated.push_back(i);
    batch.ids.insert(batch.ids.end(), text.begin(), text.end());
    batch.offsets.push_back(static_cast<uint32_t>(batch.ids.size()));
  }
  batch.prompt_tokens.assign(ids.size(), 0);
  if (!info_.tasks.empty()) batch.adapters.assign(ids.size(), adapter);
  report.texts += ids.size();
  report.tokens += batch.tokens();
  count_report(report);
  return batch;
}

std::vector<TokenPiece> TextTokenizer::pieces(std::string_view text, std::string_view prompt,
                                              bool add_special_tokens) const {
  const text::Encoding encoding = model_.tokenizer->encode_with_offsets(
      std::string(prompt) + std::string(text), add_special_tokens && special());
  std::vector<TokenPiece> out(encoding.ids.size());
  for (size_t i = 0; i < out.size(); ++i) {
    out[i].id = encoding.ids[i];
    out[i].text = model_.tokenizer->token(encoding.ids[i]);
    out[i].special = encoding.special[i] != 0;
    out[i].begin = encoding.begin[i];
    out[i].end = encoding.end[i];
  }
  return out;
}

std::string TextTokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  for (const int32_t id : ids) {
    if (id < 0 || static_cast<size_t>(id) >= model_.tokenizer->vocab_size()) {
      throw_error(ErrorKind::usage, "ids", "token id {} is outside the vocabulary of {}", id,
                  model_.tokenizer->vocab_size());
    }
  }
  return model_.tokenizer->decode(ids, skip_special_tokens);
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
    first = text::cut_begin(begin.size(), vectors.ids.size(), model_.tokenizer->prefix_ids().size(),
                            model_.tokenizer->suffix_ids().size(), options.truncate);
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
