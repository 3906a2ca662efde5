// akin index and akin search --index end to end: what a build keeps when it is killed or the disk
// is full, resuming, filters, models that do not match, folders that are no index.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/rng.h"
#include "run_program.h"
#include "tiny_bert.h"

namespace akin::cli_test {
namespace {

using nlohmann::json;

std::string make_rows(size_t begin, size_t end) {
  static const char* const kNouns[] = {"music", "weather", "garden", "kernel", "recipe", "history"};
  static const char* const kVerbs[] = {"plays", "shows", "grows", "loads", "cooks", "tells"};
  std::string out;
  for (size_t i = begin; i < end; ++i) {
    const json row = {{"id", "r" + std::to_string(i)},
                      {"text", std::string("entry ") + std::to_string(i) + " " + kVerbs[i % 6] +
                                   " the " + kNouns[i / 6 % 6]},
                      {"n", i},
                      {"tags", {i % 2 == 0 ? "even" : "odd"}},
                      {"from", {{"part", i % 10}}}};
    out += row.dump() + "\n";
  }
  return out;
}

json stats(const std::string& index) {
  const auto done = run({"index", "stats", index, "--json"});
  EXPECT_EQ(done.code, 0) << done.err;
  return done.code == 0 ? json::parse(done.out) : json({{"documents", -1}});
}

json search(const std::string& index, const std::string& query,
            std::vector<std::string> more = {}) {
  std::vector<std::string> words = {"search", "--index", index, "--query", query, "--json"};
  words.insert(words.end(), more.begin(), more.end());
  const auto done = run(words);
  EXPECT_EQ(done.code, 0) << done.err;
  return done.code == 0 ? json::parse(done.out)["hits"] : json::array();
}

std::vector<std::string> build_words(const std::string& index, const std::string& file) {
  return {"index", "build", index, file, "--model", kModel, "--id-field", "id"};
}

TEST(IndexCommand, BuildsAndFinds) {
  const TemporaryFolder folder;
  const auto file = folder.write("rows.jsonl", make_rows(0, 300));
  const auto index = folder.file("rows.index");
  const auto built = run(build_words(index, file));
  ASSERT_EQ(built.code, 0) << built.err;
  EXPECT_NE(built.err.find("300 documents (300 new, 0 replaced, 0 as they were)"),
            std::string::npos)
      << built.err;
  EXPECT_EQ(stats(index)["documents"], 300);
  // The same answers as a search of the file.
  const auto plain = run({"search", "--model", kModel, "--query", "who cooks the recipe", file,
                          "--id-field", "id", "--k", "20", "--json"});
  ASSERT_EQ(plain.code, 0) << plain.err;
  const auto expected = json::parse(plain.out)["hits"];
  const auto found = search(index, "who cooks the recipe", {"--k", "20"});
  ASSERT_EQ(found.size(), 20U);
  for (size_t i = 0; i < 20; ++i) {
    EXPECT_NEAR(found[i]["score"].get<double>(), expected[i]["score"].get<double>(), 1e-5);
  }
  EXPECT_EQ(found[0]["text"], expected[0]["text"]);
  EXPECT_TRUE(found[0]["metadata"].contains("n"));
  EXPECT_FALSE(found[0]["metadata"].contains("text"));
  // Filters, words, both.
  for (const auto& hit :
       search(index, "music", {"--filter", "n >= 100 and tags = \"odd\" and from.part = 3"})) {
    EXPECT_GE(hit["metadata"]["n"], 100);
    EXPECT_EQ(hit["metadata"]["n"].get<int>() % 10, 3);
  }
  const auto worded = search(index, "entry 217", {"--mode", "words", "--k", "1"});
  ASSERT_EQ(worded.size(), 1U);
  EXPECT_EQ(worded[0]["id"], "r217");
  const auto hybrid = search(index, "entry 217 garden", {"--mode", "hybrid", "--k", "3"});
  ASSERT_EQ(hybrid.size(), 3U);
  EXPECT_TRUE(hybrid[0].contains("similarity"));
  EXPECT_EQ(search(index, "music", {"--k", "1000"}).size(), 300U);
  // Plain lines, the query as the first word.
  const auto lines = run({"search", "--index", index, "the weather", "--k", "2"});
  EXPECT_EQ(std::count(lines.out.begin(), lines.out.end(), '\n'), 2) << lines.err;
  EXPECT_NE(lines.out.find("\tr"), std::string::npos);
}

TEST(IndexCommand, AddsReplacesDeletesCompacts) {
  const TemporaryFolder folder;
  const auto index = folder.file("i");
  ASSERT_EQ(run(build_words(index, folder.write("a.jsonl", make_rows(0, 50)))).code, 0);
  // Changed, unchanged and new rows; the model is the index's own.
  std::string rows = make_rows(45, 60);
  rows += R"({"id":"r3","text":"a zebra crossing","n":3})"
          "\n";
  const auto added =
      run({"index", "add", index, folder.write("b.jsonl", rows), "--id-field", "id"});
  ASSERT_EQ(added.code, 0) << added.err;
  EXPECT_NE(added.err.find("60 documents (10 new, 1 replaced, 5 as they were)"), std::string::npos)
      << added.err;
  EXPECT_EQ(search(index, "zebra", {"--mode", "words"})[0]["id"], "r3");
  const auto removed = run({"index", "delete", index, "r3", "r4", "nobody"});
  EXPECT_NE(removed.err.find("2 of 3 taken out, 58 documents left"), std::string::npos)
      << removed.err;
  EXPECT_TRUE(search(index, "zebra", {"--mode", "words"}).empty());
  const auto by_file =
      run({"index", "delete", index, "--ids", folder.write("ids.txt", "r5\nr6\n")});
  EXPECT_EQ(by_file.code, 0) << by_file.err;
  EXPECT_EQ(stats(index)["removed_rows"], 5);
  const auto compacted = run({"index", "compact", index});
  EXPECT_EQ(compacted.code, 0) << compacted.err;
  EXPECT_EQ(stats(index)["rows"], 56);
  EXPECT_EQ(search(index, "music", {"--k", "100"}).size(), 56U);
}

TEST(IndexCommand, OtherInputs) {
  const TemporaryFolder folder;
  const auto csv = folder.write(
      "t.csv", "title,body,year,ok\nRed,an apple,2020,true\nSea,\"a, b\",1999,false\n");
  const auto index = folder.file("csv.index");
  const auto built =
      run({"index", "build", index, csv, "--model", kModel, "--field", "title,body"});
  ASSERT_EQ(built.code, 0) << built.err;
  const auto hits = search(index, "apple", {"--filter", "year > 2000 and ok = true"});
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_EQ(hits[0]["text"], "Red an apple");
  EXPECT_EQ(hits[0]["id"], csv + ":2");
  // Lines from stdin, a folder of files, chosen metadata.
  ASSERT_EQ(
      run(Invocation{.arguments = {"index", "add", index, "-"}, .input = "one\n\ntwo\n"}).code, 0);
  EXPECT_EQ(stats(index)["documents"], 4);
  const auto piped = run(Invocation{
      .arguments = {"index", "add", index, "--input-format", "csv", "--field", "text", "-"},
      .input = "text,year\npiped words,2001\n"});
  ASSERT_EQ(piped.code, 0) << piped.err;
  EXPECT_EQ(search(index, "piped", {"--filter", "year = 2001"})[0]["text"], "piped words");
  folder.write("docs/a.txt", "a text");
  folder.write("docs/sub/b.md", "another");
  ASSERT_EQ(run({"index", "add", index, folder.file("docs")}).code, 0);
  EXPECT_EQ(stats(index)["documents"], 7);
  EXPECT_EQ(search(index, "another", {"--mode", "words"})[0]["id"], folder.file("docs/sub/b.md"));
  const auto rows =
      folder.write("m.jsonl", "{\"text\":\"x\",\"a\":1,\"b\":2}\n{\"text\":\"y\",\"a\":5}\n");
  ASSERT_EQ(run({"index", "add", index, rows, "--metadata", "b"}).code, 0);
  const auto one = search(index, "x", {"--filter", "b exists"});
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0]["metadata"], json({{"b", 2}}));
  const auto bad = folder.write("bad.jsonl", "{\"text\":\"fine\"}\n{\"text\":\n");
  const auto stopped = run({"index", "add", index, bad});
  EXPECT_EQ(stopped.code, 1);
  EXPECT_NE(stopped.err.find(":2"), std::string::npos) << stopped.err;
  const auto skipped = run({"index", "add", index, bad, "--skip-bad-rows"});
  EXPECT_EQ(skipped.code, 0) << skipped.err;
  EXPECT_NE(skipped.err.find("1 bad rows skipped"), std::string::npos) << skipped.err;
}

