#include "cli/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace akin::cli {
namespace {

struct Glyph {
  size_t bytes = 1;    // of the input
  size_t columns = 1;  // on the terminal
  bool shown = true;   // false: replaced by U+FFFD
  bool space = false;
};

Glyph next_glyph(std::string_view text) {
  utf8proc_int32_t point = -1;
  const auto n = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                  static_cast<utf8proc_ssize_t>(text.size()), &point);
  if (n <= 0) return {1, 1, false};
  const auto bytes = static_cast<size_t>(n);
  if (point == '\n' || point == '\t' || point == '\r') return {bytes, 1, true, true};
  const auto category = utf8proc_category(point);
  // Line and paragraph separators, controls, and the format characters that reorder a line of text.
  if (category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_ZL ||
      category == UTF8PROC_CATEGORY_ZP || (point >= 0x202A && point <= 0x202E) ||
      (point >= 0x2066 && point <= 0x2069)) {
    return {bytes, 1, false};
  }
  return {bytes, static_cast<size_t>(std::max(0, utf8proc_charwidth(point)))};
}

void append_glyph(std::string& out, std::string_view text, const Glyph& glyph) {
  if (glyph.space) {
    out += ' ';
  } else if (glyph.shown) {
    out += text.substr(0, glyph.bytes);
  } else {
    out += "\uFFFD";
  }
}

}  // namespace

size_t terminal_columns() {
  winsize size{};
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  }
  const char* columns = std::getenv("COLUMNS");
  const int value = columns == nullptr ? 0 : std::atoi(columns);
  return value >= 20 && value <= 1000 ? static_cast<size_t>(value) : 80;
}

size_t display_width(std::string_view text) {
  size_t columns = 0;
  while (!text.empty()) {
    const Glyph glyph = next_glyph(text);
    columns += glyph.columns;
    text.remove_prefix(glyph.bytes);
  }
  return columns;
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Glyph glyph = next_glyph(text);
    append_glyph(out, text, glyph);
    text.remove_prefix(glyph.bytes);
  }
  return out;
}

std::string clip(std::string_view text, size_t columns) {
  std::string out;
  size_t used = 0, keep = 0;  // keep: bytes of `out` that leave one column for the ellipsis
  while (!text.empty()) {
    const Glyph glyph = next_glyph(text);
    if (used + glyph.columns > columns) {
      out.resize(keep);
      return columns == 0 ? std::string() : out + "…";
    }
    append_glyph(out, text, glyph);
    used += glyph.columns;
    if (used + 1 <= columns) keep = out.size();
    text.remove_prefix(glyph.bytes);
  }
  return out;
}

std::string fit(std::string_view text, size_t columns) {
  std::string out = clip(text, columns);
  out.append(columns - std::min(columns, display_width(out)), ' ');
  return out;
}

std::string rate(double per_second) {
  if (!(per_second >= 0) || per_second > 1e15) return "0";
  return per_second >= 100 ? thousands(static_cast<uint64_t>(std::llround(per_second)))
                           : fmt::format("{:.1f}", per_second);
}

std::string size_words(uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes < 1000) return fmt::format("{} bytes", bytes);
  if (value < 1e6) return fmt::format("{:.1f} kB", value / 1e3);
  if (value < 1e9) return fmt::format("{:.1f} MB", value / 1e6);
  return fmt::format("{:.1f} GB", value / 1e9);
}

std::string heat_cell(std::string_view cell, double heat) {
  // The 6x6x6 cube of 256-colour terminals: blue through white to red, always light enough for
  // black text.
  static constexpr int kScale[] = {75, 117, 153, 189, 231, 224, 217, 210, 203};
  const double clamped = std::clamp(std::isfinite(heat) ? heat : 0.0, 0.0, 1.0);
  const int index = std::min(8, static_cast<int>(clamped * 9));
  return fmt::format("\x1b[30;48;5;{}m{}\x1b[0m", kScale[index], cell);
}

std::string bold(std::string_view text, bool color) {
  return color ? fmt::format("\x1b[1m{}\x1b[0m", text) : std::string(text);
}

std::string dim(std::string_view text, bool color) {
  return color ? fmt::format("\x1b[2m{}\x1b[0m", text) : std::string(text);
}

std::string progress_line(const Progress& progress, double seconds, size_t columns) {
  const double per_second = seconds > 0 ? static_cast<double>(progress.done) / seconds : 0;
  std::string line = fmt::format("{}  ", progress.what);
  if (progress.total > 0) {
    const double share =
        std::min(1.0, static_cast<double>(progress.done) / static_cast<double>(progress.total));
    const auto filled = static_cast<size_t>(share * 20);
    const double left =
        per_second > 0
            ? static_cast<double>(progress.total - std::min(progress.total, progress.done)) /
                  per_second
            : 0;
    line += fmt::format("[{}{}]  {:.0f}%  {}/{} {}  {}/s  {:.0f} s left", std::string(filled, '='),
                        std::string(20 - filled, ' '), share * 100, thousands(progress.done),
                        thousands(progress.total), progress.unit, rate(per_second), left);
  } else {
    line += fmt::format("{} {}  {}/s", thousands(progress.done), progress.unit, rate(per_second));
  }
  return clip(line, columns > 1 ? columns - 1 : 1);
}

}  // namespace akin::cli
