// Language: texts in a language that the model is not meant for.
//
// Computes  the language of query and positive, each by itself, by CLD2 or by a fastText model.
// Data      any record; negatives are not looked at.
// Options   languages (codes; "zh" stands for zh-Hant, too), language_model (a fastText file, such
//           as lid.176; else CLD2), language_confidence (default 0.5), drop_unsure.
// Removes   "query in <code>", "positive in <code>"; with drop_unsure "query in no clear language",
//           "positive in no clear language". Without it a text of which nobody can tell (too short,
//           mixed, a number) stays, and its record is counted.
// Errors    usage, for no languages or unknown ones; those of the model's file.
// Source    Jina Embeddings v1, arXiv:2307.11224: fastText, other languages than English go. The
//           confidence, and what happens below it, are ours.
// See also  language.h
#include "data/language.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "data/filter.h"

namespace akin::data {
namespace {

class Language final : public RecordFilter {
 public:
  explicit Language(const FilterOptions& options)
      : detector_(options.language_model.empty() ? make_cld2_detector()
                                                 : make_fasttext_detector(options.language_model)),
        least_(options.language_confidence),
        drop_unsure_(options.drop_unsure) {
    if (!(least_ > 0 && least_ <= 1)) {
      throw_error(ErrorKind::usage, "--language-confidence", "{} is not above 0 and up to 1",
                  least_);
    }
    const auto& names = detector_->names();
    wanted_.resize(names.size());
    for (const auto& language : options.languages) want(language);
    if (options.languages.empty()) {
      throw_error(ErrorKind::usage, "--languages",
                  "the filter language needs the codes of those that stay, such as en,zh");
    }
    for (const auto& name : names) {
      query_reasons_.push_back("query in " + name);
      positive_reasons_.push_back("positive in " + name);
    }
  }

  Verdict judge_record(Record& record) const override {
    bool unsure = false;
    for (const bool query : {true, false}) {
      if (!record.is_pair() && !query) break;
      const auto guess = detector_->detect(query ? record.query : record.positive);
      if (guess.confidence < least_) {
        unsure = true;
        if (!drop_unsure_) continue;
        return {.reason = query ? "query in no clear language" : "positive in no clear language"};
      }
      if (wanted_[guess.language] == 0) {
        return {.reason = (query ? query_reasons_ : positive_reasons_)[guess.language]};
      }
    }
    return {.note = unsure ? "language not clear" : ""};
  }

 private:
  void want(std::string_view language) {
    const auto& names = detector_->names();
    bool known = false;
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string_view name = names[i];
      if (name != language && name.substr(0, name.find('-')) != language) continue;
      wanted_[i] = 1;
      known = true;
    }
    if (!known) {
      throw_error(ErrorKind::usage, "--languages",
                  "{} is not the code of a language that is known here; expected codes such as en, "
                  "zh, de",
                  quote(language));
    }
  }

  const std::unique_ptr<LanguageDetector> detector_;
  const double least_;
  const bool drop_unsure_;
  std::vector<uint8_t> wanted_;  // by language
  std::vector<std::string> query_reasons_, positive_reasons_;
};

}  // namespace

std::unique_ptr<Filter> make_language_filter(const FilterOptions& options) {
  return std::make_unique<Language>(options);
}

}  // namespace akin::data
