// The neighbourhood of a good setting near the border of what is allowed.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/solver/encoding.h"
#include "arqon/solver/strategy.h"
#include "arqon/solver/strategies/tpe/response.h"

namespace arqon::solver {

// Observations after judgement, those of one acting point as one: `loss` is their mean and only
// there when it measures the objective, `allowed` the mean chance that the limits held.
struct Labelled {
  Point at;
  std::optional<double> loss;
  double allowed = 1;
  double count = 1;
};

// Equal points as one, in order of first appearance.
std::vector<Labelled> merge_equal(std::span<const Labelled> data);

// Both local models around one centre. Built per decision; immutable. Where nothing was ever
// forbidden the margin is everywhere the same and large.
class Border {
 public:
  Border(const Encoding& encoding, std::span<const Labelled> data, Point center);

  // Loss as it is modelled (in ln when every loss is positive): for comparing points.
  Estimate loss(std::span<const double> at) const;
  double loss_mean(std::span<const double> at) const;
  // Margin to the border in units of the noise that blurs it; negative beyond.
  Estimate margin(std::span<const double> at) const;
  double margin_mean(std::span<const double> at) const;
  // Normal score of P(allowed), the border's own uncertainty integrated out: 2 means 97.7 %.
  double score(std::span<const double> at) const;
  // All of it, the loss in its own units.
  Prediction predict(std::span<const double> at) const;
  // What loss differences are measured in: 1 in ln, else the spread of the better losses.
  double loss_unit() const { return loss_unit_; }
  // How far from the centre the models may be asked.
  double reach() const { return reach_; }
  // How far the border itself is known from data.
  double border_reach() const { return kTrusted * score_scale_; }
  const Point& center() const { return center_; }

 private:
  static constexpr double kTrusted = 0.6;  // share of the margin model's neighbourhood

  Point center_;
  double reach_;
  double score_scale_;
  double loss_unit_;
  bool log_;                 // losses are positive: modelled in ln
  Basis loss_basis_;
  Basis score_basis_;
  LeastSquares loss_;
  std::optional<Probit> probit_;
};

// Residual standard deviation of the loss (in ln where it is positive) about the local model.
double loss_residual_sd(const Encoding& encoding, std::span<const Labelled> data,
                        const Point& center);

// The observation to build the models around: the smallest loss among those whose closest
// neighbours were mostly allowed. Nothing when no observation was allowed.
std::optional<Point> border_center(const Encoding& encoding, std::span<const Labelled> data);
// True when some setting was forbidden more likely than not.
bool has_limits(std::span<const Labelled> data);

}  // namespace arqon::solver
