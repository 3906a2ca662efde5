// safetensors: round trips, every check with its message, shards, and the weights of a folder.
#include "store/safetensors.h"

#include <cstring>

#include "store/tensor_files_builder.h"
#include "store/test_files.h"

namespace akin::store {
namespace {

std::string with_header(std::string_view header, std::string_view buffer) {
  std::string out(8, '\0');
  for (size_t i = 0; i < 8; ++i) out[i] = static_cast<char>((header.size() >> (8 * i)) & 0xFF);
  return out.append(header).append(buffer);
}

TensorFiles open_bytes(const std::string& bytes) {
  TempFolder folder;
  return TensorFiles::open_safetensors(folder.put("model.safetensors", bytes));
}

void expect_bad(std::string_view part, std::string_view header, size_t buffer_size,
                ErrorKind kind = ErrorKind::bad_format) {
  expect_error(kind, part, [&] { open_bytes(with_header(header, std::string(buffer_size, 'x'))); });
}

template <typename T>
Tensor tensor_of(DType dtype, std::vector<int64_t> shape, const std::vector<T>& values) {
  return {dtype, std::move(shape), std::as_bytes(std::span(values))};
}

TEST(Safetensors, RoundTrip) {
  const std::vector<float> weights = {1.5F, -2, 3, 4, 5, 6};
  const std::vector<int64_t> ids = {7, 8};
  const std::vector<uint16_t> halves = {0x3C00, 0xC000};
  const std::vector<uint8_t> none;
  TempFolder folder;
  write_safetensors(folder / "a.safetensors",
                    {{"w", tensor_of(DType::f32, {2, 3}, weights)},
                     {"ids", tensor_of(DType::i64, {2}, ids)},
                     {"h", tensor_of(DType::f16, {1, 2}, halves)},
                     {"empty", tensor_of(DType::u8, {0, 4}, none)},
                     {"scalar", tensor_of(DType::f32, {}, std::vector<float>{9.0F})}},
                    {{"made_by", "test"}});
  const TensorFiles files = TensorFiles::open_safetensors(folder / "a.safetensors");
  EXPECT_EQ(files.tensors().size(), 5U);
  EXPECT_EQ(files.metadata().at("format"), "pt");
  EXPECT_EQ(files.metadata().at("made_by"), "test");
  EXPECT_EQ(tensor_to_f32(files.tensors().at("w")), weights);
  EXPECT_EQ(tensor_int_at(files.tensors().at("ids"), 1), 8);
  EXPECT_EQ(tensor_to_f32(files.tensors().at("h")), (std::vector<float>{1, -2}));
  EXPECT_EQ(files.tensors().at("empty").shape_string(), "[0, 4]");
  EXPECT_EQ(tensor_to_f32(files.tensors().at("scalar")), std::vector<float>{9});
  // Large dtypes first, then names; so that every tensor is aligned.
  EXPECT_LT(files.tensors().at("ids").bytes.data(), files.tensors().at("scalar").bytes.data());
  EXPECT_LT(files.tensors().at("scalar").bytes.data(), files.tensors().at("w").bytes.data());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(files.tensors().at("ids").bytes.data()) % 8, 0U);
}

TEST(Safetensors, TensorsOutliveAMove) {
  TempFolder folder;
  const std::vector<float> values = {1, 2};
  write_safetensors(folder / "a", {{"w", tensor_of(DType::f32, {2}, values)}});
  TensorFiles first = TensorFiles::open_safetensors(folder / "a");
  const TensorFiles second = std::move(first);
  EXPECT_EQ(tensor_to_f32(second.tensors().at("w")), values);
}

TEST(Safetensors, RefusesDamagedFiles) {
  expect_error(ErrorKind::not_found, "cannot open",
               [] { TensorFiles::open_safetensors("/nonexistent/model.safetensors"); });
  expect_error(ErrorKind::bad_format, "0 bytes, expected at least 8", [] { open_bytes(""); });
  expect_error(ErrorKind::bad_format, "only 2 follow",
               [] { open_bytes(std::string("\x09\0\0\0\0\0\0\0{}", 10)); });
  expect_error(ErrorKind::bad_format, "expected at most 100000000",
               [] { open_bytes(std::string(16, '\x7f')); });
  expect_error(ErrorKind::bad_format, "git lfs pull",
               [] { open_bytes("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"); });
  expect_bad("expected \"{\"", "[]", 0);
  expect_bad("not valid JSON", "{\"a\":", 0);
  expect_bad("\"dtype\" is missing", R"({"w":{"shape":[1],"data_offsets":[0,4]}})", 4);
  expect_bad("expected an array", R"({"w":{"dtype":"F32","shape":3,"data_offsets":[0,4]}})", 4);
  expect_bad("two offsets", R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4,5]}})", 4);
  expect_bad("an offset >= 0", R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", 4);
  expect_bad("tensor \"w\" lies at bytes [0, 8)",
             R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4);
  expect_bad("lies at bytes [4, 0)", R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})",
             4);
  expect_bad("has dtype \"F33\"", R"({"w":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", 4,
             ErrorKind::unsupported);
}

