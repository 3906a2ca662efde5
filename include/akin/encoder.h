// Texts to vectors from C++: open a model folder, encode. Only std types; link akin::akin
// (find_package(akin)).
//
//   akin::api::Encoder encoder("./bge-small-en");
//   std::vector<float> vectors = encoder.encode({"hello", "world"});   // [2, encoder.dims()],
//   row-major
//
// In f32 a text's vector does not depend on batch, order or number of threads. Every function may
// be called from several threads at once; every error is an akin::api::Error.
#ifndef AKIN_ENCODER_H_
#define AKIN_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "akin/error.h"
#include "akin/version.h"

#pragma GCC visibility push(default)
namespace akin::api {

enum class Precision { f32, int8 };
// chunk: a text over the limit is read in pieces, and its vector is the mean of theirs.
enum class Truncate { error, right, left, middle, chunk };

struct OpenOptions {
  std::size_t threads = 0;  // 0: every CPU this process may run on
  Precision precision = Precision::f32;
};

struct EncodeOptions {
  std::string prompt_name = {};            // one of info().prompts; empty: the model's default
  std::optional<std::string> prompt = {};  // a literal prompt, wins over prompt_name
  std::string task = {};                   // adapter of the model; empty: none
  std::size_t dims = 0;                    // keep the first `dims` numbers; 0: all
  bool allow_any_dims = false;             // accept dims that the model does not declare
  bool normalize = true;                   // unit length
  Truncate truncate = Truncate::error;     // what to do with a text over info().max_tokens
};

struct Report {
  std::uint64_t texts = 0, tokens = 0;
  std::vector<std::size_t> truncated = {};  // indices of texts that were cut
  std::uint64_t invalid_utf8 = 0;           // texts with bytes read as U+FFFD
};

struct Info {
  std::string name, family, fingerprint, pooling, similarity;
  std::size_t dims = 0, max_tokens = 0;  // max_tokens 0: no limit
  std::uint64_t parameters = 0;
  std::map<std::string, std::string> prompts;
  std::vector<std::string> tasks;
  std::vector<std::size_t> matryoshka_dims;
};

class Encoder {
 public:
  // A sentence-transformers or Hugging Face model folder. Opens no network.
  explicit Encoder(const std::string& folder, const OpenOptions& options = {});
  ~Encoder();
  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;

  const Info& info() const;
  std::size_t dims() const { return info().dims; }

  // Returns [texts, dims], row-major.
  std::vector<float> encode(const std::vector<std::string>& texts,
                            const EncodeOptions& options = {});
  // The same into memory of the caller: out.size() == texts.size() * (options.dims or dims()).
  Report encode(std::span<const std::string_view> texts, const EncodeOptions& options,
                std::span<float> out);
  // Tokens of each text with its prompt, before truncation.
  std::vector<std::uint32_t> count_tokens(std::span<const std::string_view> texts,
                                          const EncodeOptions& options = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace akin::api
#pragma GCC visibility pop

#endif  // AKIN_ENCODER_H_
