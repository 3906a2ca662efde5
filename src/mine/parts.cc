// See parts.h. A part: one line of JSON (the hash of the rest, its length, the tally), then 32-bit
// numbers: row, count, documents, for each row.
#include "mine/parts.h"

#include <fmt/format.h>

#include <cstring>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"

namespace akin::mine {
namespace {

std::string_view bytes_of(std::span<const uint32_t> numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes()};
}

}  // namespace

std::filesystem::path Parts::file(size_t block) const {
  return folder_ / fmt::format("part-{}-{}", key_.substr(0, 16), block);
}

void Parts::write(size_t block, std::span<const Choice> choices, const Tally& tally) const {
  std::vector<uint32_t> numbers;
  for (const auto& choice : choices) {
    numbers.push_back(choice.row);
    numbers.push_back(static_cast<uint32_t>(choice.documents.size()));
    numbers.insert(numbers.end(), choice.documents.begin(), choice.documents.end());
  }
  const auto tally_text =
      tally.json().dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const nlohmann::ordered_json head = {{"key", key_},
                                       {"numbers", numbers.size()},
                                       {"hash", fmt::format("{:016x}", hash64(bytes_of(numbers)))},
                                       {"tally_hash", fmt::format("{:016x}", hash64(tally_text))}};
  write_file(file(block), head.dump() + "\n" + tally_text + "\n" + std::string(bytes_of(numbers)));
}

bool Parts::take(size_t block, std::vector<uint32_t>& numbers, Tally& tally) const {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file(block), error)) return false;
  const std::string bytes = read_file(file(block));
  const size_t first = bytes.find('\n');
  const size_t second = first == std::string::npos ? first : bytes.find('\n', first + 1);
  if (second == std::string::npos) return false;
  const std::string_view tally_text = std::string_view(bytes).substr(first + 1, second - first - 1);
  const std::string_view rest = std::string_view(bytes).substr(second + 1);
  try {
    const auto head = nlohmann::ordered_json::parse(bytes.substr(0, first));
    if (head.at("key") != key_ || rest.size() % sizeof(uint32_t) != 0 ||
        head.at("hash") != fmt::format("{:016x}", hash64(rest)) ||
        head.at("tally_hash") != fmt::format("{:016x}", hash64(tally_text))) {
      return false;
    }
    numbers.resize(rest.size() / sizeof(uint32_t));
    if (!numbers.empty()) std::memcpy(numbers.data(), rest.data(), rest.size());
    tally = Tally::from_json(nlohmann::ordered_json::parse(tally_text));
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

bool Parts::has(size_t block) const {
  std::vector<uint32_t> numbers;
  Tally tally;
  return take(block, numbers, tally);
}

Choices Parts::read(size_t blocks, size_t rows, Tally& tally) const {
  struct Place {
    size_t begin = 0, count = 0;
  };
  std::vector<Place> places(rows);
  std::vector<uint32_t> all, numbers;
  for (size_t block = 0; block < blocks; ++block) {
    Tally of_block;
    bool sound = take(block, numbers, of_block);
    for (size_t at = 0; sound && at < numbers.size();) {
      sound = at + 2 <= numbers.size() && numbers[at] < rows &&
              numbers[at + 1] <= numbers.size() - at - 2;
      if (!sound) break;
      const auto documents = std::span(numbers).subspan(at + 2, numbers[at + 1]);
      places[numbers[at]] = {all.size(), documents.size()};
      all.insert(all.end(), documents.begin(), documents.end());
      at += 2 + documents.size();
    }
    if (!sound) {
      throw_error(ErrorKind::bad_format, file(block).string(),
                  "damaged; remove it and run the same command again");
    }
    tally.merge(of_block);
  }
  Choices out;
  out.documents.reserve(all.size());
  for (const Place& place : places) {
    out.begins.push_back(out.documents.size());
    out.documents.insert(out.documents.end(), all.begin() + static_cast<ptrdiff_t>(place.begin),
                         all.begin() + static_cast<ptrdiff_t>(place.begin + place.count));
  }
  out.begins.push_back(out.documents.size());
  return out;
}

}  // namespace akin::mine
