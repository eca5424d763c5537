#include "apps/arqonhpo/console.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace arqon::app {
namespace {

bool wants_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return (no_colour == nullptr || *no_colour == '\0') && terminal != nullptr &&
         std::strcmp(terminal, "dumb") != 0;
}

int columns() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) return size.ws_col;
  return 100;
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

Console::Console()
    : stdout_is_terminal_(isatty(STDOUT_FILENO) == 1),
      stderr_is_terminal_(isatty(STDERR_FILENO) == 1),
      colour_(stdout_is_terminal_ && wants_colour()),
      width_(columns()) {}

Status Console::data(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(STDOUT_FILENO, text.data(), text.size());
    if (n >= 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EPIPE) return {};
    return fail(ErrorCode::kUnavailable,
                fmt::format("cannot write to stdout: {}", std::strerror(errno)));
  }
  return {};
}

void Console::talk(std::string_view text) const {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

int Console::complain(const Error& error) const {
  talk(fmt::format("arqonhpo: {}\n", error.message));
  return exit_code(error.code);
}

std::string Console::bold(std::string_view text) const {
  return colour_ ? fmt::format("\x1b[1m{}\x1b[0m", text) : std::string(text);
}

std::string text_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t c = 0; c < row.size(); ++c) {
      widths[c] = std::max(widths[c], display_width(row[c]));
    }
  }
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string pad(widths[c] - display_width(row[c]), ' ');
      const std::string last = c + 1 == row.size() ? "" : pad;
      out += c == 0 ? row[c] + last : fmt::format("  {}{}", pad, row[c]);
    }
    out += '\n';
  }
  return out;
}

std::string wrapped(std::string_view text, int width, int indent) {
  const std::string lead(static_cast<std::size_t>(indent), ' ');
  const auto room = static_cast<std::size_t>(std::max(20, width - indent));
  std::string out;
  std::size_t used = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of(" \n", at), text.size());
    const std::string_view word = text.substr(at, end - at);
    at = end + 1;
    if (word.empty()) continue;
    const std::size_t columns_needed = display_width(word);
    if (used > 0 && used + 1 + columns_needed > room) {
      out += '\n';
      used = 0;
    }
    out += used == 0 ? lead : std::string(" ");
    out.append(word);
    used += columns_needed + (used == 0 ? 0 : 1);
  }
  return out + '\n';
}

}  // namespace arqon::app
