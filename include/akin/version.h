// The version of the library, as numbers for the preprocessor and as a word.
#ifndef AKIN_VERSION_H_
#define AKIN_VERSION_H_

#define AKIN_VERSION_MAJOR 0
#define AKIN_VERSION_MINOR 1
#define AKIN_VERSION_PATCH 0
#define AKIN_VERSION_STRING "0.1.0"

#endif  // AKIN_VERSION_H_
