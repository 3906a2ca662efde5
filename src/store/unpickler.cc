// See unpickler.h. Opcodes as CPython's pickletools describes them; allowed calls are those that
// torch.save (zip format) writes for tensors and parameters.
#include "store/unpickler.h"

#include <unordered_map>

#include "base/error.h"
#include "store/pickle_opcodes.h"

namespace akin::store {
namespace {

constexpr size_t kMaxPickleBytes = size_t{64} << 20;
constexpr size_t kMaxValues = size_t{2} << 20;
constexpr size_t kMaxStack = size_t{8} << 20;
constexpr size_t kMaxMarks = 10'000;
constexpr size_t kMaxArguments = 16;
constexpr size_t kMaxDimensions = 32;

class Unpickler {
 public:
  Unpickler(std::span<const std::byte> bytes, const std::string& where)
      : bytes_(bytes), where_(where) {}

  Pickle run() {
    if (bytes_.size() > kMaxPickleBytes) {
      fail("is {} bytes, expected at most {}", bytes_.size(), kMaxPickleBytes);
    }
    while (true) {
      const auto op = static_cast<uint8_t>(take(1)[0]);
      if (op == kStop) break;
      step(op);
    }
    out_.root = pop();
    return std::move(out_);
  }

 private:
  using Ref = uint32_t;

  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw_error(ErrorKind::bad_format, where_, "pickle {} (at byte {}); the file is damaged",
                fmt::format(format, std::forward<Args>(args)...), position_);
  }
  [[noreturn]] void refuse(std::string_view found) const {
    throw_error(ErrorKind::unsupported, where_,
                "holds Python objects besides tensors (found: {}); akin reads tensors only and "
                "runs nothing from a pickle. Use a copy of the model with model.safetensors, or "
                "save its state_dict() alone",
                found);
  }

  // --- bytes
  std::string_view take(uint64_t size) {
    if (size > bytes_.size() - position_) fail("is cut: {} more bytes expected", size);
    const auto* p = reinterpret_cast<const char*>(bytes_.data()) + position_;
    position_ += size;
    return {p, static_cast<size_t>(size)};
  }
  uint64_t take_uint(size_t size) {
    const std::string_view raw = take(size);
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      value |= uint64_t{static_cast<unsigned char>(raw[i])} << (8 * i);
    }
    return value;
  }
  std::string_view take_line() {
    const size_t begin = position_;
    while (take(1)[0] != '\n') {
      if (position_ - begin > 4096) fail("has a name of more than 4096 bytes");
    }
    return {reinterpret_cast<const char*>(bytes_.data()) + begin, position_ - begin - 1};
  }

  // --- values and stack
  PickleValue& value(Ref ref) { return out_.values[ref]; }
  Ref add(PickleValue v) {
    if (out_.values.size() >= kMaxValues) fail("has more than {} objects", kMaxValues);
    out_.values.push_back(std::move(v));
    return static_cast<Ref>(out_.values.size() - 1);
  }
  void push(Ref ref) {
    if (stack_.size() >= kMaxStack) fail("piles up more than {} objects", kMaxStack);
    stack_.push_back(ref);
  }
  void push_new(PickleKind kind, int64_t integer = 0, std::string_view text = {}) {
    PickleValue v;
    v.kind = kind;
    v.integer = integer;
    v.text = text;
    push(add(std::move(v)));
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Ref pop() {
    if (stack_.size() <= floor()) fail("takes from an empty stack");
    const Ref ref = stack_.back();
    stack_.pop_back();
    return ref;
  }
  Ref top() const {
    if (stack_.size() <= floor()) fail("takes from an empty stack");
    return stack_.back();
  }
  std::vector<Ref> pop_to_mark() {
    if (marks_.empty()) fail("has no mark");
    std::vector<Ref> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()),
                           stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }
  void push_items(PickleKind kind, std::vector<Ref> items) {
    PickleValue v;
    v.kind = kind;
    v.items = std::move(items);
    push(add(std::move(v)));
  }
  void push_tuple(size_t size) {
    std::vector<Ref> items(size);
    for (size_t i = size; i-- > 0;) items[i] = pop();
    push_items(PickleKind::tuple, std::move(items));
  }
  void extend(PickleKind kind, const std::vector<Ref>& items) {
    PickleValue& target = value(top());
    if (target.kind != kind) fail("adds items to an object that holds none");
    if (kind == PickleKind::dict && items.size() % 2 != 0) fail("has a key without a value");
    target.items.insert(target.items.end(), items.begin(), items.end());
  }
  void put(uint64_t key) {
    if (memo_.size() >= kMaxValues) fail("has more than {} memos", kMaxValues);
    memo_[static_cast<uint32_t>(key)] = top();
  }
  void get(uint64_t key) {
    const auto found = memo_.find(static_cast<uint32_t>(key));
    if (found == memo_.end()) fail("reads memo {}, which was never written", key);
    push(found->second);
  }

