// The index as a whole: what is added is found as a naive search finds it, replaced and removed
// documents are gone, a writer and readers side by side, folders that hold something else.
#include "index/index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <fstream>
#include <map>
#include <thread>

#include "base/error.h"
#include "base/rng.h"

namespace akin::index {
namespace {

namespace fs = std::filesystem;

constexpr size_t kDims = 32;

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "akin_index_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  fs::path path;
  fs::path index() const { return path / "index"; }
};

IndexSpec make_spec() {
  IndexSpec spec;
  spec.vectors.dims = kDims;
  spec.model = "tiny";
  spec.fingerprint = "f1";
  return spec;
}

struct Batch {
  std::vector<Document> documents;
  Mat<float> vectors;
};

Batch make_batch(size_t first, size_t count, uint64_t seed, const std::string& note = "") {
  Rng rng(seed);
  Batch out;
  out.vectors = Mat<float>(count, kDims);
  for (size_t i = 0; i < count; ++i) {
    const size_t n = first + i;
    out.documents.push_back(
        {"d" + std::to_string(n),
         "text number" + std::to_string(n % 17) + " of kind" + std::to_string(n % 5) + " " + note,
         R"({"n": )" + std::to_string(n) + R"(, "even": )" + (n % 2 == 0 ? "true" : "false") +
             "}"});
    double sum = 0;
    for (size_t d = 0; d < kDims; ++d) {
      out.vectors(i, d) = static_cast<float>(rng.normal());
      sum += static_cast<double>(out.vectors(i, d)) * out.vectors(i, d);
    }
    for (size_t d = 0; d < kDims; ++d) out.vectors(i, d) /= static_cast<float>(std::sqrt(sum));
  }
  return out;
}

void put(Index& index, const Batch& batch) {
  index.add(batch.documents, batch.vectors.view(), IfPresent::replace);
}

// What should be in an index, searched by looking at each.
class Naive {
 public:
  void add(const Batch& batch) {
    for (size_t i = 0; i < batch.documents.size(); ++i) {
      vectors_[batch.documents[i].id] = {batch.vectors.row(i), batch.vectors.row(i) + kDims};
    }
  }
  void remove(const std::string& id) { vectors_.erase(id); }
  size_t size() const { return vectors_.size(); }
  std::vector<std::pair<double, std::string>> search(
      std::span<const float> query, const std::function<bool(size_t)>& allowed = {}) const {
    std::vector<std::pair<double, std::string>> out;
    for (const auto& [id, vector] : vectors_) {
      if (allowed && !allowed(std::stoul(id.substr(1)))) continue;
      double sum = 0;
      for (size_t d = 0; d < kDims; ++d) sum += static_cast<double>(vector[d]) * query[d];
      out.emplace_back(sum, id);
    }
    std::sort(out.rbegin(), out.rend());
    return out;
  }

 private:
  std::map<std::string, std::vector<float>> vectors_;
};

std::vector<float> make_query(uint64_t seed) {
  const auto batch = make_batch(0, 1, 1000 + seed);
  return {batch.vectors.row(0), batch.vectors.row(0) + kDims};
}

void expect_same(const std::vector<SearchHit>& found,
                 const std::vector<std::pair<double, std::string>>& expected, size_t k) {
  ASSERT_EQ(found.size(), std::min(k, expected.size()));
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i].score, expected[i].first, 1e-5);
    EXPECT_EQ(found[i].document.id, expected[i].second);
  }
}

SearchOptions top(size_t k) {
  SearchOptions out;
  out.k = k;
  return out;
}

std::string error_of(const std::function<void()>& f, ErrorKind kind) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "expected an error";
  return "";
}

