#include "core/long_texts.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace akin {

void encode_texts(const TokenBatch& all, const EncoderInfo& info, const EncodeOptions& options,
                  MatView<float> out, const std::function<void(MatView<float>)>& encode) {
  if (all.pieces.empty()) return encode(out);
  AKIN_CHECK(out.rows() == all.pieces.size());
  Mat<float> rows(all.size(), out.cols());
  encode(rows.view());
  std::vector<double> sum(out.cols());
  size_t entry = 0;
  for (size_t text = 0; text < all.pieces.size(); ++text) {
    if (all.pieces[text] == 1) {  // perhaps without a token to weigh
      std::copy_n(rows.row(entry++), out.cols(), out.row(text));
      continue;
    }
    sum.assign(out.cols(), 0.0);
    double tokens = 0, squares = 0;
    for (const size_t end = entry + all.pieces[text]; entry < end; ++entry) {
      const auto weight = static_cast<double>(all.text(entry).size());
      for (size_t d = 0; d < sum.size(); ++d)
        sum[d] += weight * static_cast<double>(rows(entry, d));
      tokens += weight;
    }
    for (double& value : sum) {
      value /= tokens;
      squares += value * value;
    }
    const bool unit =
        (options.normalize || (info.normalizes && out.cols() == info.dim)) && squares > 0;
    const double factor = unit ? 1 / std::sqrt(squares) : 1;
    for (size_t d = 0; d < sum.size(); ++d) out(text, d) = static_cast<float>(factor * sum[d]);
  }
}

void check_whole(const TokenBatch& batch) {
  if (batch.pieces.empty()) return;
  throw_error(ErrorKind::too_long, "input 0",
              "it would be read in {} pieces, whose tokens do not see one another; for vectors of "
              "tokens pass --truncate right, left or middle",
              batch.pieces.front());
}

}  // namespace akin