  // --- opcodes, in groups
  void step(uint8_t op) {
    if (!step_scalar(op) && !step_container(op) && !step_machine(op)) {
      throw_error(ErrorKind::unsupported, where_,
                  "uses pickle opcode 0x{:02x}, which no file of tensors needs; akin reads "
                  "tensors only and runs nothing from a pickle",
                  op);
    }
  }

  bool step_scalar(uint8_t op) {
    for (const SizedRow& row : kSizedOps) {
      if (row.op != op) continue;
      push_new(row.kind, 0, take(take_uint(row.length_bytes)));
      return true;
    }
    switch (op) {
      case kNone:
        push_new(PickleKind::none);
        return true;
      case kNewTrue:
      case kNewFalse:
        push_new(PickleKind::boolean, op == kNewTrue ? 1 : 0);
        return true;
      case kBinInt1:
      case kBinInt2:
        push_new(PickleKind::integer, static_cast<int64_t>(take_uint(op == kBinInt1 ? 1 : 2)));
        return true;
      case kBinInt:
        push_new(PickleKind::integer, static_cast<int32_t>(take_uint(4)));
        return true;
      case kLong1:
      case kLong4:
        push_long(take(take_uint(op == kLong1 ? 1 : 4)));
        return true;
      case kBinFloat:
        take(8);
        push_new(PickleKind::real);
        return true;
      default:
        return false;
    }
  }

  static PickleKind container_kind(uint8_t op) {
    if (op == kEmptyList || op == kList || op == kAppends) return PickleKind::list;
    if (op == kEmptyDict || op == kSetItems) return PickleKind::dict;
    return op == kTuple ? PickleKind::tuple : PickleKind::set;
  }

  bool step_container(uint8_t op) {
    switch (op) {
      case kEmptyTuple:
        push_tuple(0);
        return true;
      case kTuple1:
      case kTuple2:
      case kTuple3:
        push_tuple(size_t{op} - kTuple1 + 1);
        return true;
      case kEmptyList:
      case kEmptyDict:
      case kEmptySet:
        push_items(container_kind(op), {});
        return true;
      case kTuple:
      case kList:
      case kFrozenSet:
        push_items(container_kind(op), pop_to_mark());
        return true;
      case kAppends:
      case kSetItems:
      case kAddItems:
        extend(container_kind(op), pop_to_mark());
        return true;
      case kDict: {
        const std::vector<Ref> items = pop_to_mark();
        push_items(PickleKind::dict, {});
        extend(PickleKind::dict, items);
        return true;
      }
      case kAppend: {
        const Ref item = pop();
        extend(PickleKind::list, {item});
        return true;
      }
      case kSetItem: {
        const Ref item = pop(), key = pop();
        extend(PickleKind::dict, {key, item});
        return true;
      }
      default:
        return false;
    }
  }

