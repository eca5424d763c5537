#include "arqon/solver/strategies/random/random.h"

#include <utility>

#include "arqon/solver/model_free.h"
#include "arqon/solver/sampling.h"

namespace arqon::solver {

std::vector<Config> RandomStrategy::propose(const View& view, Rng& rng, std::size_t count) {
  std::vector<Config> out;
  while (out.size() < count) {
    Config point = free_point(view, out, [&] { return random_point(view.config.space, rng); });
    if (point.empty()) break;
    out.push_back(std::move(point));
  }
  return out;
}

Prediction RandomStrategy::predict(const View& view, const Config&) const {
  return sample_prediction(view);
}

std::optional<Config> RandomStrategy::best(const View& view) const { return best_measured(view); }

}  // namespace arqon::solver
