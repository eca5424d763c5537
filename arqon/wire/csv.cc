#include "arqon/wire/csv.h"

#include <fmt/format.h>

#include <cmath>

#include "arqon/wire/json.h"
#include "arqon/wire/utf8.h"

namespace arqon::wire {

CsvReader::CsvReader(std::string_view text, const CsvLimits& limits)
    : text_(text), limits_(limits) {
  if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
}

bool CsvReader::next(std::vector<std::string>& fields) {
  while (!error_ && at_ < text_.size() && at_line_end()) skip_line_end();
  if (error_ || at_ >= text_.size()) return false;
  row_line_ = line_;
  std::size_t count = 0;
  while (true) {
    if (count == limits_.fields_max) {
      return refuse(fmt::format("more than {} fields in one row", limits_.fields_max));
    }
    if (count == fields.size()) fields.emplace_back();
    if (!read_field(fields[count++])) return false;
    if (at_ < text_.size() && text_[at_] == ',') {
      ++at_;
      continue;
    }
    if (at_ < text_.size()) skip_line_end();
    fields.resize(count);
    return true;
  }
}

// Ends at a comma, a line end or the end of the text.
bool CsvReader::read_field(std::string& field) {
  field.clear();
  if (at_ < text_.size() && text_[at_] == '"') return read_quoted(field);
  while (at_ < text_.size() && text_[at_] != ',' && !at_line_end()) {
    const std::size_t length = internal::utf8_length(text_, at_);
    if (length == 0 || text_[at_] == '\0') return refuse("the text is not UTF-8");
    if (text_[at_] == '"') return refuse("a quote inside a field that does not begin with one");
    if (field.size() + length > limits_.field_bytes_max) return refuse("the field is too long");
    field += text_.substr(at_, length);
    at_ += length;
  }
  return true;
}

bool CsvReader::read_quoted(std::string& field) {
  ++at_;
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '"' && at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
      field += '"';
      at_ += 2;
    } else if (c == '"') {
      ++at_;
      if (at_ < text_.size() && text_[at_] != ',' && !at_line_end()) {
        return refuse("text after a closing quote");
      }
      return true;
    } else {
      const std::size_t length = internal::utf8_length(text_, at_);
      if (length == 0 || c == '\0') return refuse("the text is not UTF-8");
      field += text_.substr(at_, length);
      at_ += length;
      if (c == '\n') {
        ++line_;
        line_start_ = at_;
      }
    }
    if (field.size() > limits_.field_bytes_max) return refuse("the field is too long");
  }
  return refuse("the quote is never closed");
}

bool CsvReader::refuse(std::string message) {
  error_ = Diagnostic{.line = line_,
                      .column = static_cast<int>(at_ - line_start_) + 1,
                      .value = shortened(text_.substr(at_, text_.find_first_of("\r\n", at_) - at_)),
                      .message = std::move(message)};
  return false;
}

bool CsvReader::at_line_end() const {
  return text_[at_] == '\n' ||
         (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n');
}

void CsvReader::skip_line_end() {
  at_ += text_[at_] == '\r' ? 2u : 1u;
  ++line_;
  line_start_ = at_;
}

CsvWriter& CsvWriter::field(std::string_view text) {
  separate();
  // At the start of a text a byte-order mark would be dropped.
  const bool plain =
      text.find_first_of(",\"\r\n") == std::string_view::npos && !text.starts_with("\xEF\xBB\xBF");
  if (plain) {
    out_ += text;
    return *this;
  }
  out_ += '"';
  for (const char c : text) {
    if (c == '"') out_ += '"';
    out_ += c;
  }
  out_ += '"';
  return *this;
}

CsvWriter& CsvWriter::field(double number) {
  separate();
  if (std::isfinite(number)) out_ += shortest(number);
  return *this;
}

CsvWriter& CsvWriter::field(std::uint64_t number) {
  separate();
  out_ += std::to_string(number);
  return *this;
}

void CsvWriter::end_row() {
  out_ += '\n';
  row_begun_ = false;
}

void CsvWriter::separate() {
  if (row_begun_) out_ += ',';
  row_begun_ = true;
}

}  // namespace arqon::wire
