#include "index/index_snapshot.h"

#include "base/error.h"

namespace akin::index {

namespace fs = std::filesystem;

fs::path vectors_folder(const fs::path& folder, int64_t generation) {
  return folder / fmt::format("vectors-{}", generation);
}

const Hnsw* LazyGraph::get() const {
  const std::lock_guard lock(mutex_);
  if (!loaded_) {
    std::error_code error;
    if (fs::exists(file_, error)) graph_ = Hnsw::load(file_, dims_);
    loaded_ = true;
  }
  return graph_.get();
}

std::shared_ptr<const Snapshot> take_snapshot(const fs::path& folder, const IndexSpec& spec,
                                              DocumentStore& store, const Snapshot* before) {
  auto out = std::make_shared<Snapshot>();
  out->state = store.state();
  const auto& state = out->state;
  const bool same_rows = before != nullptr && before->state.generation == state.generation;
  // Rows are only appended as long as nothing was removed.
  const bool appended = same_rows && before->state.removed == state.removed &&
                        before->state.next_number <= state.next_number;
  if (appended) out->live = before->live;
  store.read_live(appended ? before->state.next_number : 0, out->live);
  if (static_cast<int64_t>(out->live.rows.size()) != state.rows - state.removed) {
    throw_error(ErrorKind::bad_format, folder.string(),
                "{} documents have a vector, expected {}; the index is damaged",
                out->live.rows.size(), state.rows - state.removed);
  }
  const auto rows = static_cast<size_t>(state.rows);
  if (state.removed > 0) {
    out->live_rows.assign((rows + 63) / 64, 0);
    for (const uint32_t row : out->live.rows) out->live_rows[row / 64] |= uint64_t{1} << (row % 64);
  }
  const fs::path vectors = vectors_folder(folder, state.generation);
  out->vectors = same_rows && before->state.rows == state.rows
                     ? before->vectors
                     : VectorStore::open(vectors, spec.vectors, rows, false);
  out->graph = same_rows && before->state.graph_saves == state.graph_saves
                   ? before->graph
                   : std::make_shared<LazyGraph>(vectors / kGraphName, spec.vectors.dims);
  return out;
}

std::vector<uint64_t> rows_of(const Snapshot& snapshot, std::span<const uint64_t> positions) {
  std::vector<uint64_t> out((static_cast<size_t>(snapshot.state.rows) + 63) / 64, 0);
  for (size_t i = 0; i < snapshot.live.rows.size(); ++i) {
    if (((positions[i / 64] >> (i % 64)) & 1) == 0) continue;
    const uint32_t row = snapshot.live.rows[i];
    out[row / 64] |= uint64_t{1} << (row % 64);
  }
  return out;
}

}  // namespace akin::index