TEST(Index, FindsWhatANaiveSearchFinds) {
  const Folder folder;
  Naive naive;
  {
    const auto index = Index::create(folder.index(), make_spec());
    for (size_t b = 0; b < 4; ++b) {
      const auto batch = make_batch(b * 200, 200, b);
      put(*index, batch);
      naive.add(batch);
    }
  }
  const auto index = Index::open(folder.index(), false);
  for (uint64_t q = 0; q < 10; ++q) {
    const auto query = make_query(q);
    expect_same(index->search("", query, top(25)), naive.search(query), 25);
    auto options = top(25);
    options.filter = "n >= 100 and even = true or n = 7";
    const auto allowed = [](size_t n) { return (n >= 100 && n % 2 == 0) || n == 7; };
    expect_same(index->search("", query, options), naive.search(query, allowed), 25);
  }
  const auto stats = index->stats();
  EXPECT_EQ(stats.documents, 800U);
  EXPECT_EQ(stats.removed_rows, 0U);
  EXPECT_GT(stats.vector_bytes, 800 * kDims * 4);
  const auto found = index->get("d42");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->text, "text number8 of kind2 ");
  EXPECT_EQ(found->metadata, R"({"n": 42, "even": true})");
  EXPECT_FALSE(index->get("absent"));
}

TEST(Index, ReplacesRemovesAndCompacts) {
  const Folder folder;
  Naive naive;
  const auto index = Index::create(folder.index(), make_spec());
  const auto reader = Index::open(folder.index(), false);
  const auto check = [&] {
    for (uint64_t q = 0; q < 5; ++q) {
      const auto query = make_query(q);
      for (const auto* from : {index.get(), reader.get()}) {
        expect_same(from->search("", query, top(40)), naive.search(query), 40);
        auto options = top(40);
        options.filter = "even = false";
        expect_same(from->search("", query, options),
                    naive.search(query, [](size_t n) { return n % 2 == 1; }), 40);
      }
    }
  };
  const auto add = [&](const Batch& batch) {
    put(*index, batch);
    naive.add(batch);
  };
  add(make_batch(0, 300, 1));
  check();
  add(make_batch(250, 100, 2, "again"));  // half of them are there
  check();
  EXPECT_EQ(index->stats().documents, 350U);
  EXPECT_EQ(index->stats().removed_rows, 50U);
  EXPECT_EQ(reader->get("d260")->text, "text number5 of kind0 again");
  std::vector<std::string> ids;
  for (size_t i = 0; i < 350; i += 7) ids.push_back("d" + std::to_string(i));
  ids.emplace_back("absent");
  EXPECT_EQ(index->remove(ids), 50U);
  for (const auto& id : ids) naive.remove(id);
  check();
  EXPECT_EQ(index->remove(ids), 0U);
  EXPECT_FALSE(reader->get("d7"));
  index->compact({});
  check();
  EXPECT_EQ(index->stats().documents, 300U);
  EXPECT_EQ(reader->stats().rows, 300U);
  EXPECT_FALSE(fs::exists(folder.index() / "vectors-1"));
  add(make_batch(7, 50, 3));  // d7 comes back
  check();
  index->compact({});
  index->compact({});  // nothing to do
  check();
}

TEST(Index, WordsAndHybrid) {
  const Folder folder;
  const auto index = Index::create(folder.index(), make_spec());
  put(*index, make_batch(0, 100, 1));
  auto options = top(100);
  options.mode = Mode::words;
  const auto worded = index->search("number3", {}, options);
  ASSERT_EQ(worded.size(), 6U);  // 3, 20, 37, 54, 71, 88
  for (const auto& hit : worded) EXPECT_NE(hit.document.text.find("number3 "), std::string::npos);
  EXPECT_TRUE(index->search("nothing like it", {}, options).empty());
  EXPECT_TRUE(index->search("", {}, options).empty());
  options.filter = "n < 50";
  EXPECT_EQ(index->search("number3", {}, options).size(), 3U);

  options = top(10);
  options.mode = Mode::hybrid;
  const auto query = make_query(1);
  const auto hybrid = index->search("number3", query, options);
  ASSERT_EQ(hybrid.size(), 10U);
  // By hand: every document has a rank by vector (100 candidates), six have one by words.
  auto vector_options = top(100);
  const auto near = index->search("", query, vector_options);
  std::map<std::string, double> scores;
  for (size_t i = 0; i < near.size(); ++i) {
    scores[near[i].document.id] += 1.0 / (60 + static_cast<double>(i) + 1);
  }
  for (size_t i = 0; i < worded.size(); ++i) {
    scores[worded[i].document.id] += 1.0 / (60 + static_cast<double>(i) + 1);
  }
  for (size_t i = 0; i < hybrid.size(); ++i) {
    EXPECT_DOUBLE_EQ(hybrid[i].score, scores[hybrid[i].document.id]);
    EXPECT_TRUE(hybrid[i].similarity.has_value());
    EXPECT_LE(hybrid[i].score, hybrid[i == 0 ? 0 : i - 1].score);
  }
  EXPECT_TRUE(hybrid[0].bm25.has_value());

  // Words of replaced and removed documents are gone.
  options = top(100);
  options.mode = Mode::words;
  auto batch = make_batch(3, 1, 9, "zebra");
  batch.documents[0].text = "zebra";
  put(*index, batch);
  EXPECT_EQ(index->search("number3", {}, options).size(), 5U);
  EXPECT_EQ(index->search("ZEBRA", {}, options).size(), 1U);
  const std::string id = "d20";
  index->remove({&id, 1});
  EXPECT_EQ(index->search("number3", {}, options).size(), 4U);
  index->compact({});
  EXPECT_EQ(index->search("number3", {}, options).size(), 4U);
}