  bool step_machine(uint8_t op) {
    switch (op) {
      case kProto:
        check_protocol(take_uint(1));
        return true;
      case kFrame:
        if (take_uint(8) > bytes_.size() - position_) fail("has a frame longer than itself");
        return true;
      case kMark:
        if (marks_.size() >= kMaxMarks) fail("nests deeper than {} marks", kMaxMarks);
        marks_.push_back(stack_.size());
        return true;
      case kPop:
        if (stack_.size() == floor()) {
          pop_to_mark();
        } else {
          stack_.pop_back();
        }
        return true;
      case kPopMark:
        pop_to_mark();
        return true;
      case kDup:
        push(top());
        return true;
      default:
        return step_memo(op) || step_call(op);
    }
  }

  bool step_memo(uint8_t op) {
    switch (op) {
      case kBinPut:
      case kLongBinPut:
        put(take_uint(op == kBinPut ? 1 : 4));
        return true;
      case kMemoize:
        put(memo_.size());
        return true;
      case kBinGet:
      case kLongBinGet:
        get(take_uint(op == kBinGet ? 1 : 4));
        return true;
      default:
        return false;
    }
  }

  bool step_call(uint8_t op) {
    switch (op) {
      case kGlobal: {
        const std::string_view module = take_line();
        push_global(module, take_line());
        return true;
      }
      case kStackGlobal: {
        const Ref name = pop(), module = pop();
        if (value(name).kind != PickleKind::text || value(module).kind != PickleKind::text) {
          fail("names a global with something that is no string");
        }
        push_global(value(module).text, value(name).text);
        return true;
      }
      case kReduce:
      case kNewObj:
        call();
        return true;
      case kBuild:
        build();
        return true;
      case kBinPersId:
        push_storage();
        return true;
      default:
        return false;
    }
  }

  void check_protocol(uint64_t protocol) {
    if (protocol < 2 || protocol > 5) fail("has protocol {}, expected 2 to 5", protocol);
  }
  void push_long(std::string_view raw) {
    if (raw.size() > 8) return push_new(PickleKind::bytes, 0, raw);
    uint64_t number = 0;
    for (size_t i = 0; i < raw.size(); ++i) {
      number |= uint64_t{static_cast<unsigned char>(raw[i])} << (8 * i);
    }
    const bool negative = !raw.empty() && (static_cast<unsigned char>(raw.back()) & 0x80U) != 0;
    if (negative && raw.size() < 8) number |= ~uint64_t{0} << (8 * raw.size());
    push_new(PickleKind::integer, static_cast<int64_t>(number));
  }
  void push_global(std::string_view module, std::string_view name) {
    for (const GlobalRow& row : kGlobals) {
      if (row.module != module || row.name != name) continue;
      PickleValue v;
      v.kind = PickleKind::global;
      v.global = row.global;
      v.dtype = row.dtype;
      push(add(std::move(v)));
      return;
    }
    const std::string full = quote(fmt::format("{}.{}", module, name), 120);
    refuse(std::string_view(full).substr(1, full.size() - 2));
  }

  // --- calls
  const std::vector<Ref>& tuple_items(Ref ref) {
    if (value(ref).kind != PickleKind::tuple) fail("has arguments that are no tuple");
    return value(ref).items;
  }
  int64_t integer(Ref ref) {
    if (value(ref).kind != PickleKind::integer) fail("has a size that is no integer");
    return value(ref).integer;
  }
  std::vector<int64_t> integers(Ref ref) {
    std::vector<int64_t> out;
    if (tuple_items(ref).size() > kMaxDimensions) {
      fail("has a tensor of more than {} dimensions", kMaxDimensions);
    }
    for (const Ref item : tuple_items(ref)) out.push_back(integer(item));
    return out;
  }

  // A copy, as values may move while a call runs; short, so that repeating it costs little.
  std::vector<Ref> arguments(Ref ref) {
    if (tuple_items(ref).size() > kMaxArguments) {
      fail("calls something with more than {} arguments", kMaxArguments);
    }
    return tuple_items(ref);
  }

