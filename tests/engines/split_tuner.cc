#include "tests/engines/split_tuner.h"

#include <optional>
#include <string>
#include <vector>

#include "arqon/control/glide.h"
#include "arqon/guard/safety_executor.h"
#include "arqon/solver/finals.h"
#include "arqon/solver/solver.h"

namespace arqon::engines {
namespace {

using wire::Array;
using wire::Object;
using wire::Value;

constexpr std::size_t kFinalists = 2;
constexpr double kOpenBefore = 3;  // requests

struct Options {
  double max_delta = 0.15, target = 0.9, seconds_max = 10;
  int trials = 8;  // of them two fifths measure the leaders again
  std::uint64_t requests = 60;
};

double number(const Value& value, std::string_view key, double fallback) {
  const Value* found = value.find(key);
  return found != nullptr && found->is_number() ? found->number() : fallback;
}

struct Measured {
  std::uint64_t good = 0, ended = 0;
  double cost = 0;  // dollars per request
  double share() const {
    return ended == 0 ? 0 : static_cast<double>(good) / static_cast<double>(ended);
  }
};

class SplitTuner {
 public:
  SplitTuner(serving::Engine& engine, Clock& clock, Options options)
      : engine_(engine), clock_(clock), options_(options),
        space_({engine.capabilities().knobs[0]}) {}

  Object run() {
    guard::Guardrails rails{.limits = {{.min = 0, .max = 1, .max_delta = options_.max_delta}},
                            .max_updates_per_second = 10,
                            .reflex_updates_per_second = 10};
    auto guard = guard::SafetyExecutor::create(space_, rails);
    if (!guard) return {{"error", guard.error().message}};
    guard_ = std::move(*guard);
    limits_ = rails.limits;
    const Config start = engine_.observe().effective;
    if (guard_->set_baseline(start, clock_.now()).kind != guard::ViolationKind::kNone) {
      return {{"error", "the split that was found is no split"}};
    }
    auto solver = solver::Solver::create(config());
    if (!solver) return {{"error", solver.error().message}};
    return search(*solver, start);
  }

 private:
  solver::StudyConfig config() const {
    solver::StudyConfig config{.space = space_,
                               .seed = 7,
                               .budget = static_cast<std::uint64_t>(options_.trials - again()),
                               .objective = solver::Objective{"cost", true},
                               .constraints = {}};
    config.constraints.push_back({"good", options_.target, std::nullopt});
    return config;
  }

  int again() const { return 2 * options_.trials / 5; }

  Object search(solver::Solver& solver, const Config& start) {
    std::optional<Config> next = start;
    for (int t = 0; t < options_.trials - again() && next; ++t) {
      if (!solver.tell({try_out(*next)})) break;
      next = solver.ask_one();
    }
    // What was cheapest and good once may have been lucky.
    solver::Finals finals(solver, kFinalists);
    for (int t = 0; t < again(); ++t) {
      const auto again = finals.next();
      if (!again) break;
      finals.tell(try_out(*again));
    }
    const auto best = finals.best();
    if (best) (void)walk(*best);
    guard_->confirm(clock_.now());
    Object out{{"steps", steps_}, {"trials", trials_}, {"refused", refused_}};
    out.emplace_back("best", best ? Value(array_of(*best)) : Value(nullptr));
    return out;
  }

  // Goes there, measures, and leaves at once what does not hold: queues must not outlive a trial.
  solver::Trial try_out(const Config& split) {
    const Measured m = walk(split) ? measure() : Measured{};
    solver::Trial trial{.params = split, .applied = {}, .value = {}, .metrics = {},
                        .context = {}, .t_s = {}, .generation = {}, .eval_id = {}};
    if (m.ended == 0) trial.outcome = solver::Outcome::kFailed;
    trial.metrics["cost"] = {.value = m.cost, .n = {}, .over = {}, .lo = {}, .hi = {}};
    trial.metrics["good"] = {
        .value = m.share(), .n = m.ended, .over = m.ended - m.good, .lo = {}, .hi = {}};
    trials_.emplace_back(Object{{"split", array_of(split)}, {"good", m.share()},
                                {"ended", m.ended}, {"cost", m.cost}});
    if (m.share() >= options_.target) {
      if (!held_ || m.cost < held_cost_) {
        held_ = split;
        held_cost_ = m.cost;
      }
    } else if (held_) {
      (void)walk(*held_);
    }
    return trial;
  }

  static Array array_of(const Config& values) {
    Array out;
    for (const double v : values) out.emplace_back(v);
    return out;
  }

  // To the split in steps that the guard permits, each read back.
  bool walk(const Config& target) {
    for (int i = 0; i < 64; ++i) {
      const Config from(guard_->in_force().begin(), guard_->in_force().end());
      if (from == target) return true;
      const Config step = control::glide_step(space_, limits_, from, target);
      const TimePoint due = guard_->next_allowed(guard::Lane::kExperiment, clock_.now());
      clock_.wait_until(due);
      const auto verdict =
          guard_->propose(step, guard::Lane::kExperiment, clock_.now(), guard_->unproven());
      if (!verdict.permitted) {
        ++refused_;
        return false;
      }
      const auto effective = engine_.apply(step);
      if (!effective || *effective != step) return false;
      steps_.emplace_back(array_of(step));
    }
    return false;
  }

  Measured measure() {
    // The split shows in the counters, and what an earlier trial has left in the queues is done.
    wait(options_.seconds_max, [](const serving::Observation& now) {
      return now.acknowledged && now.running + now.waiting <= kOpenBefore;
    });
    const serving::Observation from = engine_.observe();
    const std::uint64_t epoch = from.epoch;
    serving::Observation to = from;
    wait(options_.seconds_max, [&](const serving::Observation& now) {
      to = now;
      return now.epoch != epoch || ended(now) - ended(from) >= options_.requests;
    });
    if (to.epoch != epoch || !to.fresh) return {};
    Measured m;
    m.good = to.classes[0].good - from.classes[0].good;
    m.ended = ended(to) - ended(from);
    if (m.ended > 0) m.cost = (to.paid_dollars - from.paid_dollars) / static_cast<double>(m.ended);
    return m;
  }

  static std::uint64_t ended(const serving::Observation& now) {
    return now.classes[0].good + now.classes[0].bad;
  }

  template <typename Condition>
  void wait(double seconds, Condition condition) {
    const TimePoint end = clock_.now() + from_seconds(seconds);
    while (clock_.now() < end && !condition(engine_.observe())) {
      clock_.wait_until(clock_.now() + std::chrono::milliseconds(200));
    }
  }

  serving::Engine& engine_;
  Clock& clock_;
  Options options_;
  Space space_;
  std::vector<guard::Limits> limits_;
  std::optional<guard::SafetyExecutor> guard_;
  Array steps_, trials_;
  int refused_ = 0;
  std::optional<Config> held_;  // the cheapest split that held when it was tried
  double held_cost_ = 0;
};

}  // namespace

Object tune_split(serving::Engine& engine, Clock& clock, const Value& order) {
  Options options;
  options.max_delta = number(order, "max_delta", options.max_delta);
  options.target = number(order, "target", options.target);
  options.seconds_max = number(order, "seconds_max", options.seconds_max);
  options.trials = static_cast<int>(number(order, "trials", options.trials));
  options.requests = static_cast<std::uint64_t>(number(order, "requests", 60));
  return SplitTuner(engine, clock, options).run();
}

}  // namespace arqon::engines
