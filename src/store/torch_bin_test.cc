// pytorch_model.bin: files written by PyTorch (testdata/, made by tools/make_torch_fixture.py) and
// hostile archives and pickles built here.

#include <cstring>

#include "store/safetensors.h"
#include "store/tensor_files_builder.h"
#include "store/test_files.h"

namespace akin::store {
namespace {

using std::string_literals::operator""s;

std::string le(uint64_t value, size_t bytes) {
  std::string out;
  for (size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

struct ZipOptions {
  uint16_t method = 0, flags = 0;
  bool zip64 = false;
};

// A small zip of stored entries; zip64 puts sizes and offsets into the extra fields.
std::string make_zip(const std::vector<std::pair<std::string, std::string>>& files,
                     const ZipOptions& options = {}) {
  std::string out, directory;
  for (const auto& [name, data] : files) {
    const uint64_t offset = out.size();
    const std::string sizes = le(data.size(), 4) + le(data.size(), 4);
    out += "PK\3\4" + le(20, 2) + le(options.flags, 2) + le(options.method, 2) + le(0, 8) + sizes +
           le(name.size(), 2) + le(0, 2) + name + data;
    const std::string extra = options.zip64 ? le(1, 2) + le(24, 2) + le(data.size(), 8) +
                                                  le(data.size(), 8) + le(offset, 8)
                                            : "";
    directory += "PK\1\2" + le(20, 2) + le(20, 2) + le(options.flags, 2) + le(options.method, 2) +
                 le(0, 8) + (options.zip64 ? std::string(8, '\xFF') : sizes) + le(name.size(), 2) +
                 le(extra.size(), 2) + le(0, 2) + le(0, 8) +
                 (options.zip64 ? std::string(4, '\xFF') : le(offset, 4)) + name + extra;
  }
  const uint64_t start = out.size();
  out += directory;
  if (options.zip64) {
    const uint64_t record = out.size();
    out += "PK\6\6" + le(44, 8) + le(20, 2) + le(20, 2) + le(0, 8) + le(files.size(), 8) +
           le(files.size(), 8) + le(directory.size(), 8) + le(start, 8);
    out += "PK\6\7" + le(0, 4) + le(record, 8) + le(1, 4);
    return out + "PK\5\6" + le(0, 4) + le(0xFFFF, 2) + le(0xFFFF, 2) + std::string(8, '\xFF') +
           le(0, 2);
  }
  return out + "PK\5\6" + le(0, 4) + le(files.size(), 2) + le(files.size(), 2) +
         le(directory.size(), 4) + le(start, 4) + le(0, 2);
}

std::string str(std::string_view text) { return "X" + le(text.size(), 4) + std::string(text); }
std::string num(int64_t value) { return "J" + le(static_cast<uint64_t>(value), 4); }
std::string tuple(const std::vector<int64_t>& values) {
  std::string out = "(";
  for (const int64_t v : values) out += num(v);
  return out + "t";
}
std::string storage(int64_t elements, std::string_view type = "FloatStorage",
                    std::string_view key = "0") {
  return "(" + str("storage") + "ctorch\n" + std::string(type) + "\n" + str(key) + str("cpu") +
         num(elements) + "tQ";
}
std::string tensor(int64_t elements, int64_t offset, const std::vector<int64_t>& shape,
                   const std::vector<int64_t>& strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage(elements) + num(offset) + tuple(shape) +
         tuple(strides) + "\x89" + "ccollections\nOrderedDict\n)RtR";
}
std::string dict_of(const std::string& value) { return "\x80\x02}" + str("w") + value + "s."; }

TensorFilesBuilder parse(const std::string& bytes) {
  TensorFilesBuilder builder;
  parse_torch_bin(std::as_bytes(std::span(bytes)), "m.bin", builder);
  return builder;
}
std::string archive(const std::string& pickle, size_t data_bytes = 16) {
  return make_zip({{"a/data.pkl", pickle}, {"a/data/0", std::string(data_bytes, '\0')}});
}
void expect_refused(ErrorKind kind, std::string_view part, const std::string& pickle) {
  expect_error(kind, part, [&] { parse(archive(pickle)); });
}

const std::filesystem::path kData = "src/store/testdata";

TEST(TorchBin, ReadsAStateDictOfPyTorch) {
  const TensorFiles files = TensorFiles::open_torch_bin(kData / "state_dict.bin");
  ASSERT_EQ(files.tensors().size(), 4U);
  EXPECT_EQ(files.tensors().at("0.weight").shape_string(), "[2, 3]");
  EXPECT_EQ(tensor_to_f32(files.tensors().at("0.weight")), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(tensor_to_f32(files.tensors().at("1.bias")), (std::vector<float>{30, 31}));
}

TEST(TorchBin, ReadsViewsAndDtypes) {
  const TensorFiles files = TensorFiles::open_torch_bin(kData / "views.bin");
  const auto values = [&](const char* name) { return tensor_to_f32(files.tensors().at(name)); };
  EXPECT_EQ(files.tensors().size(), 13U);
  EXPECT_EQ(files.tensors().at("transposed").shape_string(), "[6, 4]");
  EXPECT_EQ(values("transposed")[1], 6);
  EXPECT_EQ(values("transposed")[23], 23);
  EXPECT_EQ(values("slice"), (std::vector<float>{8, 9, 10, 14, 15, 16}));
  EXPECT_EQ(values("row"), (std::vector<float>{12, 13, 14, 15, 16, 17}));
  EXPECT_EQ(values("expanded"), (std::vector<float>{0, 1, 2, 3, 4}));
  EXPECT_EQ(values("half"), (std::vector<float>{1.5F, -2}));
  EXPECT_EQ(values("bfloat16"), (std::vector<float>{1.5F, -2}));
  EXPECT_EQ(values("double"), std::vector<float>{0.25F});
  EXPECT_EQ(values("int8"), (std::vector<float>{-3, 4}));
  EXPECT_EQ(values("bool"), (std::vector<float>{1, 0}));
  EXPECT_EQ(files.tensors().at("scalar").shape_string(), "[]");
  EXPECT_EQ(tensor_int_at(files.tensors().at("scalar"), 0), 7);
  EXPECT_EQ(files.tensors().at("empty").shape_string(), "[0, 3]");
  EXPECT_EQ(values("parameter"), (std::vector<float>{1, 1}));
}

TEST(TorchBin, FindsTheStateDictOfACheckpoint) {
  EXPECT_EQ(TensorFiles::open_torch_bin(kData / "checkpoint.bin").tensors().count("w"), 1U);
}

TEST(TorchBin, NamesForeignObjectsAndTheLegacyForm) {
  expect_error(ErrorKind::unsupported,
               "(found: ", [] { TensorFiles::open_torch_bin(kData / "foreign.bin"); });
  expect_error(ErrorKind::unsupported, "before 1.6",
               [] { TensorFiles::open_torch_bin(kData / "legacy.bin"); });
  TempFolder folder;
  std::filesystem::copy_file(kData / "foreign.bin", folder / "pytorch_model.bin");
  const Error error = error_of([&] { TensorFiles::open_folder(folder.path()); });
  EXPECT_EQ(error.kind(), ErrorKind::unsupported);
  const std::string expected =
      "model.safetensors not found in " + folder.path().string() +
      " (looked for: model.safetensors, model.safetensors.index.json, pytorch_model.bin).\n"
      "pytorch_model.bin exists but holds Python objects besides tensors (found: ";
  EXPECT_EQ(std::string(error.what()).substr(0, expected.size()), expected);
}

TEST(TorchBin, ReadsWrittenArchives) {
  const std::string pickle = dict_of(tensor(4, 1, {3}, {1}));
  EXPECT_EQ(parse(archive(pickle)).tensors().at("w").bytes.size(), 12U);
  const auto zip64 =
      make_zip({{"a/data.pkl", pickle}, {"a/data/0", std::string(16, '\0')}}, {.zip64 = true});
  EXPECT_EQ(parse(zip64).tensors().at("w").bytes.size(), 12U);
}

TEST(TorchBin, NeverRunsAnything) {
  using enum ErrorKind;
  expect_refused(unsupported, "(found: posix.system)",
                 "\x80\x02"s + "cposix\nsystem\n" + str("touch x") + "\x85R.");
  expect_refused(unsupported, "(found: builtins.eval)",
                 "\x80\x04"s + str("builtins") + str("eval") + "\x93.");
  expect_refused(unsupported, "opcode 0x69", "\x80\x02"s + "(ios\nsystem\n.");
  expect_refused(unsupported, "opcode 0x82", "\x80\x02\x82\x01.");  // copyreg extension
  expect_refused(unsupported, "opcode 0x50", "\x80\x02Pfoo\n.");
  expect_refused(unsupported, "a\\x1b[31m.x", "\x80\x02"s + "ca\x1b[31m\nx\n.");
  expect_refused(bad_format, "calls something that is no function", "\x80\x02"s + num(1) + ")R.");
  expect_refused(bad_format, "calls a storage type", "\x80\x02"s + "ctorch\nFloatStorage\n)R.");
  expect_refused(bad_format, "attributes of no dict", "\x80\x02]}b.");
}

TEST(TorchBin, RefusesBrokenPickles) {
  using enum ErrorKind;
  expect_refused(bad_format, "cut", "\x80\x02");
  expect_refused(bad_format, "cut", "\x80\x02X\xff\xff\xff\x7f"s + "abc");
  expect_refused(bad_format, "cut", "\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.");
  expect_refused(bad_format, "frame longer", "\x80\x04\x95\xff\0\0\0\0\0\0\0."s);
  expect_refused(bad_format, "empty stack", "\x80\x02.");
  expect_refused(bad_format, "empty stack", "\x80\x02N(\x85.");  // does not reach below the mark
  expect_refused(bad_format, "no mark", "\x80\x02t.");
  expect_refused(bad_format, "protocol 9", "\x80\x09.");
  expect_refused(bad_format, "memo 7", "\x80\x02h\x07.");
  expect_refused(bad_format, "holds none", "\x80\x02NNa.");
  expect_refused(bad_format, "key without a value", "\x80\x02}(Nu.");
  expect_refused(bad_format, "nests deeper", "\x80\x02" + std::string(20'000, '('));
  expect_refused(bad_format, "more than", "\x80\x02" + std::string(3'000'000, 'N'));
  expect_refused(bad_format, "piles up", "\x80\x02N" + std::string(9'000'000, '2'));
  expect_refused(bad_format, "persistent id", "\x80\x02" + tuple({1, 2, 3, 4, 5}) + "Q.");
  expect_refused(unsupported, "no dict of tensors", "\x80\x02N.");
  // A list that holds itself, and a memo that doubles: neither may hang.
  expect_refused(unsupported, "no dict", "\x80\x02]q\0h\0ah\0."s);
  std::string bomb = "\x80\x02]q\0"s;
  for (int i = 0; i < 100; ++i) bomb += "]q\1(h\0h\0eq\0"s;
  expect_refused(unsupported, "no dict", bomb + ".");
}

TEST(TorchBin, RefusesLyingTensors) {
  using enum ErrorKind;
  expect_refused(bad_format, "the archive has 16 bytes", dict_of(tensor(5, 0, {5}, {1})));
  expect_refused(bad_format, "more than its storage of 4", dict_of(tensor(4, 0, {5}, {1})));
  expect_refused(bad_format, "more than its storage of 4", dict_of(tensor(4, 2, {3}, {1})));
  expect_refused(bad_format, "more than its storage of 4", dict_of(tensor(4, 0, {2}, {4})));
  expect_refused(bad_format, "more than its storage", dict_of(tensor(4, 0, {2147483647}, {0})));
  expect_refused(bad_format, "expected both >= 0", dict_of(tensor(4, 3, {2}, {-1})));
  expect_refused(bad_format, "offset -1", dict_of(tensor(4, -1, {1}, {1})));
  expect_refused(bad_format, "2 sizes, 1 strides", dict_of(tensor(4, 0, {2, 2}, {2})));
  expect_refused(bad_format, "behind the end", dict_of(tensor(4, 4, {}, {})));
  const std::string missing =
      dict_of("ctorch._utils\n_rebuild_tensor_v2\n(" + storage(4, "FloatStorage", "../0") + num(0) +
              tuple({4}) + tuple({1}) + "\x89" + "}tR");
  expect_refused(bad_format, "\"../0\", which the archive lacks", missing);
  expect_refused(unsupported, "torch.ComplexFloatStorage",
                 dict_of(storage(4, "ComplexFloatStorage")));
}

TEST(TorchBin, RefusesBrokenArchives) {
  const std::string good = archive(dict_of(tensor(4, 0, {4}, {1})));
  using enum ErrorKind;
  const auto expect_bytes = [](ErrorKind kind, std::string_view part, const std::string& bytes) {
    expect_error(kind, part, [&] { parse(bytes); });
  };
  expect_bytes(bad_format, "expected a zip archive", "");
  expect_bytes(bad_format, "Git LFS pointer", "version https://git-lfs");
  expect_bytes(bad_format, "cut short", good.substr(0, good.size() - 8));
  expect_bytes(unsupported, "compressed", make_zip({{"a/data.pkl", "."}}, {.method = 8}));
  expect_bytes(unsupported, "encrypted", make_zip({{"a/data.pkl", "."}}, {.flags = 1}));
  expect_bytes(bad_format, "no <name>/data.pkl", make_zip({{"x", "y"}}));
  expect_bytes(bad_format, "twice", make_zip({{"a/data.pkl", "."}, {"a/data.pkl", "."}}));
  expect_bytes(unsupported, "TorchScript",
               make_zip({{"a/constants.pkl", "."}, {"a/data.pkl", "."}}));
  expect_bytes(unsupported, "byte order", make_zip({{"a/byteorder", "big"}, {"a/data.pkl", "."}}));
  std::string lying = good;
  lying.replace(lying.size() - 6, 4, le(0x7FFFFFFF, 4));  // directory offset
  expect_bytes(bad_format, "the central directory lies at", lying);
  lying = good;
  lying.replace(lying.size() - 12, 2, le(60000, 2));  // entries
  expect_bytes(bad_format, "60000 entries", lying);
  for (size_t cut = 0; cut < good.size(); ++cut) {  // every truncation is an error, none a crash
    EXPECT_THROW(parse(good.substr(0, cut)), Error);
  }
}

}  // namespace
}  // namespace akin::store
