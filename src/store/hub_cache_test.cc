// The Hugging Face cache: environment, names, snapshots, and the words for what is missing.
#include "store/hub_cache.h"

#include <map>

#include "store/test_files.h"

namespace akin::store {
namespace {

HubEnv env_of(std::map<std::string, std::string> variables) {
  return hub_env([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

constexpr std::string_view kCommit = "0123456789abcdef0123456789abcdef01234567";

void put_snapshot(const TempFolder& folder) {
  const std::string at = "models--org--m/snapshots/" + std::string(kCommit) + "/";
  folder.put("models--org--m/refs/main", kCommit);
  folder.put(at + "config.json", "{}");
  folder.put(at + "tokenizer.json", "{}");
  folder.put(at + "model.safetensors", "x");
}

TEST(HubEnv, ReadsVariables) {
  EXPECT_EQ(env_of({{"HOME", "/h"}}).cache, "/h/.cache/huggingface/hub");
  EXPECT_EQ(env_of({{"HOME", "/h"}}).endpoint.substr(0, 8), "https://");
  EXPECT_EQ(env_of({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}}).cache, "/x/huggingface/hub");
  EXPECT_EQ(env_of({{"HOME", "/h"}, {"HF_HOME", "~/hf"}}).cache, "/h/hf/hub");
  EXPECT_EQ(env_of({{"HUGGINGFACE_HUB_CACHE", "/old"}}).cache, "/old");
  EXPECT_EQ(env_of({{"HF_ENDPOINT", "http://mirror:1/"}}).endpoint, "http://mirror:1");
  EXPECT_EQ(env_of({{"HF_TOKEN", " abc\n"}}).token, "abc");
  EXPECT_EQ(env_of({{"HF_TOKEN", "a"}, {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"}}).token, "");
  EXPECT_EQ(env_of({{"HF_HUB_OFFLINE", "yes"}}).offline_because, "HF_HUB_OFFLINE=yes");
  EXPECT_EQ(env_of({{"TRANSFORMERS_OFFLINE", "1"}}).offline_because, "TRANSFORMERS_OFFLINE=1");
  EXPECT_FALSE(env_of({{"HF_HUB_OFFLINE", "0"}}).offline());
  EXPECT_EQ(env_of({{"HF_HUB_ETAG_TIMEOUT", "2.5"}}).metadata_timeout_s, 2.5);
  expect_error(ErrorKind::usage, "HF_ENDPOINT", [] { env_of({{"HF_ENDPOINT", "ftp://x"}}); });
  expect_error(ErrorKind::usage, "HF_TOKEN", [] { env_of({{"HF_TOKEN", "a\r\nHost: b"}}); });
  expect_error(ErrorKind::usage, "seconds", [] { env_of({{"HF_HUB_ETAG_TIMEOUT", "soon"}}); });
  TempFolder folder;
  folder.put("token", "from-file\n");
  EXPECT_EQ(env_of({{"HF_HOME", folder.path().string()}}).token, "from-file");
}

TEST(HubNames, OnlyPlainOnes) {
  for (const char* good : {"bert-base-uncased", "BAAI/bge-m3", "a/b.c_d"}) {
    EXPECT_TRUE(is_repo_id(good)) << good;
  }
  for (const char* bad :
       {"", "/", "a/", "/a", "a/b/c", "../a", "a/..", "a--b", ".a", "a b", "a/b\n", "a\\b", "-a"}) {
    EXPECT_FALSE(is_repo_id(bad)) << bad;
  }
  check_revision("main");
  check_revision("refs/pr/1");
  for (const char* bad : {"", "..", "a/../b", "/a", "a/", ".", "a//b"}) {
    expect_error(ErrorKind::usage, "no branch", [&] { check_revision(bad); });
  }
}

TEST(HubCache, ResolvesFoldersAndSnapshots) {
  TempFolder folder;
  put_snapshot(folder);
  const HubEnv env{.cache = folder.path(), .endpoint = "http://x"};
  EXPECT_EQ(resolve_model(folder.path().string(), env), folder.path());
  const auto expected = folder / "models--org--m" / "snapshots" / kCommit;
  EXPECT_EQ(resolve_model("org/m", env), expected);
  EXPECT_EQ(resolve_model("org/m", env, kCommit), expected);
  EXPECT_EQ(find_cached_model(env, "org/m").commit, kCommit);
}

TEST(HubCache, SaysWhatIsMissing) {
  TempFolder folder;
  put_snapshot(folder);
  HubEnv env{.cache = folder.path(), .endpoint = "http://x"};
  std::filesystem::remove(folder / "models--org--m" / "snapshots" / kCommit / "tokenizer.json");
  const auto message = [&](std::string_view name, std::string_view revision = "main") {
    const Error error = error_of([&] { resolve_model(name, env, revision); });
    EXPECT_EQ(error.kind(), ErrorKind::not_found);
    return std::string(error.what());
  };
  EXPECT_EQ(message("org/m"),
            "org/m@main is incomplete: missing tokenizer.json. Get it with: akin fetch org/m");
  env.offline_because = "HF_HUB_OFFLINE=1";
  EXPECT_EQ(message("org/m"),
            "offline (HF_HUB_OFFLINE=1) and org/m@main is incomplete: missing tokenizer.json. On a "
            "machine with network: akin fetch org/m");
  EXPECT_EQ(message("org/other", "v1"),
            "offline (HF_HUB_OFFLINE=1) and org/other@v1 is neither a folder nor in the cache " +
                folder.path().string() +
                ". On a machine with network: akin fetch org/other --revision v1");
  EXPECT_NE(message("./nothing/here").find("no such folder"), std::string::npos);
  expect_error(ErrorKind::usage, "is a file",
               [&] { resolve_model(folder.put("f", "").string(), env); });
  folder.put("models--org--m/refs/main", "../../etc");
  expect_error(ErrorKind::bad_format, "40 digits", [&] { resolve_model("org/m", env); });
}

TEST(HubCache, ListsEveryMissingFile) {
  TempFolder folder;
  EXPECT_EQ(missing_model_files(folder.path()),
            (std::vector<std::string>{"config.json", "tokenizer.json", "model.safetensors"}));
  folder.put("modules.json",
             R"([{"path":"","type":"a.Transformer"},{"path":"1_Pooling","type":"a.Pooling"},
                 {"path":"2_Dense","type":"a.Dense"}])");
  folder.put("config.json", "{}");
  folder.put("vocab.txt", "");
  folder.put("model.safetensors.index.json", R"({"weight_map":{"a":"x","b":"y"}})");
  folder.put("x", "");
  EXPECT_EQ(missing_model_files(folder.path()),
            (std::vector<std::string>{"y", "1_Pooling/config.json", "2_Dense/config.json",
                                      "2_Dense/model.safetensors"}));
}

}  // namespace
}  // namespace akin::store
