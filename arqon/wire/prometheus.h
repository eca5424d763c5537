// Prometheus text exposition (version 0.0.4) and OpenMetrics' common subset as values. Strict,
// bounded; an engine's half-written or garbage answer is an error, never a partly read one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "arqon/wire/diagnostic.h"

namespace arqon::wire {

struct Series {
  std::string name;                                         // as written, "_bucket" and all
  std::vector<std::pair<std::string, std::string>> labels;  // in the text's order, unescaped
  double value = 0;                                         // may be NaN or infinite
  const std::string* label(std::string_view key) const;     // null when absent
};

// One histogram: bounds rise and end with +inf; counts are cumulative, as in the text.
struct Buckets {
  std::vector<double> bounds;
  std::vector<double> counts;
  double sum = 0;
  double count = 0;
};

class Exposition {
 public:
  explicit Exposition(std::vector<Series> series) : series_(std::move(series)) {}
  const std::vector<Series>& series() const { return series_; }
  // Sum over every series of that name whose labels include `labels`; absent when there is none.
  bool has(std::string_view name) const;
  double sum(std::string_view name,
             const std::vector<std::pair<std::string, std::string>>& labels = {}) const;
  // All series of NAME_bucket, NAME_sum, NAME_count added up; no bounds when there is none.
  Buckets buckets(std::string_view name,
                  const std::vector<std::pair<std::string, std::string>>& labels = {}) const;

 private:
  std::vector<Series> series_;
};

// Refuses, with line and column: broken names, labels, escapes or numbers, a last line without its
// newline (half-written), more than 8 MiB or 100,000 series. Comments, types, exemplars and
// timestamps are skipped.
tl::expected<Exposition, Diagnostic> parse_prometheus(std::string_view text);

}  // namespace arqon::wire
