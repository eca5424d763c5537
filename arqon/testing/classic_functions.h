// Classic test functions of optimisation, least value 0 where the literature puts it (Jamil & Yang
// 2013, arXiv:1308.4008; Dixon & Szego 1978 for Branin and Hartmann).
#pragma once

#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

namespace arqon::testing {

namespace rows {

using Function = double (*)(const std::vector<double>& x);

inline double sphere(const std::vector<double>& x) {
  double s = 0;
  for (const double v : x) s += v * v;
  return s;
}
inline double quadratic(const std::vector<double>& x) {
  double s = 0;
  for (std::size_t i = 0; i < x.size(); ++i) s += static_cast<double>(i + 1) * x[i] * x[i];
  return s;
}
inline double rosenbrock(const std::vector<double>& x) {
  double s = 0;
  for (std::size_t i = 0; i + 1 < x.size(); ++i) {
    s += 100 * std::pow(x[i + 1] - x[i] * x[i], 2) + std::pow(1 - x[i], 2);
  }
  return s;
}
inline double rastrigin(const std::vector<double>& x) {
  double s = 10 * static_cast<double>(x.size());
  for (const double v : x) s += v * v - 10 * std::cos(2 * std::numbers::pi * v);
  return s;
}
inline double ackley(const std::vector<double>& x) {
  const auto d = static_cast<double>(x.size());
  double c = 0;
  for (const double v : x) c += std::cos(2 * std::numbers::pi * v);
  return -20 * std::exp(-0.2 * std::sqrt(sphere(x) / d)) - std::exp(c / d) + 20 + std::numbers::e;
}
inline double levy(const std::vector<double>& x) {
  const auto w = [&](std::size_t i) { return 1 + (x[i] - 1) / 4; };
  double s = std::pow(std::sin(std::numbers::pi * w(0)), 2);
  for (std::size_t i = 0; i + 1 < x.size(); ++i) {
    s += std::pow(w(i) - 1, 2) * (1 + 10 * std::pow(std::sin(std::numbers::pi * w(i) + 1), 2));
  }
  const double last = w(x.size() - 1);
  return s + std::pow(last - 1, 2) * (1 + std::pow(std::sin(2 * std::numbers::pi * last), 2));
}
inline double griewank(const std::vector<double>& x) {
  double product = 1;
  for (std::size_t i = 0; i < x.size(); ++i) {
    product *= std::cos(x[i] / std::sqrt(static_cast<double>(i + 1)));
  }
  return sphere(x) / 4000 - product + 1;
}
inline double schwefel(const std::vector<double>& x) {
  double s = 418.9828872724339 * static_cast<double>(x.size());
  for (const double v : x) s -= v * std::sin(std::sqrt(std::abs(v)));
  return s;
}
inline double beale(const std::vector<double>& x) {
  const double a = x[0];
  const double b = x[1];
  return std::pow(1.5 - a + a * b, 2) + std::pow(2.25 - a + a * b * b, 2) +
         std::pow(2.625 - a + a * b * b * b, 2);
}
inline double booth(const std::vector<double>& x) {
  return std::pow(x[0] + 2 * x[1] - 7, 2) + std::pow(2 * x[0] + x[1] - 5, 2);
}
inline double branin(const std::vector<double>& x) {
  constexpr double kPi = std::numbers::pi;
  const double a = x[1] - 5.1 / (4 * kPi * kPi) * x[0] * x[0] + 5 / kPi * x[0] - 6;
  return a * a + 10 * (1 - 1 / (8 * kPi)) * std::cos(x[0]) + 10 - 0.39788735772973816;
}
inline double hartmann6(const std::vector<double>& x) {
  constexpr double kAlpha[4] = {1.0, 1.2, 3.0, 3.2};
  constexpr double kA[4][6] = {{10, 3, 17, 3.5, 1.7, 8},
                               {0.05, 10, 17, 0.1, 8, 14},
                               {3, 3.5, 1.7, 10, 17, 8},
                               {17, 8, 0.05, 10, 0.1, 14}};
  constexpr double kP[4][6] = {{.1312, .1696, .5569, .0124, .8283, .5886},
                               {.2329, .4135, .8307, .3736, .1004, .9991},
                               {.2348, .1451, .3522, .2883, .3047, .6650},
                               {.4047, .8828, .8732, .5743, .1091, .0381}};
  double s = 3.32236801141551;
  for (int i = 0; i < 4; ++i) {
    double inner = 0;
    for (std::size_t j = 0; j < 6; ++j) inner += kA[i][j] * std::pow(x[j] - kP[i][j], 2);
    s -= kAlpha[i] * std::exp(-inner);
  }
  return s;
}

}  // namespace rows

}  // namespace arqon::testing
