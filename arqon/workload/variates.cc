#include "arqon/workload/variates.h"

#include <cmath>

namespace arqon::workload {

double gamma_variate(double shape, Rng& rng) {
  const double a = shape < 1 ? shape + 1 : shape;
  const double d = a - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double z = rng.normal();
    const double v = std::pow(1 + c * z, 3);
    const double u = 1 - rng.uniform();
    if (v <= 0 || std::log(u) >= z * z / 2 + d - d * v + d * std::log(v)) continue;
    return shape < 1 ? d * v * std::pow(1 - rng.uniform(), 1 / shape) : d * v;
  }
}

double gamma_gap(double cv, Rng& rng) {
  const double shape = 1 / (cv * cv);
  return gamma_variate(shape, rng) / shape;
}

}  // namespace arqon::workload
