#include "arqon/report/words.h"

#include <fmt/format.h>

#include <cmath>
#include <cstddef>

namespace arqon::report {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::string_view kArrow = " \xE2\x86\x92 ";

// Length of the well-formed UTF-8 sequence at the front of `text`, 0 when malformed.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char b = byte(0);
  if (b < 0x80) return 1;
  const std::size_t n = b >= 0xF0 ? 4 : b >= 0xE0 ? 3 : 2;
  if (b < 0xC2 || b > 0xF4 || text.size() < n) return 0;
  for (std::size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  const bool overlong = (b == 0xE0 && second < 0xA0) || (b == 0xF0 && second < 0x90);
  const bool outside = (b == 0xED && second > 0x9F) || (b == 0xF4 && second > 0x8F);
  return overlong || outside ? 0 : n;
}

std::string_view entity(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

std::string with_separators(std::string digits) {
  const std::size_t point = digits.find('.');
  const std::size_t first = !digits.empty() && digits[0] == '-' ? 1 : 0;
  std::size_t at = point == std::string::npos ? digits.size() : point;
  while (at > first + 3) {
    at -= 3;
    digits.insert(digits.begin() + static_cast<std::ptrdiff_t>(at), ',');
  }
  return digits;
}

// Three significant digits, never an exponent.
std::string significant(double value) {
  const double size = std::fabs(value);
  const int digits = size >= 100 || size == 0 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return with_separators(fmt::format("{:.{}f}", value, digits));
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 8);
  while (!text.empty()) {
    const std::size_t n = utf8_length(text);
    const char c = text.front();
    const auto code = static_cast<unsigned char>(c);
    const bool control = (code < 0x20 && c != '\n' && c != '\t') || code == 0x7F;
    if (n == 0 || control) {
      out.append(kReplacement);
      text.remove_prefix(1);
      continue;
    }
    const std::string_view named = entity(c);
    out.append(named.empty() ? text.substr(0, n) : named);
    text.remove_prefix(n);
  }
  return out;
}

std::string percent(double fraction, int digits) {
  if (!std::isfinite(fraction)) return "n/a";
  return fmt::format("{:.{}f}%", fraction * 100, digits);
}

std::string points(double difference) {
  if (!std::isfinite(difference)) return "n/a";
  const double size = std::fabs(difference) * 100;
  const std::string text = fmt::format("{:.2f}", size);
  return text == "1.00" ? "1 point" : text + " points";
}

std::string count(double value) {
  if (!std::isfinite(value)) return "n/a";
  return with_separators(fmt::format("{:.0f}", value));
}

std::string short_count(double value) {
  if (!std::isfinite(value)) return "n/a";
  if (std::fabs(value) >= 1e9) return significant(value / 1e9) + " bn";
  if (std::fabs(value) >= 1e6) return significant(value / 1e6) + " M";
  return count(value);
}

std::string dollars(double value) {
  if (!std::isfinite(value)) return "n/a";
  return fmt::format("{}{}", value < 0 ? "-$" : "$", significant(std::fabs(value)));
}

std::string milliseconds(double ms) {
  if (!std::isfinite(ms)) return "n/a";
  if (ms >= 120000) return significant(ms / 60000) + " min";
  if (ms >= 1000) return significant(ms / 1000) + " s";
  return fmt::format("{:.{}f} ms", ms, ms >= 10 || ms == 0 ? 0 : 1);
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds)) return "n/a";
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  const auto minutes = static_cast<long>(std::llround(seconds / 60));
  if (minutes < 60) return fmt::format("{} min", minutes);
  if (minutes % 60 == 0) return fmt::format("{} h", minutes / 60);
  return fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

std::string clock_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "n/a";
  const auto whole = static_cast<long>(std::llround(seconds));
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string number(double value) {
  if (!std::isfinite(value)) return "n/a";
  if (value == std::floor(value) && std::fabs(value) < 1e15) return fmt::format("{:.0f}", value);
  return fmt::format("{:.5g}", value);
}

std::string knob_value(const Parameter& knob, std::span<const double> slots) {
  if (slots.empty()) return "n/a";
  const double first = slots.front();
  if (knob.type == ParamType::kBool) return first != 0 ? "on" : "off";
  if (knob.type == ParamType::kCategorical && first >= 0 &&
      first < static_cast<double>(knob.choices.size())) {
    return knob.choices[static_cast<std::size_t>(first)];
  }
  std::string out = number(first);
  for (const double part : slots.subspan(1)) out += " : " + number(part);
  return out;
}

std::string setting_difference(const Space& knobs, std::span<const double> from,
                               std::span<const double> to) {
  if (from.size() != knobs.slots() || to.size() != knobs.slots()) return "";
  std::string out;
  for (std::size_t i = 0; i < knobs.size(); ++i) {
    const auto before = from.subspan(knobs.offset(i), knobs[i].slots());
    const auto after = to.subspan(knobs.offset(i), knobs[i].slots());
    const std::string old_text = knob_value(knobs[i], before);
    const std::string new_text = knob_value(knobs[i], after);
    if (old_text == new_text) continue;
    if (!out.empty()) out += ", ";
    out += fmt::format("{} {}{}{}", knobs[i].name, old_text, kArrow, new_text);
  }
  return out;
}

std::string setting_text(const Space& knobs, std::span<const double> setting) {
  if (setting.size() != knobs.slots()) return "";
  std::string out;
  for (std::size_t i = 0; i < knobs.size(); ++i) {
    if (!out.empty()) out += ", ";
    const auto slots = setting.subspan(knobs.offset(i), knobs[i].slots());
    out += fmt::format("{} = {}", knobs[i].name, knob_value(knobs[i], slots));
  }
  return out;
}

}  // namespace arqon::report