TEST(IndexCommand, ABuildWithoutADocumentLeavesNothing) {
  const TemporaryFolder folder;
  const auto rows = folder.write("rows.jsonl", "{\"body\":\"some text\"}\n");
  const auto index = folder.file("new.index");
  const auto mistyped = run({"index", "build", index, rows, "--model", kModel, "--field", "bodi"});
  EXPECT_EQ(mistyped.code, 1);
  EXPECT_NE(mistyped.err.find("bodi"), std::string::npos) << mistyped.err;
  EXPECT_FALSE(std::filesystem::exists(index));
  const auto piped = run(Invocation{.arguments = {"index", "build", index, "--model", kModel,
                                                  "--input-format", "tsv", "--field", "body", "-"},
                                    .input = "body\tn\npiped words\t1\n"});
  ASSERT_EQ(piped.code, 0) << piped.err;
  EXPECT_EQ(stats(index)["documents"], 1);
}

TEST(IndexCommand, RefusesAnotherModel) {
  const TemporaryFolder folder;
  const auto rows = folder.write("a.jsonl", make_rows(0, 5));
  const auto index = folder.file("i");
  ASSERT_EQ(run(build_words(index, rows)).code, 0);
  const auto done = run({"search", "--index", index, "x", "--model", kChineseModel});
  EXPECT_EQ(done.code, 2);
  EXPECT_NE(done.err.find("static-en-64"), std::string::npos) << done.err;
  EXPECT_NE(done.err.find("static-zh-200"), std::string::npos) << done.err;
  EXPECT_EQ(run({"index", "add", index, rows, "--model", kChineseModel}).code, 2);
  EXPECT_EQ(run({"search", "--index", index, "x", "--dims", "16"}).code, 2);
  // The prompt that documents had is part of the index.
  const auto tiny = write_tiny_bert(folder, "tiny");
  const auto prompted = folder.file("p");
  ASSERT_EQ(run({"index", "build", prompted, rows, "--model", tiny, "--prompt", "see "}).code, 0);
  EXPECT_EQ(stats(prompted)["document_prompt"], "see ");
  const auto other = run({"index", "add", prompted, rows, "--prompt", "look "});
  EXPECT_EQ(other.code, 2);
  EXPECT_NE(other.err.find("\"see \""), std::string::npos) << other.err;
  // So is how the model was opened; another model's vectors are not cut to fit.
  const auto fast = folder.file("f");
  ASSERT_EQ(run({"index", "build", fast, rows, "--model", tiny, "--dtype", "int8"}).code, 0);
  EXPECT_EQ(stats(fast)["precision"], "int8");
  const auto found = run({"search", "--index", fast, "x"});
  EXPECT_EQ(found.code, 0) << found.err;
  std::filesystem::rename(tiny, folder.file("moved"));
  const auto lost = run({"search", "--index", fast, "x"});
  EXPECT_EQ(lost.code, 1);
  EXPECT_NE(lost.err.find("say where it is now by --model"), std::string::npos) << lost.err;
  EXPECT_EQ(run({"search", "--index", fast, "x", "--model", folder.file("moved")}).code, 0);
  const auto wider = run({"search", "--index", fast, "x", "--model", kModel, "--allow-mismatch"});
  EXPECT_EQ(wider.code, 2);
  EXPECT_NE(wider.err.find("vectors of 64 dims, the index of 16"), std::string::npos) << wider.err;
}

