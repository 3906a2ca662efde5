// akin search --index: the queries go to an index on disk instead of texts that are embedded now.
#pragma once

#include <string>

#include "cli/load.h"
#include "cli/search_queries.h"
#include "index/index.h"

namespace akin::cli {

struct IndexSearchOptions {
  std::string index;
  index::Mode mode = index::Mode::vector;
  index::Method method = index::Method::automatic;
  std::string filter;
  std::string code;
  size_t breadth = 0, candidates = 0;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("index=FOLDER", index, "search this index, made by akin index build, instead of files");
    v("mode=MODE", mode,
      "of an index: by meaning, by words (BM25), or both lists joined by reciprocal rank");
    v("method=METHOD", method,
      "of an index: how vectors are searched; auto takes the graph, else the funnel over codes, "
      "else looks at each, as it does when few may be answers");
    v("filter=CONDITION", filter,
      "of an index: only documents whose metadata fit, such as 'lang = \"en\" and year >= 2020'");
    v("code=CODE", code,
      "of an index: look at each vector in this code alone, such as int8:64 or f32:128");
    v("breadth=N", breadth,
      "of an index's graph: candidates kept while walking; 0 = max(400, 4 k)");
    v("candidates=N", candidates, "of --mode hybrid: length of each list; 0 = max(100, 4 k)");
  }
};

// "int8:64": a code and a number of dims. Errors: usage.
index::CodeSpec parse_code(std::string_view flag, std::string_view text);

// What must not be given beside --index, and the other way round. Errors: usage.
void check_index_flags(const IndexSearchOptions& options);

void search_index(const IndexSearchOptions& options, QueryOptions& queries,
                  const ModelOptions& model, const EncodeFlags& encode, bool allow_mismatch,
                  const InputOptions& input, Context& context);

}  // namespace akin::cli
