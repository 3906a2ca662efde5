// A program of twenty lines over the installed library: the model folder is the first argument, two
// texts follow.
#include <akin/encoder.h>

#include <cstdio>
#include <numeric>

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: %s MODEL_FOLDER TEXT TEXT\n", argv[0]), 2;
  try {
    akin::api::Encoder encoder(argv[1]);
    const auto vectors = encoder.encode({argv[2], argv[3]});
    const auto second = vectors.begin() + static_cast<std::ptrdiff_t>(encoder.dims());
    const float score = std::inner_product(vectors.begin(), second, second, 0.0F);
    std::printf("%s, %zu dims: %.4f\n", encoder.info().name.c_str(), encoder.dims(), score);
  } catch (const akin::api::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
}
