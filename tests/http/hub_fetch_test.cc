// akin's downloads against a hub served on loopback: layout, resume, redirects without the token,
// checksums, and every way in which a hub can fail or lie. No network.
#include "store/hub_fetch.h"

#include <gtest/gtest.h>
#include <openssl/sha.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "hub_fake.h"
#include "store/dataset_folder.h"
#include "store/hub_cache.h"

namespace akin::store {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCommit = "00112233445566778899aabbccddeeff00112233";

std::string hex(const unsigned char* digest, size_t size) {
  std::string out;
  for (size_t i = 0; i < size; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}
std::string sha256(std::string_view bytes) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  ::SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  return hex(digest, sizeof digest);
}
std::string git_sha1(std::string_view bytes) {
  std::string blob = fmt::format("blob {}", bytes.size());
  blob += '\0';
  blob += bytes;
  unsigned char digest[SHA_DIGEST_LENGTH];
  ::SHA1(reinterpret_cast<const unsigned char*>(blob.data()), blob.size(), digest);
  return hex(digest, sizeof digest);
}

// A repository, its hub and the host that large files are redirected to.
class FakeHub {
 public:
  std::map<std::string, std::string> files = {
      {"config.json", "{}"},
      {"tokenizer.json", "{\"a\": 1}"},
      {"modules.json",
       R"([{"path":"","type":"sentence_transformers.models.Transformer"},
           {"path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
           {"path":"heads/first","type":"sentence_transformers.models.Dense"}])"},
      {"1_Pooling/config.json", "{\"pooling_mode_cls_token\": true}"},
      {"heads/first/config.json", "{\"bias\": true}"},
      {"heads/first/model.safetensors", "dense"},
      {"model.safetensors", std::string(300'000, 'w')},
      {"pytorch_model.bin", "not wanted"},
      {"onnx/model.onnx", "not wanted"},
      {"tf_model.h5", "not wanted"},
  };
  std::string large = "model.safetensors";  // the file that lies on the other host
  std::string wrong_etag_for;               // its content is not what the etag says
  std::function<bool(const FakeRequest&, FakeReply&)> override_hub, override_cdn;

  FakeHub()
      : cdn_([this](const FakeRequest& request) { return serve_cdn(request); }),
        hub_([this](const FakeRequest& request) { return serve_hub(request); }) {
    ::setenv("NO_PROXY", "127.0.0.1", 1);  // a proxy of the environment must not see loopback
    std::string pattern = (fs::temp_directory_path() / "akin_hub_XXXXXX").string();
    cache_ = ::mkdtemp(pattern.data());
    env.cache = cache_;
    env.endpoint = hub_.url();
    env.token = "secret";
    options.first_pause_s = 0.01;
  }
  ~FakeHub() {
    std::error_code ignored;
    fs::remove_all(cache_, ignored);
  }

  HubEnv env;
  FetchOptions options;
  FetchReport fetch() { return fetch_repo("org/m", env, options); }
  fs::path repo() const { return cache_ / "models--org--m"; }
  fs::path blob(std::string_view content) const { return repo() / "blobs" / sha256(content); }
  FakeServer& hub() { return hub_; }
  FakeServer& cdn() { return cdn_; }

 private:
  FakeReply serve_hub(const FakeRequest& request) {
    FakeReply reply;
    if (override_hub && override_hub(request, reply)) return reply;
    const bool dataset = options.kind == RepoKind::dataset;
    const std::string api = dataset ? "/api/datasets" : "/api/models";
    if (request.target == api + "/org/m/revision/main?blobs=true") return list();
    const std::string prefix =
        fmt::format("{}/org/m/resolve/{}/", dataset ? "/datasets" : "", kCommit);
    if (!request.target.starts_with(prefix)) return {.status = 404};
    const std::string path = request.target.substr(prefix.size());
    const auto file = files.find(path);
    if (file == files.end()) return {.status = 404};
    reply.headers.push_back(fmt::format("X-Repo-Commit: {}", kCommit));
    const std::string etag_of = path == wrong_etag_for ? "other" : file->second;
    if (path == large) {
      reply.status = 302;
      reply.headers.push_back(fmt::format("X-Linked-Etag: \"{}\"", sha256(etag_of)));
      reply.headers.push_back(fmt::format("X-Linked-Size: {}", file->second.size()));
      reply.headers.push_back("Location: " + cdn_.url() + "/blob?signature=x%20y");
      return reply;
    }
    reply.headers.push_back(fmt::format("ETag: W/\"{}\"", git_sha1(etag_of)));
    reply.body = file->second;
    return reply;
  }

  FakeReply serve_cdn(const FakeRequest& request) {
    FakeReply reply;
    reply.body = files[large];
    const auto range = request.headers.find("range");
    if (range != request.headers.end()) {
      const size_t from = std::stoul(range->second.substr(6));
      reply.status = 206;
      reply.headers.push_back(fmt::format("Content-Range: bytes {}-{}/{}", from,
                                          reply.body.size() - 1, reply.body.size()));
      reply.body.erase(0, from);
    }
    if (override_cdn) override_cdn(request, reply);
    return reply;
  }

  FakeReply list() const {
    std::string siblings;
    for (const auto& [name, content] : files) {
      siblings += fmt::format("{}{{\"rfilename\":\"{}\",\"size\":{}}}", siblings.empty() ? "" : ",",
                              name, content.size());
    }
    return {.body = fmt::format("{{\"sha\":\"{}\",\"siblings\":[{}]}}", kCommit, siblings)};
  }

  fs::path cache_;
  FakeServer cdn_, hub_;
};

Error error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "expected an akin::Error";
  return Error(ErrorKind::internal, "none");
}
void expect_fetch_error(FakeHub& hub, ErrorKind kind, std::string_view part) {
  const Error error = error_of([&] { hub.fetch(); });
  EXPECT_EQ(error.kind(), kind) << error.what();
  EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos) << error.what();
}

TEST(HubFetch, FillsTheCache) {
  FakeHub hub;
  uint64_t last_done = 0, last_total = 0;
  hub.options.progress = [&](const Progress& p) {
    EXPECT_GE(p.done, last_done);
    last_done = p.done;
    last_total = p.total;
  };
  const FetchReport report = hub.fetch();
  EXPECT_EQ(report.files,
            (std::vector<std::string>{"1_Pooling/config.json", "config.json",
                                      "heads/first/config.json", "heads/first/model.safetensors",
                                      "model.safetensors", "modules.json", "tokenizer.json"}));
  EXPECT_EQ(report.reused, 0U);
  EXPECT_EQ(report.bytes_downloaded, report.bytes_total);
  EXPECT_EQ(last_done, last_total);
  EXPECT_EQ(report.folder, hub.repo() / "snapshots" / kCommit);
  for (const std::string& file : report.files) {
    EXPECT_EQ(read_file(report.folder / file), hub.files[file]) << file;
    EXPECT_TRUE(fs::is_symlink(report.folder / file));
    EXPECT_TRUE(fs::read_symlink(report.folder / file).is_relative());
  }
  EXPECT_FALSE(fs::exists(report.folder / "pytorch_model.bin"));
  EXPECT_EQ(read_file(hub.repo() / "refs/main"), kCommit);
  EXPECT_TRUE(fs::exists(hub.env.cache / "CACHEDIR.TAG"));
  EXPECT_EQ(resolve_model("org/m", hub.env), report.folder);

  last_done = 0;
  const FetchReport again = hub.fetch();
  EXPECT_EQ(again.reused, again.files.size());
  EXPECT_EQ(again.bytes_downloaded, 0U);
}

TEST(HubFetch, TheTokenGoesToTheHubOnly) {
  FakeHub hub;
  hub.fetch();
  for (const FakeRequest& request : hub.hub().requests()) {
    EXPECT_EQ(request.headers.at("authorization"), "Bearer secret");
  }
  ASSERT_EQ(hub.cdn().requests().size(), 1U);
  EXPECT_EQ(hub.cdn().requests()[0].headers.count("authorization"), 0U);
  EXPECT_EQ(hub.cdn().requests()[0].target, "/blob?signature=x%20y");
}

TEST(HubFetch, ResumesInALaterRun) {
  FakeHub hub;
  hub.options.tries = 1;
  hub.override_cdn = [&](const FakeRequest&, FakeReply& reply) {
    reply.send_bytes = 100'000;
    return true;
  };
  expect_fetch_error(hub, ErrorKind::io, "model.safetensors");
  const std::string& content = hub.files["model.safetensors"];
  EXPECT_EQ(fs::file_size(hub.blob(content).string() + ".incomplete"), 100'000U);
  EXPECT_FALSE(fs::exists(hub.repo() / "refs/main"));  // not before all is there
  hub.override_cdn = nullptr;
  const FetchReport report = hub.fetch();
  EXPECT_EQ(hub.cdn().requests().back().headers.at("range"), "bytes=100000-");
  EXPECT_EQ(report.bytes_downloaded, 200'000 + hub.files["tokenizer.json"].size());
  EXPECT_EQ(read_file(report.folder / "model.safetensors"), content);
}

TEST(HubFetch, ResumesInTheSameRun) {
  FakeHub hub;
  int calls = 0;
  hub.override_cdn = [&](const FakeRequest&, FakeReply& reply) {
    if (++calls < 4) reply.send_bytes = 50'000;
    return true;
  };
  const FetchReport report = hub.fetch();
  EXPECT_EQ(calls, 4);
  EXPECT_EQ(read_file(report.folder / "model.safetensors"), hub.files["model.safetensors"]);
}

TEST(HubFetch, StartsAgainWhereRangesAreUnknown) {
  FakeHub hub;
  int calls = 0;
  hub.override_cdn = [&](const FakeRequest&, FakeReply& reply) {
    reply = {.body = hub.files["model.safetensors"]};  // 200, whatever was asked
    if (++calls == 1) reply.send_bytes = 70'000;
    return true;
  };
  EXPECT_EQ(read_file(hub.fetch().folder / "model.safetensors"), hub.files["model.safetensors"]);
}

TEST(HubFetch, AStalePartialFileIsReplaced) {
  FakeHub hub;
  const fs::path partial = hub.blob(hub.files["model.safetensors"]).string() + ".incomplete";
  fs::create_directories(partial.parent_path());
  std::ofstream(partial) << std::string(1000, 'z');
  EXPECT_EQ(read_file(hub.fetch().folder / "model.safetensors"), hub.files["model.safetensors"]);
  EXPECT_FALSE(fs::exists(partial));
}

TEST(HubFetch, RefusesWrongChecksums) {
  for (const char* file : {"model.safetensors", "config.json"}) {
    FakeHub hub;
    hub.wrong_etag_for = file;
    expect_fetch_error(hub, ErrorKind::bad_format, "checksum is");
    EXPECT_FALSE(fs::exists(hub.repo() / "snapshots" / kCommit / file));
    for (const auto& entry : fs::directory_iterator(hub.repo() / "blobs")) {
      EXPECT_NE(entry.path().extension(), ".incomplete");
    }
  }
}

TEST(HubFetch, SaysWhatTheHubRefused) {
  FakeHub hub;
  int status = 404;
  hub.override_hub = [&](const FakeRequest&, FakeReply& reply) {
    reply.status = status;
    return true;
  };
  expect_fetch_error(hub, ErrorKind::not_found, "org/m@main: not at http://127.0.0.1");
  EXPECT_FALSE(fs::exists(hub.repo()));
  status = 401;
  expect_fetch_error(hub, ErrorKind::io, "The token in use may not read it");
  hub.env.token.clear();
  status = 403;
  expect_fetch_error(hub, ErrorKind::io, "Set HF_TOKEN");
  status = 503;
  const size_t before = hub.hub().requests().size();
  hub.options.tries = 3;
  expect_fetch_error(hub, ErrorKind::io, "HTTP 503 on every try");
  EXPECT_EQ(hub.hub().requests().size() - before, 3U);
}

TEST(HubFetch, TriesAgainAfterAFault) {
  FakeHub hub;
  int calls = 0;
  hub.override_hub = [&](const FakeRequest&, FakeReply& reply) {
    if (++calls % 2 == 0) return false;
    reply.status = 500;  // every other request fails
    return true;
  };
  EXPECT_EQ(hub.fetch().files.size(), 7U);
}

TEST(HubFetch, OfflineMeansOffline) {
  FakeHub hub;
  hub.env.offline_because = "HF_HUB_OFFLINE=1";
  expect_fetch_error(hub, ErrorKind::not_found, "HF_HUB_OFFLINE=1: org/m@main is not in the cache");
  EXPECT_TRUE(hub.hub().requests().empty());
}

TEST(HubFetch, OfflineACachedSnapshotIsEnough) {
  FakeHub hub;
  const auto online = hub.fetch();
  const size_t asked = hub.hub().requests().size();
  hub.env.offline_because = "HF_HUB_OFFLINE=1";
  const auto report = hub.fetch();
  EXPECT_EQ(report.folder, online.folder);
  EXPECT_EQ(report.commit, kCommit);
  EXPECT_EQ(report.files, online.files);
  EXPECT_EQ(report.sizes, online.sizes);
  EXPECT_EQ(report.reused, online.files.size());
  EXPECT_EQ(report.bytes_downloaded, 0U);
  fs::remove(report.folder / "heads/first/model.safetensors");
  expect_fetch_error(hub, ErrorKind::not_found, "missing: heads/first/model.safetensors");
  fs::remove(hub.blob(hub.files["model.safetensors"]));  // its link stays
  expect_fetch_error(hub, ErrorKind::not_found, "model.safetensors");
  EXPECT_EQ(hub.hub().requests().size(), asked);
}

TEST(HubFetch, OfflineACachedDatasetIsEnough) {
  FakeHub hub;
  hub.options.kind = RepoKind::dataset;
  hub.files = {{"README.md", "# rows"}, {"en/test.jsonl", "{}\n"}};
  const auto online = hub.fetch();
  hub.env.offline_because = "HF_HUB_OFFLINE=1";
  const auto report = hub.fetch();
  EXPECT_EQ(report.folder, online.folder);
  EXPECT_EQ(report.files, online.files);
  hub.options.include = {"zh/*"};
  expect_fetch_error(hub, ErrorKind::not_found, "every file of rows that is wanted");
}

TEST(HubFetch, NobodyThere) {
  FakeHub hub;
  hub.options.tries = 2;
  hub.env.endpoint = "http://127.0.0.1:1";
  expect_fetch_error(hub, ErrorKind::io, "cannot reach http://127.0.0.1:1");
}

TEST(HubFetch, RefusesHostileLists) {
  for (const char* name :
       {"../evil.json", "/etc/passwd", "a/../../b", "a//b", "a\\\\b", "a\\u0000"}) {
    FakeHub hub;
    hub.files[name] = "x";
    expect_fetch_error(hub, ErrorKind::bad_format, "would leave its folder");
    EXPECT_FALSE(fs::exists(hub.repo()));
  }
}

TEST(HubFetch, RefusesHostileHeaders) {
  const auto with_head = [](FakeHub& hub, std::vector<std::string> headers, int status = 200) {
    hub.override_hub = [=](const FakeRequest& request, FakeReply& reply) {
      if (request.method != "HEAD") return false;
      reply.headers = headers;
      reply.status = status;
      return true;
    };
  };
  FakeHub hub;
  with_head(hub, {"ETag: \"../../evil\""});
  expect_fetch_error(hub, ErrorKind::bad_format, "expected a checksum");
  with_head(hub, {});
  expect_fetch_error(hub, ErrorKind::bad_format, "gives etag \"\"");
  with_head(hub, {"ETag: \"abc\"", "X-Repo-Commit: 1234"});
  expect_fetch_error(hub, ErrorKind::bad_format, "answers for commit");
  with_head(hub, {"Location: " + hub.hub().url() + "/loop"}, 302);
  expect_fetch_error(hub, ErrorKind::io, "redirects");
  with_head(hub, {"Location: file:///etc/passwd"}, 302);
  expect_fetch_error(hub, ErrorKind::io, "not safe");
}

TEST(HubFetch, RefusesMoreThanWasNamed) {
  FakeHub hub;
  hub.override_cdn = [&](const FakeRequest&, FakeReply& reply) {
    reply = {.body = std::string(400'000, 'w')};
    return true;
  };
  expect_fetch_error(hub, ErrorKind::bad_format, "sends more than the 300000 bytes");
}

TEST(HubFetch, InterruptKeepsWhatWasLoaded) {
  FakeHub hub;
  hub.options.progress = [&](const Progress& p) {
    if (p.done > 100'000) interrupt_flag() = true;
  };
  expect_fetch_error(hub, ErrorKind::interrupted, "");
  interrupt_flag() = false;
  EXPECT_TRUE(fs::exists(hub.blob(hub.files["model.safetensors"]).string() + ".incomplete"));
  hub.options.progress = nullptr;
  EXPECT_EQ(read_file(hub.fetch().folder / "model.safetensors"), hub.files["model.safetensors"]);
}

TEST(HubFetch, ChoosesWeights) {
  FakeHub hub;
  hub.files.erase("model.safetensors");
  FetchReport report = hub.fetch();
  EXPECT_EQ(read_file(report.folder / "pytorch_model.bin"), "not wanted");
  FakeHub bare;
  bare.files = {{"config.json", "{}"}, {"tf_model.h5", "x"}};
  expect_fetch_error(bare, ErrorKind::unsupported, "it has: config.json, tf_model.h5");
}

TEST(HubFetch, FetchesADatasetThatOpens) {
  FakeHub hub;
  hub.options.kind = RepoKind::dataset;
  hub.files = {{"README.md", "# rows"},
               {"en/test.jsonl", "{\"text\":\"a\"}\n"},
               {"zh/test-00000-of-00001.parquet", "rows"},
               {"loader.py", "not wanted"},
               {"dataset_infos.json", "not wanted"}};
  hub.large = "zh/test-00000-of-00001.parquet";
  hub.options.include = {"en/*"};
  EXPECT_EQ(hub.fetch().files, (std::vector<std::string>{"README.md", "en/test.jsonl"}));
  hub.options.include = {"fr/*"};
  expect_fetch_error(hub, ErrorKind::usage,
                     "it has: en/test.jsonl, zh/test-00000-of-00001.parquet");
  hub.options.include.clear();
  const auto report = hub.fetch();
  EXPECT_EQ(report.files.size(), 3U);
  EXPECT_EQ(report.reused, 2U);
  const auto data = open_dataset({}, "org/m", {}, hub.env);
  EXPECT_EQ(data.revision(), kCommit);
  EXPECT_EQ(read_file(data.files("en", "test").at(0)), hub.files["en/test.jsonl"]);
  EXPECT_EQ(read_file(data.files("zh", "test").at(0)), "rows");
  FakeHub bare;
  bare.options.kind = RepoKind::dataset;
  bare.files = {{"README.md", ""}, {"loader.py", ""}};
  expect_fetch_error(bare, ErrorKind::unsupported, "no files that akin reads");
}

TEST(HubFetch, CopiesWhereLinksAreNotWanted) {
  FakeHub hub;
  hub.env.symlinks = false;
  const FetchReport report = hub.fetch();
  EXPECT_FALSE(fs::is_symlink(report.folder / "config.json"));
  EXPECT_EQ(read_file(report.folder / "config.json"), "{}");
}

TEST(HubFetch, DryRunLoadsNothing) {
  FakeHub hub;
  hub.options.dry_run = true;
  const FetchReport report = hub.fetch();
  EXPECT_GE(report.files.size(), 5U);
  ASSERT_EQ(report.sizes.size(), report.files.size());
  for (size_t i = 0; i < report.files.size(); ++i) {
    EXPECT_EQ(report.sizes[i], static_cast<int64_t>(hub.files.at(report.files[i]).size()));
  }
  EXPECT_FALSE(fs::exists(hub.repo()));
  EXPECT_EQ(error_of([&] { fetch_repo("../x", hub.env); }).kind(), ErrorKind::usage);
}

}  // namespace
}  // namespace akin::store
