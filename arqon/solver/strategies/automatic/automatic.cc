#include "arqon/solver/strategies/automatic/automatic.h"

namespace arqon::solver {
namespace {

template <typename S>
void replay(S& strategy, std::size_t& told, const View& view) {
  for (; told < view.history.size(); ++told) {
    View then = view;
    then.history = view.history.first(told + 1);
    strategy.observe(then, view.history[told]);
  }
}

}  // namespace

void AutomaticStrategy::catch_up(const View& view) {
  if (view.batch) {
    replay(portfolio_, told_portfolio_, view);
  } else {
    replay(live_, told_live_, view);
  }
}

std::vector<Config> AutomaticStrategy::propose(const View& view, Rng& rng, std::size_t count) {
  catch_up(view);
  return view.batch ? portfolio_.propose(view, rng, count) : live_.propose(view, rng, count);
}

void AutomaticStrategy::observe(const View& view, const Trial&) { catch_up(view); }

Prediction AutomaticStrategy::predict(const View& view, const Config& config) const {
  AutomaticStrategy up_to_date = *this;
  up_to_date.catch_up(view);
  return view.batch ? up_to_date.portfolio_.predict(view, config)
                    : up_to_date.live_.predict(view, config);
}

std::optional<Config> AutomaticStrategy::best(const View& view) const {
  AutomaticStrategy up_to_date = *this;
  up_to_date.catch_up(view);
  return view.batch ? up_to_date.portfolio_.best(view) : up_to_date.live_.best(view);
}

}  // namespace arqon::solver
