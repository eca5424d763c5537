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

bool AutomaticStrategy::is_current(const View& view) const {
  return (view.batch ? told_portfolio_ : told_live_) == view.history.size();
}

Prediction AutomaticStrategy::predict(const View& view, const Config& config) const {
  if (!is_current(view)) {
    AutomaticStrategy current = *this;
    current.catch_up(view);
    return current.predict(view, config);
  }
  return view.batch ? portfolio_.predict(view, config) : live_.predict(view, config);
}

std::optional<Config> AutomaticStrategy::best(const View& view) const {
  if (!is_current(view)) {
    AutomaticStrategy current = *this;
    current.catch_up(view);
    return current.best(view);
  }
  return view.batch ? portfolio_.best(view) : live_.best(view);
}

}  // namespace arqon::solver
