/* The same from C: the model folder is the first argument, texts follow; prints the first numbers of each vector. */
#include <akin/c_api.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  akin_encoder* encoder = NULL;
  if (argc < 3) return fprintf(stderr, "usage: %s MODEL_FOLDER TEXT...\n", argv[0]), 2;
  if (akin_open(argv[1], NULL, &encoder) != AKIN_OK) return fprintf(stderr, "%s\n", akin_last_error()), 1;
  const size_t count = (size_t)argc - 2, dims = akin_dims(encoder);
  float* out = malloc(count * dims * sizeof *out);
  if (akin_encode(encoder, (const char* const*)argv + 2, NULL, count, NULL, out, NULL) != AKIN_OK) {
    return fprintf(stderr, "%s\n", akin_last_error()), 1;
  }
  for (size_t i = 0; i < count; ++i) printf("%.4f %.4f ... %s\n", out[i * dims], out[i * dims + 1], argv[i + 2]);
  free(out);
  akin_close(encoder);
  return 0;
}
