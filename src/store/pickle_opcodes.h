// The pickle opcodes and the globals that unpickler.cc knows; every other one is refused. Numbers
// as in CPython's pickletools. Internal to store/.
#pragma once

#include <cstdint>
#include <string_view>

#include "store/unpickler.h"

namespace akin::store {

enum Op : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kNone = 'N',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kBinFloat = 'G',
  kBinUnicode = 'X',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kBinString = 'T',
  kShortBinString = 'U',
  kEmptyList = ']',
  kAppend = 'a',
  kAppends = 'e',
  kList = 'l',
  kEmptyTuple = ')',
  kTuple = 't',
  kEmptyDict = '}',
  kDict = 'd',
  kSetItem = 's',
  kSetItems = 'u',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kGlobal = 'c',
  kReduce = 'R',
  kBuild = 'b',
  kBinPersId = 'Q',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8A,
  kLong4 = 0x8B,
  kShortBinUnicode = 0x8C,
  kBinUnicode8 = 0x8D,
  kBinBytes8 = 0x8E,
  kEmptySet = 0x8F,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

struct GlobalRow {
  std::string_view module, name;
  PickleGlobal global;
  DType dtype;
};
constexpr GlobalRow kGlobals[] = {
    {"collections", "OrderedDict", PickleGlobal::ordered_dict, DType::other},
    {"torch", "Size", PickleGlobal::torch_size, DType::other},
    {"torch._utils", "_rebuild_tensor", PickleGlobal::rebuild_tensor, DType::other},
    {"torch._utils", "_rebuild_tensor_v2", PickleGlobal::rebuild_tensor_v2, DType::other},
    {"torch._utils", "_rebuild_parameter", PickleGlobal::rebuild_parameter, DType::other},
    {"torch", "FloatStorage", PickleGlobal::storage_type, DType::f32},
    {"torch", "HalfStorage", PickleGlobal::storage_type, DType::f16},
    {"torch", "BFloat16Storage", PickleGlobal::storage_type, DType::bf16},
    {"torch", "DoubleStorage", PickleGlobal::storage_type, DType::f64},
    {"torch", "LongStorage", PickleGlobal::storage_type, DType::i64},
    {"torch", "IntStorage", PickleGlobal::storage_type, DType::i32},
    {"torch", "ShortStorage", PickleGlobal::storage_type, DType::i16},
    {"torch", "CharStorage", PickleGlobal::storage_type, DType::i8},
    {"torch", "ByteStorage", PickleGlobal::storage_type, DType::u8},
    {"torch", "BoolStorage", PickleGlobal::storage_type, DType::boolean},
};

// Opcodes that are a length and then as many bytes.
struct SizedRow {
  uint8_t op, length_bytes;
  PickleKind kind;
};
constexpr SizedRow kSizedOps[] = {
    {kShortBinUnicode, 1, PickleKind::text}, {kBinUnicode, 4, PickleKind::text},
    {kBinUnicode8, 8, PickleKind::text},     {kShortBinString, 1, PickleKind::text},
    {kBinString, 4, PickleKind::text},       {kShortBinBytes, 1, PickleKind::bytes},
    {kBinBytes, 4, PickleKind::bytes},       {kBinBytes8, 8, PickleKind::bytes},
};

}  // namespace akin::store
