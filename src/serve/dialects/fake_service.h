// A Service for tests and fuzzing of dialects: vectors, scores and tokens made from the texts'
// bytes by fixed rules, answered at once within the call. Runs no model.
//
// A text's token is each of its words (split at blanks, id = 100 + length of the word), between two
// special tokens (1, 2) where asked; its vector counts letters by residue mod dims, plus one at
// dim 0, minus one at every odd dim, so that some parts are negative.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "serve/index_service.h"

namespace akin::serve {

class FakeIndexes final : public IndexService {
 public:
  std::vector<IndexStatus> indexes() const override { return {index({})}; }
  IndexStatus index(std::string_view name) const override {
    if (!name.empty() && name != "notes") {
      throw_error(ErrorKind::not_found, "index", "no index {}; there is notes", quote(name, 60));
    }
    IndexStatus status;
    status.name = "notes";
    status.model = "tiny";
    status.spec.vectors.dims = 8;
    status.stats.documents = documents_.size();
    status.writable = true;
    return status;
  }
  void search(IndexSearchRequest request, const Call&,
              std::function<void(Outcome<IndexSearchResult>)> done) override {
    IndexSearchResult result;
    result.index = index(request.index).name;
    result.model = "tiny";
    const size_t queries = std::max(request.queries.size(), request.vectors.size());
    for (size_t q = 0; q < queries; ++q) {
      std::vector<index::SearchHit> hits;
      for (size_t d = 0; d < documents_.size() && d < request.options.k; ++d) {
        hits.push_back({0.5 / static_cast<double>(d + 1), documents_[d], {}, {}});
      }
      result.hits.push_back(std::move(hits));
    }
    result.usage.tokens = queries;
    done(std::move(result));
  }
  void add(IndexAddRequest request, const Call&,
           std::function<void(Outcome<IndexAddResult>)> done) override {
    IndexAddResult result{index(request.index).name, request.documents.size(), {}};
    for (const auto& document : request.documents) {
      result.usage.tokens += document.text.size();
    }
    done(std::move(result));
  }
  void remove(std::string name, std::vector<std::string> ids, const Call&,
              std::function<void(Outcome<size_t>)> done) override {
    index(name);
    done(ids.size());
  }
  std::optional<index::Document> get(std::string_view name, std::string_view id) const override {
    index(name);
    for (const auto& document : documents_) {
      if (document.id == id) return document;
    }
    return {};
  }

 private:
  std::vector<index::Document> documents_{{"a", "red apples", R"({"color":"red"})"},
                                          {"b", "green pears", ""}};
};

class FakeService final : public Service {
 public:
  static constexpr size_t kDim = 8, kMaxTokens = 12;

  std::vector<std::string> labels;         // a classifier's; empty: it is none
  std::vector<std::string> second_labels;  // of a second model, "labels"; empty: there is none
  Limits allowed;
  EmbedRequest last_embed;  // as a dialect made it
  RerankRequest last_rerank;

  void embed(EmbedRequest request, const Call&,
             std::function<void(Outcome<EmbedResult>)> done) override {
    Outcome<EmbedResult> outcome = Error(ErrorKind::internal, "not answered");
    try {
      outcome = embed_now(request);
    } catch (const Error& error) {
      outcome = error;
    }
    last_embed = std::move(request);
    done(std::move(outcome));
  }
  void rerank(RerankRequest request, const Call&,
              std::function<void(Outcome<RerankResult>)> done) override {
    last_rerank = request;
    try {
      model(request.model);
    } catch (const Error& error) {
      return done(error);
    }
    RerankResult result;
    result.model = "tiny";
    const std::vector<float> query = vector_of(request.query, kDim, true);
    for (const std::string& document : request.documents) {
      const std::vector<float> other = vector_of(document, kDim, true);
      float sum = 0;
      for (size_t c = 0; c < kDim; ++c) sum += query[c] * other[c];
      result.scores.push_back(sum);
      result.usage.tokens += words(request.query).size() + words(document).size() + 3;
    }
    done(std::move(result));
  }
  // A label's score is the text's vector there; with raw_scores ten times that.
  void predict(PredictRequest request, const Call&,
               std::function<void(Outcome<PredictResult>)> done) override {
    ModelStatus asked;
    try {
      asked = model(request.model);
    } catch (const Error& error) {
      return done(error);
    }
    const size_t classes = asked.labels.size();
    if (classes == 0) return done(Error(ErrorKind::device, "Model is not a classifier model"));
    PredictResult result{
        asked.name, asked.labels, Mat<float>(request.inputs.size(), classes), {}, {}};
    for (size_t i = 0; i < request.inputs.size(); ++i) {
      const std::string both = request.inputs[i].text + request.inputs[i].second.value_or("");
      const std::vector<float> x = vector_of(both, kDim, true);
      for (size_t k = 0; k < classes; ++k)
        result.scores(i, k) = x[k % kDim] * (request.raw_scores ? 10.0F : 1.0F);
      result.usage.tokens += words(both).size() + 2;
      result.usage.characters += both.size();
    }
    done(std::move(result));
  }
  void health(const Call&, std::function<void(Outcome<bool>)> done) override { done(true); }

