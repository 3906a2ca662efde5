// Reads the pickle inside a pytorch_model.bin as data: a machine that knows numbers, strings,
// tuples, lists, dicts and the calls that rebuild a tensor, and refuses everything else by name.
// Nothing is imported, nothing is executed. Pickle protocols 2 to 5. Internal to store/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace akin::store {

enum class PickleKind : uint8_t {
  none,
  boolean,
  integer,  // also a long of more than 8 bytes, as PickleValue::text
  real,
  text,   // str
  bytes,  // bytes
  tuple,
  list,
  dict,  // items: key, value, key, value ... as set; a later equal key wins
  set,
  global,
  storage,
  tensor,
};

// What the allowed globals stand for.
enum class PickleGlobal : uint8_t {
  ordered_dict,
  torch_size,
  rebuild_tensor,
  rebuild_tensor_v2,
  rebuild_parameter,
  storage_type,
};

struct PickleValue {
  PickleKind kind = PickleKind::none;
  PickleGlobal global = PickleGlobal::ordered_dict;
  DType dtype = DType::other;   // of a storage type or a storage
  int64_t integer = 0;          // the number; elements of a storage; index of a tensor
  std::string_view text;        // borrowed from the pickle: a string; the key of a storage
  std::vector<uint32_t> items;  // children, as indices into Pickle::values
};

struct PickleTensor {
  uint32_t storage = 0;  // index into Pickle::values
  int64_t offset = 0;    // elements
  std::vector<int64_t> shape, strides;
};

struct Pickle {
  std::vector<PickleValue> values;
  std::vector<PickleTensor> tensors;
  uint32_t root = 0;
};

// Errors: bad_format; unsupported naming the foreign object or opcode. The result borrows strings
// from `bytes`. Memory is bounded by the number of opcodes; there is no recursion.
Pickle read_pickle(std::span<const std::byte> bytes, const std::string& where);

}  // namespace akin::store
