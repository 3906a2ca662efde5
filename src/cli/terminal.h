// How text looks on a terminal: columns of wide characters, cutting to a width, heat colours, the
// progress line. Pure functions over strings; writes nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/number_words.h"
#include "base/progress.h"

namespace akin::cli {

size_t terminal_columns();  // of stderr or stdout; $COLUMNS, else 80, when neither is a terminal

// Columns that text takes: 2 for East Asian wide characters and emoji, 0 for combining marks.
// Control characters and invalid bytes count as one, as printable() shows them.
size_t display_width(std::string_view text);
// The text made safe for a terminal: control characters (escape sequences too) and invalid bytes
// become U+FFFD, newlines and tabs become one space.
std::string printable(std::string_view text);
// printable(text) cut to at most `columns`, with an ellipsis where cut; fit() also pads with spaces
// to exactly `columns`.
std::string clip(std::string_view text, size_t columns);
std::string fit(std::string_view text, size_t columns);

std::string rate(double per_second);     // "12,345" or "3.2"
std::string size_words(uint64_t bytes);  // "12.3 MB"

// A cell with a background from blue (0) over white to red (1), readable text on it. `heat` is
// clamped to [0, 1].
std::string heat_cell(std::string_view cell, double heat);
std::string bold(std::string_view text, bool color);
std::string dim(std::string_view text, bool color);

// "embedding  [=====>    ]  45%  1,234/2,741 texts  812/s  2 s left", at most `columns` wide.
std::string progress_line(const Progress& progress, double seconds, size_t columns);

}  // namespace akin::cli
