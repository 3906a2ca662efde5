#include "index/rank_fusion.h"

#include <algorithm>
#include <unordered_map>

namespace akin::index {

std::vector<FusedHit> fuse_ranks(std::span<const Ranked> first, std::span<const Ranked> second,
                                 size_t k, double constant) {
  std::unordered_map<uint32_t, FusedHit> hits;
  for (size_t i = 0; i < first.size(); ++i) {
    auto& hit = hits[first[i].item];
    hit.item = first[i].item;
    hit.score += 1 / (constant + static_cast<double>(i + 1));
    hit.first = first[i].score;
  }
  for (size_t i = 0; i < second.size(); ++i) {
    auto& hit = hits[second[i].item];
    hit.item = second[i].item;
    hit.score += 1 / (constant + static_cast<double>(i + 1));
    hit.second = second[i].score;
  }
  std::vector<FusedHit> out;
  out.reserve(hits.size());
  for (const auto& [item, hit] : hits) out.push_back(hit);
  std::sort(out.begin(), out.end(), [](const FusedHit& a, const FusedHit& b) {
    return a.score > b.score || (a.score == b.score && a.item < b.item);
  });
  out.resize(std::min(k, out.size()));
  return out;
}

}  // namespace akin::index
