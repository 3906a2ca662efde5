// What all dialects do alike: hand a parsed request to the service and print its outcome or its
// error in the dialect's shape, words for sides and truncation, limits, headers. Knows no API.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/dialect.h"
#include "serve/dialects/print.h"
#include "serve/json_fields.h"

namespace akin::serve {

using ErrorPrinter = HttpResponse (*)(const Error& error, const HttpRequest& request);

// The request without its body, for printers that run when it is gone.
HttpRequest request_head(const HttpRequest& request);

// A callback for the service: `print` makes the answer from the result; an error, also one that
// `print` throws, is printed by `error`.
template <typename T, typename Print>
std::function<void(Outcome<T>)> answer(const HttpRequest& request, ErrorPrinter error, Reply reply,
                                       Print print) {
  return [head = request_head(request), error, reply = std::move(reply),
          print = std::move(print)](Outcome<T> outcome) {
    HttpResponse response;
    try {
      if (auto* failed = std::get_if<Error>(&outcome)) {
        response = error(*failed, head);
      } else {
        response = print(std::get<T>(outcome));
      }
    } catch (const Error& failed) {
      response = error(failed, head);
    }
    reply(std::move(response));
  };
}

// An error in words for a client: its place in front unless the message names it itself, and
// without advice that is for the command line. `too_long`: what to do about an input over the
// model's limit.
constexpr std::string_view kCutAdvice =
    R"(send "truncate": true to have it cut, which a server with --auto-truncate does unasked)";
std::string error_text(const Error& error, std::string_view too_long = kCutAdvice);

// 200 with a JSON body; x-compute-tokens, which the server's log reads, too; and
// x-akin-truncated-inputs when something was cut, x-akin-empty-inputs when something had no token.
HttpResponse json_response(std::string body, const Usage& usage = {});

// true: cut at the end; false: refuse; absent: as the server says.
std::optional<Truncate> truncate_of(std::optional<bool> flag);

// Every API's words for which side a text is on. Errors: usage at `path`.
Side side_from_word(std::string_view word, std::string_view path);

// "input_type", "task" (Jina's "retrieval.query", ... and the model's own) and "prompt_name", which
// every embedding API takes here: side, adapter and prompt of a request whose model is known
// already. A prompt that bears an adapter's name chooses it, too, where no task is given. Absent
// fields change nothing. Errors: usage naming the field and what is known; not_found, the model.
void read_prompting(const Service& service, const BodyObject& body, EmbedRequest& request);

VectorForm form_from_word(std::string_view word);  // AKIN_CHECKs that the word is one of ours

// Cuts texts to so many tokens of the model (special ones not counted) on the given side; returns
// how many were cut.
size_t cut_texts(const Service& service, const std::string& model, size_t max_tokens, Truncate side,
                 std::vector<std::string>& texts);

// Numbers of documents, best score first (equal scores: in order), at most top_n of them.
std::vector<size_t> rank(std::span<const float> scores, std::optional<size_t> top_n);

// "count > limit" as TEI says it. Errors: usage.
void check_batch(size_t inputs, size_t limit, std::string_view path);
// The same for --max-client-batch, which the refusal names; of APIs that have no number themselves:
// it, but never under `at_least`.
void check_client_batch(const Service& service, size_t inputs, std::string_view path,
                        size_t at_least = 0);
// " (--max-client-batch)" where the flag and not the API's own number set `limit`, else nothing.
std::string_view batch_limit_name(size_t limit, size_t own);

// The model's limit for APIs that have no word for none: then as many as a request has bytes.
size_t most_tokens(const Service& service, const EncoderInfo& info);

// {"object": ..., } pieces: `,"name":` with the comma left out after an opening brace.
void append_key(std::string& out, std::string_view name);

}  // namespace akin::serve
