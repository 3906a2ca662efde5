// F4, poor texts: short, repetitive or empty ones that are full of the query's words.
//
// Computes  from a row alone: the query's content words over and over, the query itself again and
//           again, the beginning of the positive broken off, that beginning repeated, and pages
//           that only talk about the query (fixed wording, in English or Chinese by the query;
//           rows that are held out for evaluation get other wording than rows for training).
// Data      any row; the broken-off text only where the positive is at least four times as long.
// Safety    none says anything that the positive does not, and all say less.
// Source    arXiv:2409.10173 section 4.3.4, failure F4; its rows are ranked answers of assistants.
// See also  data/filters/length.cc, for poor texts among the positives.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "data/placed_words.h"
#include "mine/failure_case.h"

namespace akin::mine {
namespace {

constexpr size_t kLeastLong = 40, kFragment = 10;  // words of a positive, of its fragment
constexpr size_t kRepeats = 4, kMostRepeats = 12;

// {0} is the query. The first half is for training, the other for held-out rows.
constexpr std::array<std::string_view, 12> kEmptyPages = {
    "{0} - Home page. Click here to read more about {0}. Share. Like. Subscribe.",
    "Welcome! This page is about {0}. Please log in to see the whole text.",
    "Search results for: {0}. No description is available for this page.",
    "{0}. {0}. Tags: {0}. Related: {0}. Comments (0).",
    "Good question! I would also like to know: {0} Can anybody help?",
    "Loading {0} ... Your browser does not support this content.",
    "You searched for {0}. Sort by: newest, oldest. Page 1 of 1.",
    "Find the best offers for {0}! {0} at low prices. Buy {0} online today.",
    "This article about {0} is empty. You can help by writing it.",
    "{0}? I have no idea, sorry. Thanks for asking about {0}.",
    "Topic: {0}. Last post by guest. 0 replies, 12 views.",
    "{0} | News, photos and videos about {0} | Sign up for our letter on {0}"};
constexpr std::array<std::string_view, 12> kDenseEmptyPages = {
    "{0} - 首页。点击这里了解更多关于{0}的内容。分享。点赞。关注。",
    "欢迎光临！本页面介绍{0}。请先登录再查看全文。",
    "“{0}”的搜索结果：暂无描述。",
    "{0}。{0}。标签：{0}。相关：{0}。评论（0）。",
    "好问题！我也想知道：{0} 有人能帮忙吗？",
    "正在加载{0}……您的浏览器不支持此内容。",
    "您搜索的是：{0}。排序方式：最新、最热。第1页，共1页。",
    "{0}优惠多多！{0}低价促销，立即购买{0}。",
    "关于{0}的条目目前还是空白，欢迎补充。",
    "{0}？不好意思，我也不清楚。感谢您关注{0}。",
    "主题：{0}。最后回复：游客。0条回复，12次浏览。",
    "{0} | 关于{0}的新闻、图片和视频 | 订阅{0}"};

// Without what ends a question, for the middle of a sentence.
std::string_view plain(std::string_view query) {
  for (bool cut = true; cut;) {
    cut = false;
    for (const std::string_view stop : {" ", "?", ".", "!", "？", "。", "！"}) {
      if (query.size() <= stop.size() || !query.ends_with(stop)) continue;
      query.remove_suffix(stop.size());
      cut = true;
    }
  }
  return query;
}

std::string repeated(std::string_view text, size_t times, std::string_view between) {
  std::string out;
  for (size_t i = 0; i < times; ++i) {
    if (i > 0) out += between;
    out += text;
  }
  return out;
}

class LowQuality final : public FailureCase {
 public:
  void make(const CaseRow& row, const CaseTools& tools, Rng& rng,
            std::vector<CaseLine>& out) const override {
    const std::string_view positive = tools.corpus.documents[row.positives.front()];
    const auto words = data::placed_words(positive);
    const auto query = data::placed_words(row.query);
    const bool dense = data::is_dense(query);
    CaseLine line{std::string(row.query), {}, {}};
    const auto add = [&](std::string text, std::string_view kind) {
      if (!text.empty() && text != row.query) line.negatives.push_back({std::move(text), kind});
    };
    add(page(row, dense, rng), "empty page");
    add(keywords(row.query, dense, tools), "keywords");
    if (words.size() >= kLeastLong) {
      const auto cut = positive.substr(0, words[kFragment - 1].end);
      add(std::string(cut), "fragment");
      const size_t times = std::clamp(words.size() / kFragment, kRepeats, kMostRepeats);
      add(repeated(cut, times, dense ? "，" : " "), "repeated fragment");
    }
    add(repeated(row.query, kRepeats, dense ? "" : " "), "repeated query");
    for (size_t i = 0; i < 2; ++i) {
      std::string text = page(row, dense, rng);
      if (text != line.negatives.front().text) add(std::move(text), "empty page");
    }
    if (line.negatives.size() > row.negatives) line.negatives.resize(row.negatives);
    out.push_back(std::move(line));
  }

 private:
  static std::string page(const CaseRow& row, bool dense, Rng& rng) {
    const auto& pages = dense ? kDenseEmptyPages : kEmptyPages;
    const size_t half = pages.size() / 2;
    const size_t chosen = rng.below(half) + (row.held_out ? half : 0);
    return fmt::format(fmt::runtime(pages[chosen]), plain(row.query));
  }

  static std::string keywords(std::string_view query, bool dense, const CaseTools& tools) {
    std::string list;
    uint32_t covered = 0;  // ideographs' terms overlap
    for (const auto& term : data::placed_terms(query, data::placed_words(query))) {
      if (tools.level(term.key) < kContentLevel || term.end <= covered) continue;
      const uint32_t begin = std::max(term.begin, covered);
      if (!list.empty() && (!dense || begin != covered)) list += ' ';
      list += query.substr(begin, term.end - begin);
      covered = term.end;
    }
    return list.empty() ? list : repeated(list, kRepeats, " ");
  }
};

}  // namespace

std::unique_ptr<FailureCase> make_low_quality_case() { return std::make_unique<LowQuality>(); }

}  // namespace akin::mine
