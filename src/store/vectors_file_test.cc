// Vectors on disk: what is written reads back, and nothing appears before finish().
#include "store/vectors_file.h"

#include <cstring>
#include <limits>

#include "base/file.h"
#include "base/json.h"
#include "store/test_files.h"

namespace akin::store {
namespace {

Mat<float> sample() {
  Mat<float> m(2, 3);
  const float values[] = {0.1F, -1.0F, 0.25F, 1.0F, 3.4e38F, -0.0F};
  std::copy(std::begin(values), std::end(values), m.data());
  return m;
}

std::string written(const VectorWriterOptions& options, std::vector<std::string> ids = {},
                    std::vector<std::string_view> texts = {}) {
  TempFolder folder;
  const Mat<float> m = sample();
  const auto writer = open_vector_writer(folder / "out", 3, options);
  writer->write(m.view(), ids, texts);
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
  writer->finish();
  return read_file(folder / "out");
}

TEST(VectorsFile, NpyRoundTrip) {
  TempFolder folder;
  const Mat<float> m = sample();
  for (const VectorDType dtype : {VectorDType::f32, VectorDType::f16}) {
    const auto writer =
        open_vector_writer(folder / "a.npy", 3, {.format = VectorFormat::npy, .dtype = dtype});
    writer->write(m.view().row_range(0, 1), {}, {});
    writer->write(m.view().row_range(1, 1), {}, {});
    writer->finish();
    const Mat<float> back = read_npy(folder / "a.npy");
    ASSERT_EQ(back.rows(), 2U);
    ASSERT_EQ(back.cols(), 3U);
    if (dtype == VectorDType::f32) {
      EXPECT_EQ(std::memcmp(back.data(), m.data(), 6 * sizeof(float)), 0);
    } else {
      EXPECT_NEAR(back(0, 0), 0.1F, 1e-4F);
      EXPECT_EQ(back(1, 1), std::numeric_limits<float>::infinity());
    }
  }
  const std::string bytes = read_file(folder / "a.npy");
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\0", 8));
  EXPECT_EQ(bytes[127], '\n');
  EXPECT_NE(bytes.find("'shape': (2, 3)"), std::string::npos);
}

TEST(VectorsFile, NoFileWithoutFinish) {
  TempFolder folder;
  {
    const auto writer = open_vector_writer(folder / "a.npy", 3, {});
    const Mat<float> m = sample();
    writer->write(m.view(), {}, {});
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  expect_error(ErrorKind::usage, "stdout", [] { open_vector_writer("-", 3, {}); });
  expect_error(ErrorKind::io, "cannot create", [] { open_vector_writer("/nonexistent/a", 3, {}); });
}

TEST(VectorsFile, Raw) {
  const auto raw = [](VectorDType dtype) {
    return written({.format = VectorFormat::raw, .dtype = dtype});
  };
  EXPECT_EQ(raw(VectorDType::f32).size(), 24U);
  EXPECT_EQ(raw(VectorDType::f16).size(), 12U);
  EXPECT_EQ(raw(VectorDType::int8), std::string("\x0d\x81\x20\x7f\x7f\x00", 6));
  EXPECT_EQ(raw(VectorDType::binary), std::string("\xa0\xc0", 2));
}

TEST(VectorsFile, Jsonl) {
  EXPECT_EQ(written({.format = VectorFormat::jsonl}),
            "{\"embedding\":[0.1,-1,0.25]}\n{\"embedding\":[1,3.4e+38,-0]}\n");
  EXPECT_EQ(written({.format = VectorFormat::jsonl, .dtype = VectorDType::int8, .with_text = true},
                    {"a", "b\""}, {"x\n", "\xff"}),
            "{\"id\":\"a\",\"text\":\"x\\n\",\"embedding\":[13,-127,32]}\n"
            "{\"id\":\"b\\\"\",\"text\":\"\xEF\xBF\xBD\",\"embedding\":[127,127,0]}\n");
  EXPECT_EQ(written({.format = VectorFormat::jsonl, .dtype = VectorDType::binary}),
            "{\"embedding\":[160]}\n{\"embedding\":[192]}\n");
}

TEST(VectorsFile, JsonlFloatsReadBackExactly) {
  TempFolder folder;
  Mat<float> m(1, 1000);
  uint32_t bits = 1;
  for (size_t i = 0; i < 1000; ++i) {
    bits = bits * 1664525U + 1013904223U;
    const uint32_t finite = bits & 0xBFFFFFFFU;
    std::memcpy(&m(0, i), &finite, 4);
  }
  const auto writer = open_vector_writer(folder / "a", 1000, {.format = VectorFormat::jsonl});
  writer->write(m.view(), {}, {});
  writer->finish();
  const JsonDocument document = JsonDocument::load(folder / "a");
  size_t i = 0;
  for (const JsonValue& value : JsonValue(document).at("embedding").items()) {
    EXPECT_EQ(static_cast<float>(value.as_double()), m(0, i)) << i;
    ++i;
  }
}

TEST(VectorsFile, RefusesBadNpy) {
  TempFolder folder;
  const auto expect_bad = [&](ErrorKind kind, std::string_view part, std::string_view dict,
                              size_t data) {
    std::string bytes("\x93NUMPY\x01\0", 8);
    bytes += static_cast<char>(dict.size());
    bytes += '\0';
    const auto path = folder.put("a.npy", bytes + std::string(dict) + std::string(data, '\0'));
    expect_error(kind, part, [&] { read_npy(path); });
  };
  using enum ErrorKind;
  expect_bad(bad_format, "lacks 'descr'", "{}", 0);
  expect_bad(unsupported, "has dtype \"'<f8'\"", "{'descr': '<f8', 'fortran_order': False}", 0);
  expect_bad(unsupported, "Fortran", "{'descr': '<f4', 'fortran_order': True, 'shape': (1,)}", 4);
  expect_bad(bad_format, "no list of numbers",
             "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 4);
  expect_bad(bad_format, "does not fit the 4 bytes",
             "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 4);
  expect_bad(bad_format, "does not fit",
             "{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 999999999999)}", 4);
  expect_bad(bad_format, "no file can hold",
             "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 4);
  expect_bad(unsupported, "3 dimensions",
             "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1)}", 4);
  expect_error(bad_format, "does not begin", [&] { read_npy(folder.put("b", "hello")); });
  expect_error(bad_format, "cut in its header",
               [&] { read_npy(folder.put("b", std::string("\x93NUMPY\x01\0\xff\xff{}", 12))); });
}

}  // namespace
}  // namespace akin::store