TEST(Safetensors, RefusesLyingShapesAndLayouts) {
  expect_bad("shape [768, 384] has 4 bytes, expected 1179648",
             R"({"w":{"dtype":"F32","shape":[768,384],"data_offsets":[0,4]}})", 4);
  expect_bad("dimension of -1", R"({"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4);
  expect_bad("more bytes than any file",
             R"({"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0);
  expect_bad("overlaps tensor \"a\"",
             R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
             R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
             8);
  expect_bad("hole before it", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8);
  expect_bad("ends at byte 4 after the header, but the file has 8",
             R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 8);
  expect_bad("tensor \"a\" is in the header twice",
             R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
             R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
             8);
  expect_bad("expected a string", R"({"__metadata__":{"format":1}})", 0);
  expect_bad("\"__metadata__\" twice", R"({"__metadata__":{},"__metadata__":{}})", 0);
}

TEST(Safetensors, ReadsOddDtypesAsOther) {
  const TensorFiles files =
      open_bytes(with_header(R"({"q":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}}   )", "xx"));
  EXPECT_EQ(files.tensors().at("q").dtype, DType::other);
  expect_bad("no whole number of bytes", R"({"q":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}})",
             1);
}

TEST(WeightsFolder, NamesWhatItLookedFor) {
  TempFolder folder;
  const Error error = error_of([&] { TensorFiles::open_folder(folder.path()); });
  EXPECT_EQ(error.kind(), ErrorKind::not_found);
  EXPECT_EQ(std::string(error.what()),
            "model.safetensors not found in " + folder.path().string() +
                " (looked for: model.safetensors, model.safetensors.index.json, "
                "pytorch_model.bin)");
}

TEST(WeightsFolder, ReadsShards) {
  TempFolder folder;
  const std::vector<float> a = {1}, b = {2, 3};
  write_safetensors(folder / "one.safetensors", {{"a", tensor_of(DType::f32, {1}, a)}});
  write_safetensors(folder / "two.safetensors", {{"b", tensor_of(DType::f32, {2}, b)}});
  folder.put("model.safetensors.index.json",
             R"({"metadata":{"total_size":12},
                 "weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  const TensorFiles files = TensorFiles::open_folder(folder.path());
  EXPECT_EQ(files.files().size(), 2U);
  EXPECT_EQ(tensor_to_f32(files.tensors().at("b")), b);
}

TEST(WeightsFolder, RefusesHostileIndexes) {
  TempFolder folder;
  const std::vector<float> a = {1};
  write_safetensors(folder / "one.safetensors", {{"a", tensor_of(DType::f32, {1}, a)}});
  write_safetensors(folder / "two.safetensors",
                    {{"a", tensor_of(DType::f32, {1}, a)}, {"b", tensor_of(DType::f32, {1}, a)}});
  const auto expect_index = [&](ErrorKind kind, std::string_view part, std::string_view map) {
    folder.put("model.safetensors.index.json", fmt::format(R"({{"weight_map":{}}})", map));
    expect_error(kind, part, [&] { TensorFiles::open_folder(folder.path()); });
  };
  using enum ErrorKind;
  expect_index(bad_format, "\"../x\", expected a file name in the same", R"({"a":"../x"})");
  expect_index(bad_format, "expected a file name", R"({"a":"/etc/passwd"})");
  expect_index(bad_format, "expected a file name", R"({"a":".."})");
  expect_index(bad_format, "expected a file name", R"({"a":"x\u0000y"})");
  expect_index(not_found, "shards are missing: four, three", R"({"a":"three","b":"four"})");
  expect_index(bad_format, "mixes two models", R"({"b":"one.safetensors"})");
  expect_index(bad_format, "expected each name in one file",
               R"({"a":"one.safetensors","b":"two.safetensors"})");
  expect_index(bad_format, "expected an object", R"([1])");
}

TEST(Safetensors, ReadsRealFiles) {
  const std::filesystem::path path =
      "../shared/data/weights_model2vec_bge_base_en/test-model-vocab-quantized/model.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "skipped: no shared data";
  const TensorFiles files = TensorFiles::open_safetensors(path);
  EXPECT_EQ(files.tensors().at("embeddings").shape.back(), 64);
  EXPECT_EQ(files.tensors().at("weights").dtype, DType::f64);
}

}  // namespace
}  // namespace akin::store