TEST(Index, WithoutWords) {
  const Folder folder;
  auto spec = make_spec();
  spec.words = false;
  const auto index = Index::create(folder.index(), spec);
  put(*index, make_batch(0, 10, 1));
  auto options = top(5);
  options.mode = Mode::words;
  EXPECT_NE(error_of([&] { index->search("x", {}, options); }, ErrorKind::usage).find("no words"),
            std::string::npos);
  const std::string id = "d3";
  EXPECT_EQ(index->remove({&id, 1}), 1U);
  EXPECT_EQ(index->search("", make_query(1), top(20)).size(), 9U);
}

TEST(Index, EmptyAndSmall) {
  const Folder folder;
  const auto index = Index::create(folder.index(), make_spec());
  for (const Mode mode : {Mode::vector, Mode::words, Mode::hybrid}) {
    auto options = top(10);
    options.mode = mode;
    EXPECT_TRUE(index->search("text", make_query(0), options).empty());
    options.filter = "n = 1";
    EXPECT_TRUE(index->search("text", make_query(0), options).empty());
  }
  index->compact({});
  EXPECT_EQ(index->remove({}), 0U);
  put(*index, make_batch(0, 3, 1));
  EXPECT_EQ(index->search("", make_query(0), top(1000)).size(), 3U);
  EXPECT_TRUE(index->search("", make_query(0), top(0)).empty());
  const std::vector<std::string> all = {"d0", "d1", "d2"};
  EXPECT_EQ(index->remove(all), 3U);
  EXPECT_TRUE(index->search("text", make_query(0), top(10)).empty());
  index->compact({});
  EXPECT_TRUE(index->search("text", make_query(0), top(10)).empty());
  EXPECT_EQ(index->stats().rows, 0U);
}

TEST(Index, CodesAndFunnelAreNear) {
  const Folder folder;
  auto spec = make_spec();
  spec.vectors.full = Code::f16;
  spec.vectors.extra = {{Code::int8, kDims}, {Code::binary, kDims}, {Code::int8, 16}};
  Naive naive;
  {
    const auto index = Index::create(folder.index(), spec);
    const auto batch = make_batch(0, 500, 1);
    put(*index, batch);
    naive.add(batch);
  }
  const auto index = Index::open(folder.index(), false);
  EXPECT_EQ(index->spec().vectors.extra, spec.vectors.extra);
  size_t same = 0;
  for (uint64_t q = 0; q < 20; ++q) {
    const auto query = make_query(q);
    const auto expected = naive.search(query);
    auto options = top(10);
    options.method = Method::funnel;
    for (const auto& hit : index->search("", query, options)) {
      for (size_t i = 0; i < 10; ++i) same += expected[i].second == hit.document.id ? 1 : 0;
    }
    options.method = Method::exact;
    options.code = CodeSpec{Code::int8, kDims};
    EXPECT_EQ(index->search("", query, options).size(), 10U);
  }
  EXPECT_GE(same, 120U);  // of 200; random vectors are the worst there are
}