TEST(IndexCommand, SaysWhatIsWrong) {
  const TemporaryFolder folder;
  const auto rows = folder.write("a.jsonl", make_rows(0, 5));
  const auto expect = [&](std::vector<std::string> words, int code, const std::string& part) {
    const auto done = run(std::move(words));
    EXPECT_EQ(done.code, code) << done.err;
    EXPECT_NE(done.err.find(part), std::string::npos) << done.err;
  };
  const auto index = folder.file("i");
  expect({"index"}, 2, "build, add, delete, stats, compact");
  expect({"index", "stat", index}, 2, "did you mean stats?");
  expect({"index", "stats"}, 2, "name the folder");
  expect({"index", "stats", index}, 1, "no such folder");
  expect({"index", "add", index, rows}, 1, "holds no index");
  expect({"search", "--index", index, "x"}, 1, "no such folder");
  expect({"index", "build", index, folder.file("absent"), "--model", kModel}, 1, "absent");
  EXPECT_FALSE(std::filesystem::exists(index));
  const auto mine = folder.file("mine");
  folder.write("mine/notes.txt", "keep me");
  expect({"index", "build", mine, rows, "--model", kModel}, 2, "notes.txt");
  EXPECT_EQ(folder.names().size(), 2U);
  ASSERT_EQ(run(build_words(index, rows)).code, 0);
  expect({"search", "--index", index, "x", "--filter", "n ="}, 2, "column 4");
  expect({"search", "--index", index, "x", "--method", "graph"}, 2, "no graph");
  expect({"search", "--index", index, "x", "--method", "funnel"}, 2, "no codes");
  expect({"search", "--index", index, "x", "--mode", "words", "--method", "exact"}, 2,
         "leave out --mode words");
  expect({"search", "--index", index, "--query", "x", rows}, 2, "goes without files");
  expect({"search", "--index", index, "x", "--cache"}, 2, "goes without --vectors");
  expect({"search", "--model", kModel, "x", rows, "--mode", "words"}, 2, "akin index build");
  expect({"index", "build", index, rows, "--graph"}, 2, "without it");
  expect({"index", "build", index, rows, "--no-words"}, 2, "with it");
  expect({"index", "build", index, rows, "--store", "f16"}, 2, "with vectors in f32");
  expect({"index", "build", index, rows, "--links", "8"}, 2, "with 16");
  expect({"index", "build", folder.file("j"), rows, "--model", kModel, "--codes", "int9:8"}, 2,
         "int9:8");
  expect({"index", "build", folder.file("j"), rows, "--model", kModel, "--links", "8"}, 2,
         "add --graph");
}

