// What a chain is made of: its sources of batches, and the folder that
// remembers finished passes. Internal to data/.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "data/chain.h"
#include "data/stage.h"

namespace akin::data {

// The inputs of a chain, one after another.
class InputSource final : public BatchSource {
 public:
  InputSource(const ChainOptions &options, const ProgressSink &progress);
  bool read(Batch &batch) override;
  nlohmann::ordered_json report() const { return report_; }

 private:
  bool open_next();
  void close();
  const ChainOptions &options_;
  const ProgressSink &progress_;
  size_t next_ = 0;
  OpenedRecords current_;
  uint64_t bytes_done_ = 0, bytes_total_ = 0;
  nlohmann::ordered_json report_ = nlohmann::ordered_json::array();
};

// What the pass before left.
class WorkSource final : public BatchSource {
 public:
  WorkSource(const std::filesystem::path &path, uint64_t records, RowShape shape,
             const ProgressSink &progress);
  bool read(Batch &batch) override;
  void unpack(Batch &batch) const override;

 private:
  WorkFileReader reader_;
  const uint64_t total_;
  const RowShape shape_;  // of all records of a chain
  uint64_t done_ = 0;
  const ProgressSink &progress_;
};

// The folder of a run's unfinished work. Only files that a chain itself named
// are ever removed.
class WorkFolder {
 public:
  // Makes the folder, or takes up what is there. Errors: usage, when it is of
  // another run or holds something else; io.
  WorkFolder(std::filesystem::path path, const ChainOptions &options);

  const std::filesystem::path &path() const { return path_; }
  std::filesystem::path file(size_t pass,
                             std::string_view what) const;  // "pass-0.records"
  // What was saved for each finished pass, in order.
  const std::vector<nlohmann::ordered_json> &finished() const { return finished_; }
  void finish(nlohmann::ordered_json pass);
  void remove_pass(size_t pass) const;  // its records and repeats
  void remove() const;                  // all; the folder, too, if nothing else is in it

 private:
  void save() const;
  void remove_temporaries(std::string_view prefix) const;
  std::filesystem::path path_;
  std::string fingerprint_;
  std::vector<nlohmann::ordered_json> finished_;
};

}  // namespace akin::data
