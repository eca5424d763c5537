// The portfolio's beliefs: a Gaussian process for the objective, one for each constraint's excess,
// one for "answers and brings no penalty".
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "arqon/solver/gp/fit.h"
#include "arqon/solver/gp/process.h"
#include "arqon/solver/strategies/portfolio/record.h"

namespace arqon::solver {

// What is learned slowly and kept from one decision to the next. A copyable value.
struct Learned {
  Theta theta;
  Bend bend;               // of the objective
  std::size_t fits = 0;
};

struct LearnedAll {
  Learned loss, labels;
  std::vector<Learned> excess;
  double skill = 0;   // of the loss model: Models::left_out_skill at the last fit
};

// Everything at one point, in model units (smaller loss is better, excess below 0 is met).
struct Belief {
  Moments loss;
  double log_feasible = 0;   // ln P(all limits hold), the model's own uncertainty integrated out
  double score_min = 1e9;    // smallest margin to a limit in its own standard deviations
};

struct BeliefSlopes {
  std::vector<double> loss_mean, loss_variance, log_feasible, score_min;   // by coordinate
};

// Built for one decision over borrowed records; not copyable.
class Models {
 public:
  Models(const FeatureMap& map, std::span<const Record> records, const LearnedAll& learned);
  Models(const Models&) = delete;
  Models& operator=(const Models&) = delete;

  bool has_loss() const { return loss_ != nullptr; }
  bool has_limits() const { return labels_ != nullptr || !excess_.empty(); }
  Belief at(const Point& point) const;
  Belief at(const Point& point, BeliefSlopes& slopes) const;
  double loss_mean(const Point& point) const;
  // The point will be measured and is believed to bring what is expected there.
  void believe(const Point& point);
  // Of one measurement of the loss, in model units.
  double noise_sd() const;
  const Warp& warp() const { return warp_; }
  // Rank correlation of left-out predictions and losses; 0 when there are fewer than six.
  double left_out_skill() const;

 private:
  struct Output {
    Output(const FeatureMap& map, Design d, const Theta& theta, const Outputs& outputs)
        : design(std::move(d)), process(map, design, theta, outputs) {}
    Design design;
    Process process;
    double threshold = 0;   // model value at which the limit holds exactly
    double sign = 1;        // 1: below the threshold is met; -1: above
    bool blurred = false;   // labels: unit noise between function and answer
  };
  void add_limit(const Output& output, const Moments& m, Belief& belief) const;

  const FeatureMap* map_;
  std::unique_ptr<Output> loss_;
  std::unique_ptr<Output> labels_;
  std::vector<std::unique_ptr<Output>> excess_;
  Warp warp_;
  std::vector<double> losses_;   // in model units
};

// Which losses are penalties. As judge.h's, and early on already when the worst comes twice.
Penalty penalty_of(std::span<const Record> records);

// Improves `learned` on these records; bounded work. Call at fixed counts of results.
void refit(const FeatureMap& map, std::span<const Record> records, LearnedAll& learned);

// The records a decision looks at, at most `limit`: the newest, the best, and those near the best.
std::vector<Record> active_records(const Encoding& encoding, std::span<const Record> records,
                                   std::size_t limit);

}  // namespace arqon::solver