TEST(Index, GraphMayLagBehind) {
  const Folder folder;
  auto spec = make_spec();
  spec.graph = true;
  Naive naive;
  const auto index = Index::create(folder.index(), spec);
  const auto add = [&](const Batch& batch) {
    put(*index, batch);
    naive.add(batch);
  };
  auto options = top(10);
  options.method = Method::graph;
  options.breadth = 400;
  add(make_batch(0, 300, 1));
  index->update_graph({});
  add(make_batch(300, 60, 2));
  const std::string gone = naive.search(make_query(0))[0].second;
  index->remove({&gone, 1});
  naive.remove(gone);
  const auto reader = Index::open(folder.index(), false);
  const auto recall = [&] {
    size_t same = 0;
    for (uint64_t q = 0; q < 20; ++q) {
      const auto expected = naive.search(make_query(q));
      for (const auto& hit : reader->search("", make_query(q), options)) {
        EXPECT_NE(hit.document.id, gone);
        for (size_t i = 0; i < 10; ++i) same += expected[i].second == hit.document.id ? 1 : 0;
      }
    }
    return same;
  };
  EXPECT_GE(recall(), 196U);
  index->update_graph({});
  EXPECT_GE(recall(), 196U);
  index->compact({});
  EXPECT_GE(recall(), 196U);
  EXPECT_GT(reader->stats().graph_bytes, 0U);
}

TEST(Index, RefusesWhatMakesNoSense) {
  const Folder folder;
  const auto index = Index::create(folder.index(), make_spec());
  auto batch = make_batch(0, 3, 1);
  const auto add = [&] { index->add(batch.documents, batch.vectors.view(), IfPresent::error); };
  batch.documents[2].id = "d1";
  EXPECT_NE(error_of(add, ErrorKind::usage).find("\"d1\" comes twice"), std::string::npos);
  batch.documents[2].id = "";
  error_of(add, ErrorKind::usage);
  batch.documents[2].id = "d2";
  batch.documents[1].metadata = "[1, 2]";
  EXPECT_NE(error_of(add, ErrorKind::usage).find("expected a JSON object"), std::string::npos);
  batch.documents[1].metadata = "{";
  error_of(add, ErrorKind::usage);
  batch.documents[1].metadata = "";
  batch.vectors(1, 3) = std::nanf("");
  error_of(add, ErrorKind::usage);
  batch.vectors(1, 3) = 0;
  const Mat<float> narrow(3, kDims - 1);
  error_of([&] { index->add(batch.documents, narrow.view(), IfPresent::error); }, ErrorKind::usage);
  EXPECT_EQ(index->stats().documents, 0U);
  add();
  EXPECT_NE(error_of(add, ErrorKind::usage).find("is in the index already"), std::string::npos);
  EXPECT_EQ(index->add(batch.documents, batch.vectors.view(), IfPresent::skip), 0U);
  EXPECT_EQ(index->stats().rows, 3U);
  error_of([&] { index->search("", std::vector<float>(3), top(1)); }, ErrorKind::usage);
  auto options = top(1);
  options.filter = "n =";
  error_of([&] { index->search("", make_query(0), options); }, ErrorKind::usage);
  options.filter = "";
  options.code = CodeSpec{Code::binary, 8};
  error_of([&] { index->search("", make_query(0), options); }, ErrorKind::usage);
}

TEST(Index, KnowsItsModel) {
  const Folder folder;
  const auto index = Index::create(folder.index(), make_spec());
  EXPECT_NO_THROW(index->check_model("other name", "f1"));
  const auto words = error_of([&] { index->check_model("big", "f2"); }, ErrorKind::usage);
  EXPECT_NE(words.find("\"tiny\" (fingerprint f1)"), std::string::npos) << words;
  EXPECT_NE(words.find("\"big\" (f2)"), std::string::npos) << words;
}

TEST(Index, OneWriter) {
  const Folder folder;
  auto index = Index::create(folder.index(), make_spec());
  const auto words = error_of([&] { Index::open(folder.index(), true); }, ErrorKind::usage);
  EXPECT_NE(words.find("is writing here"), std::string::npos) << words;
  const auto reader = Index::open(folder.index(), false);
  const auto batch = make_batch(0, 2, 1);
  error_of([&] { put(*reader, batch); }, ErrorKind::usage);
  index.reset();
  const auto again = Index::open(folder.index(), true);
  put(*again, batch);
  EXPECT_EQ(reader->stats().documents, 2U);
}

