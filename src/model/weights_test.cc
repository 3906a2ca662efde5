// Rules applied to tensors: sub-ranges, and the errors of folders that do not fit together.
#include "model/weights.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"

namespace akin::model {
namespace {

struct Fixture {
  std::vector<float> values;
  TensorTable tensors;
  Fixture(std::vector<int64_t> shape, DType dtype = DType::f32) {
    int64_t count = 1;
    for (const int64_t dim : shape) count *= dim;
    values.resize(static_cast<size_t>(count));
    std::iota(values.begin(), values.end(), 0.0F);
    tensors["x"] = {dtype, std::move(shape), std::as_bytes(std::span(values))};
  }
};

Error error_of(const WeightRule& rule, const TensorTable& tensors, bool integers = false) {
  try {
    resolve_rule(rule, tensors, "model.safetensors", integers);
  } catch (const Error& error) {
    return error;
  }
  return {ErrorKind::internal, "no error"};
}

TEST(ResolveRule, RowsOfAFusedTensor) {
  const Fixture f({6, 2});
  const Tensor part = resolve_rule(
      {.name = "k", .tensor = "x", .shape = {6, 2}, .begin = 2, .rows = 2}, f.tensors, "w");
  EXPECT_EQ(part.shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(tensor_to_f32(part), (std::vector<float>{4, 5, 6, 7}));
}

TEST(ResolveRule, RowsOfAVector) {
  const Fixture f({6});
  const Tensor part = resolve_rule(
      {.name = "b", .tensor = "x", .shape = {6}, .begin = 4, .rows = 2}, f.tensors, "w");
  EXPECT_EQ(tensor_to_f32(part), (std::vector<float>{4, 5}));
}

TEST(ResolveRule, RowsOfStackedAdapters) {
  const Fixture f({3, 4, 2});
  const Tensor part = resolve_rule(
      {.name = "a", .tensor = "x", .shape = {3, 4, 2}, .begin = 6, .rows = 2, .flatten = true},
      f.tensors, "w");
  EXPECT_EQ(part.shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(tensor_to_f32(part), (std::vector<float>{12, 13, 14, 15}));
}

TEST(ResolveRule, AWrongShapeNamesBothSides) {
  const Fixture f({6, 2});
  const Error error = error_of({.name = "q", .tensor = "x", .shape = {6, 6}}, f.tensors);
  EXPECT_EQ(error.kind(), ErrorKind::bad_format);
  EXPECT_STREQ(error.what(),
               "model.safetensors: tensor \"x\" is [6, 2], config.json says [6, 6]; the folder "
               "mixes two models, download it again");
}

TEST(ResolveRule, MissingAndWrongDtype) {
  const Fixture f({6, 2}, DType::i32);
  EXPECT_EQ(error_of({.name = "q", .tensor = "y", .shape = {6, 2}}, f.tensors).kind(),
            ErrorKind::not_found);
  EXPECT_EQ(error_of({.name = "q", .tensor = "x", .shape = {6, 2}}, f.tensors).kind(),
            ErrorKind::unsupported);
  EXPECT_EQ(error_of({.name = "q", .tensor = "x", .shape = {6, 2}}, f.tensors, true).kind(),
            ErrorKind::internal);  // integers are fine for a static table
}

}  // namespace
}  // namespace akin::model