TEST(IndexCommand, ForeignAndDamagedFolders) {
  const TemporaryFolder folder;
  const auto index = folder.file("i");
  ASSERT_EQ(run(build_words(index, folder.write("a.jsonl", make_rows(0, 200)))).code, 0);
  const auto whole = read(index + "/index.db");
  const auto expect_refused = [&](const std::string& part) {
    for (const auto& words : {std::vector<std::string>{"search", "--index", index, "x"},
                              std::vector<std::string>{"index", "delete", index, "r1"}}) {
      const auto done = run(words);
      EXPECT_EQ(done.code, 1) << done.err;
      EXPECT_NE(done.err.find(part), std::string::npos) << done.err;
    }
  };
  folder.write("i/index.db", "This is no database.");
  expect_refused("index.db");
  folder.write("i/index.db", whole.substr(0, whole.size() / 3));
  expect_refused("index.db");
  std::string foreign = whole;
  foreign.replace(68, 4, "XXXX");  // the application's number in the head of the file
  folder.write("i/index.db", foreign);
  expect_refused("no index of akin");
  folder.write("i/index.db", whole);
  const auto vectors = index + "/vectors-1/vectors.f32";
  std::filesystem::resize_file(vectors, std::filesystem::file_size(vectors) / 2);
  expect_refused("vectors.f32");
}

TEST(IndexCommand, OneWriterAtATime) {
  const TemporaryFolder folder;
  const auto rows = folder.write("a.jsonl", make_rows(0, 20));
  const auto index = folder.file("i");
  ASSERT_EQ(run(build_words(index, rows)).code, 0);
  const int lock = ::open((index + "/index.lock").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::flock(lock, LOCK_EX | LOCK_NB), 0);
  const auto refused = run({"index", "delete", index, "r1"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("is writing here"), std::string::npos) << refused.err;
  EXPECT_EQ(search(index, "music").size(), 10U);  // readers do not care
  ::close(lock);
  EXPECT_EQ(run({"index", "delete", index, "r1"}).code, 0);
}

// Runs the words and kills the program after a while; true when it was too fast for that.
bool run_and_kill(const std::vector<std::string>& words, uint64_t after_ms) {
  const auto done = run(Invocation{.arguments = words, .while_running = [&](int process) {
                                     ::usleep(static_cast<useconds_t>(after_ms * 1000));
                                     ::kill(process, SIGKILL);
                                   }});
  return done.code == 0;
}

TEST(IndexCommand, KilledBuildsGoOn) {
  constexpr size_t kRows = 4000;
  const TemporaryFolder folder;
  const auto file = folder.write("rows.jsonl", make_rows(0, kRows));
  const auto index = folder.file("i");
  auto words = build_words(index, file);
  for (const char* word : {"--block", "100", "--codes", "int8:32"}) words.emplace_back(word);
  Rng rng(21);
  int64_t before = 0;
  bool finished = false;
  for (int round = 0; round < 10 && !finished; ++round) {
    finished = run_and_kill(words, 20 + rng.below(round < 4 ? 200 : 900));
    const auto done = run({"index", "stats", index, "--json"});
    if (done.code != 0) {  // killed before there was an index: nothing was promised
      EXPECT_EQ(before, 0) << done.err;
      continue;
    }
    const auto now = json::parse(done.out)["documents"].get<int64_t>();
    EXPECT_GE(now, before);
    EXPECT_EQ(now % 100, 0);  // whole blocks
    before = now;
    const auto hits = search(index, "music", {"--mode", "hybrid", "--k", "5"});
    EXPECT_EQ(hits.size(), now > 0 ? 5U : 0U);
  }
  const auto last = run(words);
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_EQ(stats(index)["documents"], kRows);
  EXPECT_EQ(stats(index)["removed_rows"], 0);
  // The same as one that was never disturbed.
  const auto calm = folder.file("calm");
  auto calm_words = words;
  calm_words[2] = calm;
  ASSERT_EQ(run(calm_words).code, 0);
  for (const char* mode : {"vector", "words", "hybrid"}) {
    EXPECT_EQ(search(index, "grows the weather 77", {"--mode", mode, "--k", "30"}),
              search(calm, "grows the weather 77", {"--mode", mode, "--k", "30"}))
        << mode;
  }
}

TEST(IndexCommand, KilledDeletesAndCompactionsAreWhole) {
  const TemporaryFolder folder;
  const auto index = folder.file("i");
  ASSERT_EQ(run(build_words(index, folder.write("rows.jsonl", make_rows(0, 3000)))).code, 0);
  Rng rng(8);
  size_t left = 3000, next = 0;
  for (int round = 0; round < 8; ++round) {
    std::string ids;
    for (size_t i = 0; i < 200; ++i) ids += "r" + std::to_string(next + i) + "\n";
    run_and_kill({"index", "delete", index, "--ids", folder.write("ids.txt", ids)},
                 10 + rng.below(60));
    const auto now = stats(index)["documents"].get<size_t>();
    EXPECT_TRUE(now == left || now == left - 200) << now;
    if (now != left) next += 200;
    left = now;
    run_and_kill({"index", "compact", index}, 5 + rng.below(120));
    EXPECT_EQ(stats(index)["documents"], left);
    const auto hits = search(index, "entry 2900 music", {"--mode", "hybrid", "--k", "3000"});
    EXPECT_EQ(hits.size(), left);
  }
  ASSERT_EQ(run({"index", "compact", index}).code, 0);
  EXPECT_EQ(stats(index)["rows"], left);
  for (const auto& entry : std::filesystem::directory_iterator(index)) {
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos);
  }
}

