// Evaluation of a filter over one document's metadata.
#include <simdjson.h>

#include <algorithm>
#include <compare>
#include <string>

#include "base/error.h"
#include "index/filter_node.h"

namespace akin::index {
namespace {

namespace dom = simdjson::dom;

// Exact over integers and doubles: a 64-bit integer fits a long double on x86-64; elsewhere a pair
// is compared as doubles where one of them is a double.
std::partial_ordering order_numbers(dom::element a, const FilterValue& b) {
  const auto against = [&](auto x) -> std::partial_ordering {
    if (const auto* i = std::get_if<int64_t>(&b)) {
      return static_cast<long double>(x) <=> static_cast<long double>(*i);
    }
    if (const auto* u = std::get_if<uint64_t>(&b)) {
      return static_cast<long double>(x) <=> static_cast<long double>(*u);
    }
    if (const auto* d = std::get_if<double>(&b)) {
      return static_cast<long double>(x) <=> static_cast<long double>(*d);
    }
    return std::partial_ordering::unordered;
  };
  switch (a.type()) {
    case dom::element_type::INT64:
      return against(a.get_int64().value_unsafe());
    case dom::element_type::UINT64:
      return against(a.get_uint64().value_unsafe());
    default:
      return against(a.get_double().value_unsafe());
  }
}

std::partial_ordering order(std::string_view a, const FilterValue& b) {
  const auto* text = std::get_if<std::string>(&b);
  if (text == nullptr) return std::partial_ordering::unordered;
  return a.compare(*text) <=> 0;
}

std::partial_ordering order(dom::element a, const FilterValue& b) {
  switch (a.type()) {
    case dom::element_type::STRING:
      return order(a.get_string().value_unsafe(), b);
    case dom::element_type::BOOL: {
      const auto* truth = std::get_if<bool>(&b);
      if (truth == nullptr || *truth != a.get_bool().value_unsafe()) {
        return std::partial_ordering::unordered;
      }
      return std::partial_ordering::equivalent;
    }
    case dom::element_type::NULL_VALUE:
      return std::holds_alternative<FilterNull>(b) ? std::partial_ordering::equivalent
                                                   : std::partial_ordering::unordered;
    case dom::element_type::ARRAY:
    case dom::element_type::OBJECT:
      return std::partial_ordering::unordered;
    default:
      return order_numbers(a, b);
  }
}

}  // namespace

struct Filter::Matcher::State {
  const Filter::Node* root = nullptr;
  dom::parser parser;
  std::string padded;  // simdjson reads a little past the end
  dom::object object;
  bool has_object = false;
  std::string_view id;

  using Kind = Filter::Node::Kind;

  static bool holds(const Filter::Node& node, std::partial_ordering found) {
    switch (node.kind) {
      case Kind::less:
        return found == std::partial_ordering::less;
      case Kind::more:
        return found == std::partial_ordering::greater;
      case Kind::at_most:
        return found == std::partial_ordering::less || found == std::partial_ordering::equivalent;
      case Kind::at_least:
        return found == std::partial_ordering::greater ||
               found == std::partial_ordering::equivalent;
      default:
        return found == std::partial_ordering::equivalent;
    }
  }

  template <typename T>
  static bool holds_for(const Filter::Node& node, const T& found) {
    return std::any_of(node.values.begin(), node.values.end(),
                       [&](const FilterValue& value) { return holds(node, order(found, value)); });
  }

  static bool condition(const Filter::Node& node, dom::element found) {
    if (node.kind == Kind::exists) return true;
    if (found.type() != dom::element_type::ARRAY) return holds_for(node, found);
    const dom::array items = found.get_array().value_unsafe();
    for (const dom::element item : items) {
      if (holds_for(node, item)) return true;
    }
    return false;
  }

  // Walks the path; a list of objects on the way holds when one of them does.
  static bool at(const Filter::Node& node, size_t step, dom::element here) {
    if (step == node.path.size()) return condition(node, here);
    if (here.type() == dom::element_type::OBJECT) {
      dom::element next;
      return here.get_object().value_unsafe().at_key(node.path[step]).get(next) ==
                 simdjson::SUCCESS &&
             at(node, step + 1, next);
    }
    if (here.type() == dom::element_type::ARRAY) {
      const dom::array items = here.get_array().value_unsafe();
      for (const dom::element item : items) {
        if (item.type() == dom::element_type::OBJECT && at(node, step, item)) return true;
      }
    }
    return false;
  }

  bool leaf(const Filter::Node& node) {
    dom::element first;
    if (has_object && object.at_key(node.path[0]).get(first) == simdjson::SUCCESS) {
      return at(node, 1, first);
    }
    if (node.path.size() != 1 || node.path[0] != "id") return false;
    return node.kind == Kind::exists || holds_for(node, id);
  }

  // Depth: bounded by the parser.
  bool evaluate(const Filter::Node& node) {
    const auto one = [this](const Filter::Node& child) { return evaluate(child); };
    switch (node.kind) {
      case Kind::all:
        return std::all_of(node.children.begin(), node.children.end(), one);
      case Kind::any:
        return std::any_of(node.children.begin(), node.children.end(), one);
      case Kind::negation:
        return !evaluate(node.children.front());
      default:
        return leaf(node);
    }
  }
};

Filter::Matcher::Matcher(const Filter& filter) : state_(std::make_unique<State>()) {
  state_->root = filter.root_.get();
}
Filter::Matcher::~Matcher() = default;

bool Filter::Matcher::operator()(std::string_view id, std::string_view metadata) {
  auto& s = *state_;
  s.id = id;
  s.has_object = false;
  if (!metadata.empty()) {
    s.padded.assign(metadata);
    s.padded.append(simdjson::SIMDJSON_PADDING, ' ');
    dom::element root;
    s.has_object =
        s.parser.parse(s.padded.data(), metadata.size(), false).get(root) == simdjson::SUCCESS &&
        root.get(s.object) == simdjson::SUCCESS;
  }
  return s.evaluate(*s.root);
}

}  // namespace akin::index