TEST(Index, ReadersBesideAWriter) {
  const Folder folder;
  const auto writer = Index::create(folder.index(), make_spec());
  put(*writer, make_batch(0, 50, 1));
  const auto reader = Index::open(folder.index(), false);
  std::atomic<bool> stop{false};
  std::atomic<size_t> searches{0};
  const auto look = [&](const Index& index, uint64_t seed) {
    while (!stop) {
      auto options = top(10);
      options.mode = static_cast<Mode>(seed % 3);
      if (seed % 2 == 0) options.filter = "n >= 0";
      const auto hits = index.search("number3 kind2", make_query(seed++ % 50), options);
      EXPECT_GE(hits.size(), 1U);
      for (const auto& hit : hits) EXPECT_FALSE(hit.document.text.empty());
      ++searches;
    }
  };
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 2; ++t) {
    threads.emplace_back(look, std::cref(*reader), t * 100);
    threads.emplace_back(look, std::cref(*writer), t * 100 + 1);
  }
  for (size_t round = 0; round < 12; ++round) {
    put(*writer, make_batch(50 + round * 10, 30, round));
    const std::string id = "d" + std::to_string(60 + round);
    writer->remove({&id, 1});
    if (round % 3 == 2) writer->compact({});
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  EXPECT_GT(searches, 0U);
  EXPECT_EQ(reader->stats().documents, writer->stats().documents);
}

TEST(Index, ForeignFolders) {
  const Folder folder;
  error_of([&] { Index::open(folder.index(), false); }, ErrorKind::not_found);
  fs::create_directories(folder.index());
  error_of([&] { Index::open(folder.index(), false); }, ErrorKind::not_found);
  std::ofstream(folder.index() / "notes.txt") << "mine";
  const auto words =
      error_of([&] { Index::create(folder.index(), make_spec()); }, ErrorKind::usage);
  EXPECT_NE(words.find("\"notes.txt\""), std::string::npos);
  EXPECT_TRUE(fs::exists(folder.index() / "notes.txt"));
  fs::remove(folder.index() / "notes.txt");
  Index::create(folder.index(), make_spec());
  error_of([&] { Index::create(folder.index(), make_spec()); }, ErrorKind::usage);
}

TEST(Index, HalfMadeFolderIsMadeAgain) {
  const Folder folder;
  Index::create(folder.index(), make_spec());
  fs::remove(folder.index() / "index.db");
  std::ofstream(folder.index() / "index.db");  // SQLite's file before its first transaction
  error_of([&] { Index::open(folder.index(), true); }, ErrorKind::not_found);
  const auto index = Index::create(folder.index(), make_spec());
  put(*index, make_batch(0, 5, 1));
  EXPECT_EQ(index->stats().documents, 5U);
}

TEST(Index, DamagedFilesAreErrors) {
  const Folder folder;
  {
    const auto index = Index::create(folder.index(), make_spec());
    put(*index, make_batch(0, 400, 1));
  }
  const auto read = [](const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const auto write = [](const fs::path& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  };
  const auto use = [&] {
    const auto index = Index::open(folder.index(), false);
    auto options = top(10);
    options.mode = Mode::hybrid;
    options.filter = "n > 1";
    index->search("number3 kind1", make_query(1), options);
    index->get("d5");
  };
  use();
  Rng rng(17);
  for (const fs::path& path :
       {folder.index() / "index.db", folder.index() / "vectors-1" / "vectors.f32"}) {
    const std::string whole = read(path);
    for (int round = 0; round < 60; ++round) {
      std::string bytes = whole;
      if (round < 12) {
        bytes.resize(whole.size() * static_cast<size_t>(round) / 12);
      } else {
        const size_t at = rng.below(round % 2 == 0 ? 200 : bytes.size());
        for (size_t i = 0; i < 16 && at + i < bytes.size(); ++i) {
          bytes[at + i] = static_cast<char>(rng.below(256));
        }
      }
      write(path, bytes);
      try {
        use();
      } catch (const Error& error) {
        EXPECT_NE(error.kind(), ErrorKind::internal) << error.what();
      }
    }
    write(path, whole);
    use();
  }
  write(folder.index() / "index.db", "not a database, but long enough to look like one.........");
  error_of([&] { Index::open(folder.index(), false); }, ErrorKind::bad_format);
}

}  // namespace
}  // namespace akin::index
