// The public C++ class over the engine. Translates types and errors, nothing else.
#include "akin/encoder.h"

#include <algorithm>
#include <new>

#include "base/error.h"
#include "core/encoder.h"
#include "engine/cpu_encoder.h"
#include "model/model.h"

namespace akin::api {
namespace {

// Runs f; what it throws becomes an api::Error.
template <typename F>
auto translate(F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const akin::Error& error) {
    throw Error(static_cast<ErrorKind>(static_cast<int>(error.kind()) + 1), error.what());
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::io, "out of memory");
  } catch (const std::exception& error) {
    throw Error(ErrorKind::internal, error.what());
  }
}
static_assert(static_cast<int>(akin::ErrorKind::usage) + 1 == static_cast<int>(ErrorKind::usage));
static_assert(static_cast<int>(akin::ErrorKind::internal) + 1 ==
              static_cast<int>(ErrorKind::internal));

akin::EncodeOptions inner_options(const EncodeOptions& options) {
  akin::EncodeOptions out;
  out.prompt_name = options.prompt_name;
  out.prompt = options.prompt;
  out.task = options.task;
  out.dims = options.dims;
  out.allow_any_dims = options.allow_any_dims;
  out.normalize = options.normalize;
  out.truncate = static_cast<akin::Truncate>(options.truncate);
  return out;
}

Info outer_info(const EncoderInfo& info) {
  Info out;
  out.name = info.name;
  out.family = info.family;
  out.fingerprint = info.fingerprint;
  out.pooling = info.pooling;
  out.similarity = info.similarity;
  out.dims = info.dim;
  out.max_tokens = info.max_tokens;
  out.parameters = info.parameters;
  out.prompts = info.prompts;
  out.tasks = info.tasks;
  out.matryoshka_dims = info.matryoshka_dims;
  return out;
}

}  // namespace

struct Encoder::Impl {
  std::unique_ptr<akin::Encoder> encoder;
  Info info;
};

Encoder::Encoder(const std::string& folder, const OpenOptions& options)
    : impl_(std::make_unique<Impl>()) {
  translate([&] {
    engine::CpuOptions cpu;
    cpu.threads = options.threads;
    cpu.precision = static_cast<akin::Precision>(options.precision);
    impl_->encoder = engine::make_cpu_encoder(model::load_model(folder), cpu);
    impl_->info = outer_info(impl_->encoder->info());
  });
}
Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder& Encoder::operator=(Encoder&&) noexcept = default;

const Info& Encoder::info() const { return impl_->info; }

Report Encoder::encode(std::span<const std::string_view> texts, const EncodeOptions& options,
                       std::span<float> out) {
  return translate([&] {
    const auto inner = inner_options(options);
    const size_t dims = resolve_dims(impl_->encoder->info(), inner);
    if (out.size() != texts.size() * dims) {
      throw_error(akin::ErrorKind::usage, "out", "room for {} numbers, expected {} texts x {} dims",
                  out.size(), texts.size(), dims);
    }
    auto report =
        impl_->encoder->encode(texts, inner, MatView<float>(out.data(), texts.size(), dims));
    return Report{report.texts, report.tokens, std::move(report.truncated), report.invalid_utf8};
  });
}

std::vector<float> Encoder::encode(const std::vector<std::string>& texts,
                                   const EncodeOptions& options) {
  const size_t dims =
      translate([&] { return resolve_dims(impl_->encoder->info(), inner_options(options)); });
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  std::vector<float> out(texts.size() * dims);
  encode(views, options, out);
  return out;
}

std::vector<std::uint32_t> Encoder::count_tokens(std::span<const std::string_view> texts,
                                                 const EncodeOptions& options) {
  return translate([&] { return impl_->encoder->count_tokens(texts, inner_options(options)); });
}

}  // namespace akin::api
