// The host and its queue over a model whose answers are known: nothing lost, nothing swapped,
// nobody starved, and no work for those who have gone.
#include "serve/host.h"

#include <gtest/gtest.h>

#include <cmath>

#include "serve/test_models.h"

namespace akin::serve {
namespace {

using namespace std::chrono_literals;

struct Fixture {
  explicit Fixture(HostOptions options = {})
      : encoder(std::make_shared<ByteEncoder>()), host({bytes_source(encoder)}, options) {}
  std::shared_ptr<ByteEncoder> encoder;
  Host host;
};

const EmbedResult& good(const Outcome<EmbedResult>& outcome) {
  if (const auto* error = std::get_if<Error>(&outcome)) throw *error;
  return std::get<EmbedResult>(outcome);
}

ErrorKind kind(const Outcome<EmbedResult>& outcome) { return std::get<Error>(outcome).kind(); }

void expect_vector(const EmbedResult& result, size_t row, const std::vector<float>& expected) {
  ASSERT_EQ(result.vectors.cols(), expected.size());
  for (size_t d = 0; d < expected.size(); ++d)
    EXPECT_EQ(result.vectors(row, d), expected[d]) << row << ' ' << d;
}

TEST(Host, ManyClientsGetTheirOwnVectors) {
  HostOptions options;
  options.limits.max_batch_tokens = 200;
  options.limits.tokenization_workers = 3;
  options.limits.max_queue = 10000;
  Fixture fixture(options);
  std::vector<std::thread> clients;
  std::atomic<size_t> wrong{0};
  for (int c = 0; c < 8; ++c) {
    clients.emplace_back([&, c] {
      for (int r = 0; r < 150; ++r) {
        std::vector<std::string> texts;
        for (int t = 0; t < 1 + (r * 7 + c) % 150; t += 1 + r % 3)
          texts.push_back(fmt::format("text {} of {}", t, (c + r) % 5));
        const auto outcome = ask(fixture.host, raw_request(texts), call_within()).get();
        const auto& result = good(outcome);
        for (size_t t = 0; t < texts.size(); ++t) {
          const auto expected = ByteEncoder::expected(texts[t]);
          for (size_t d = 0; d < 4; ++d) wrong += result.vectors(t, d) != expected[d] ? 1 : 0;
        }
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_EQ(fixture.host.counts().active.load(), 0);
  for (const auto& batch : fixture.encoder->seen()) {
    size_t tokens = 0;
    for (const auto& text : batch) tokens += text.size();
    EXPECT_TRUE(tokens <= 200 || batch.size() == 1);
  }
}

TEST(Host, ASmallRequestDoesNotWaitForAHugeOne) {
  HostOptions options;
  options.limits.max_batch_tokens = 64;
  Fixture fixture(options);
  fixture.encoder->delay = 1ms;
  std::vector<std::string> texts;
  for (int i = 0; i < 2000; ++i) texts.push_back(fmt::format("huge text number {}", i));
  auto huge = ask(fixture.host, raw_request(texts), call_within());
  std::this_thread::sleep_for(20ms);
  good(ask(fixture.host, raw_request({"small"}), call_within()).get());
  EXPECT_EQ(huge.wait_for(0ms), std::future_status::timeout);
  EXPECT_EQ(good(huge.get()).vectors.rows(), 2000U);
}

TEST(Host, ThoseWhoHaveGoneCostNothing) {
  Fixture fixture;
  fixture.encoder->gate(false);
  auto first = ask(fixture.host, raw_request({"first"}), call_within());
  std::this_thread::sleep_for(20ms);
  const Call leaving = call_within();
  auto gone = ask(fixture.host, raw_request({"gone"}), leaving);
  auto late = ask(fixture.host, raw_request({"late"}), call_within(30ms));
  auto both = ask(fixture.host, raw_request({"gone", "stays"}), call_within());
  leaving.gone->store(true);
  std::this_thread::sleep_for(50ms);
  fixture.encoder->gate(true);
  EXPECT_EQ(kind(gone.get()), ErrorKind::interrupted);
  EXPECT_EQ(kind(late.get()), ErrorKind::interrupted);
  const auto outcome = both.get();
  expect_vector(good(outcome), 0, ByteEncoder::expected("gone"));
  EXPECT_EQ(fixture.encoder->count("late"), 0U);
  EXPECT_EQ(fixture.encoder->count("gone"), 1U);  // for the one that stays
  good(first.get());
}

TEST(Host, AFullQueueRefuses) {
  HostOptions options;
  options.limits.max_queue = 3;
  Fixture fixture(options);
  fixture.encoder->gate(false);
  std::vector<std::future<Outcome<EmbedResult>>> answers;
  for (int i = 0; i < 5; ++i)
    answers.push_back(ask(fixture.host, raw_request({fmt::format("{}", i)}), call_within()));
  EXPECT_EQ(kind(answers[3].get()), ErrorKind::overloaded);
  EXPECT_EQ(kind(answers[4].get()), ErrorKind::overloaded);
  fixture.encoder->gate(true);
  for (int i = 0; i < 3; ++i) good(answers[static_cast<size_t>(i)].get());
  EXPECT_EQ(fixture.host.counts().rejected(), 2U);
}

TEST(Host, EqualTextsInFlightAreComputedOnce) {
  Fixture fixture;
  fixture.encoder->gate(false);
  auto first = ask(fixture.host, raw_request({"blocker"}), call_within());
  std::this_thread::sleep_for(20ms);
  std::vector<std::future<Outcome<EmbedResult>>> answers;
  for (int i = 0; i < 20; ++i) {
    auto request = raw_request({"same", "same", fmt::format("own {}", i)});
    request.dims = i % 2 == 0 ? 0 : 2;
    request.normalize = i % 3 == 0;
    answers.push_back(ask(fixture.host, std::move(request), call_within()));
  }
  fixture.encoder->gate(true);
  for (size_t i = 0; i < answers.size(); ++i) {
    const auto outcome = answers[i].get();
    const auto& result = good(outcome);
    auto expected = ByteEncoder::expected("same");
    if (i % 2 != 0) expected.resize(2);
    if (i % 3 == 0) {
      double squares = 0;
      for (const float x : expected) squares += static_cast<double>(x) * static_cast<double>(x);
      for (float& x : expected) x *= static_cast<float>(1 / std::sqrt(squares));
    }
    expect_vector(result, 0, expected);
    expect_vector(result, 1, expected);
  }
  EXPECT_EQ(fixture.encoder->count("same"), 1U);
  good(first.get());
}

TEST(Host, TheCacheKeepsAndForgets) {
  HostOptions options;
  options.cache_bytes = 2000;  // about ten entries
  Fixture fixture(options);
  for (int round = 0; round < 2; ++round)
    good(ask(fixture.host, raw_request({"kept"}), call_within()).get());
  EXPECT_EQ(fixture.encoder->count("kept"), 1U);
  for (int i = 0; i < 30; ++i)
    good(ask(fixture.host, raw_request({fmt::format("{}", i)}), call_within()).get());
  const auto outcome = ask(fixture.host, raw_request({"kept"}), call_within()).get();
  expect_vector(good(outcome), 0, ByteEncoder::expected("kept"));
  EXPECT_EQ(fixture.encoder->count("kept"), 2U);
  EXPECT_NE(fixture.host.metrics().find("akin_cache_hits 1"), std::string::npos);
}

TEST(Host, ATextThatFailsFailsAlone) {
  Fixture fixture;
  fixture.encoder->gate(false);
  auto first = ask(fixture.host, raw_request({"blocker"}), call_within());
  std::this_thread::sleep_for(20ms);
  auto bad = ask(fixture.host, raw_request({"fine", "bad!"}), call_within());
  auto fine = ask(fixture.host, raw_request({"also fine"}), call_within());
  fixture.encoder->gate(true);
  EXPECT_EQ(kind(bad.get()), ErrorKind::device);
  const auto outcome = fine.get();
  expect_vector(good(outcome), 0, ByteEncoder::expected("also fine"));
  good(first.get());
}

TEST(Host, LongTextsAreCutOrRefusedNeverSilently) {
  Fixture fixture;
  auto request = raw_request({"short", std::string(100, 'x')});
  const auto outcome = ask(fixture.host, request, call_within()).get();
  EXPECT_EQ(good(outcome).usage.truncated_inputs, 1U);
  EXPECT_EQ(good(outcome).usage.tokens, 69U);
  EXPECT_EQ(good(outcome).usage.characters, 105U);
  std::vector<std::string> many(200, "y");
  many[150] = std::string(100, 'x');
  request = raw_request(many);
  request.truncate = Truncate::error;
  const auto refused = ask(fixture.host, request, call_within()).get();
  EXPECT_EQ(kind(refused), ErrorKind::too_long);
  EXPECT_EQ(std::get<Error>(refused).where(), "input 150");
}

TEST(Host, SidesUnknownNamesAndIds) {
  Fixture fixture;
  auto request = raw_request({"x"});
  request.side = Side::query;
  const auto outcome = ask(fixture.host, request, call_within()).get();
  expect_vector(good(outcome), 0, ByteEncoder::expected("q:x"));
  request.model = "nobody";
  const auto unknown = ask(fixture.host, request, call_within()).get();
  EXPECT_EQ(kind(unknown), ErrorKind::not_found);
  EXPECT_NE(std::string(std::get<Error>(unknown).what()).find("bytes"), std::string::npos);
  EmbedRequest ids;
  ids.model = "bytes:latest";
  ids.ids = {{97, 98}};
  ids.normalize = false;
  const auto from_ids = ask(fixture.host, ids, call_within()).get();
  expect_vector(good(from_ids), 0, ByteEncoder::expected("ab"));
  ids.ids.clear();
  EXPECT_EQ(kind(ask(fixture.host, ids, call_within()).get()), ErrorKind::usage);
}

TEST(Host, LateChunksAreMeansOfTheirTokens) {
  Fixture fixture;
  auto request = raw_request({"ab", "c"});
  request.late_chunking = true;
  const auto outcome = ask(fixture.host, request, call_within()).get();
  expect_vector(good(outcome), 0, {97.5F, 195, 292.5F, 390});
  expect_vector(good(outcome), 1, {99, 198, 297, 396});
  request = raw_request({"ab", "c"});
  request.token_vectors = true;
  const auto tokens = ask(fixture.host, request, call_within()).get();
  ASSERT_EQ(good(tokens).token_vectors.size(), 2U);
  EXPECT_EQ(good(tokens).token_vectors[0](1, 3), 392);
}

TEST(Host, TokensOfARequestAreLimitedBeforeAnyIsEncoded) {
  Fixture fixture;
  const size_t before = fixture.encoder->seen().size();
  EmbedRequest request = raw_request({});
  for (size_t i = 0; i < 200; ++i) request.texts.push_back(fmt::format("text {:03}", i));  // 8 each
  request.max_tokens = 1599;
  const auto refused = ask(fixture.host, request, call_within()).get();
  ASSERT_TRUE(std::holds_alternative<Error>(refused));
  EXPECT_EQ(std::get<Error>(refused).kind(), ErrorKind::too_long);
  EXPECT_EQ(std::get<Error>(refused).message(),
            "Requested 1600 tokens, max 1599 tokens per request");
  EXPECT_EQ(fixture.encoder->seen().size(), before);
  request.max_tokens = 1600;
  const auto outcome = ask(fixture.host, request, call_within()).get();
  for (size_t i = 0; i < 200; ++i)
    expect_vector(good(outcome), i, ByteEncoder::expected(request.texts[i]));
  EmbedRequest ids;
  ids.ids = {{1, 2, 3}, {4, 5}};
  ids.max_tokens = 4;
  EXPECT_TRUE(std::holds_alternative<Error>(ask(fixture.host, ids, call_within()).get()));
  ids.max_tokens = 5;
  good(ask(fixture.host, ids, call_within()).get());
}

// Two labels: logits are the lengths of text and second text.
class LengthClassifier final : public TextClassifier {
 public:
  const std::vector<std::string>& labels() const override { return labels_; }
  ClassLogits classify(std::span<const ClassifierInput> inputs, Truncate) override {
    ClassLogits out;
    out.logits = Mat<float>(inputs.size(), 2);
    for (size_t i = 0; i < inputs.size(); ++i) {
      out.logits(i, 0) = static_cast<float>(inputs[i].text.size());
      out.logits(i, 1) = static_cast<float>(inputs[i].second.value_or("").size());
      out.report.tokens += inputs[i].text.size();
    }
    return out;
  }
  std::vector<TokenPiece> pieces(std::string_view text, bool) const override {  // bytes
    std::vector<TokenPiece> out;
    for (uint32_t i = 0; i < text.size(); ++i)
      out.push_back({text[i], std::string(1, text[i]), false, i, i + 1});
    return out;
  }
  std::string decode(std::span<const int32_t> ids, bool) const override {
    return {ids.begin(), ids.end()};
  }

 private:
  const std::vector<std::string> labels_ = {"first", "second"};
};

TEST(Host, PredictsLabels) {
  ModelSource source{"labels", [] {
                       LoadedModel loaded;
                       loaded.classifier = std::make_shared<LengthClassifier>();
                       loaded.info.dim = 2;
                       return loaded;
                     }};
  Host host({source}, {});
  EXPECT_EQ(host.model({}).labels, (std::vector<std::string>{"first", "second"}));
  EXPECT_FALSE(host.model({}).reranker);
  PredictRequest request;
  for (size_t i = 0; i < 40; ++i) request.inputs.push_back({std::string(1 + i % 3, 'x'), "yy"});
  const auto predict = [&](Service& service) {
    std::promise<Outcome<PredictResult>> promise;
    service.predict(request, call_within(),
                    [&](Outcome<PredictResult> out) { promise.set_value(std::move(out)); });
    return promise.get_future().get();
  };
  auto outcome = predict(host);
  const auto& shares = std::get<PredictResult>(outcome);
  EXPECT_EQ(shares.usage.tokens, 79U);
  EXPECT_NEAR(shares.scores(0, 1), 1 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_NEAR(shares.scores(39, 0) + shares.scores(39, 1), 1, 1e-6);
  request.raw_scores = true;
  outcome = predict(host);
  EXPECT_EQ(std::get<PredictResult>(outcome).scores(2, 0), 3.0F);
  EXPECT_EQ(host.tokenize({}, {"abc"}, false, {})[0][2].text, "c");
  EXPECT_EQ(host.decode({}, {{104, 105}}, true)[0], "hi");
  const auto vectors = ask(host, raw_request({"a"}), call_within()).get();
  EXPECT_EQ(std::get<Error>(vectors).kind(), ErrorKind::unsupported);
  Fixture encoder;
  EXPECT_EQ(std::get<Error>(predict(encoder.host)).kind(), ErrorKind::device);
}

TEST(Host, RerankBySimilarity) {
  Fixture fixture;
  RerankRequest request;
  request.query = "cat";
  request.documents = {"q:cat", "zzzzzzzzzzz"};
  std::promise<Outcome<RerankResult>> promise;
  fixture.host.rerank(request, call_within(), [&](Outcome<RerankResult> outcome) {
    promise.set_value(std::move(outcome));
  });
  const auto outcome = promise.get_future().get();
  const auto& result = std::get<RerankResult>(outcome);
  ASSERT_EQ(result.scores.size(), 2U);
  EXPECT_NEAR(result.scores[0], 1, 1e-5);  // the query has its prompt
  EXPECT_LT(result.scores[1], result.scores[0]);
}

TEST(Host, ReloadSwapsAndOldAnswersComplete) {
  auto encoder = std::make_shared<ByteEncoder>();
  std::atomic<bool> broken{false};
  auto next = std::make_shared<ByteEncoder>(1.0F);
  std::atomic<int> loads{0};
  ModelSource source = bytes_source(encoder);
  source.load = [&, first = source.load] {
    if (loads++ == 0) return first();
    if (broken) throw_error(ErrorKind::not_found, "model", "the folder has gone");
    return bytes_source(next).load();
  };
  Host host({source}, {});
  broken = true;
  EXPECT_EQ(host.reload(), 0U);
  ASSERT_EQ(host.not_reloaded().size(), 1U);
  EXPECT_EQ(host.not_reloaded()[0].first, "bytes");
  EXPECT_NE(host.not_reloaded()[0].second.find("the folder has gone"), std::string::npos);
  EXPECT_NE(host.status_json().find("the folder has gone"), std::string::npos);
  EXPECT_NE(host.metrics().find("akin_models_not_reloaded 1"), std::string::npos);
  broken = false;
  encoder->gate(false);
  auto old = ask(host, raw_request({"old"}), call_within());
  std::this_thread::sleep_for(20ms);
  std::thread reloading([&] { EXPECT_EQ(host.reload(), 1U); });
  std::this_thread::sleep_for(50ms);
  auto fresh = ask(host, raw_request({"new"}), call_within());
  const auto answered = fresh.get();  // while the old one still waits
  expect_vector(good(answered), 0, ByteEncoder::expected("new", 1.0F));
  EXPECT_EQ(old.wait_for(0ms), std::future_status::timeout);
  encoder->gate(true);
  reloading.join();
  EXPECT_TRUE(host.not_reloaded().empty());
  const auto outcome = old.get();
  expect_vector(good(outcome), 0, ByteEncoder::expected("old"));
}

TEST(Host, ReloadUnderLoadLosesNothing) {
  auto encoder = std::make_shared<ByteEncoder>();
  Host host({bytes_source(encoder)}, {});
  std::atomic<bool> stop{false};
  std::atomic<size_t> asked{0}, answered{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < 4; ++c) {
    clients.emplace_back([&, c] {
      for (int i = 0; !stop; ++i) {
        ++asked;
        good(ask(host, raw_request({fmt::format("{} {}", c, i)}), call_within()).get());
        ++answered;
      }
    });
  }
  for (int i = 0; i < 20; ++i) EXPECT_EQ(host.reload(), 1U);
  stop = true;
  for (auto& client : clients) client.join();
  EXPECT_EQ(asked, answered);
}

TEST(Host, HealthIsARealPass) {
  Fixture fixture;
  const size_t before = fixture.encoder->seen().size();
  const auto check = [&] {
    std::promise<bool> promise;
    fixture.host.health(call_within(), [&](const Outcome<bool>& outcome) {
      promise.set_value(std::holds_alternative<bool>(outcome));
    });
    return promise.get_future().get();
  };
  EXPECT_TRUE(check());
  EXPECT_EQ(fixture.encoder->seen().size(), before + 1);
}

}  // namespace
}  // namespace akin::serve
