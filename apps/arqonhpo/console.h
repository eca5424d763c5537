// stdout for data, stderr for talk.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"

namespace arqon::app {

// One thread, except talk(), which may be called while a Progress is drawing through its own lock.
class Console {
 public:
  Console();

  // Writes to stdout, whole or not at all as far as the reader allows. A reader that went away is
  // not an error (`| head`); a full disk is kUnavailable.
  Status data(std::string_view text);
  void talk(std::string_view text) const;
  // "arqonhpo: MESSAGE" on stderr; returns the exit code that goes with the error.
  int complain(const Error& error) const;

  bool stdout_is_terminal() const { return stdout_is_terminal_; }
  bool stderr_is_terminal() const { return stderr_is_terminal_; }
  // Columns of the terminal, 100 where there is none.
  int width() const { return width_; }
  // `text` in bold where stdout is a terminal that wants colour.
  std::string bold(std::string_view text) const;

 private:
  bool stdout_is_terminal_;
  bool stderr_is_terminal_;
  bool colour_;
  int width_;
};

// Rows of equal length with columns padded to their widest cell; the first column is aligned left,
// the others right. The first row is the heading. UTF-8 code points count as one column.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

// `text` broken at spaces into lines of at most `width` columns, each led by `indent` spaces.
std::string wrapped(std::string_view text, int width, int indent);

}  // namespace arqon::app