  void call() {
    const Ref tuple = pop(), callee = pop();
    if (value(callee).kind != PickleKind::global) fail("calls something that is no function");
    const std::vector<Ref> items = arguments(tuple);
    switch (value(callee).global) {
      case PickleGlobal::ordered_dict:
        return make_dict(items);
      case PickleGlobal::torch_size:
        if (items.size() != 1) fail("builds torch.Size of {} arguments", items.size());
        return push_items(PickleKind::tuple, arguments(items[0]));
      case PickleGlobal::rebuild_tensor:
      case PickleGlobal::rebuild_tensor_v2:
        return make_tensor(items);
      case PickleGlobal::rebuild_parameter:
        if (items.empty() || value(items[0]).kind != PickleKind::tensor) {
          fail("builds a parameter of something that is no tensor");
        }
        return push(items[0]);
      case PickleGlobal::storage_type:
        fail("calls a storage type");
    }
  }

  // OrderedDict() or OrderedDict([[key, value], ...]), as Python 2 wrote it.
  void make_dict(const std::vector<Ref>& given) {
    std::vector<Ref> items;
    if (given.size() > 1) fail("builds an OrderedDict of {} arguments", given.size());
    if (given.size() == 1) {
      if (value(given[0]).kind != PickleKind::list) fail("builds an OrderedDict of no list");
      for (const Ref pair : value(given[0]).items) {
        const std::vector<Ref>& two = value(pair).items;
        if (two.size() != 2) fail("builds an OrderedDict of something that is no pair");
        items.insert(items.end(), two.begin(), two.end());
      }
      budget_ += items.size();
      if (budget_ > kMaxValues) fail("has more than {} objects", kMaxValues);
    }
    push_items(PickleKind::dict, std::move(items));
  }

  void make_tensor(const std::vector<Ref>& given) {
    if (given.size() < 4) fail("builds a tensor of {} arguments", given.size());
    if (value(given[0]).kind != PickleKind::storage) fail("builds a tensor of no storage");
    PickleTensor tensor;
    tensor.storage = given[0];
    tensor.offset = integer(given[1]);
    tensor.shape = integers(given[2]);
    tensor.strides = integers(given[3]);
    out_.tensors.push_back(std::move(tensor));
    push_new(PickleKind::tensor, static_cast<int64_t>(out_.tensors.size() - 1));
  }

  // object.__dict__.update(state), for an OrderedDict only (its _metadata): dropped.
  void build() {
    pop();
    const PickleKind kind = value(top()).kind;
    if (kind != PickleKind::dict && kind != PickleKind::tensor) fail("sets attributes of no dict");
  }

  // ("storage", torch.FloatStorage, key, location, elements)
  void push_storage() {
    const std::vector<Ref> items = arguments(pop());
    if (items.size() < 5 || value(items[0]).kind != PickleKind::text ||
        value(items[0]).text != "storage" || value(items[1]).kind != PickleKind::global ||
        value(items[1]).global != PickleGlobal::storage_type ||
        value(items[2]).kind != PickleKind::text) {
      fail("has a persistent id that is no storage");
    }
    PickleValue v;
    v.kind = PickleKind::storage;
    v.dtype = value(items[1]).dtype;
    v.text = value(items[2]).text;
    v.integer = integer(items[4]);
    push(add(std::move(v)));
  }

  const std::span<const std::byte> bytes_;
  const std::string& where_;
  size_t position_ = 0;
  Pickle out_;
  std::vector<Ref> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, Ref> memo_;
  size_t budget_ = 0;  // items copied by calls, which repeat the same list
};

}  // namespace

Pickle read_pickle(std::span<const std::byte> bytes, const std::string& where) {
  return Unpickler(bytes, where).run();
}

}  // namespace akin::store
