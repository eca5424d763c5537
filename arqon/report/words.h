// Numbers and settings as people write them. Plain text in, plain text out, except escape().
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "arqon/space/space.h"

namespace arqon::report {

// Text made safe for HTML content and double-quoted attributes: & < > " ' are replaced, control
// characters and malformed UTF-8 become U+FFFD.
std::string escape(std::string_view text);

// 0.99432 -> "99.43%"; non-finite -> "n/a".
std::string percent(double fraction, int digits = 2);
// A difference of two shares in points: 0.0123 -> "1.23 points". Magnitude only.
std::string points(double difference);
// Counts with thousands separators: 1234567 -> "1,234,567".
std::string count(double value);
// Large counts shortened: 12.3 million -> "12.3 M".
std::string short_count(double value);
// "$0.214", "$1,240"; three significant digits.
std::string dollars(double value);
// Milliseconds with three significant digits: "812 ms", "1.94 s", "2.1 min".
std::string milliseconds(double ms);
// A length of time: "40 s", "12 min", "2 h", "1 h 20 min".
std::string duration_text(double seconds);
// A moment of the run: "0:40:05".
std::string clock_text(double seconds);
// Shortest plain number, at most five significant digits: "1024", "0.92".
std::string number(double value);

// One knob's value(s) as its owner writes them: a category by name, a bool as on / off, a simplex
// as "0.7 : 0.3".
std::string knob_value(const Parameter& knob, std::span<const double> slots);
// What differs between two settings: "main.batch_size 64 -> 128, main.k 0 -> 1"; "" when nothing.
// The arrow is UTF-8. Settings of a wrong length give "".
std::string setting_difference(const Space& knobs, std::span<const double> from,
                               std::span<const double> to);
// A whole setting: "main.batch_size = 64, main.k = 1".
std::string setting_text(const Space& knobs, std::span<const double> setting);

}  // namespace arqon::report
