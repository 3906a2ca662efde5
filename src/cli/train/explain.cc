#include "cli/train/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "base/error.h"
#include "cli/terminal.h"
#include "data/record_reader.h"
#include "loss/advice.h"

namespace akin::cli {
namespace {

constexpr uint64_t kLooked = 100'000;  // records that are looked at
constexpr size_t kGraded = 2;          // more different labels than this are grades in any case

struct Looked {
  loss::DataFields fields;
  std::string layout;
  bool whole = true;
};

void add_label(loss::DataFields& fields, std::set<float>& values, float label) {
  // The number as the file has it: 0.3, not the float's 0.30000001192092896.
  const double value = std::strtod(fmt::format("{}", label).c_str(), nullptr);
  if (fields.labels == 0) fields.least_label = fields.greatest_label = value;
  fields.least_label = std::min(fields.least_label, value);
  fields.greatest_label = std::max(fields.greatest_label, value);
  ++fields.labels;
  if (values.size() <= kGraded) values.insert(label);
}

// 1 and 0, or 1 and -1; 1 and 0.5 are grades.
bool is_yes_or_no(const std::set<float>& labels) {
  const auto known = [](float label) { return label == 0 || label == 1 || label == -1; };
  return labels.size() <= kGraded && std::all_of(labels.begin(), labels.end(), known);
}

Looked look(const std::string& path, const data::ReadOptions& options) {
  Looked out;
  const auto opened = data::open_records(path, options);
  out.layout = opened.layout;
  loss::DataFields& fields = out.fields;
  std::set<float> labels;
  data::Record record;
  while (fields.records < kLooked && opened.reader->next(record)) {
    ++fields.records;
    if (!record.positive.empty()) ++fields.positives;
    if (record.positive == record.query) ++fields.positives_like_query;
    if (!record.negatives.empty()) ++fields.negatives;
    if (!record.scores.empty() && record.scores.size() == 1 + record.negatives.size()) {
      ++fields.scores;
    }
    if (record.label) add_label(fields, labels, *record.label);
  }
  if (fields.records == 0 && opened.reader->bad_rows() > 0) {
    const data::BadRow& bad = opened.reader->first_bad_rows().front();
    throw_error(ErrorKind::usage, bad.where, "{}", bad.message);
  }
  out.whole = fields.records < kLooked;
  if (fields.labels > 0) {
    fields.label_kind = is_yes_or_no(labels) ? loss::LabelKind::binary : loss::LabelKind::graded;
  }
  return out;
}

// As pairs, else as texts with a class, else as texts alone.
Looked look(const std::string& path) {
  data::ReadOptions options;
  options.skip_bad_rows = true;
  try {
    return look(path, options);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::bad_format) throw;
    for (bool data::ReadOptions::*form :
         {&data::ReadOptions::classes, &data::ReadOptions::single}) {
      data::ReadOptions other = options;
      other.*form = true;
      try {
        Looked out = look(path, other);
        if (other.classes) {
          out.fields.labels = out.fields.records;
          out.fields.positives = 0;
          out.fields.label_kind = loss::LabelKind::classes;
        }
        return out;
      } catch (const Error& again) {
        if (again.kind() != ErrorKind::bad_format) throw;
      }
    }
    throw;
  }
}

}  // namespace

int explain_records(const std::string& path, Context& context) {
  const Looked looked = look(path);
  const auto proposals = loss::propose_losses(looked.fields);
  const loss::DataFields& fields = looked.fields;
  if (context.json()) {
    nlohmann::ordered_json out = {{"file", path},
                                  {"layout", looked.layout},
                                  {"records", fields.records},
                                  {"positives", fields.positives},
                                  {"negatives", fields.negatives},
                                  {"labels", fields.labels},
                                  {"scores", fields.scores}};
    out["proposals"] = nlohmann::ordered_json::array();
    for (const auto& proposal : proposals) {
      out["proposals"].push_back({{"loss", proposal.loss}, {"reason", proposal.reason}});
    }
    context.print_json(out);
    return 0;
  }
  context.print("{}: {}\n", printable(path), printable(looked.layout));
  context.print(
      "{}{} records; {} with a positive, {} with negatives, {} with a label, {} with a "
      "teacher's scores\n\n",
      looked.whole ? "" : "the first ", thousands(fields.records), thousands(fields.positives),
      thousands(fields.negatives), thousands(fields.labels), thousands(fields.scores));
  for (const auto& proposal : proposals) {
    context.write(bold(proposal.loss, context.color()) + "\n");
    context.print("  {}\n", proposal.reason);
  }
  return 0;
}

}  // namespace akin::cli
