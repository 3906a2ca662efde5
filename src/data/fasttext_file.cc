// See fasttext_file.h.
#include "data/fasttext_file.h"

#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace akin::data {
namespace {

constexpr int32_t kMagic = 793712314, kVersion = 12, kSupervised = 3;
constexpr int64_t kMostRows = int64_t{1} << 31;
constexpr int32_t kMostDims = 4096;
constexpr size_t kCentroids = 256;
constexpr int64_t kMostCount = int64_t{1} << 42;  // so that sums of counts fit

}  // namespace

class FastTextReader {
 public:
  explicit FastTextReader(const std::filesystem::path& path)
      : file_(path),
        rest_(reinterpret_cast<const char*>(file_.bytes().data()), file_.bytes().size()) {}

  FastTextFile read() {
    if (take<int32_t>("the magic number") != kMagic) fail("this is no fastText model");
    if (const auto version = take<int32_t>("the version"); version != kVersion) {
      throw_error(ErrorKind::unsupported, where(), "version {} of fastText's format, expected {}",
                  version, kVersion);
    }
    FastTextFile out;
    read_arguments(out);
    read_dictionary(out);
    const bool quantised = take<uint8_t>("a flag") != 0;
    if (out.pruned && !quantised) fail("its n-grams are pruned but its vectors not quantised");
    out.input = read_matrix(quantised);
    const bool quantised_output = take<uint8_t>("a flag") != 0;
    out.output = read_matrix(quantised && quantised_output);
    check(out);
    return out;
  }

 private:
  std::string where() const { return file_.path().string(); }
  [[noreturn]] void fail(std::string_view what) const {
    throw_error(ErrorKind::bad_format, where(), "{}, at byte {} of {}; get the file again", what,
                file_.bytes().size() - rest_.size(), file_.bytes().size());
  }
  std::string_view bytes(uint64_t size, std::string_view what) {
    if (size > rest_.size()) fail(fmt::format("the file ends inside {}", what));
    const std::string_view out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }
  template <typename T>
  T take(std::string_view what) {
    T out;
    std::memcpy(&out, bytes(sizeof out, what).data(), sizeof out);
    return out;
  }
  template <typename T>
  std::vector<T> take_all(uint64_t count, std::string_view what) {
    if (count > rest_.size() / sizeof(T)) fail(fmt::format("the file ends inside {}", what));
    std::vector<T> out(count);
    const auto from = bytes(count * sizeof(T), what);
    if (count > 0) std::memcpy(out.data(), from.data(), from.size());
    return out;
  }
  int64_t in_range(int64_t value, int64_t least, int64_t most, std::string_view what) const {
    if (value < least || value > most) {
      fail(fmt::format("{} is {}, expected {} to {}", what, value, least, most));
    }
    return value;
  }

  void read_arguments(FastTextFile& out) {
    dims_ = static_cast<size_t>(in_range(take<int32_t>("the arguments"), 1, kMostDims, "dim"));
    bytes(4 * sizeof(int32_t), "the arguments");  // window, epochs, least count, negatives
    out.word_ngrams =
        static_cast<uint32_t>(in_range(take<int32_t>("the arguments"), 0, 100, "wordNgrams"));
    const auto loss = in_range(take<int32_t>("the arguments"), 1, 4, "loss");
    out.loss = static_cast<FastTextLoss>(loss);
    if (take<int32_t>("the arguments") != kSupervised) {
      throw_error(
          ErrorKind::unsupported, where(),
          "holds word vectors and no classifier; a language model such as lid.176 is needed");
    }
    out.bucket =
        static_cast<uint32_t>(in_range(take<int32_t>("the arguments"), 0, INT32_MAX, "bucket"));
    out.min_chars = static_cast<uint32_t>(in_range(take<int32_t>("the arguments"), 0, 100, "minn"));
    out.max_chars = static_cast<uint32_t>(in_range(take<int32_t>("the arguments"), 0, 100, "maxn"));
    bytes(sizeof(int32_t) + sizeof(double), "the arguments");  // update rate, sampling
  }

  void read_dictionary(FastTextFile& out) {
    const auto size =
        in_range(take<int32_t>("the dictionary"), 1, INT32_MAX, "the dictionary's size");
    const auto words = in_range(take<int32_t>("the dictionary"), 0, size, "the number of words");
    const auto labels =
        in_range(take<int32_t>("the dictionary"), 1, 1 << 20, "the number of labels");
    if (words + labels != size) fail("words and labels do not make up the dictionary");
    take<int64_t>("the dictionary");  // tokens seen
    const auto pruned = in_range(take<int64_t>("the dictionary"), -1, kMostRows, "pruned n-grams");
    for (int64_t i = 0; i < size; ++i) read_entry(i < words, static_cast<uint32_t>(i), out);
    out.word_count = static_cast<uint32_t>(words);
    out.pruned = pruned >= 0;
    for (int64_t i = 0; i < pruned; ++i) {
      const auto from = take<int32_t>("the pruned n-grams"),
                 to = take<int32_t>("the pruned n-grams");
      in_range(to, 0, pruned - 1, "a pruned n-gram's row");
      out.kept.add(uint64_t{static_cast<uint32_t>(from)} + 1, static_cast<uint32_t>(to));
    }
    kept_rows_ = static_cast<uint64_t>(pruned < 0 ? out.bucket : pruned);
  }

