// Entry of the command line: parses the verb, runs the command, turns errors into words and exit
// codes.
#pragma once

namespace akin::cli {

int run_main(int argc, char** argv);

}  // namespace akin::cli
