// What tests of task types share: a folder for a dataset, a task written in TOML, and its scores
// with an encoder whose vectors are known. Not for anything else.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "eval/cached_encoder.h"
#include "eval/task.h"
#include "eval/task_data.h"
#include "eval/task_file.h"
#include "eval/test_encoder.h"

namespace akin::eval {

class TaskTest : public ::testing::Test {
 protected:
  TaskTest() {
    std::string name = (std::filesystem::temp_directory_path() / "akin_task_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
    std::filesystem::create_directories(folder_ / "set");
  }
  ~TaskTest() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories((folder_ / "set" / name).parent_path());
    std::ofstream(folder_ / "set" / name, std::ios::binary) << bytes;
  }
  // The scores of the first slice of a task written in TOML, by dims.
  std::vector<Scores> score(const std::string& toml, std::vector<size_t> dims = {8}) {
    return score(spec_of(toml), std::move(dims));
  }
  std::vector<Scores> score(const TaskSpec& spec, std::vector<size_t> dims = {8}) {
    CachedEncoder encoder(encoder_, nullptr);
    const TaskData data(spec, folder_);
    TaskContext context{spec, data, encoder, pool_, dims, {}};
    return make_task(spec.type)->evaluate({spec.splits[0], resolved_subsets(spec)[0]}, context);
  }
  static TaskSpec spec_of(const std::string& toml) {
    TaskSpec spec = parse_task_file("[[task]]\nname = \"T\"\n" + toml, "tasks.toml").at(0);
    if (spec.main_score.empty()) spec.main_score = make_task(spec.type)->default_main_score();
    return spec;
  }
  double metric(const std::string& toml, const std::string& name) {
    return score(toml).at(0).metrics.at(name).get<double>();
  }
  // The message of the error that scoring ends in.
  std::string error_of(const std::string& toml) {
    try {
      score(toml);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  std::filesystem::path folder_;
  WordEncoder encoder_{8};
  ThreadPool pool_{2};
};

inline void expect_words(const std::string& message, std::initializer_list<const char*> words) {
  for (const char* word : words) {
    EXPECT_NE(message.find(word), std::string::npos) << "no \"" << word << "\" in: " << message;
  }
}

}  // namespace akin::eval
