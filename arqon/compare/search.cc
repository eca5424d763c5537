#include "arqon/compare/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>

#include "arqon/base/rng.h"
#include "arqon/compare/policies.h"
#include "arqon/solver/solver.h"

namespace arqon::compare {
namespace {

// A thinned part keeps this share of its segment, in one stretch, but at least a minute.
constexpr double kThinnedShare = 0.15;
constexpr double kThinnedMin = 60;
// The previous day of a scenario without a shift is the same scenario under another seed.
constexpr std::uint64_t kPreviousDay = 1'000'003;

struct Part {
  SharedTrace trace;
  double duration_s = 0;
};

struct Score {
  double bad_share = 1;
  double ttft_ms_p90 = 0;
  std::uint64_t arrived = 0;
};

// Attainment to 0.1 point, then what users feel.
bool better(const Score& a, const Score& b) {
  const double bad_a = std::round(a.bad_share * 1000), bad_b = std::round(b.bad_share * 1000);
  return bad_a != bad_b ? bad_a < bad_b : a.ttft_ms_p90 < b.ttft_ms_p90;
}

Score score_of(const sim::Totals& totals) {
  return {1 - totals.attainment, totals.ttft_ms.p90, totals.ledger.arrived};
}

// Runs jobs 0..n-1 on `threads` threads; results depend on no order.
class Pool {
 public:
  Pool(const SearchOptions& options, std::size_t total) : options_(options), total_(total) {}

  Status run(std::size_t n, const std::string& what,
             const std::function<Status(std::size_t)>& job) {
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (std::size_t i = next++; i < n; i = next++) {
        if (options_.stop != nullptr && options_.stop->load()) {
          note(fail(ErrorCode::kInterrupted, "stopped"), what, i, n);
          return;
        }
        note(job(i), what, i, n);
      }
    };
    std::vector<std::jthread> threads;
    for (unsigned t = 1; t < options_.threads; ++t) threads.emplace_back(work);
    work();
    threads.clear();
    return status_;
  }

 private:
  void note(Status status, const std::string& what, std::size_t i, std::size_t n) {
    const std::lock_guard lock(mutex_);
    if (!status && status_) status_ = std::move(status);
    ++done_;
    if (options_.progress) {
      options_.progress(static_cast<double>(done_) / static_cast<double>(total_),
                        fmt::format("{}, {} of {}", what, i + 1, n));
    }
  }

  const SearchOptions& options_;
  std::size_t total_;
  std::size_t done_ = 0;
  std::mutex mutex_;
  Status status_;
};

Result<std::vector<Config>> candidates(const documents::Scenario& scenario, std::uint64_t count) {
  solver::StudyConfig study;
  study.space = scenario.knobs;
  study.strategy = "sobol";
  study.budget = count;
  auto solver = solver::Solver::create(std::move(study));
  if (!solver) return tl::unexpected(solver.error());
  std::vector<Config> settings = solver->ask(count);
  const Config boot = scenario.knobs.default_config();
  settings.push_back(boot);
  settings.push_back(expert_setting(scenario, boot));
  // A small space comes round more than once: each of its settings is tried once.
  std::set<Config> seen;
  std::erase_if(settings, [&](const Config& s) { return !seen.insert(s).second; });
  return settings;
}

class Search {
 public:
  Search(const documents::Scenario& scenario, std::uint64_t seed, const SearchOptions& options)
      : scenario_(scenario),
        seed_(seed),
        options_(options),
        bounds_(segment_bounds(scenario)),
        parts_(bounds_.size() - 1) {}

  Result<SearchResult> run() {
    if (auto ready = prepare(); !ready) return tl::unexpected(ready.error());
    SearchResult result;
    if (auto screened = screen(); !screened) return tl::unexpected(screened.error());
    for (std::size_t i = 0; i < settings_.size(); ++i) result.sweep.push_back(row(i));
    auto hindsight = best_in_full(whole_, [&](std::size_t i) { return whole_score(i); });
    if (!hindsight) return tl::unexpected(hindsight.error());
    result.baselines.hindsight = *hindsight;
    for (std::size_t p = 0; p < parts_; ++p) {
      if (parts_ == 1) {
        result.baselines.oracle.push_back(*hindsight);
        break;
      }
      auto best = best_in_full(full_[p], [&](std::size_t i) { return scores_[i][p]; });
      if (!best) return tl::unexpected(best.error());
      result.baselines.oracle.push_back(*best);
    }
    if (parts_ > 1) {
      result.baselines.yesterday = result.baselines.oracle.front();
      return result;
    }
    auto previous = best_in_full(previous_, [&](std::size_t i) { return whole_score(i); });
    if (!previous) return tl::unexpected(previous.error());
    result.baselines.yesterday = *previous;
    return result;
  }

