#include "cli/index_search.h"

#include <charconv>

#include "base/error.h"
#include "cli/index_model.h"

namespace akin::cli {
namespace {

ShownHit shown(const index::SearchHit& hit) {
  ShownHit out;
  out.score = hit.score;
  out.place = hit.document.id;
  out.text = hit.document.text;
  out.json["id"] = hit.document.id;
  if (hit.similarity) out.json["similarity"] = *hit.similarity;
  if (hit.bm25) out.json["bm25"] = *hit.bm25;
  out.json["text"] = hit.document.text;
  if (!hit.document.metadata.empty()) {
    auto metadata =
        nlohmann::ordered_json::parse(hit.document.metadata, nullptr, /*allow_exceptions=*/false);
    if (!metadata.is_discarded()) out.json["metadata"] = std::move(metadata);
  }
  return out;
}

}  // namespace

index::CodeSpec parse_code(std::string_view flag, std::string_view text) {
  const size_t colon = text.find(':');
  const auto word = text.substr(0, colon);
  const auto codes = index::choices(index::Code{});
  for (size_t i = 0; i < codes.size() && colon != std::string_view::npos; ++i) {
    if (codes[i] != word) continue;
    const auto number = text.substr(colon + 1);
    index::CodeSpec out{static_cast<index::Code>(i), 0};
    const auto [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), out.dims);
    if (error == std::errc() && end == number.data() + number.size() && out.dims > 0) return out;
  }
  throw_error(ErrorKind::usage, flag, "got {}, expected a code and a number of dims: {}:64",
              quote(text), fmt::join(codes, ":64, "));
}

void check_index_flags(const IndexSearchOptions& options) {
  if (!options.index.empty()) return;
  const bool only_for_an_index = options.mode != index::Mode::vector ||
                                 options.method != index::Method::automatic ||
                                 !options.filter.empty() || !options.code.empty() ||
                                 options.breadth != 0 || options.candidates != 0;
  if (only_for_an_index) {
    throw_error(
        ErrorKind::usage, "--index",
        "--mode, --method, --filter, --code, --breadth and --candidates need an index; make "
        "one with akin index build");
  }
}

void search_index(const IndexSearchOptions& options, QueryOptions& queries,
                  const ModelOptions& model, const EncodeFlags& encode, bool allow_mismatch,
                  const InputOptions& input, Context& context) {
  const auto index = index::Index::open(options.index, false);
  std::unique_ptr<Encoder> encoder;
  EncodeOptions query_options;
  if (options.mode != index::Mode::words) {
    encoder = open_index_model(*index, model, allow_mismatch);
    query_options = index_query_options(*index, encode, encoder->info(), context);
  }
  index::SearchOptions search;
  search.k = queries.k;
  search.mode = options.mode;
  search.method = options.method;
  if (!options.code.empty()) {
    search.code = parse_code("--code", options.code);
    const bool scans =
        search.method == index::Method::automatic || search.method == index::Method::exact;
    if (!scans || search.mode == index::Mode::words) {
      throw_error(ErrorKind::usage, "--code", "is for exact search of vectors; leave out {}",
                  scans ? "--mode words" : "--method");
    }
  }
  if (search.mode == index::Mode::words && search.method != index::Method::automatic) {
    throw_error(ErrorKind::usage, "--method",
                "is how vectors are searched; leave out --mode words");
  }
  search.once = queries.queries.empty() && queries.query.size() == 1;
  search.filter = options.filter;
  search.breadth = options.breadth;
  search.candidates = options.candidates;
  const auto answer = [&](std::span<const std::string> texts) {
    Mat<float> vectors(texts.size(), index->spec().vectors.dims);
    if (encoder) {
      const std::vector<std::string_view> views(texts.begin(), texts.end());
      encoder->encode(views, query_options, vectors.view());
    }
    std::vector<Answer> out(texts.size());
    for (size_t q = 0; q < texts.size(); ++q) {
      check_interrupted();
      const Stopwatch watch;
      const auto hits = index->search(texts[q], {vectors.row(q), vectors.cols()}, search);
      out[q].seconds = watch.seconds();
      for (const auto& hit : hits) out[q].hits.push_back(shown(hit));
    }
    return out;
  };
  run_queries({queries, input, context, index->stats().documents,
               options.mode == index::Mode::vector, answer});
}

}  // namespace akin::cli
