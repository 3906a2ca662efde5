// How fast is search over a kept index, and what does it find? Exact scans of every code against
// the memory's read bandwidth, funnels and the graph against exact search.
//   index_bench --docs docs.npy --queries queries.npy [--threads N] [--runs N]
//               [--codes f32:256,int8:64] [--funnel binary:256:2000,f32:256:10]...
//               [--graph-rows N [--links N] [--build-breadth N]]
// Without --docs: random unit vectors. --graph-rows: instead, graphs over the first N rows, this
// library's, hnswlib's own and FAISS's, each search on one thread. One JSON line a figure; times
// are medians, and runs of different things take turns.
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "index/flat.h"
#include "index/hnsw.h"
#include "index/vector_store.h"
#include "index_peers.h"
#include "kernels/cpu.h"
#include "kernels/scan.h"
#include "measure.h"
#include "store/vectors_file.h"

namespace {

using namespace akin;         // NOLINT: a benchmark's main file
using namespace akin::index;  // NOLINT
using akin::bench::median;

struct Arguments {
  std::string docs, queries, folder;
  std::vector<std::string> codes, funnels;
  size_t rows = 200'000, dims = 256, threads = usable_cpus(), runs = 11, k = 10,
         recall_queries = 100, graph_rows = 0, links = 16, build_breadth = 200;
};

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(at, begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

Arguments parse(int argc, char** argv) {
  Arguments out;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    const auto number = [&] { return static_cast<size_t>(std::stoull(value)); };
    if (name == "--docs") out.docs = value;
    if (name == "--queries") out.queries = value;
    if (name == "--folder") out.folder = value;
    if (name == "--codes") out.codes = split(value, ',');
    if (name == "--funnel") out.funnels.push_back(value);
    if (name == "--rows") out.rows = number();
    if (name == "--dims") out.dims = number();
    if (name == "--threads") out.threads = number();
    if (name == "--runs") out.runs = number();
    if (name == "--k") out.k = number();
    if (name == "--graph-rows") out.graph_rows = number();
    if (name == "--links") out.links = number();
    if (name == "--build-breadth") out.build_breadth = number();
    if (name == "--recall-queries") out.recall_queries = number();
  }
  return out;
}

// "int8:64"
CodeSpec parse_code(const std::string& text) {
  const std::vector<std::string> parts = split(text, ':');
  CodeSpec out;
  for (size_t c = 0; c < choices(Code{}).size(); ++c) {
    if (choices(Code{})[c] == parts[0]) out.code = static_cast<Code>(c);
  }
  out.dims = std::stoull(parts.at(1));
  return out;
}

std::vector<FunnelStage> parse_funnel(const std::string& text) {
  std::vector<FunnelStage> out;
  for (const std::string& stage : split(text, ','))
    out.push_back({parse_code(stage), std::stoull(split(stage, ':').at(2))});
  return out;
}

std::string name_of(const CodeSpec& code) {
  return fmt::format("{}:{}", code_name(code.code), code.dims);
}

Mat<float> random_vectors(size_t rows, size_t dims, uint64_t seed) {
  Rng rng(seed);
  Mat<float> out(rows, dims);
  for (size_t r = 0; r < rows; ++r) {
    double squares = 0;
    for (size_t d = 0; d < dims; ++d) {
      out(r, d) = static_cast<float>(rng.normal());
      squares += double{out(r, d)} * out(r, d);
    }
    for (size_t d = 0; d < dims; ++d) out(r, d) /= static_cast<float>(std::sqrt(squares));
  }
  return out;
}

double seconds(const std::function<void()>& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Figures that take turns.
struct Contest {
  struct Entry {
    std::string name;
    std::function<void(size_t run)> f;
    std::vector<double> times;
  };
  void add(std::string name, std::function<void(size_t)> f) {
    entries.push_back({std::move(name), std::move(f), {}});
  }
  void run(size_t runs) {
    for (Entry& entry : entries) entry.f(0);  // once to warm up
    for (size_t r = 0; r < runs; ++r) {
      for (Entry& entry : entries) entry.times.push_back(seconds([&] { entry.f(r); }));
    }
  }
  double ms(std::string_view name) const {
    for (const Entry& entry : entries) {
      if (entry.name == name) return 1e3 * median(entry.times);
    }
    return 0;
  }
  double best_ms(std::string_view name) const {
    for (const Entry& entry : entries) {
      if (entry.name == name)
        return 1e3 * *std::min_element(entry.times.begin(), entry.times.end());
    }
    return 0;
  }
  std::vector<Entry> entries;
};

// Memory in large pages, read by all threads: what a scan could reach.
class Bandwidth {
 public:
  explicit Bandwidth(size_t bytes) : bytes_(bytes) {
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw_error(ErrorKind::io, "index_bench", "no memory");
    data_ = static_cast<uint8_t*>(at);
    ::madvise(at, bytes, MADV_HUGEPAGE);
    std::fill_n(data_, bytes, uint8_t{1});
  }
  ~Bandwidth() { ::munmap(data_, bytes_); }
  Bandwidth(const Bandwidth&) = delete;
  Bandwidth& operator=(const Bandwidth&) = delete;
  void read(ThreadPool& pool) const {
    constexpr size_t kChunk = 1 << 20;
    std::atomic<uint64_t> sum{0};
    parallel_for(pool, bytes_ / kChunk, 1, [&](size_t chunk, size_t) {
      sum += kernels::scan_bytes(data_ + chunk * kChunk, kChunk);
    });
    [[maybe_unused]] static volatile uint64_t keep;
    keep = sum;
  }
  size_t bytes() const { return bytes_; }

 private:
  uint8_t* data_ = nullptr;
  size_t bytes_;
};

double recall(const std::vector<RowHit>& got, const std::vector<RowHit>& exact) {
  size_t found = 0;
  for (const RowHit& hit : exact) {
    found += std::any_of(got.begin(), got.end(), [&](const RowHit& h) { return h.row == hit.row; })
                 ? 1
                 : 0;
  }
  return static_cast<double>(found) / static_cast<double>(exact.size());
}

struct Bench {
  Arguments arguments;
  Mat<float> queries;
  std::unique_ptr<VectorStore> store;
  ThreadPool pool;
  std::vector<std::vector<RowHit>> exact;

  MatView<const float> query(size_t i) const {
    return queries.view().row_range(i % queries.rows(), 1);
  }

  // The queries that recall is taken over.
  MatView<const float> judged() const {
    return queries.view().row_range(0, std::min(queries.rows(), arguments.recall_queries));
  }

  void run() {
    const CodeSpec full{Code::f32, store->spec().dims};
    exact = store->scan(judged(), arguments.k, full, {}, pool);
    const Bandwidth memory(store->rows() * row_bytes(full.code, full.dims));
    Contest contest;
    contest.add("memory", [&](size_t) { memory.read(pool); });
    std::vector<CodeSpec> codes{full};
    for (const CodeSpec& extra : store->spec().extra) codes.push_back(extra);
    for (const CodeSpec& code : codes) {
      contest.add(name_of(code), [this, code](size_t run) {
        (void)store->scan(query(run), arguments.k, code, {}, pool);
      });
    }
    std::vector<std::pair<std::string, std::vector<FunnelStage>>> funnels;
    funnels.emplace_back("default", funnel_schedule(store->spec(), store->rows(), arguments.k));
    for (const std::string& funnel : arguments.funnels)
      funnels.emplace_back(funnel, parse_funnel(funnel));
    for (const auto& [name, stages] : funnels) {
      contest.add("funnel " + name, [this, stages](size_t run) {
        const MatView<const float> q = query(run);
        (void)store->funnel({q.data(), q.cols()}, stages, {}, pool);
      });
    }
    contest.run(arguments.runs);
    report(contest, memory, codes, funnels);
  }

  void report(const Contest& contest, const Bandwidth& memory, const std::vector<CodeSpec>& codes,
              const std::vector<std::pair<std::string, std::vector<FunnelStage>>>& funnels) {
    const auto rate = [](size_t bytes, double ms) { return static_cast<double>(bytes) / ms / 1e6; };
    const double most = rate(memory.bytes(), contest.ms("memory"));
    fmt::print("{{\"threads\":{},\"rows\":{},\"dims\":{},\"isa\":\"{}\",\"memory_gb_s\":{:.2f}}}\n",
               pool.size(), store->rows(), store->spec().dims,
               kernels::isa_name(kernels::active_isa()), most);
    const double exact_ms = contest.ms(name_of(codes[0]));
    for (const CodeSpec& code : codes) {
      const double ms = contest.ms(name_of(code));
      const double gb_s = rate(store->rows() * row_bytes(code.code, code.dims), ms);
      fmt::print(
          "{{\"scan\":\"{}\",\"ms\":{:.2f},\"best_ms\":{:.2f},\"gb_s\":{:.2f},"
          "\"share_of_memory\":{:.2f},\"recall_alone\":{:.4f}}}\n",
          name_of(code), ms, contest.best_ms(name_of(code)), gb_s, gb_s / most,
          found(store->scan(judged(), arguments.k, code, {}, pool)));
    }
    for (const auto& [name, stages] : funnels) {
      std::vector<std::vector<RowHit>> got;
      for (size_t q = 0; q < exact.size(); ++q)
        got.push_back(store->funnel({queries.row(q), queries.cols()}, stages, {}, pool));
      std::string text;
      for (const FunnelStage& stage : stages)
        text += fmt::format("{}{}:{}", text.empty() ? "" : ",", name_of(stage.code), stage.keep);
      const double ms = contest.ms("funnel " + name);
      fmt::print("{{\"funnel\":\"{}\",\"ms\":{:.2f},\"times_exact\":{:.1f},\"recall\":{:.4f}}}\n",
                 text, ms, exact_ms / ms, found(got));
    }
  }

  double found(const std::vector<std::vector<RowHit>>& got) const {
    double sum = 0;
    for (size_t q = 0; q < got.size(); ++q) sum += recall(got[q], exact[q]);
    return sum / static_cast<double>(got.size());
  }
};

class OurGraph final : public bench::Peer {
 public:
  explicit OurGraph(const bench::PeerSpec& spec)
      : dims_(spec.dims), graph_(Hnsw::create(spec.dims, {spec.links, spec.build_breadth, 1})) {}
  std::string name() const override { return "akin"; }
  void build(const float* rows, size_t n, size_t threads) override {
    ThreadPool pool(threads);
    graph_->add({rows, n, dims_}, 0, pool);
  }
  std::vector<uint32_t> search(const float* query, size_t k, size_t breadth) override {
    std::vector<uint32_t> out;
    for (const RowHit& hit : graph_->search({query, dims_}, k, breadth, {})) out.push_back(hit.row);
    return out;
  }

 private:
  size_t dims_;
  std::unique_ptr<Hnsw> graph_;
};

// Queries one by one, on so many threads at once.
void search_graphs(const Arguments& arguments,
                   const std::vector<std::unique_ptr<bench::Peer>>& peers,
                   const Mat<float>& queries, const std::vector<std::vector<Hit>>& exact,
                   size_t breadth, size_t threads) {
  ThreadPool pool(threads);
  Contest contest;
  std::vector<std::vector<std::vector<uint32_t>>> got(peers.size());
  for (size_t p = 0; p < peers.size(); ++p) {
    got[p].resize(exact.size());
    contest.add(peers[p]->name(), [&, p](size_t) {
      parallel_for(pool, exact.size(), 1, [&](size_t q, size_t) {
        got[p][q] = peers[p]->search(queries.row(q), arguments.k, breadth);
      });
    });
  }
  contest.run(arguments.runs);
  for (size_t p = 0; p < peers.size(); ++p) {
    size_t found = 0;
    for (size_t q = 0; q < exact.size(); ++q) {
      for (const Hit& hit : exact[q])
        found += static_cast<size_t>(std::count(got[p][q].begin(), got[p][q].end(), hit.doc));
    }
    const auto count = static_cast<double>(exact.size());
    fmt::print(
        "{{\"search\":\"{}\",\"breadth\":{},\"threads\":{},\"recall\":{:.4f},\"qps\":{:.0f},"
        "\"best_qps\":{:.0f}}}\n",
        peers[p]->name(), breadth, threads,
        static_cast<double>(found) / (count * static_cast<double>(arguments.k)),
        count * 1e3 / contest.ms(peers[p]->name()),
        count * 1e3 / contest.best_ms(peers[p]->name()));
  }
}

void compare_graphs(const Arguments& arguments, const Mat<float>& docs, const Mat<float>& queries) {
  const size_t n = std::min(arguments.graph_rows, docs.rows()), k = arguments.k;
  const size_t count = std::min(queries.rows(), arguments.recall_queries);
  ThreadPool pool(arguments.threads);
  FlatSearch flat(queries.view().row_range(0, count), k, pool);
  flat.add(docs.view().row_range(0, n), 0);
  const bench::PeerSpec spec{docs.cols(), arguments.links, arguments.build_breadth};
  std::vector<std::unique_ptr<bench::Peer>> peers;
  peers.push_back(std::make_unique<OurGraph>(spec));
  peers.push_back(bench::hnswlib_graph(spec));
#ifdef AKIN_BENCH_FAISS
  peers.push_back(bench::faiss_graph(spec));
  peers.push_back(bench::faiss_flat(spec));
#endif
  for (const auto& peer : peers) {
    const std::clock_t cpu = std::clock();
    const double wall = seconds([&] { peer->build(docs.data(), n, arguments.threads); });
    fmt::print(
        "{{\"build\":\"{}\",\"rows\":{},\"links\":{},\"build_breadth\":{},\"threads\":{},"
        "\"s\":{:.2f},\"cpu_s\":{:.2f}}}\n",
        peer->name(), n, spec.links, spec.build_breadth, arguments.threads, wall,
        static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC);
  }
  const std::vector<std::vector<Hit>> exact = flat.results();
  for (const size_t breadth : {16, 32, 64, 128, 256}) {
    for (size_t threads = 1; threads <= arguments.threads; threads *= 2)
      search_graphs(arguments, peers, queries, exact, breadth, threads);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  Mat<float> docs = arguments.docs.empty() ? random_vectors(arguments.rows, arguments.dims, 1)
                                           : store::read_npy(arguments.docs);
  Mat<float> queries = arguments.queries.empty() ? random_vectors(200, docs.cols(), 2)
                                                 : store::read_npy(arguments.queries);
  if (arguments.graph_rows > 0) {
    compare_graphs(arguments, docs, queries);
    return 0;
  }
  VectorStoreSpec spec{docs.cols(), Code::f32, {}};
  for (const std::string& code : arguments.codes) spec.extra.push_back(parse_code(code));
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("index_bench.{}", ::getpid());
  {
    Bench bench{arguments,
                std::move(queries),
                VectorStore::create(folder, spec),
                ThreadPool(arguments.threads),
                {}};
    const double append = seconds([&] { bench.store->append(docs.view()); });
    fmt::print("{{\"append_s\":{:.2f}}}\n", append);
    docs = {};
    bench.run();
  }
  std::filesystem::remove_all(folder);
}
