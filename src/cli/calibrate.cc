#include "cli/calibrate.h"

#include <vector>

#include "base/error.h"
#include "base/threads.h"
#include "cli/calibration_file.h"
#include "eval/cached_encoder.h"
#include "eval/pair_scores.h"
#include "eval/task_spec.h"
#include "store/rows.h"

namespace akin::cli {
namespace {

struct LabelledPairs {
  std::vector<std::string> a, b;
  std::vector<uint8_t> labels;
};

LabelledPairs read_pairs(const std::string& path) {
  LabelledPairs out;
  const std::string columns[] = {"sentence1|s1|sent1|text1|query|a",
                                 "sentence2|s2|sent2|text2|document|pos|b", "label|labels|score"};
  const auto reader = store::open_rows(path, columns);
  store::Value values[3];
  std::string scratch;
  while (reader->next(values)) {
    out.a.emplace_back(store::as_text(values[0], *reader, columns[0], scratch));
    out.b.emplace_back(store::as_text(values[1], *reader, columns[1], scratch));
    const double label = store::as_real(values[2], *reader, columns[2]);
    if (label != 0 && label != 1) {
      throw_error(ErrorKind::bad_format, reader->where(),
                  "the label is {}, expected 0 (no match) or 1 (match)", label);
    }
    out.labels.push_back(label == 1 ? 1 : 0);
    if (out.labels.size() % 4096 == 0) check_interrupted();
  }
  return out;
}

}  // namespace

void run_calibration(const std::string& pairs, Encoder& encoder, size_t dims,
                     const eval::CalibrationOptions& options, const std::string& out,
                     Context& context) {
  const LabelledPairs data = read_pairs(pairs);
  eval::CachedEncoder cached(encoder, nullptr);
  eval::TaskSpec spec;
  spec.type = "PairClassification";
  const auto prompt = eval::choose_prompt(encoder.info(), spec, eval::TextSide::none);
  const auto progress = [&](const Progress& state) { context.progress(state); };
  const Mat<float> a = cached.encode(data.a, prompt, progress);
  const Mat<float> b = cached.encode(data.b, prompt, progress);
  context.end_progress();
  ThreadPool pool(1);
  const Mat<float> x = eval::similarity_rows(a.view(), dims, cached);
  const Mat<float> y = eval::similarity_rows(b.view(), dims, cached);
  const auto scores = eval::score_pairs(x.view(), y.view(), eval::uses_dot(cached), pool);
  const auto calibration = eval::calibrate(scores.similarity, data.labels, options);
  if (!out.empty()) {
    CalibrationFile file;
    file.model = encoder.info().name;
    file.fingerprint = encoder.info().fingerprint;
    file.dims = dims;
    file.dtype = precision_name(encoder.info().precision);
    file.measure = eval::uses_dot(cached) ? "dot" : "cosine";
    file.prompt = prompt.prompt;
    file.adapter = prompt.adapter;
    write_calibration(out, file, calibration);
    context.say(fmt::format("wrote {}; akin similarity --calibrated {} reads it", out, out));
  }
  if (context.json()) {
    context.print_json(eval::calibration_json(calibration));
  } else {
    context.write(eval::calibration_text(calibration));
  }
}

}  // namespace akin::cli
