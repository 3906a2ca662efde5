// The writer: vectors first and on disk, then one transaction that makes them part of the index.
#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "base/error.h"
#include "base/json.h"
#include "index/code_file.h"
#include "index/flat_select.h"
#include "index/index_files.h"

namespace akin::index {
namespace {

namespace fs = std::filesystem;

constexpr size_t kRowsAtOnce = 16384;

void check_metadata(const Document& document) {
  if (document.metadata.empty()) return;
  try {
    if (JsonValue(JsonDocument::parse(document.metadata, "")).is_object()) return;
  } catch (const Error& error) {
    throw_error(ErrorKind::usage, "metadata", "of document {}: {}", quote(document.id),
                error.message());
  }
  throw_error(ErrorKind::usage, "metadata", "of document {}: expected a JSON object",
              quote(document.id));
}

// At unit length, where the similarity is cosine. Rows that are already keep their bytes.
void normalize(std::span<float> row) {
  double sum = 0;
  for (const float x : row) sum += static_cast<double>(x) * x;
  if (!(sum > 0) || std::abs(sum - 1) <= 1e-5) return;
  const double scale = 1 / std::sqrt(sum);
  for (float& x : row) x = static_cast<float>(x * scale);
}

}  // namespace

std::vector<size_t> FolderIndex::check_documents(std::span<const Document> documents,
                                                 MatView<const float> vectors,
                                                 IfPresent if_present) {
  if (vectors.rows() != documents.size()) {
    throw_error(ErrorKind::usage, "vectors", "got {} for {} documents", vectors.rows(),
                documents.size());
  }
  if (!documents.empty() && vectors.cols() != spec_.vectors.dims) {
    throw_error(ErrorKind::usage, "vectors", "have {} numbers, the index {}", vectors.cols(),
                spec_.vectors.dims);
  }
  std::unordered_set<std::string_view> ids;
  std::vector<size_t> chosen;
  for (size_t i = 0; i < documents.size(); ++i) {
    const auto& document = documents[i];
    if (document.id.empty()) throw_error(ErrorKind::usage, "id", "document {} has none", i);
    if (!ids.insert(document.id).second) {
      throw_error(ErrorKind::usage, "id", "{} comes twice in one call", quote(document.id));
    }
    check_metadata(document);
    if (!all_finite(vectors.row(i), vectors.cols())) {
      throw_error(ErrorKind::usage, "vectors", "the one of document {} is not finite",
                  quote(document.id));
    }
    if (if_present != IfPresent::replace && writer_->store->find(document.id)) {
      if (if_present == IfPresent::skip) continue;
      throw_error(ErrorKind::usage, "id", "{} is in the index already", quote(document.id));
    }
    chosen.push_back(i);
  }
  return chosen;
}

Mat<float> FolderIndex::rows_to_store(MatView<const float> vectors,
                                      std::span<const size_t> chosen) const {
  Mat<float> out(chosen.size(), vectors.cols());
  for (size_t i = 0; i < chosen.size(); ++i) {
    std::copy_n(vectors.row(chosen[i]), vectors.cols(), out.row(i));
    if (spec_.similarity == "cosine") normalize({out.row(i), out.cols()});
  }
  return out;
}

size_t FolderIndex::add(std::span<const Document> documents, MatView<const float> vectors,
                        IfPresent if_present) {
  const std::lock_guard lock(writer_mutex_);
  auto& w = writer();
  const auto chosen = check_documents(documents, vectors, if_present);
  if (chosen.empty()) return 0;
  auto state = w.store->state();
  const auto before = state;
  if (static_cast<uint64_t>(state.rows) + chosen.size() > UINT32_MAX) {
    throw_error(ErrorKind::usage, folder_.string(), "an index holds at most 2^32 - 1 rows");
  }
  if (!w.vectors) open_vectors(state);
  w.vectors->append(rows_to_store(vectors, chosen).view());
  try {
    Transaction transaction(w.store->database(), Transaction::Kind::write);
    for (const size_t i : chosen) {
      if (if_present == IfPresent::replace) w.store->remove(documents[i].id, spec_.words, state);
      w.store->insert(documents[i], spec_.words, state);
    }
    w.store->write_state(state);
    transaction.commit();
  } catch (...) {
    w.vectors.reset();
    open_vectors(before);
    throw;
  }
  return chosen.size();
}

size_t FolderIndex::remove(std::span<const std::string> ids) {
  const std::lock_guard lock(writer_mutex_);
  auto& w = writer();
  auto state = w.store->state();
  size_t removed = 0;
  Transaction transaction(w.store->database(), Transaction::Kind::write);
  for (const auto& id : ids) removed += w.store->remove(id, spec_.words, state) ? 1 : 0;
  if (removed > 0) w.store->write_state(state);
  transaction.commit();
  return removed;
}

// The living rows go to the next generation's folder; one transaction names it.
void FolderIndex::rewrite_vectors(const ProgressSink& progress) {
  auto& w = writer();
  auto state = w.store->state();
  LiveDocuments live;
  w.store->read_live(0, live);
  const int64_t next = state.generation + 1;
  const fs::path to = vectors_folder(folder_, next),
                 from = vectors_folder(folder_, state.generation);
  std::error_code error;
  fs::remove_all(to, error);
  {
    const auto out = VectorStore::create(to, spec_.vectors);
    Mat<float> block(std::min(kRowsAtOnce, live.rows.size()), spec_.vectors.dims);
    for (size_t begin = 0; begin < live.rows.size(); begin += kRowsAtOnce) {
      check_interrupted();
      if (progress) progress({"compacting", begin, live.rows.size(), "rows"});
      const size_t count = std::min(kRowsAtOnce, live.rows.size() - begin);
      for (size_t i = 0; i < count; ++i) {
        w.vectors->read(live.rows[begin + i], {block.row(i), block.cols()});
      }
      out->append(block.view().row_range(0, count));
    }
  }
  sync_folder(folder_);
  Transaction transaction(w.store->database(), Transaction::Kind::write);
  w.store->renumber_rows(state);
  state.generation = next;
  state.graph_saves = 0;
  w.store->write_state(state);
  transaction.commit();
  w.graph.reset();
  w.graph_known = false;
  open_vectors(state);
  remove_old_generations(next);
}

void FolderIndex::compact(const ProgressSink& progress) {
  const std::lock_guard lock(writer_mutex_);
  auto& w = writer();
  if (!w.vectors) open_vectors(w.store->state());
  if (w.store->state().removed > 0) {
    try {
      rewrite_vectors(progress);
    } catch (...) {
      const auto state = w.store->state();
      remove_old_generations(state.generation);
      throw;
    }
  }
  w.store->tidy(spec_.words);
  update_graph_locked(progress);
}

void FolderIndex::update_graph(const ProgressSink& progress) {
  const std::lock_guard lock(writer_mutex_);
  update_graph_locked(progress);
}

void FolderIndex::update_graph_locked(const ProgressSink& progress) {
  auto& w = writer();
  if (!spec_.graph) return;
  auto state = w.store->state();
  if (!w.vectors) open_vectors(state);
  const auto rows = static_cast<size_t>(state.rows);
  const fs::path file = vectors_folder(folder_, state.generation) / kGraphName;
  if (!w.graph_known) {
    std::error_code error;
    try {
      if (fs::exists(file, error)) w.graph = Hnsw::load(file, spec_.vectors.dims);
    } catch (const Error&) {
      w.graph.reset();  // made anew
    }
    if (w.graph && w.graph->rows() > rows) w.graph.reset();
    w.graph_known = true;
  }
  if (!w.graph) w.graph = Hnsw::create(spec_.vectors.dims, spec_.hnsw);
  if (w.graph->rows() == rows) return;
  try {
    const size_t first = w.graph->rows();
    for (size_t begin = first; begin < rows; begin += kRowsAtOnce) {
      check_interrupted();
      const size_t count = std::min(kRowsAtOnce, rows - begin);
      Mat<float> block(count, spec_.vectors.dims);
      for (size_t i = 0; i < count; ++i) {
        w.vectors->read(static_cast<uint32_t>(begin + i), {block.row(i), block.cols()});
      }
      w.graph->add(block.view(), begin, threads_, [&](const Progress& step) {
        if (progress) progress({"linking", begin - first + step.done, rows - first, "rows"});
      });
    }
    w.graph->save(file);
  } catch (...) {
    w.graph.reset();
    w.graph_known = false;
    throw;
  }
  Transaction transaction(w.store->database(), Transaction::Kind::write);
  ++state.graph_saves;
  w.store->write_state(state);
  transaction.commit();
}

}  // namespace akin::index