  std::vector<ModelStatus> models() const override { return {model({})}; }
  ModelStatus model(std::string_view name) const override {
    if (name == "full") throw Error(ErrorKind::overloaded, "512 requests wait, the most allowed");
    if (name == "draining") throw Error(ErrorKind::interrupted, "the server is shutting down");
    if (name == "broken") throw Error(ErrorKind::device, "the model cannot be run");
    const bool second = name == "labels" && !second_labels.empty();
    if (!name.empty() && name != "tiny" && !second) {
      throw_error(ErrorKind::not_found, "model", "no model {}; this server has tiny{}",
                  quote(name, 60), second_labels.empty() ? "" : ", labels");
    }
    ModelStatus status;
    status.name = status.path_name = second ? "labels" : "tiny";
    status.info.name = "tiny";
    status.info.family = "bert";
    status.info.fingerprint = "0123456789abcdef";
    status.info.pooling = "mean";
    status.info.dim = kDim;
    status.info.max_tokens = kMaxTokens;
    status.info.parameters = 1'500'000;
    status.info.tasks = {"retrieval.query"};
    status.created = 1'700'000'000;
    status.labels = second ? second_labels : labels;
    return status;
  }
  std::vector<std::vector<Token>> tokenize(std::string_view name,
                                           const std::vector<std::string>& texts, bool special,
                                           const std::string&) const override {
    model(name);
    std::vector<std::vector<Token>> out;
    for (const std::string& text : texts) {
      std::vector<Token> tokens = words(text);
      if (special) {
        tokens.insert(tokens.begin(), Token{1, "[CLS]", true, 0, 0});
        tokens.push_back({2, "[SEP]", true, 0, 0});
      }
      out.push_back(std::move(tokens));
    }
    return out;
  }
  std::vector<std::string> decode(std::string_view name,
                                  const std::vector<std::vector<int32_t>>& ids,
                                  bool skip_special_tokens) const override {
    model(name);
    std::vector<std::string> out;
    for (const auto& text : ids) {
      std::string words;
      for (const int32_t id : text) {
        if (id < 3 && skip_special_tokens) continue;
        words += (words.empty() ? "t" : " t") + std::to_string(id);
      }
      out.push_back(std::move(words));
    }
    return out;
  }
  const Limits& limits() const override { return allowed; }
  std::string metrics() const override { return ""; }
  std::string status_json() const override { return R"({"uptime_seconds":1})"; }
  IndexService* indexes() override { return &indexes_; }

 private:
  static std::vector<Token> words(std::string_view text) {
    std::vector<Token> out;
    for (size_t i = 0; i < text.size();) {
      const size_t end = std::min(text.find(' ', i), text.size());
      if (end > i) {
        out.push_back({static_cast<int32_t>(100 + end - i), std::string(text.substr(i, end - i)),
                       false, static_cast<uint32_t>(i), static_cast<uint32_t>(end)});
      }
      i = end + 1;
    }
    return out;
  }
  static std::vector<float> vector_of(std::string_view text, size_t dims, bool normalize) {
    std::vector<float> x(dims, 0.0F);
    for (const char c : text) x[static_cast<unsigned char>(c) % dims] += 1.0F;
    x[0] += 1.0F;
    for (size_t c = 1; c < dims; c += 2) x[c] -= 1.0F;
    float squares = 0;
    for (const float value : x) squares += value * value;
    if (normalize && squares > 0) {
      for (float& value : x) value /= std::sqrt(squares);
    }
    return x;
  }
  EmbedResult embed_now(const EmbedRequest& request) const {
    EmbedResult out;
    out.model = model(request.model).name;
    if (request.dims > kDim) {
      throw_error(ErrorKind::usage, "dims", "{} asked, the model has {}", request.dims, kDim);
    }
    const Truncate truncate = request.truncate.value_or(Truncate::right);
    const size_t dims = request.dims > 0 ? request.dims : kDim;
    std::vector<std::string> texts = request.texts;
    for (const auto& ids : request.ids) texts.emplace_back(ids.size(), 'i');
    out.vectors = Mat<float>(texts.size(), dims);
    for (size_t i = 0; i < texts.size(); ++i) {
      const size_t tokens = words(texts[i]).size() + 2;
      if (tokens > kMaxTokens) {
        if (truncate == Truncate::error) {
          throw_error(ErrorKind::too_long, fmt::format("input {}", i), "{} tokens, model limit {}",
                      tokens, kMaxTokens);
        }
        ++out.usage.truncated_inputs;
      }
      out.usage.tokens += std::min(tokens, kMaxTokens);
      out.usage.characters += texts[i].size();
      const std::vector<float> x = vector_of(texts[i], dims, request.normalize);
      std::copy(x.begin(), x.end(), out.vectors.row(i));
      if (!request.token_vectors) continue;
      Mat<float> rows(2, 2);
      rows(0, 0) = static_cast<float>(texts[i].size());
      rows(1, 1) = 0.5F;
      out.token_vectors.push_back(std::move(rows));
    }
    return out;
  }

  FakeIndexes indexes_;
};

}  // namespace akin::serve
