#include "arqon/wire/diagnostic.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "arqon/wire/utf8.h"

namespace arqon::wire {
namespace {

// Longer names are never near anything; the bound keeps hostile keys cheap.
constexpr std::size_t kWordMax = 96;
// A beginning this long says which name was meant.
constexpr std::size_t kPrefixMin = 3;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Optimal string alignment: insert, delete, replace, swap of neighbours, each at cost 1.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
          lower(a[i - 2]) == lower(b[j - 1])) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

std::string to_string(const Diagnostic& diagnostic, std::string_view file) {
  std::string out(file);
  if (diagnostic.line > 0) {
    out += fmt::format("{}{}:{}", out.empty() ? "" : ":", diagnostic.line, diagnostic.column);
  }
  if (!out.empty()) out += ": ";
  if (!diagnostic.path.empty()) out += diagnostic.path + ": ";
  out += diagnostic.message;
  if (!diagnostic.value.empty()) out += fmt::format(" (got {})", diagnostic.value);
  if (!diagnostic.hint.empty()) out += "; " + diagnostic.hint;
  return out;
}

std::string nearest_name(std::string_view word, const std::vector<std::string>& known) {
  if (word.empty() || word.size() > kWordMax) return "";
  std::string best;
  std::size_t best_distance = std::numeric_limits<std::size_t>::max();
  for (const std::string& name : known) {
    const std::size_t longer = std::max(word.size(), name.size());
    const std::size_t near_enough = longer / 3;
    const std::size_t gap = longer - std::min(word.size(), name.size());
    if (gap > near_enough) continue;
    const std::size_t d = distance(word, name);
    if (d <= near_enough && d < best_distance) {
      best_distance = d;
      best = name;
    }
  }
  if (!best.empty() || word.size() < kPrefixMin) return best;
  for (const std::string& name : known) {
    if (name.starts_with(word)) return name;  // "tpot" for "tpot_ms"
  }
  return "";
}

std::string shortened(std::string_view text, std::size_t characters) {
  std::string out;
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++count) {
    if (count == characters) {
      // Three characters make room for the dots.
      while (count > 0 && count > characters - std::min<std::size_t>(3, characters)) {
        while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0u) == 0x80u) {
          out.pop_back();
        }
        out.pop_back();
        --count;
      }
      return out + "...";
    }
    const std::size_t length = internal::utf8_length(text, at);
    const auto first = static_cast<unsigned char>(text[at]);
    if (length == 0 || first < 0x20 || first == 0x7F) {
      out += '?';
      at += 1;
    } else {
      out += text.substr(at, length);
      at += length;
    }
  }
  return out;
}

}  // namespace arqon::wire