 private:
  Status prepare() {
    auto settings = candidates(scenario_, options_.settings);
    if (!settings) return tl::unexpected(settings.error());
    settings_ = std::move(*settings);
    auto trace = make_trace(scenario_, seed_);
    if (!trace) return tl::unexpected(trace.error());
    whole_ = {*trace, scenario_.duration_s};
    Rng rng = Rng(seed_).stream("thinning");
    for (std::size_t p = 0; p < parts_; ++p) {
      const double length = bounds_[p + 1] - bounds_[p];
      const double kept = std::min(length, std::max(kThinnedMin, kThinnedShare * length));
      const double from = bounds_[p] + rng.uniform() * (length - kept);
      thinned_.push_back({slice(**trace, from, from + kept), kept});
      full_.push_back({slice(**trace, bounds_[p], bounds_[p + 1]), length});
    }
    if (parts_ == 1) {
      auto before = make_trace(scenario_, seed_ + kPreviousDay);
      if (!before) return tl::unexpected(before.error());
      previous_ = {*before, scenario_.duration_s};
    }
    const std::size_t searches = parts_ == 1 ? 2 : 1 + parts_;
    pool_.emplace(options_, settings_.size() + searches * options_.finalists);
    return {};
  }

  Status screen() {
    scores_.assign(settings_.size(), std::vector<Score>(parts_));
    return pool_->run(settings_.size(), "screening settings", [&](std::size_t i) -> Status {
      for (std::size_t p = 0; p < parts_; ++p) {
        auto totals =
            evaluate(scenario_, thinned_[p].trace, thinned_[p].duration_s, seed_, settings_[i]);
        if (!totals) return tl::unexpected(totals.error());
        scores_[i][p] = score_of(*totals);
      }
      return {};
    });
  }

  // Screened parts together, each weighed by the requests of its full segment.
  Score whole_score(std::size_t i) const {
    Score sum{0, 0, 0};
    double weight = 0;
    for (std::size_t p = 0; p < parts_; ++p) {
      const double requests = static_cast<double>(full_[p].trace->size());
      sum.bad_share += scores_[i][p].bad_share * requests;
      sum.ttft_ms_p90 += scores_[i][p].ttft_ms_p90 * requests;
      weight += requests;
    }
    sum.bad_share /= std::max(1.0, weight);
    sum.ttft_ms_p90 /= std::max(1.0, weight);
    return sum;
  }

  SweepRow row(std::size_t i) const {
    SweepRow r;
    r.setting = settings_[i];
    for (const Score& s : scores_[i]) r.bad_share.push_back(s.bad_share);
    r.whole = whole_score(i).bad_share;
    return r;
  }

  // The best of the finalists that `screened` ranks first, run over the whole of `part`.
  Result<Config> best_in_full(const Part& part, const std::function<Score(std::size_t)>& screened) {
    std::vector<std::size_t> order(settings_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return better(screened(a), screened(b));
    });
    order.resize(std::min(order.size(), options_.finalists));
    std::vector<Score> scores(order.size());
    const Status run = pool_->run(order.size(), "running finalists", [&](std::size_t i) -> Status {
      auto totals = evaluate(scenario_, part.trace, part.duration_s, seed_, settings_[order[i]]);
      if (!totals) return tl::unexpected(totals.error());
      scores[i] = score_of(*totals);
      return {};
    });
    if (!run) return tl::unexpected(run.error());
    std::size_t best = 0;
    for (std::size_t i = 1; i < scores.size(); ++i) {
      if (better(scores[i], scores[best])) best = i;
    }
    return settings_[order[best]];
  }

  const documents::Scenario& scenario_;
  std::uint64_t seed_;
  const SearchOptions& options_;
  std::vector<double> bounds_;
  std::size_t parts_;
  std::vector<Config> settings_;
  Part whole_, previous_;
  std::vector<Part> thinned_, full_;  // per segment
  std::vector<std::vector<Score>> scores_;
  std::optional<Pool> pool_;
};

}  // namespace

Result<SearchResult> search_baselines(const documents::Scenario& scenario, std::uint64_t seed,
                                      const SearchOptions& options) {
  return Search(scenario, seed, options).run();
}

}  // namespace arqon::compare
