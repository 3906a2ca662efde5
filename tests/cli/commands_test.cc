// The other verbs end to end on the shipped models.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "run_program.h"

namespace akin::cli_test {
namespace {

using nlohmann::json;

TEST(Similarity, TwoTextsGiveOneNumber) {
  const auto near =
      run({"similarity", "--model", kModel, "a cat sat on the mat", "a kitten rested on the rug"});
  const auto far =
      run({"similarity", "--model", kModel, "a cat sat on the mat", "quarterly tax report"});
  ASSERT_EQ(near.code, 0) << near.err;
  EXPECT_GT(std::stod(near.out), std::stod(far.out));
}

TEST(Similarity, ChineseModelRanksAsPeopleWould) {
  const auto result = run({"similarity", "--json", "--model", kChineseModel, "今天天气很好",
                           "今天天气不错", "股票价格下跌"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto scores = json::parse(result.out).at("scores");
  EXPECT_GT(scores[0][1].get<double>(), scores[0][2].get<double>());
  EXPECT_NEAR(scores[1][1].get<double>(), 1, 1e-5);
}

TEST(Similarity, TableOfLinesIsColouredOnlyOnRequest) {
  const Invocation lines{.arguments = {"similarity", "--model", kModel, "--lines", "-"},
                         .input = "red fox\nbrown fox\ntax report\n"};
  const auto plain = run(lines);
  ASSERT_EQ(plain.code, 0) << plain.err;
  EXPECT_EQ(plain.out.find('\x1b'), std::string::npos);
  auto coloured = lines;
  coloured.arguments.insert(coloured.arguments.end(), {"--color", "always"});
  EXPECT_NE(run(coloured).out.find("\x1b[30;48;5;"), std::string::npos);
}

TEST(Similarity, PairsWithAndWithoutAHeader) {
  const TemporaryFolder folder;
  const auto bare = folder.write("bare.tsv", "red fox\tbrown fox\nred fox\ttax report\n");
  const auto named = folder.write(
      "named.tsv", "sentence1\tscore\tsentence2\nred fox\t5\tbrown fox\nred fox\t0\ttax report\n");
  const auto objects = folder.write(
      "pairs.jsonl",
      "{\"s1\":\"red fox\",\"s2\":\"brown fox\"}\n{\"s1\":\"red fox\",\"s2\":\"tax report\"}\n");
  const auto a = run({"similarity", "--model", kModel, "--pairs", bare});
  const auto b = run({"similarity", "--model", kModel, "--pairs", named});
  const auto c = run({"similarity", "--model", kModel, "--pairs", objects});
  ASSERT_EQ(a.code, 0) << a.err;
  ASSERT_EQ(b.code, 0) << b.err;
  ASSERT_EQ(c.code, 0) << c.err;
  EXPECT_EQ(a.out, b.out);
  EXPECT_EQ(a.out, c.out);
  const auto torn = folder.write("torn.tsv", "a\tb\nno tab here\n");
  const auto bad = run({"similarity", "--model", kModel, "--pairs", torn});
  EXPECT_EQ(bad.code, 1);
  EXPECT_NE(bad.err.find("torn.tsv:2"), std::string::npos) << bad.err;
}

TEST(Similarity, NeedsSomethingToCompare) {
  EXPECT_EQ(run({"similarity", "--model", kModel}).code, 2);
  EXPECT_EQ(run({"similarity", "--model", kModel, "alone"}).code, 2);
  const auto large = run(Invocation{.arguments = {"similarity", "--model", kModel, "--lines", "-"},
                                    .input = std::string(10000, '\n')});
  EXPECT_EQ(large.code, 2);
  EXPECT_NE(large.err.find("more than "), std::string::npos) << large.err;
}

const std::string kDocuments =
    "a program that plays songs and music files\nan editor for photos and pictures\na compiler for "
    "the C language\n"
    "a shell for the command line\na firewall that protects networks\n";

TEST(Search, FindsByMeaning) {
  const TemporaryFolder folder;
  const auto documents = folder.write("documents.txt", kDocuments);
  const auto result = run({"search", "--model", kModel, "music player", documents, "--k", "2"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("documents.txt:1\ta program that plays songs"), std::string::npos)
      << result.out;
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 2);
}

TEST(Search, JsonVectorsAndCacheAgree) {
  const TemporaryFolder folder;
  const auto documents = folder.write("documents.txt", kDocuments);
  ASSERT_EQ(run({"embed", "--model", kModel, documents, "--out", folder.file("v.npy")}).code, 0);
  const std::vector<std::string> base = {"search",  "--json",      "--model", kModel,
                                         "--query", "edit photos", documents};
  const auto hits = [&](std::vector<std::string> more) {
    auto arguments = base;
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto result = run(Invocation{.arguments = arguments,
                                       .environment = {{"XDG_CACHE_HOME", folder.file("cache")}}});
    EXPECT_EQ(result.code, 0) << result.err;
    return std::pair(json::parse(result.out).at("hits"), result.err);
  };
  const auto computed = hits({});
  EXPECT_EQ(computed.first[0].at("line"), 2);
  EXPECT_EQ(hits({"--vectors", folder.file("v.npy")}).first, computed.first);
  EXPECT_EQ(hits({"--cache"}).first, computed.first);
  const auto again = hits({"--cache"});
  EXPECT_EQ(again.first, computed.first);
  EXPECT_NE(again.second.find("cached"), std::string::npos) << again.second;
}

TEST(Search, VectorsOfEmptyRowsAreCounted) {
  const TemporaryFolder folder;
  const auto documents = folder.write("documents.txt", "\n" + kDocuments + "\n\nthe last one\n");
  ASSERT_EQ(run({"embed", "--model", kModel, documents, "--out", folder.file("v.npy")}).code, 0);
  const auto plain = run({"search", "--model", kModel, "--query", "edit photos", documents});
  const auto read_back = run({"search", "--model", kModel, "--query", "edit photos", documents,
                              "--vectors", folder.file("v.npy")});
  EXPECT_EQ(read_back.code, 0) << read_back.err;
  EXPECT_EQ(read_back.out, plain.out);
}

TEST(Search, ABadCacheIsAWarning) {
  const TemporaryFolder folder;
  const auto documents = folder.write("documents.txt", kDocuments);
  const auto search = [&](const std::string& cache) {
    return run(Invocation{.arguments = {"search", "--cache", "--model", kModel, "music", documents},
                          .environment = {{"XDG_CACHE_HOME", cache}}});
  };
  const auto sound = search(folder.file("cache"));
  ASSERT_EQ(sound.code, 0) << sound.err;
  for (const auto& kept :
       std::filesystem::directory_iterator(folder.path() / "cache" / "akin" / "vectors")) {
    std::ofstream(kept.path()) << "damaged";
  }
  const auto damaged = search(folder.file("cache"));
  EXPECT_EQ(damaged.code, 0) << damaged.err;
  EXPECT_EQ(damaged.out, sound.out);
  EXPECT_NE(damaged.err.find("embedding again"), std::string::npos) << damaged.err;
  EXPECT_EQ(search(folder.file("cache")).err.find("warning"), std::string::npos);  // mended
  const auto unwritable = search("/proc");
  EXPECT_EQ(unwritable.code, 0) << unwritable.err;
  EXPECT_EQ(unwritable.out, sound.out);
  EXPECT_NE(unwritable.err.find("not kept"), std::string::npos) << unwritable.err;
}

TEST(Search, FilesOfFoldersAreNamedByTheirPaths) {
  const TemporaryFolder folder;
  folder.write("one/sub/a.txt", "a program that plays music");
  folder.write("two/sub/a.txt", "a compiler for the C language");
  const std::vector<std::string> arguments = {
      "search", "--model", kModel, "--query", "music", folder.file("one"), folder.file("two/")};
  const auto plain = run(arguments);
  ASSERT_EQ(plain.code, 0) << plain.err;
  EXPECT_NE(plain.out.find(folder.file("one/sub/a.txt") + "\t"), std::string::npos) << plain.out;
  EXPECT_NE(plain.out.find(folder.file("two/sub/a.txt") + "\t"), std::string::npos) << plain.out;
  auto as_json = arguments;
  as_json.emplace_back("--json");
  const auto hits = json::parse(run(as_json).out).at("hits");
  EXPECT_EQ(hits[0].at("file"), folder.file("one/sub/a.txt"));
  EXPECT_EQ(hits[1].at("file"), folder.file("two/sub/a.txt"));
}

TEST(Search, RefusesVectorsThatDoNotFit) {
  const TemporaryFolder folder;
  const auto documents = folder.write("documents.txt", kDocuments);
  ASSERT_EQ(
      run({"embed", "--model", kModel, "--text", "one", "--out", folder.file("one.npy")}).code, 0);
  const auto result = run({"search", "--model", kModel, "--query", "x", documents, "--vectors",
                           folder.file("one.npy")});
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.err.find("expected 5 of 64"), std::string::npos) << result.err;
  ASSERT_EQ(run({"embed", "--model", kModel, documents, "--out", folder.file("v.npy")}).code, 0);
  auto record = json::parse(read(folder.file("v.npy.config.json")));
  record["model"]["fingerprint"] = "other";
  folder.write("v.npy.config.json", record.dump());
  const auto other = run(
      {"search", "--model", kModel, "--query", "x", documents, "--vectors", folder.file("v.npy")});
  EXPECT_EQ(other.code, 2);
  EXPECT_NE(other.err.find("--allow-mismatch"), std::string::npos) << other.err;
  std::string bytes = read(folder.file("v.npy"));
  const float nan = std::nanf("");
  std::memcpy(bytes.data() + bytes.size() - 64 * sizeof nan, &nan, sizeof nan);
  folder.write("v.npy", bytes);
  const auto broken = run({"search", "--model", kModel, "--query", "x", documents, "--vectors",
                           folder.file("v.npy"), "--allow-mismatch"});
  EXPECT_EQ(broken.code, 1);
  EXPECT_NE(broken.err.find("row 4 holds"), std::string::npos) << broken.err;
}

TEST(Search, ManyQueriesFromAFile) {
  const TemporaryFolder folder;
  const auto documents = folder.write("documents.txt", kDocuments);
  const auto queries = folder.write("queries.txt", "play a song\nprotect my network\n");
  const auto result =
      run({"search", "--model", kModel, "--queries", queries, documents, "--k", "1"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("play a song\t"), std::string::npos);
  EXPECT_NE(result.out.find("documents.txt:5"), std::string::npos) << result.out;
}

TEST(Tokenize, GivesIdsTokensAndOffsets) {
  const auto result = run({"tokenize", "--json", "--model", kModel, "hello world"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto line = json::parse(result.out);
  ASSERT_EQ(line.at("ids").size(), line.at("tokens").size());
  EXPECT_EQ(line.at("end").back(), 11);
  const auto count = run({"tokenize", "--count", "--model", kModel, "hello world"});
  EXPECT_EQ(std::stoul(count.out), line.at("ids").size());
}

TEST(Tokenize, OneCharacterATokenInTheChineseModel) {
  const auto result = run({"tokenize", "--json", "--model", kChineseModel, "图像 abc2"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out).at("tokens"),
            (std::vector<std::string>{"图", "像", "a", "b", "c", "2"}));
}

TEST(Tokenize, ShowsIdsAndCountsInvalidText) {
  const Invocation rows{.arguments = {"tokenize", "--json", "--model", kModel, "--file", "-",
                                      "--input-format", "jsonl", "--id-field", "key"},
                        .input = "{\"key\":\"k7\",\"text\":\"hello\"}\n"};
  const auto result = run(rows);
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out).at("id"), "k7");
  auto counted = rows;
  counted.arguments.emplace_back("--count");
  EXPECT_EQ(json::parse(run(counted).out).at("id"), "k7");
  auto plain = rows;
  plain.arguments.erase(plain.arguments.begin() + 1);
  EXPECT_EQ(run(plain).code, 2);
  const auto bad = run({"tokenize", "--model", kModel, "bad \xff bytes", "good"});
  EXPECT_EQ(bad.code, 0);
  EXPECT_NE(bad.err.find("1 texts with invalid UTF-8"), std::string::npos) << bad.err;
}

TEST(Tokenize, ReadsStdinForADash) {
  const auto result = run(
      Invocation{.arguments = {"tokenize", "--model", kModel, "--count", "-"}, .input = "a b\n"});
  EXPECT_EQ(result.out, run({"tokenize", "--model", kModel, "--count", "a b"}).out) << result.err;
}

TEST(Info, TellsTheFacts) {
  const auto result = run({"info", "--json", kModel});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto facts = json::parse(result.out);
  EXPECT_EQ(facts.at("dims"), 64);
  EXPECT_EQ(facts.at("name"), "static-en-64");
  EXPECT_NE(run({"info", kModel}).out.find("fingerprint"), std::string::npos);
  const auto list = run({"info", "--list"});
  if (!list.out.empty()) {  // a program built outside of the tree ships no models
    EXPECT_NE(list.out.find("static-zh-200"), std::string::npos) << list.out;
  }
}

TEST(Doctor, SoundFolderPassesAndRecordsAreCompared) {
  const TemporaryFolder folder;
  std::filesystem::copy(kModel, folder.path() / "model");
  const auto model = folder.file("model");
  const auto first = run({"doctor", model, "--write-probe"});
  EXPECT_EQ(first.code, 0) << first.out << first.err;
  EXPECT_TRUE(std::filesystem::exists(model + "/akin_probe.json"));
  const auto second = run({"doctor", "--json", model});
  EXPECT_EQ(second.code, 0) << second.out;
  EXPECT_EQ(second.out.find("\"fail\""), std::string::npos) << second.out;
  auto record = json::parse(read(model + "/akin_probe.json"));
  record["vectors"][0][0] = record["vectors"][0][0].get<double>() + 0.01;
  folder.write("model/akin_probe.json", record.dump());
  const auto third = run({"doctor", model});
  EXPECT_EQ(third.code, 1);
  EXPECT_NE(third.out.find("fail  probe"), std::string::npos) << third.out;
}

TEST(Doctor, NamesWhatIsWrongWithAFolder) {
  const TemporaryFolder folder;
  std::filesystem::copy(kModel, folder.path() / "model");
  std::filesystem::resize_file(folder.path() / "model" / "model.safetensors", 1000);
  const auto torn = run({"doctor", folder.file("model")});
  EXPECT_EQ(torn.code, 1);
  EXPECT_NE(torn.out.find("model.safetensors"), std::string::npos) << torn.out;
  // The tokenizer of another model: more ids than rows, or another vocabulary.
  std::filesystem::copy_file(std::filesystem::path(kModel) / "model.safetensors",
                             folder.path() / "model" / "model.safetensors",
                             std::filesystem::copy_options::overwrite_existing);
  const std::string tokenizer = read(std::filesystem::path(kModel) / "tokenizer.json");
  folder.write("model/tokenizer.json", tokenizer.substr(0, tokenizer.size() / 2));
  const auto half = run({"doctor", folder.file("model")});
  EXPECT_EQ(half.code, 1);
  EXPECT_NE(half.out.find("tokenizer.json"), std::string::npos) << half.out;
}

TEST(Doctor, LooksForTheFilesItSpeaksOf) {
  const TemporaryFolder folder;
  std::filesystem::copy(kModel, folder.path() / "a");
  std::filesystem::copy(kModel, folder.path() / "b");
  std::filesystem::remove(folder.path() / "a" / "model.safetensors");
  std::filesystem::remove(folder.path() / "b" / "tokenizer.json");
  const auto plain = run({"doctor", folder.file("a"), folder.file("b")});
  EXPECT_EQ(plain.code, 1);
  const size_t second = plain.out.find(folder.file("b") + "\n");
  EXPECT_EQ(plain.out.find(folder.file("a") + "\n"), 0U) << plain.out;
  ASSERT_NE(second, std::string::npos) << plain.out;
  EXPECT_LT(plain.out.find("fail  files     no weights"), second) << plain.out;
  EXPECT_GT(plain.out.find("fail  files     no tokenizer"), second) << plain.out;
  const auto lines = run({"doctor", "--json", folder.file("a")});
  EXPECT_EQ(json::parse(lines.out.substr(0, lines.out.find('\n'))).at("model"), folder.file("a"));
}

TEST(Bench, RefusesToMeasureNothing) {
  const TemporaryFolder folder;
  const auto texts = folder.write("texts.txt", kDocuments);
  for (const std::vector<std::string>& more : std::vector<std::vector<std::string>>{
           {"--repeat", "0"}, {"--seconds", "0"}, {"--seconds", "-1"}, {"--dump", texts}}) {
    std::vector<std::string> arguments = {"bench", "--model", kModel, "--texts", texts};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto result = run(arguments);
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_NE(result.err.find(more[0]), std::string::npos) << result.err;
  }
  EXPECT_EQ(read(texts), kDocuments);
  const auto all = run({"bench", "--json", "--model", kModel, "--texts", texts, "--repeat", "1"});
  ASSERT_EQ(all.code, 0) << all.err;
  EXPECT_GT(json::parse(all.out).at("threads").get<int>(), 0);
}

TEST(Bench, PrintsOneJsonLine) {
  const TemporaryFolder folder;
  const auto texts = folder.write("texts.txt", kDocuments);
  for (const char* mode : {"bulk", "query"}) {
    const auto result =
        run({"bench", "--json", "--model", kModel, "--texts", texts, "--threads", "1", "--mode",
             mode, "--seconds", "1", "--dump", folder.file("d.npy")});
    ASSERT_EQ(result.code, 0) << result.err;
    const auto line = json::parse(result.out);
    EXPECT_EQ(line.at("peer"), "akin");
    EXPECT_GT(line.at("tokens_per_s").get<double>(), 0);
    EXPECT_GT(line.at("p50_ms").get<double>(), 0);
    EXPECT_TRUE(std::filesystem::exists(folder.file("d.npy")));
  }
}

TEST(Help, DocsAreWhatTheProgramSays) {
  const auto result = run({"help", "--markdown"});
  ASSERT_EQ(result.code, 0);
  const std::string docs = read("docs/cli.md");
  const auto differs =
      std::mismatch(docs.begin(), docs.end(), result.out.begin(), result.out.end());
  EXPECT_TRUE(docs == result.out) << "docs/cli.md differs from akin help --markdown from line "
                                  << 1 + std::count(docs.begin(), differs.first, '\n')
                                  << " on: write it again";
}

TEST(Help, EveryVerbHasHelpAManEntryAndCompletion) {
  const auto list = run({"help", "--list"});
  const auto man = run({"help", "--man"});
  const auto bash = run({"completion", "bash"});
  EXPECT_EQ(run({"completion", "zsh"}).code, 0);
  EXPECT_EQ(run({"completion", "fish"}).code, 0);
  EXPECT_EQ(run({"completion", "tcsh"}).code, 2);
  std::istringstream verbs(list.out);
  for (std::string verb; std::getline(verbs, verb);) {
    const auto help = run({verb, "--help"});
    EXPECT_EQ(help.code, 0) << verb;
    EXPECT_NE(help.out.find("Usage: akin " + verb), std::string::npos);
    EXPECT_NE(help.out.find("Examples:"), std::string::npos) << verb;
    EXPECT_NE(man.out.find(".SH " + verb), std::string::npos) << verb;
    EXPECT_NE(bash.out.find(verb), std::string::npos) << verb;
  }
  EXPECT_EQ(run({"--version"}).code, 0);
  EXPECT_EQ(run({"--help"}).code, 0);
  EXPECT_EQ(run(std::vector<std::string>{}).code, 0);
}

TEST(Help, ExamplesOfTheEnvironmentAreFlagsOfTheVerb) {
  std::istringstream verbs(run({"help", "--list"}).out);
  for (std::string verb; std::getline(verbs, verb);) {
    const auto help = run({verb, "--help"}).out;
    const std::string words = "environment: ";
    const size_t at = help.find(words);
    if (at == std::string::npos) continue;  // a verb without values
    const std::string flag =
        help.substr(at + words.size(), help.find(' ', at + words.size()) - at - words.size());
    EXPECT_NE(help.find("\n  " + flag + " "), std::string::npos) << verb << ": " << flag;
  }
}

TEST(Completion, BashScriptCompletes) {
  const TemporaryFolder folder;
  const auto script = folder.write("akin.bash", run({"completion", "bash"}).out);
  const auto complete = [&](const std::string& words, int at) {
    const std::string command = "bash -c 'source " + script + "; COMP_WORDS=(" + words +
                                "); COMP_CWORD=" + std::to_string(at) +
                                "; _akin; echo ${COMPREPLY[@]}' > " + folder.file("out");
    EXPECT_EQ(std::system(command.c_str()), 0);
    return read(folder.file("out"));
  };
  EXPECT_EQ(complete("akin emb", 1), "embed\n");
  EXPECT_EQ(complete("akin embed --trunc", 2), "--truncate\n");
  EXPECT_EQ(complete("akin embed --truncate l", 3), "left\n");
  EXPECT_EQ(complete("akin index comp", 2), "compact\n");
  EXPECT_EQ(complete("akin embed --model static-en-z", 3), "static-en-zh-256\n");
  EXPECT_EQ(complete("akin info bert-", 2), "bert-en-zh-312\n");
}

}  // namespace
}  // namespace akin::cli_test