  void read_entry(bool word, uint32_t number, FastTextFile& out) {
    const size_t end = rest_.find('\0');
    if (end == std::string_view::npos) fail("the file ends inside the dictionary");
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    const auto count = take<int64_t>("the dictionary");
    const bool is_label = take<uint8_t>("the dictionary") != 0;
    if (is_label == word) fail("words and labels are mixed in the dictionary");
    if (word) {
      out.words.emplace(std::move(text), number);
      return;
    }
    constexpr std::string_view kPrefix = "__label__";
    if (text.starts_with(kPrefix)) text.erase(0, kPrefix.size());
    out.labels.push_back(std::move(text));
    out.label_counts.push_back(in_range(count, 0, kMostCount, "a label's count"));
  }

  FastTextMatrix read_matrix(bool quantised) {
    FastTextMatrix out;
    const bool norms = quantised && take<uint8_t>("a matrix") != 0;
    out.rows_ = static_cast<size_t>(in_range(take<int64_t>("a matrix"), 1, kMostRows, "rows"));
    const auto dims = static_cast<int64_t>(dims_);
    out.cols_ = static_cast<size_t>(in_range(take<int64_t>("a matrix"), dims, dims, "columns"));
    if (!quantised) {
      out.values_ = take_all<float>(uint64_t{out.rows_} * out.cols_, "a matrix");
      return out;
    }
    const auto size = in_range(take<int32_t>("a matrix"), 1, INT32_MAX, "the size of the codes");
    out.codes_ = take_all<uint8_t>(static_cast<uint64_t>(size), "the codes");
    out.quantizer_ = read_quantizer(out.cols_);
    if (out.codes_.size() != uint64_t{out.rows_} * out.quantizer_.parts) {
      fail(fmt::format("{} codes for {} rows of {} parts", size, out.rows_, out.quantizer_.parts));
    }
    if (norms) {
      out.norm_codes_ = take_all<uint8_t>(out.rows_, "the codes of norms");
      out.norms_ = read_quantizer(1);
    }
    return out;
  }

  FastTextMatrix::Quantizer read_quantizer(size_t dims) {
    const auto most = static_cast<int64_t>(dims);
    in_range(take<int32_t>("a quantiser"), most, most, "a quantiser's dims");
    FastTextMatrix::Quantizer out;
    out.parts = static_cast<size_t>(in_range(take<int32_t>("a quantiser"), 1, most, "parts"));
    out.part_dims =
        static_cast<size_t>(in_range(take<int32_t>("a quantiser"), 1, most, "part dims"));
    out.last_dims = static_cast<size_t>(in_range(take<int32_t>("a quantiser"), 1,
                                                 static_cast<int64_t>(out.part_dims), "last dims"));
    if ((out.parts - 1) * out.part_dims + out.last_dims != dims) {
      fail("a quantiser's parts do not make up its dims");
    }
    out.centroids = take_all<float>(dims * kCentroids, "a quantiser");
    return out;
  }

  void check(const FastTextFile& out) const {
    const uint64_t rows = uint64_t{out.word_count} + kept_rows_;
    if (out.input.rows() != rows) {
      fail(fmt::format("{} vectors for {} words and n-grams", out.input.rows(), rows));
    }
    if (out.output.rows() != out.labels.size()) {
      fail(fmt::format("{} vectors for {} labels", out.output.rows(), out.labels.size()));
    }
    if (!rest_.empty()) fail(fmt::format("{} bytes are left over", rest_.size()));
  }

  MappedFile file_;
  std::string_view rest_;
  size_t dims_ = 0;
  uint64_t kept_rows_ = 0;
};

// Part m of a row is one of 256 centroids; the last part may be shorter.
void FastTextMatrix::add_row(size_t row, std::span<float> out) const {
  AKIN_CHECK(row < rows_ && out.size() == cols_);
  if (codes_.empty()) {
    const float* const values = values_.data() + row * cols_;
    for (size_t i = 0; i < cols_; ++i) out[i] += values[i];
    return;
  }
  const float norm = norm_codes_.empty() ? 1.0F : norms_.centroids[norm_codes_[row]];
  const uint8_t* const codes = codes_.data() + row * quantizer_.parts;
  for (size_t m = 0; m < quantizer_.parts; ++m) {
    const size_t first = m * quantizer_.part_dims;
    const bool last = m + 1 == quantizer_.parts;
    const size_t dims = last ? quantizer_.last_dims : quantizer_.part_dims;
    const float* const centroid =
        quantizer_.centroids.data() + first * kCentroids + codes[m] * dims;
    for (size_t i = 0; i < dims; ++i) out[first + i] += norm * centroid[i];
  }
}

FastTextFile read_fasttext_file(const std::filesystem::path& path) {
  return FastTextReader(path).read();
}

}  // namespace akin::data
