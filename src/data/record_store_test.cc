// Stores of records: what is read comes back, old stores are made again, damaged ones are refused.
#include "data/record_store.h"

#include <cstring>

#include "base/hash.h"
#include "data/record_io.h"
#include "data/record_store_write.h"
#include "store/test_files.h"

namespace akin::data {
namespace {

namespace fs = std::filesystem;
using store::expect_error;
using store::TempFolder;

class Store : public testing::Test {
 protected:
  std::unique_ptr<RecordStore> open(const StoreOptions& options) {
    return RecordStore::open(folder_ / "store", options, {});
  }
  std::unique_ptr<RecordStore> open(std::string_view bytes, const ReadOptions& read = {},
                                    std::string_view name = "in.jsonl") {
    return open(StoreOptions{{folder_.put(name, bytes).string()}, read});
  }
  static std::string json(const RecordStore& store, uint64_t number) {
    Record record;
    store.read(number, record);
    std::string out;
    append_json(record, out);
    return out;
  }
  static std::string lines(size_t count) {
    std::string out;
    for (size_t i = 0; i < count; ++i) {
      out += fmt::format("{{\"query\":\"q{}\",\"positive\":\"p{}\"}}\n", i, i);
    }
    return out;
  }

  TempFolder folder_;
};

TEST_F(Store, GivesBackWhatWasRead) {
  const auto store =
      open(R"({"query":"a","pos":"b","neg":["c","d"],"label":0.5,"scores":[1,0.5,0.25],"task":"t"})"
           "\n"
           R"({"query":"e","pos":["f","g"],"neg":["h"]})"
           "\n");
  ASSERT_EQ(store->size(), 3U);
  EXPECT_EQ(json(*store, 0), R"({"query":"a","positive":"b","negatives":["c","d"],"label":0.5,)"
                             R"("scores":[1,0.5,0.25],"task":"t","source":"in"})");
  EXPECT_EQ(json(*store, 2), R"({"query":"e","positive":"g","negatives":["h"],"source":"in"})");
  const auto fields = store->fields();
  EXPECT_EQ(fields.positive, 3U);
  EXPECT_EQ(fields.negatives, 3U);
  EXPECT_EQ(fields.fewest_negatives, 1U);
  EXPECT_EQ(fields.label, 1U);
  EXPECT_EQ(fields.not_pairs, 0U);
  EXPECT_EQ(fields.scores, 1U);
  EXPECT_EQ(store->keys(0).query, text_key(" A"));
  EXPECT_EQ(store->keys(2).positive, text_key("g"));
  EXPECT_EQ(store->RecordStore::keys(2).positive, text_key("g"));
}

TEST_F(Store, HoldsManyBlocksAndFiles) {
  const size_t count = 2 * kBlockRecords + 1;
  StoreOptions options;
  options.inputs = {folder_.put("a.jsonl", lines(count)).string(),
                    folder_.put("b.csv", "query,positive\nx,y\n").string()};
  uint64_t reports = 0, done = 0;
  const auto store = RecordStore::open(folder_ / "store", options, [&](const Progress& progress) {
    ++reports;
    EXPECT_GE(progress.done, done);
    done = progress.done;
    EXPECT_LE(done, progress.total);
  });
  ASSERT_EQ(store->size(), count + 1);
  Record record;
  for (size_t i = 0; i < count; ++i) {
    store->read(i, record);
    ASSERT_EQ(record.query, fmt::format("q{}", i));
    ASSERT_EQ(record.row, i + 1);
  }
  store->read(count, record);
  EXPECT_EQ(record.query, "x");
  EXPECT_EQ(record.source, "b");
  EXPECT_GE(reports, 2U);
}

TEST_F(Store, IsMadeAgainWhenInputsOrOptionsChange) {
  const auto input = folder_.put("in.jsonl", lines(3));
  StoreOptions options{{input.string()}, {}};
  const auto first = open(options);
  const auto written = fs::last_write_time(folder_ / "store");
  EXPECT_EQ(open(options)->fingerprint(), first->fingerprint());
  EXPECT_EQ(fs::last_write_time(folder_ / "store"), written) << "read again without need";
  folder_.put("in.jsonl", lines(4));
  const auto second = open(options);
  EXPECT_EQ(second->size(), 4U);
  EXPECT_NE(second->fingerprint(), first->fingerprint());
  options.read.task = "qa";
  Record record;
  open(options)->read(0, record);
  EXPECT_EQ(record.task, "qa");
  EXPECT_EQ(first->size(), 3U) << "an open store outlives its file";
  first->read(2, record);
  EXPECT_EQ(record.query, "q2");
}

TEST_F(Store, FingerprintIsOfTheRecordsNotOfTheirPlace) {
  StoreOptions a{{folder_.put("a/in.jsonl", lines(3)).string()}, {}},
      b{{folder_.put("b/in.jsonl", lines(3)).string()}, {}};
  EXPECT_EQ(RecordStore::open(folder_ / "sa", a, {})->fingerprint(),
            RecordStore::open(folder_ / "sb", b, {})->fingerprint());
}

TEST_F(Store, RefusesOrCountsBlankTexts) {
  const std::string bytes = lines(1) + R"({"query":"a","positive":" \n"})" + "\n" +
                            R"({"query":"\u3000","positive":"b"})" + "\n" +
                            R"({"query":"a","positive":"b","negatives":["c",""]})" + "\n" + "{\n";
  expect_error(ErrorKind::bad_format, "in.jsonl:2: the positive has no text", [&] { open(bytes); });
  EXPECT_FALSE(fs::exists(folder_ / "store"));
  ReadOptions skip;
  skip.skip_bad_rows = true;
  const auto store = open(bytes, skip);
  EXPECT_EQ(store->size(), 1U);
  EXPECT_EQ(store->row_counts().bad, 4U);
  EXPECT_EQ(open(bytes, skip)->row_counts().bad, 4U);
}

TEST_F(Store, LeavesOutWhatMeetsAnEvaluationText) {
  const auto eval = folder_.put("eval.tsv", "s1\ts2\nA man plays the guitar.\tq1\n");
  EvalGate gate({eval.string()}, {});
  StoreOptions options{{folder_
                            .put("in.jsonl", R"({"query":"a man plays THE guitar","positive":"b"})"
                                             "\n"
                                             R"({"query":"c","positive":"d"})"
                                             "\n"
                                             R"({"query":"e","positive":"f","negatives":["q1"]})"
                                             "\n")
                            .string()},
                       {}};
  const auto all = RecordStore::open(folder_ / "store", options, {});
  EXPECT_EQ(all->size(), 3U);
  options.gate = &gate;
  const auto store = RecordStore::open(folder_ / "store", options, {});
  EXPECT_EQ(store->size(), 1U);
  EXPECT_EQ(store->row_counts().left_out, 2U);
  EXPECT_EQ(store->row_counts().bad, 0U);
  // Another evaluation set is another store; the same is opened as it is.
  EXPECT_EQ(RecordStore::open(folder_ / "store", options, {})->fingerprint(), store->fingerprint());
  folder_.put("eval.tsv", "s1\ts2\nNothing.\tElse.\n");
  EvalGate other({eval.string()}, {});
  options.gate = &other;
  EXPECT_EQ(RecordStore::open(folder_ / "store", options, {})->size(), 3U);
  EvalGate missing({(folder_ / "none").string()}, {});
  options.gate = &missing;
  expect_error(ErrorKind::not_found, "none",
               [&] { RecordStore::open(folder_ / "store", options, {}); });
}

TEST_F(Store, CountsRecordsThatAreNoPairs) {
  const std::string labelled = R"({"query":"a","pos":"b","label":0})"
                               "\n"
                               R"({"query":"c","pos":"d","label":1})"
                               "\n";
  EXPECT_EQ(open(labelled)->fields().not_pairs, 1U);
  ReadOptions positives;
  positives.labels = {"0=drop", "1=1"};
  const auto store = open(labelled, positives);
  EXPECT_EQ(store->size(), 1U);
  EXPECT_EQ(store->fields().not_pairs, 0U);
}

TEST_F(Store, RefusesWhatCannotBe) {
  expect_error(ErrorKind::usage, "at least one input", [&] { open(StoreOptions{}); });
  expect_error(ErrorKind::not_found, "none.jsonl", [&] {
    open(StoreOptions{{(folder_ / "none.jsonl").string()}, {}});
  });
  ReadOptions skip;
  skip.skip_bad_rows = true;
  expect_error(ErrorKind::bad_format, "no records",
               [&] { open("{\"query\":\"\",\"positive\":\"b\"}\n", skip); });
  folder_.put("store",
              "something that someone needs, and longer than a header of a store is, so "
              "that it is its first bytes that tell, whatever comes behind them; text of "
              "some lines, as people write it, goes on like this for quite a while longer");
  expect_error(ErrorKind::bad_format, "no store of records", [&] { open(lines(1)); });
}

TEST_F(Store, StopsWhenInterrupted) {
  const auto input = folder_.put("in.jsonl", lines(3000));
  const StoreOptions options{{input.string()}, {}};
  interrupt_flag() = true;
  const auto error = store::error_of([&] { open(options); });
  interrupt_flag() = false;
  EXPECT_EQ(error.kind(), ErrorKind::interrupted);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1) << "something was left";
  EXPECT_EQ(open(options)->size(), 3000U);
}

TEST_F(Store, SurvivesEveryCutAndFlippedByte) {
  const StoreOptions options{{folder_.put("in.jsonl", lines(5)).string()}, {}};
  open(options);
  const std::string bytes = read_file(folder_ / "store");
  for (size_t size = 0; size < bytes.size(); size += 7) {
    folder_.put("store", bytes.substr(0, size));
    expect_error(ErrorKind::bad_format, "delete", [&] { open(options); });
  }
  size_t refused = 0, made_again = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x41);
    folder_.put("store", damaged);
    try {
      const auto store = open(options);
      Record record;
      for (uint64_t n = 0; n < store->size(); ++n) {
        store->read(n, record);
        store->keys(n);
        EXPECT_EQ(record.query, fmt::format("q{}", n));
      }
      ++made_again;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::bad_format) << error.what();
      ++refused;
    }
  }
  EXPECT_LE(made_again, 8U) << "only another version is made again";
  EXPECT_GE(refused, bytes.size() - 8);
}

// A store whose hashes are right and whose contents are not.
TEST_F(Store, RefusesForgedNumbersAndTexts) {
  Record record;
  record.query = "a\xFF";
  record.positive = "b";
  const StoreOptions options{{folder_.put("in.jsonl", lines(1)).string()}, {}};
  open(options);
  const std::string good = read_file(folder_ / "store");
  StoreHeader header;
  std::memcpy(&header, good.data(), sizeof header);
  {
    StoreWriter writer(folder_ / "store");
    writer.write(record, {1, 2});
    writer.commit({header.inputs, kKeyBytes}, {});
  }
  const auto store = open(options);
  expect_error(ErrorKind::bad_format, "delete", [&] { store->read(0, record); });

  header.records = UINT64_MAX;
  header.check = hash64({reinterpret_cast<const char*>(&header), offsetof(StoreHeader, check)});
  std::string forged = good;
  std::memcpy(forged.data(), &header, sizeof header);
  folder_.put("store", forged);
  expect_error(ErrorKind::bad_format, "delete", [&] { open(options); });
}

}  // namespace
}  // namespace akin::data
