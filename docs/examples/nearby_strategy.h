// A whole strategy in sixty lines: random moves around the best setting measured so far, shorter
// after failures and longer after successes. To ship one like it: this folder below
// arqon/solver/strategies/, one line in arqon/solver/CMakeLists.txt, one row in the table of
// strategies/registry.cc, one row in docs/formats/study.md.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "arqon/solver/encoding.h"
#include "arqon/solver/model_free.h"
#include "arqon/solver/sampling.h"
#include "arqon/solver/strategy.h"

namespace arqon::solver {

class NearbyStrategy {
 public:
  explicit NearbyStrategy(const StudyConfig& config) : encoding_(config.space) {}

  // All chance comes from `rng`; all memory from the view and from what observe() kept.
  std::vector<Config> propose(const View& view, Rng& rng, std::size_t count) {
    const std::optional<Config> best = best_measured(view);
    std::vector<Config> out;
    while (out.size() < count) {
      Config point = free_point(view, out, [&] {
        return best ? near(view.config.space, *best, rng) : random_point(view.config.space, rng);
      });
      if (point.empty()) break;
      out.push_back(std::move(point));
    }
    return out;
  }

  void observe(const View& view, const Trial& trial) {
    const std::optional<double> loss = loss_of(view.config, trial);
    const bool better = loss && meets_constraints(view.config, trial) && (!best_ || *loss < *best_);
    if (better) best_ = loss;
    width_ = std::clamp(width_ * (better ? 1.5 : 0.95), 0.001, 0.3);
  }

  Prediction predict(const View& view, const Config&) const { return sample_prediction(view); }
  std::optional<Config> best(const View& view) const { return best_measured(view); }

 private:
  Config near(const Space& space, const Config& about, Rng& rng) const {
    Point at = encoding_.encode(space, about);
    for (std::size_t i = 0; i < at.size(); ++i) {
      const Coordinate& c = encoding_[i];
      if (c.geometry != Geometry::kCategory) {
        at[i] += std::max(width_, c.step) * rng.normal();
      } else if (rng.uniform() < std::max(width_, 0.1)) {
        at[i] = static_cast<double>(rng.below(c.choices));
      }
    }
    return encoding_.decode(space, at);
  }

  Encoding encoding_;
  std::optional<double> best_;
  double width_ = 0.3;   // of the encoded range
};

}  // namespace arqon::solver