TEST(IndexCommand, FullDiskKeepsWhatThereWas) {
  const TemporaryFolder folder;
  const auto index = folder.file("i");
  ASSERT_EQ(run(build_words(index, folder.write("a.jsonl", make_rows(0, 500)))).code, 0);
  const auto more = folder.write("b.jsonl", make_rows(500, 20000));
  auto words = build_words(index, more);
  std::vector<std::string> add = {"index", "add", index, more, "--id-field", "id"};
  for (auto* command : {&words, &add}) {
    for (const char* word : {"--block", "500"}) command->emplace_back(word);
  }
  // A limit on the size of a file stands for a full disk: first vectors, then the database hit it.
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  ::signal(SIGXFSZ, SIG_IGN);
  for (const uint64_t kilobytes : {700, 900, 1500}) {
    rlimit small = old;
    small.rlim_cur = kilobytes << 10;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto full = run(kilobytes == 900 ? add : words);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
    EXPECT_EQ(full.code, 1) << full.err;
    EXPECT_NE(full.err.find("the same command goes on"), std::string::npos) << full.err;
    const auto now = stats(index)["documents"].get<size_t>();
    EXPECT_GE(now, 500U);
    EXPECT_LT(now, 20000U);
    EXPECT_EQ(search(index, "entry 499", {"--mode", "words", "--k", "1"})[0]["id"], "r499");
  }
  ::signal(SIGXFSZ, SIG_DFL);
  const auto done = run(words);
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(stats(index)["documents"], 20000);
}

TEST(IndexCommand, SearchesBesideABuild) {
  const TemporaryFolder folder;
  const auto index = folder.file("i");
  ASSERT_EQ(run(build_words(index, folder.write("a.jsonl", make_rows(0, 100)))).code, 0);
  auto words = build_words(index, folder.write("b.jsonl", make_rows(0, 6000)));
  for (const char* word : {"--block", "50"}) words.emplace_back(word);
  std::atomic<bool> ended{false};
  std::thread writer([&] {
    EXPECT_EQ(run(words).code, 0);
    ended = true;
  });
  size_t searches = 0, most = 0;
  while (!ended || searches == 0) {
    const auto hits = search(index, "entry music", {"--mode", "hybrid", "--k", "10"});
    EXPECT_EQ(hits.size(), 10U);
    most = std::max(most, stats(index)["documents"].get<size_t>());
    ++searches;
  }
  writer.join();
  EXPECT_EQ(stats(index)["documents"], 6000);
  EXPECT_GE(most, 100U);
}

}  // namespace
}  // namespace akin::cli_test
