// CSV (RFC 4180) row by row: bounded on the way in, quoted only where needed on the way out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/wire/diagnostic.h"

namespace arqon::wire {

struct CsvLimits {
  std::size_t fields_max = 256;  // per row
  std::size_t field_bytes_max = 65536;
};

// Reads `text` without copying it whole; the text must outlive the reader. Rows end in LF or CRLF;
// blank lines are skipped; a byte-order mark is dropped. One thread.
class CsvReader {
 public:
  explicit CsvReader(std::string_view text, const CsvLimits& limits = {});

  // The next row into `fields` (reused). False at the end and at the first error.
  bool next(std::vector<std::string>& fields);
  // Line on which the row last returned began, from 1.
  int line() const { return row_line_; }
  // What was wrong: an open quote, text after a closing quote, a limit, invalid UTF-8.
  const std::optional<Diagnostic>& error() const { return error_; }

 private:
  bool read_field(std::string& field);
  bool read_quoted(std::string& field);
  bool refuse(std::string message);
  bool at_line_end() const;
  void skip_line_end();

  std::string_view text_;
  CsvLimits limits_;
  std::size_t at_ = 0;
  std::size_t line_start_ = 0;
  int line_ = 1;
  int row_line_ = 0;
  std::optional<Diagnostic> error_;
};

// Builds CSV text; numbers are the shortest that read back the same, NaN and infinities are empty.
// A row of one empty field reads back as no row.
class CsvWriter {
 public:
  CsvWriter& field(std::string_view text);
  CsvWriter& field(double number);
  CsvWriter& field(std::uint64_t number);
  void end_row();
  std::string take() { return std::move(out_); }

 private:
  void separate();

  std::string out_;
  bool row_begun_ = false;
};

}  // namespace arqon::wire
