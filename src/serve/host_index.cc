#include "serve/host_index.h"

#include <algorithm>

#include "base/log.h"
#include "core/side.h"

namespace akin::serve {
namespace {

// Runs `work` on a worker; what it throws becomes the answer.
template <typename Result>
void answer_on(Workers& workers, const std::function<void(Outcome<Result>)>& done,
               std::function<Result()> work) {
  workers.post([done, work = std::move(work)] {
    std::optional<Outcome<Result>> outcome;
    try {
      outcome = work();
    } catch (const Error& error) {
      outcome = error;
    } catch (const std::exception& error) {
      outcome = Error(ErrorKind::internal, error.what());
    }
    try {
      done(std::move(*outcome));
    } catch (const std::exception& error) {
      log_warning("an answer could not be printed: {}", error.what());
    }
  });
}

void check_call(const Call& call) {
  if (call.gone && call.gone->load()) throw Error(ErrorKind::interrupted, "the client has gone");
  if (std::chrono::steady_clock::now() >= call.deadline)
    throw Error(ErrorKind::interrupted, "the deadline passed; try again later");
}

// A file of the index that is gone or damaged is no fault of who asks.
std::vector<index::SearchHit> search_files(const index::Index& index, std::string_view text,
                                           std::span<const float> vector,
                                           const index::SearchOptions& options) {
  try {
    return index.search(text, vector, options);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found && error.kind() != ErrorKind::bad_format) throw;
    throw Error(ErrorKind::io, error.message(), error.where());
  }
}

}  // namespace

HostIndex::HostIndex(Service& service, Workers& workers, std::vector<CarriedIndex> indexes)
    : service_(service), workers_(workers) {
  for (auto& carried : indexes) {
    for (const auto& other : entries_) {
      if (other->carried.name == carried.name)
        throw_error(ErrorKind::usage, "--index", "{} is served twice", quote(carried.name));
    }
    auto entry = std::make_unique<Entry>();
    entry->carried = std::move(carried);
    check_model(*entry);
    entries_.push_back(std::move(entry));
  }
}

void HostIndex::check_model(const Entry& entry) const {
  const ModelStatus status = service_.model(entry.carried.model);
  entry.carried.index->check_model(status.info.name, status.info.fingerprint);
}

HostIndex::Entry& HostIndex::entry(std::string_view name) const {
  if (entries_.empty()) throw_error(ErrorKind::not_found, "index", "no index is served here");
  if (name.empty()) return *entries_.front();
  std::vector<std::string> known;
  for (const auto& entry : entries_) {
    if (entry->carried.name == name) return *entry;
    known.push_back(entry->carried.name);
  }
  throw_error(ErrorKind::not_found, "index", "{} is not served here; served: {}", quote(name),
              fmt::join(known, ", "));
}

HostIndex::Entry& HostIndex::writable_entry(std::string_view name) const {
  Entry& found = entry(name);
  if (!found.carried.writable) {
    throw_error(ErrorKind::unsupported, "index",
                "{} is served read-only; start the server with --index-writable to change it",
                quote(found.carried.name));
  }
  return found;
}

EmbedRequest HostIndex::embed_request(const Entry& entry, std::vector<std::string> texts,
                                      Side side) const {
  const index::IndexSpec& spec = entry.carried.index->spec();
  EmbedRequest request;
  request.model = entry.carried.model;
  request.texts = std::move(texts);
  request.dims = spec.vectors.dims;
  request.allow_any_dims = true;  // checked when the index was made
  request.normalize = spec.similarity == "cosine";
  if (side == Side::document) {
    request.prompt = spec.document_prompt;
    request.task = spec.document_task;
  } else {
    const EncoderInfo info = service_.model(entry.carried.model).info;
    request.prompt_name = side_prompt_name(info, true);
    const std::string counterpart = side_task(info, true);
    request.task = spec.document_task == "retrieval.passage" && !counterpart.empty()
                       ? counterpart
                       : spec.document_task;
  }
  return request;
}

std::vector<IndexStatus> HostIndex::indexes() const {
  std::vector<IndexStatus> out;
  for (const auto& entry : entries_) out.push_back(index(entry->carried.name));
  return out;
}

IndexStatus HostIndex::index(std::string_view name) const {
  const CarriedIndex& carried = entry(name).carried;
  return {carried.name, carried.model, carried.index->spec(), carried.index->stats(),
          carried.writable};
}

