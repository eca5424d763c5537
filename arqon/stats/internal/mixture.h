// The logarithm of an even mixture of e-values.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace arqon::stats::internal {

// ln of the mean of exp(log / dispersion). Below 2, where nothing is ever decided, the greatest
// term's own part: a lower bound that needs no exponentials.
template <std::size_t n>
double log_mixture(const std::array<double, n>& logs, double dispersion) noexcept {
  const double inverse = 1 / std::max(1.0, dispersion);
  const double high = *std::max_element(logs.begin(), logs.end());
  const double even = std::log(static_cast<double>(n));
  if (high * inverse < 2) return high * inverse - even;
  double sum = 0;
  for (const double log : logs) sum += std::exp((log - high) * inverse);
  return high * inverse + std::log(sum) - even;
}

}  // namespace arqon::stats::internal
