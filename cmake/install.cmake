# Install rules: the program, the library with its headers, and a CMake package file.
