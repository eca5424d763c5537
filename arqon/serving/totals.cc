#include "arqon/serving/totals.h"

#include <algorithm>
#include <cmath>

namespace arqon::serving {

Quantiles quantiles_of(std::vector<float>& values) {
  Quantiles out;
  out.n = values.size();
  if (values.empty()) return out;
  double sum = 0;
  for (const float v : values) sum += static_cast<double>(v);
  const auto n = static_cast<double>(values.size());
  out.mean = sum / n;
  auto begin = values.begin();
  const auto pick = [&](double q) {
    const auto rank = std::max(1.0, std::ceil(q * n));
    const auto nth = values.begin() + static_cast<std::ptrdiff_t>(rank) - 1;
    std::nth_element(begin, nth, values.end());
    begin = nth;  // higher quantiles lie to the right
    return static_cast<double>(*nth);
  };
  out.p50 = pick(0.50);
  out.p90 = pick(0.90);
  out.p95 = pick(0.95);
  out.p99 = pick(0.99);
  return out;
}

}  // namespace arqon::serving