void HostIndex::search(IndexSearchRequest request, const Call& call,
                       std::function<void(Outcome<IndexSearchResult>)> done) {
  const CarriedIndex* carried = nullptr;
  std::optional<EmbedRequest> embed;
  try {
    const Entry& found = entry(request.index);
    carried = &found.carried;
    check_model(found);
    if (request.queries.empty() && request.vectors.empty())
      throw_error(ErrorKind::usage, "query", "is needed, or a vector");
    if (!request.queries.empty() && !request.vectors.empty() &&
        request.queries.size() != request.vectors.size()) {
      throw_error(ErrorKind::usage, "vectors", "are {}, queries {}; give one of each a search",
                  request.vectors.size(), request.queries.size());
    }
    if (request.vectors.empty() && request.options.mode != index::Mode::words)
      embed = embed_request(found, request.queries, Side::query);
  } catch (const Error& error) {
    answer_on<IndexSearchResult>(workers_, done, [error]() -> IndexSearchResult { throw error; });
    return;
  }
  const auto find = [this, carried, call, request,
                     done](const std::shared_ptr<EmbedResult>& embedded) {
    answer_on<IndexSearchResult>(workers_, done, [carried, call, request, embedded] {
      IndexSearchResult result;
      result.index = carried->name;
      result.model = carried->model;
      const size_t count = std::max(request.queries.size(), request.vectors.size());
      for (size_t q = 0; q < count; ++q) {
        check_call(call);
        std::span<const float> vector;
        if (embedded) vector = {embedded->vectors.row(q), embedded->vectors.cols()};
        if (q < request.vectors.size()) vector = request.vectors[q];
        std::string_view text;
        if (q < request.queries.size()) text = request.queries[q];
        result.hits.push_back(search_files(*carried->index, text, vector, request.options));
      }
      if (embedded) {
        result.usage = embedded->usage;
        result.timing = embedded->timing;
      }
      result.timing.total = std::chrono::steady_clock::now() - call.start;
      return result;
    });
  };
  if (!embed) return find(nullptr);
  service_.embed(std::move(*embed), call, [find, done](Outcome<EmbedResult> outcome) {
    if (auto* error = std::get_if<Error>(&outcome)) return done(*error);
    find(std::make_shared<EmbedResult>(std::get<EmbedResult>(std::move(outcome))));
  });
}

void HostIndex::add(IndexAddRequest request, const Call& call,
                    std::function<void(Outcome<IndexAddResult>)> done) {
  Entry* found = nullptr;
  EmbedRequest embed;
  try {
    found = &writable_entry(request.index);
    check_model(*found);
    std::vector<std::string> texts;
    for (const auto& document : request.documents) texts.push_back(document.text);
    embed = embed_request(*found, std::move(texts), Side::document);
    embed.truncate = request.truncate;
  } catch (const Error& error) {
    answer_on<IndexAddResult>(workers_, done, [error]() -> IndexAddResult { throw error; });
    return;
  }
  const auto shared = std::make_shared<IndexAddRequest>(std::move(request));
  service_.embed(std::move(embed), call, [this, found, shared, done](Outcome<EmbedResult> outcome) {
    if (auto* error = std::get_if<Error>(&outcome)) return done(*error);
    const auto embedded = std::make_shared<EmbedResult>(std::get<EmbedResult>(std::move(outcome)));
    answer_on<IndexAddResult>(workers_, done, [found, shared, embedded] {
      const std::lock_guard lock(found->writing);
      IndexAddResult result;
      result.index = found->carried.name;
      result.usage = embedded->usage;
      result.added = found->carried.index->add(shared->documents, embedded->vectors.view(),
                                               shared->if_present);
      return result;
    });
  });
}

void HostIndex::remove(std::string index, std::vector<std::string> ids, const Call& call,
                       std::function<void(Outcome<size_t>)> done) {
  answer_on<size_t>(workers_, done, [this, index = std::move(index), ids = std::move(ids), call] {
    check_call(call);
    Entry& found = writable_entry(index);
    const std::lock_guard lock(found.writing);
    return found.carried.index->remove(ids);
  });
}

std::optional<index::Document> HostIndex::get(std::string_view index, std::string_view id) const {
  return entry(index).carried.index->get(id);
}

}  // namespace akin::serve
