// The C interface over the C++ one: opaque handle, status codes, the last error per thread.
#include "akin/c_api.h"

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "akin/encoder.h"

struct akin_encoder {
  akin::api::Encoder encoder;
};

namespace {

thread_local std::string last_error;

template <typename F>
akin_status guarded(F&& f) noexcept {
  try {
    f();
    return AKIN_OK;
  } catch (const akin::api::Error& error) {
    last_error = error.what();
    return static_cast<akin_status>(error.kind());
  } catch (const std::bad_alloc&) {
    last_error.clear();  // allocates nothing
    return AKIN_IO;
  } catch (const std::exception& error) {
    last_error = error.what();
    return AKIN_INTERNAL;
  }
}

[[noreturn]] void usage(const char* words) {
  throw akin::api::Error(akin::api::ErrorKind::usage, words);
}

// Copies as much of the caller's struct as both sides know.
template <typename Options>
Options read_options(const Options* options) {
  Options out{};
  if (options == nullptr) return out;
  if (options->size < sizeof(size_t) || options->size > 4096)
    usage("options: set size to sizeof of the struct");
  std::memcpy(&out, options, options->size < sizeof out ? options->size : sizeof out);
  return out;
}

akin::api::EncodeOptions encode_options(const akin_encode_options& options) {
  akin::api::EncodeOptions out;
  if (options.prompt_name != nullptr) out.prompt_name = options.prompt_name;
  if (options.prompt != nullptr) out.prompt = options.prompt;
  if (options.task != nullptr) out.task = options.task;
  out.dims = options.dims;
  out.allow_any_dims = options.allow_any_dims != 0;
  out.normalize = options.raw == 0;
  if (options.truncate < AKIN_TRUNCATE_ERROR || options.truncate > AKIN_TRUNCATE_CHUNK)
    usage("truncate: not a value of akin_truncate");
  out.truncate = static_cast<akin::api::Truncate>(options.truncate);
  return out;
}

}  // namespace

extern "C" {

akin_status akin_open(const char* folder, const akin_open_options* options,
                      akin_encoder** encoder) {
  return guarded([&] {
    if (folder == nullptr || encoder == nullptr)
      usage("akin_open: folder and encoder must not be NULL");
    const auto given = read_options(options);
    if (given.precision != AKIN_F32 && given.precision != AKIN_INT8)
      usage("precision: not a value of akin_precision");
    akin::api::OpenOptions open;
    open.threads = given.threads;
    open.precision = static_cast<akin::api::Precision>(given.precision);
    *encoder = new akin_encoder{akin::api::Encoder(folder, open)};
  });
}

void akin_close(akin_encoder* encoder) { delete encoder; }

akin_status akin_encode(akin_encoder* encoder, const char* const* texts, const size_t* lengths,
                        size_t count, const akin_encode_options* options, float* out,
                        akin_report* report) {
  return guarded([&] {
    if (encoder == nullptr || (count > 0 && (texts == nullptr || out == nullptr))) {
      usage("akin_encode: encoder, texts and out must not be NULL");
    }
    const auto given = encode_options(read_options(options));
    std::vector<std::string_view> views(count);
    for (size_t i = 0; i < count; ++i) {
      if (texts[i] == nullptr) usage("akin_encode: a text is NULL");
      views[i] =
          lengths != nullptr ? std::string_view(texts[i], lengths[i]) : std::string_view(texts[i]);
    }
    const size_t dims = given.dims != 0 ? given.dims : encoder->encoder.dims();
    const auto got = encoder->encoder.encode(views, given, std::span<float>(out, count * dims));
    if (report != nullptr)
      *report = {got.texts, got.tokens, got.truncated.size(), got.invalid_utf8};
  });
}

size_t akin_dims(const akin_encoder* encoder) {
  return encoder == nullptr ? 0 : encoder->encoder.dims();
}

size_t akin_max_tokens(const akin_encoder* encoder) {
  return encoder == nullptr ? 0 : encoder->encoder.info().max_tokens;
}

const char* akin_fingerprint(const akin_encoder* encoder) {
  return encoder == nullptr ? "" : encoder->encoder.info().fingerprint.c_str();
}

const char* akin_last_error(void) { return last_error.c_str(); }

const char* akin_version(void) { return AKIN_VERSION_STRING; }

}  // extern "C"
