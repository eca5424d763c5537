// The seam behind which every optimiser lives. A strategy is a copyable value.
#pragma once

#include <concepts>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/solver/study.h"

namespace arqon::solver {

// What a strategy may look at when it proposes. Borrowed for the call.
struct View {
  const StudyConfig& config;
  std::span<const Trial> history;        // in the order told
  std::span<const Config> pending;       // handed out, not answered
  std::uint64_t handed_out = 0;          // points proposed so far, for probe_ratio
  bool batch = false;                    // the last point was asked for by ask, not ask_one
};

// The model's belief about one point, in the study's own units.
struct Prediction {
  double objective = 0;
  double objective_sd = 0;
  double feasible_probability = 1;       // all constraints met
};

template <typename S>
concept StrategyLike = std::copyable<S> && requires(S s, const S cs, const View& view, Rng& rng,
                                                    const Trial& trial, const Config& config) {
  { s.propose(view, rng, std::size_t{}) } -> std::same_as<std::vector<Config>>;
  { s.observe(view, trial) } -> std::same_as<void>;
  { cs.predict(view, config) } -> std::same_as<Prediction>;
  { cs.best(view) } -> std::same_as<std::optional<Config>>;
};

// Value-semantic holder of any strategy.
class Strategy {
 public:
  // Its own type is ruled out first: asking whether a Strategy is StrategyLike would ask itself.
  template <typename S>
    requires(!std::same_as<std::remove_cvref_t<S>, Strategy> && StrategyLike<S>)
  explicit Strategy(S strategy) : self_(std::make_unique<Model<S>>(std::move(strategy))) {}
  Strategy(const Strategy& other) : self_(other.self_->clone()) {}
  Strategy& operator=(const Strategy& other) {
    self_ = other.self_->clone();
    return *this;
  }
  Strategy(Strategy&&) noexcept = default;
  Strategy& operator=(Strategy&&) noexcept = default;
  ~Strategy() = default;

  // `count` points of the space, none of them pending.
  std::vector<Config> propose(const View& view, Rng& rng, std::size_t count) {
    return self_->propose(view, rng, count);
  }
  // Called once per trial after it has joined view.history.
  void observe(const View& view, const Trial& trial) { self_->observe(view, trial); }
  Prediction predict(const View& view, const Config& config) const {
    return self_->predict(view, config);
  }
  // The point to recommend by posterior and margin, or nothing before any usable result.
  std::optional<Config> best(const View& view) const { return self_->best(view); }

 private:
  struct Concept {
    virtual ~Concept() = default;
    virtual std::unique_ptr<Concept> clone() const = 0;
    virtual std::vector<Config> propose(const View&, Rng&, std::size_t) = 0;
    virtual void observe(const View&, const Trial&) = 0;
    virtual Prediction predict(const View&, const Config&) const = 0;
    virtual std::optional<Config> best(const View&) const = 0;
  };
  template <typename S>
  struct Model final : Concept {
    explicit Model(S s) : strategy(std::move(s)) {}
    std::unique_ptr<Concept> clone() const override { return std::make_unique<Model>(strategy); }
    std::vector<Config> propose(const View& v, Rng& r, std::size_t n) override {
      return strategy.propose(v, r, n);
    }
    void observe(const View& v, const Trial& t) override { strategy.observe(v, t); }
    Prediction predict(const View& v, const Config& c) const override {
      return strategy.predict(v, c);
    }
    std::optional<Config> best(const View& v) const override { return strategy.best(v); }
    S strategy;
  };
  std::unique_ptr<Concept> self_;
};

}  // namespace arqon::solver
