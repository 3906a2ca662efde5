// Conditions on a document's metadata, as users type them:
//
//   lang = "en" and (year >= 2020 or not tags in ["draft", "old"]) and author.name exists
//
//   condition := field (= | != | < | <= | > | >=) value | field [not] in [value, ...]
//              | field [not] exists
//   and binds closer than or; not and parentheses; words in any case.
//   field: a.b is key b of the object a; `odd name` in backquotes; id is the document's own id
//   unless the metadata has a key of that name. value: "text" or 'text' (\" \' \\ \n \t \uXXXX),
//   a number, true, false, null.
//
// A condition on a list holds when it holds for one of the elements. Values of different types are
// unequal and in no order; text is ordered by its bytes. What is not there equals nothing, null
// too; a != b is exactly not a = b.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace akin::index {

// A parsed filter; evaluation is thread-safe.
class Filter {
 public:
  // Errors: usage, naming the column; at most kMaxDepth parentheses and nots in each other, and
  // kMaxBytes of text.
  explicit Filter(std::string_view text);
  ~Filter();
  Filter(Filter&&) noexcept;
  Filter& operator=(Filter&&) noexcept;

  static constexpr int kMaxDepth = 64;
  static constexpr size_t kMaxBytes = size_t{1} << 20;

  // Evaluates one document after another; not thread-safe, one per thread.
  class Matcher {
   public:
    explicit Matcher(const Filter& filter);
    ~Matcher();
    Matcher(const Matcher&) = delete;
    Matcher& operator=(const Matcher&) = delete;
    // metadata: a JSON object, or empty for none. What is no JSON object is as if empty.
    bool operator()(std::string_view id, std::string_view metadata);

   private:
    struct State;
    std::unique_ptr<State> state_;
  };

 private:
  friend class FilterParser;
  struct Node;
  std::unique_ptr<Node> root_;
};

}  // namespace akin::index
