// The one exception of the code base, and the two checks. Not a logger: see log.h.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace akin {

enum class ErrorKind : uint8_t {
  usage,        // the caller asked for something that makes no sense
  not_found,    // a file, tensor, prompt or task that is not there
  bad_format,   // foreign bytes that break their own format
  unsupported,  // well-formed, but nothing here can do it
  too_long,     // a text over the model's limit, with truncation off
  overloaded,   // a queue is full; try again later
  io,           // the operating system said no (full disk, permission, network)
  device,       // an accelerator failed
  interrupted,  // SIGINT, SIGTERM or SIGHUP; outputs were not renamed into place
  internal,     // a bug in akin
};

// One row per kind: how every edge of the program shows it.
struct ErrorKindInfo {
  std::string_view name;
  int exit_code;                 // 1 failure, 2 usage, 130 interrupted
  int http_status;               // for the server's default dialect
  std::string_view tei_type;     // TEI `error_type`
  std::string_view openai_type;  // OpenAI `type`
};
const ErrorKindInfo& error_kind_info(ErrorKind kind);

// what() is "where: message" (or just the message). The message says what, got, expected, what to
// do.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string message, std::string where = {});
  ErrorKind kind() const { return kind_; }
  const std::string& message() const { return message_; }
  const std::string& where() const {
    return where_;
  }  // a file, flag or request field; may be empty

 private:
  ErrorKind kind_;
  std::string message_;
  std::string where_;
};

// throw_error(ErrorKind::bad_format, path, "tensor \"{}\" is {} bytes, expected {}", ...)
template <typename... Args>
[[noreturn]] void throw_error(ErrorKind kind, std::string_view where,
                              fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...), std::string(where));
}

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

// A short, printable quotation of foreign bytes for a message: escapes control and invalid bytes,
// cuts at max_bytes.
std::string quote(std::string_view bytes, size_t max_bytes = 60);

// The candidate with the smallest edit distance, or empty if none is near. For "did you mean".
std::string_view nearest(std::string_view word, const std::string_view* candidates, size_t count);
// "; did you mean x?", or nothing where none is near.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

// "a, b and 3 more", "none".
std::string list_some(std::span<const std::string> names, size_t most = 12);
// The same of names in quotes.
std::string quote_some(std::span<const std::string> names, size_t most = 24);

}  // namespace akin

// A programmer's mistake: always on, throws ErrorKind::internal. Never used on input.
#define AKIN_CHECK(condition) \
  ((condition) ? void() : ::akin::check_failed(#condition, __FILE__, __LINE__))
#if defined(AKIN_DCHECKS) || !defined(NDEBUG)
#define AKIN_DCHECK(condition) AKIN_CHECK(condition)
#else
#define AKIN_DCHECK(condition) void(sizeof(condition))
#endif
