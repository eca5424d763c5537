// Paired differences: two treatments under the same conditions, a handful of repeats.
#pragma once

#include <span>

namespace arqon::stats {

struct PairedMean {
  double mean = 0;
  double low = 0, high = 0;  // 95 % interval; infinite below two pairs
};

// Mean of the differences with Student's t interval (two-sided, 95 %).
PairedMean paired_mean(std::span<const double> differences);

}  // namespace arqon::stats
