// The chain against a naive one, with several numbers of threads, and stopped and resumed; the
// first of many keys; work folders.
#include "data/chain.h"

#include <set>

#include "base/file.h"
#include "base/rng.h"
#include "data/first_keys.h"
#include "data/report_html.h"
#include "store/test_files.h"

namespace akin::data {
namespace {

namespace fs = std::filesystem;
using store::expect_error;
using store::TempFolder;

// Lines of pairs of which many are equal but for case and space, some empty, some identical.
std::string dirty_pairs(size_t count, uint64_t seed) {
  Rng rng(seed);
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    const auto n = rng.below(count / 2);
    switch (rng.below(8)) {
      case 0:
        out += fmt::format("{{\"query\":\"Query  {}\",\"positive\":\" ANSWER {}\"}}\n", n, n);
        break;
      case 1:
        out += fmt::format("{{\"query\":\"same {}\",\"positive\":\"Same {}\"}}\n", n, n);
        break;
      case 2:
        out += fmt::format("{{\"query\":\" \",\"positive\":\"{}\"}}\n", n);
        break;
      default:
        out += fmt::format("{{\"query\":\"query {}\",\"positive\":\"answer {}\"}}\n", n, n);
    }
  }
  return out;
}

// What must stay, by the definition: folded by hand for these texts.
size_t naive_count(const std::string& lines) {
  std::set<std::string> seen;
  size_t at = 0;
  while (at < lines.size()) {
    const size_t end = lines.find('\n', at);
    std::string line = lines.substr(at, end - at);
    at = end + 1;
    if (line.find("ame ") != std::string::npos || line.find("\" \"") != std::string::npos) continue;
    std::string key;
    for (const char c : line) {
      if (c >= '0' && c <= '9') key += c;
      if (c == ',') key += c;
    }
    seen.insert(key);
  }
  return seen.size();
}

ChainOptions options_for(const TempFolder& folder, const fs::path& input, size_t threads) {
  ChainOptions out;
  out.inputs = {input.string()};
  out.filters = {"normalise", "length", "dedup"};
  out.out = (folder / fmt::format("out{}.jsonl", threads)).string();
  out.threads = threads;
  return out;
}

TEST(Chain, KeepsTheFirstOfEqualRecordsWhateverTheThreads) {
  const TempFolder folder;
  const std::string lines = dirty_pairs(20'000, 3);
  const auto input = folder.put("in.jsonl", lines);
  std::string expected;
  nlohmann::ordered_json first_filters;
  for (const size_t threads : {1, 2, 5}) {
    const ChainOptions options = options_for(folder, input, threads);
    const auto report = run_chain(options, {});
    EXPECT_EQ(report["records_in"], 20'000);
    EXPECT_EQ(report["records_out"], naive_count(lines));
    EXPECT_EQ(report["passes"], 2);
    const std::string out = read_file(options.out);
    if (threads == 1) {
      expected = out;
      first_filters = report["filters"];
    }
    EXPECT_EQ(out, expected);
    EXPECT_EQ(report["filters"], first_filters);
    EXPECT_FALSE(fs::exists(options.out + ".work"));
  }
  // min_chars 1 takes the empty ones; dedup the rest.
  EXPECT_EQ(first_filters[0]["name"], "normalise");
  EXPECT_GT(first_filters[1]["reasons"]["too short"]["count"], 1000);
  const auto& reasons = first_filters[2]["reasons"];
  EXPECT_GT(reasons["identical"]["count"], 1000);
  EXPECT_GT(reasons["repeated"]["count"], 1000);
  EXPECT_EQ(reasons["repeated"]["samples"].size(), 3U);
}

TEST(Chain, GoesOnBehindTheLastFinishedPassToTheSameBytes) {
  const TempFolder folder;
  const auto input = folder.put("in.jsonl", dirty_pairs(10'000, 4));
  ChainOptions options = options_for(folder, input, 2);
  options.list_removed = {"dedup"};
  const auto whole = run_chain(options, {});
  const std::string expected = read_file(options.out);
  const std::string expected_removed = read_file(options.out + ".removed.jsonl");

  options.out = (folder / "second.jsonl").string();
  const auto stop_in = [](std::string_view what) {
    return [what](const Progress& now) {
      if (now.what == what && now.done > 0) throw Error(ErrorKind::interrupted, "stopped");
    };
  };
  expect_error(ErrorKind::interrupted, "stopped", [&] { run_chain(options, stop_in("reading")); });
  EXPECT_FALSE(fs::exists(options.out + ".work"));
  expect_error(ErrorKind::interrupted, "stopped",
               [&] { run_chain(options, stop_in("filtering")); });
  EXPECT_TRUE(fs::exists(options.out + ".work"));
  EXPECT_FALSE(fs::exists(options.out));

  ChainOptions other = options;
  other.filters = {"dedup"};
  expect_error(ErrorKind::usage, "--work", [&] { run_chain(other, {}); });

  options.threads = 1;
  const auto resumed = run_chain(options, {});
  EXPECT_EQ(resumed["passes_kept"], 1);
  EXPECT_EQ(read_file(options.out), expected);
  EXPECT_EQ(read_file(options.out + ".removed.jsonl"), expected_removed);
  EXPECT_EQ(resumed["filters"], whole["filters"]);
  EXPECT_EQ(resumed["inputs"], whole["inputs"]);
  EXPECT_FALSE(fs::exists(options.out + ".work"));
}

TEST(Chain, RefusesWhatCannotBe) {
  const TempFolder folder;
  const auto input = folder.put("in.jsonl", dirty_pairs(10, 5));
  ChainOptions options = options_for(folder, input, 1);
  options.filters = {"dedup", "dedup"};
  expect_error(ErrorKind::usage, "twice", [&] { run_chain(options, {}); });
  options = options_for(folder, input, 1);
  options.out = input.string();
  expect_error(ErrorKind::usage, "input", [&] { run_chain(options, {}); });
  options = options_for(folder, input, 1);
  folder.put("busy/file", "precious");
  options.work = (folder / "busy").string();
  expect_error(ErrorKind::usage, "--work", [&] { run_chain(options, {}); });
  folder.put("busy/state.json", "{");
  expect_error(ErrorKind::bad_format, "damaged", [&] { run_chain(options, {}); });
  EXPECT_EQ(read_file(folder / "busy/file"), "precious");
  options = options_for(folder, folder / "none.jsonl", 1);
  expect_error(ErrorKind::not_found, "none.jsonl", [&] { run_chain(options, {}); });
}

TEST(Chain, RunsWithoutFiltersAndWithoutRecords) {
  const TempFolder folder;
  ChainOptions options = options_for(folder, folder.put("in.csv", "query,positive\na,b\na,b\n"), 2);
  options.filters.clear();
  EXPECT_EQ(run_chain(options, {})["records_out"], 2);
  options = options_for(folder, folder.put("none.csv", "query,positive\n"), 2);
  EXPECT_EQ(run_chain(options, {})["records_out"], 0);
  EXPECT_EQ(read_file(options.out), "");
}

TEST(Chain, ReportIsAPageThatShowsHostileTextAsText) {
  const TempFolder folder;
  ChainOptions options = options_for(
      folder,
      folder.put("in.jsonl",
                 "{\"query\":\"<script>alert('x')</script>\",\"positive\":\"a & b\"}\n"
                 "{\"query\":\"<Script>alert('x')</Script>\",\"positive\":\"a & b\"}\n"),
      1);
  const auto report = run_chain(options, {});
  EXPECT_EQ(report["lengths"]["in"]["query"][5], 2);  // 27 characters
  EXPECT_EQ(report["lengths"]["out"]["query"][5], 1);
  const std::string page = report_html(report);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("<Script"), std::string::npos);
  EXPECT_NE(page.find("&lt;Script&gt;alert(&#39;x&#39;)&lt;/Script&gt;"), std::string::npos);
  EXPECT_NE(page.find("a &amp; b"), std::string::npos);
  EXPECT_NE(page.find("dedup: repeated"), std::string::npos);
  expect_error(ErrorKind::bad_format, "report", [] { (void)report_html({{"inputs", 3}}); });
}

TEST(Chain, PreviewGivesTheFirstThatStay) {
  const TempFolder folder;
  const auto input = folder.put("in.csv", "query,positive\na,a\na,b\nA,b\nc,d\n");
  const auto preview = preview_chain(options_for(folder, input, 1), 5);
  ASSERT_EQ(preview.records.size(), 2U);
  EXPECT_EQ(preview.records[1].query, "c");
  EXPECT_EQ(preview.judged, 4U);
  EXPECT_EQ(preview.layouts, std::vector<std::string>{"query, positive"});
}

TEST(FirstKeys, MarksExactlyTheRepeats) {
  const TempFolder folder;
  Rng rng(9);
  std::vector<RecordKey> keys;
  for (int i = 0; i < 30'000; ++i) {
    // Two keys may share one half only; few partitions, so that chunks are cut.
    const uint64_t n = rng.below(12'000);
    keys.push_back({n % 3 << 62 | n / 2, n % 2});
  }
  uint64_t repeats = 0;
  {
    FirstKeys first(folder / "keys", {.keys = 1});
    for (const auto& key : keys) first.add({&key, 1}, {});
    ThreadPool pool(3);
    repeats = first.mark_repeats(folder / "bits", pool);
  }
  EXPECT_FALSE(fs::exists(folder / "keys"));
  const RepeatBits bits(folder / "bits");
  std::set<std::pair<uint64_t, uint64_t>> seen;
  for (size_t i = 0; i < keys.size(); ++i) {
    ASSERT_EQ(bits.repeated(i), !seen.emplace(keys[i].high, keys[i].low).second) << i;
  }
  EXPECT_EQ(repeats, keys.size() - seen.size());
  expect_error(ErrorKind::bad_format, "shorter", [&] { (void)bits.repeated(1 << 20); });
}

}  // namespace
}  // namespace akin::data
