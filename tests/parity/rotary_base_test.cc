// A model with rotary positions under another base: the engine equals the float64 reference's own
// rotary formula, and the model counts as another one.
#include "model/rotary_base.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "core/encoder.h"
#include "core/encoding_key.h"
#include "engine/cpu_encoder.h"
#include "reference.h"
#include "tiny_folder.h"

namespace akin::parity {
namespace {

constexpr double kTolerance = 2e-6, kBase = 37.5;

std::vector<float> encode(const model::Model& opened, double base, const std::string& text) {
  model::Model model = model::load_model(opened.folder);
  if (base > 0) model::set_rotary_base(model, base);
  const auto encoder = engine::make_cpu_encoder(std::move(model), {.threads = 1});
  Mat<float> out(1, encoder->info().dim);
  const std::string_view view[] = {text};
  encoder->encode(view, {}, out.view());
  return {out.row(0), out.row(0) + out.cols()};
}

double distance(const std::vector<float>& a, const Row& b) {
  double out = 0;
  for (size_t i = 0; i < a.size(); ++i) out = std::max(out, std::abs(double{a[i]} - b[i]));
  return out;
}

TEST(RotaryBase, EqualsTheFormulaWithThatBase) {
  for (const char* kind : {"jina_v3_plain", "nomic", "nomic_partial", "modernbert"}) {
    TinySpec spec;
    spec.kind = kind;
    const TinyFolder folder(spec);
    model::Model model = model::load_model(folder.path());
    Rng rng(5);
    const std::string text = tiny_text(rng, 60);
    ReferenceText tokens;
    model.tokenizer->encode(text, true, tokens.ids);
    const Row before = Reference(model).vector(tokens);
    model::set_rotary_base(model, kBase);
    const Row expected = Reference(model).vector(tokens);
    EXPECT_LE(distance(encode(model, kBase, text), expected), kTolerance) << kind;
    EXPECT_LE(distance(encode(model, 0, text), before), kTolerance) << kind;
    EXPECT_GT(distance(encode(model, kBase, text), before), 1e-4) << kind;
  }
}

TEST(RotaryBase, IsThatOfAFolderWhoseConfigSaysSo) {
  TinySpec spec;
  spec.kind = "jina_v3_plain";
  const TinyFolder folder(spec);
  model::Model changed = model::load_model(folder.path());
  const std::string old = changed.fingerprint;
  model::set_rotary_base(changed, kBase);
  const auto path = folder.path() / "config.json";
  auto config = nlohmann::json::parse(read_file(path));
  config["rotary_emb_base"] = kBase;
  write_file(path, config.dump());
  const model::Model written = model::load_model(folder.path());
  EXPECT_EQ(written.fingerprint, changed.fingerprint);
  EXPECT_NE(written.fingerprint, old);
  EXPECT_EQ(encode(written, 0, "ka ri mo"), encode(written, kBase, "ka ri mo"));
}

std::string key_of(const model::Model& model) {
  Hasher hasher;
  add_encoding(hasher, model::encoder_info(model, Precision::f32), {});
  return hasher.hex();
}

// An index and a cache know vectors by this key.
TEST(RotaryBase, MakesAnotherKeyOfAnEncoding) {
  TinySpec spec;
  spec.kind = "nomic";
  const TinyFolder folder(spec);
  model::Model model = model::load_model(folder.path());
  const std::string key = key_of(model);
  model::set_rotary_base(model, kBase);
  EXPECT_NE(key_of(model), key);
}

TEST(RotaryBase, IsRefusedWhereThereIsNone) {
  for (const char* kind : {"bert", "jina_bert", "t5", "static_module"}) {
    TinySpec spec;
    spec.kind = kind;
    const TinyFolder folder(spec);
    model::Model model = model::load_model(folder.path());
    EXPECT_THROW(model::set_rotary_base(model, 20000), Error) << kind;
  }
  TinySpec spec;
  spec.kind = "nomic";
  const TinyFolder folder(spec);
  model::Model model = model::load_model(folder.path());
  for (const double base : {0.5, -1.0, std::nan(""), 1e13}) {
    EXPECT_THROW(model::set_rotary_base(model, base), Error) << base;
  }
}

}  // namespace
}  // namespace akin::parity
