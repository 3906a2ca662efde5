// The program's main(): nothing but a call into cli/.
#include "cli/main.h"

int main(int argc, char** argv) { return akin::cli::run_main(argc, argv); }
