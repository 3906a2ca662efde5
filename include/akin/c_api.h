/* Texts to vectors from C and everything that calls C. No exception crosses this line: functions
 * return a status, and akin_last_error() has the words, per thread, until the next failing call of
 * that thread.
 *
 *   akin_encoder* encoder;
 *   if (akin_open("./bge-small-en", NULL, &encoder) != AKIN_OK) { puts(akin_last_error()); return
 * 1; } float* out = malloc(count * akin_dims(encoder) * sizeof(float)); akin_encode(encoder, texts,
 * lengths, count, NULL, out, NULL); akin_close(encoder);
 */
#ifndef AKIN_C_API_H_
#define AKIN_C_API_H_

#include <stddef.h>
#include <stdint.h>

#include "akin/version.h"

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif
/* NOLINTBEGIN(modernize-use-using): C has no other word for it. */

typedef enum akin_status {
  AKIN_OK = 0,
  AKIN_USAGE = 1,
  AKIN_NOT_FOUND = 2,
  AKIN_BAD_FORMAT = 3,
  AKIN_UNSUPPORTED = 4,
  AKIN_TOO_LONG = 5,
  AKIN_OVERLOADED = 6,
  AKIN_IO = 7,
  AKIN_DEVICE = 8,
  AKIN_INTERRUPTED = 9,
  AKIN_INTERNAL = 10
} akin_status;

/* AKIN_..._INT: no value; it makes the types as wide as int, so that a wrong number is an error. */
typedef enum akin_precision {
  AKIN_F32 = 0,
  AKIN_INT8 = 1,
  AKIN_PRECISION_INT = 0x7fffffff
} akin_precision;
typedef enum akin_truncate {
  AKIN_TRUNCATE_ERROR = 0,
  AKIN_TRUNCATE_RIGHT = 1,
  AKIN_TRUNCATE_LEFT = 2,
  AKIN_TRUNCATE_MIDDLE = 3,
  AKIN_TRUNCATE_CHUNK = 4, /* read in pieces; the vector is the mean of theirs */
  AKIN_TRUNCATE_INT = 0x7fffffff
} akin_truncate;

/* Set size to sizeof of the struct, so that fields may be added at its end. Zero elsewhere is the
 * default. */
typedef struct akin_open_options {
  size_t size;
  size_t threads; /* 0: every CPU this process may run on */
  akin_precision precision;
} akin_open_options;

typedef struct akin_encode_options {
  size_t size;
  const char* prompt_name; /* NULL: the model's default */
  const char* prompt;      /* a literal prompt, wins over prompt_name; NULL: none given */
  const char* task;        /* adapter of the model; NULL: none */
  size_t dims;             /* keep the first dims numbers; 0: all */
  int allow_any_dims;
  int raw; /* 1: do not scale to unit length */
  akin_truncate truncate;
} akin_encode_options;

typedef struct akin_report {
  uint64_t texts, tokens, truncated, invalid_utf8;
} akin_report;

typedef struct akin_encoder akin_encoder;
/* NOLINTEND(modernize-use-using) */

/* folder: a model folder. options may be NULL. *encoder is set only on AKIN_OK. */
akin_status akin_open(const char* folder, const akin_open_options* options, akin_encoder** encoder);
void akin_close(akin_encoder* encoder); /* NULL is allowed */

/* texts: count pointers to UTF-8; lengths: their bytes, or NULL when each ends in a NUL. out:
 * [count, dims], row-major. options and report may be NULL. Thread-safe. */
akin_status akin_encode(akin_encoder* encoder, const char* const* texts, const size_t* lengths,
                        size_t count, const akin_encode_options* options, float* out,
                        akin_report* report);

size_t akin_dims(const akin_encoder* encoder);
size_t akin_max_tokens(const akin_encoder* encoder); /* 0: no limit */
const char* akin_fingerprint(const akin_encoder* encoder);
const char* akin_last_error(void); /* never NULL */
const char* akin_version(void);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif /* AKIN_C_API_H_ */
