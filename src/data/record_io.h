// A record as bytes: one line of JSON, which every reader here takes back, and a compact form for
// work files of one run. The compact form is not for exchange: it follows the machine's byte order.
#pragma once

#include <string>
#include <string_view>

#include "data/record.h"

namespace akin::data {

// Appends {"query":...,"positive":...} and the fields that are not empty, without a newline.
void append_json(const Record& record, std::string& out);
void append_json_text(std::string_view text, std::string& out);  // quoted; text is valid UTF-8

void append_packed(const Record& record, std::string& out);
// Takes one record off the front of `in`. Errors: bad_format naming `where`.
void take_packed(std::string_view& in, Record& record, std::string_view where);

}  // namespace akin::data
