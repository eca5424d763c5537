// The point that a decision is after: candidates everywhere and near the best, then a quasi-Newton
// polish on the models.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/solver/sampling.h"
#include "arqon/solver/strategies/portfolio/models.h"
#include "arqon/solver/strategies/sobol/sobol.h"

namespace arqon::solver {

struct Goal {
  enum class Kind {
    kImprove,   // expected improvement over `best`, weighted by the chance to be allowed
    kExploit,   // least expected loss
    kAllow,     // most likely allowed
  };
  Kind kind = Kind::kImprove;
  double best = 0;          // model units
  double score_min = -1e9;  // smallest margin to a limit, in standard deviations
};

// Borrows everything for one decision.
class Search {
 public:
  Search(const Space& space, const Encoding& encoding, const Models& models,
         std::span<const Record> records, std::span<const Point> waiting)
      : space_(space), encoding_(encoding), models_(models), records_(records),
        waiting_(waiting) {}

  // Best settings told, by posterior mean, that met their limits: at most `count`, best first.
  std::vector<Point> best_told(std::size_t count) const;
  // The best point found that nobody has told or holds; nothing when every candidate is taken.
  std::optional<Config> find(const Goal& goal, const SobolSequence& everywhere,
                             std::uint32_t first_index, Rng& rng) const;
  // Polishes from `start` and answers the snapped point.
  Point polish(const Goal& goal, const Point& start, int calls_max) const;
  // Larger is better; a point short of goal.score_min loses far more than any gain.
  double value(const Goal& goal, const Point& at) const;
  bool is_taken(const Point& at) const;

 private:
  double value(const Goal& goal, const Point& at, std::span<double> gradient) const;
  std::vector<Point> candidates(const Goal& goal, const SobolSequence& everywhere,
                                std::uint32_t first_index, Rng& rng) const;
  void add_neighbours(const Point& about, std::vector<Point>& out) const;
  Point snapped(const Point& raw) const;

  const Space& space_;
  const Encoding& encoding_;
  const Models& models_;
  std::span<const Record> records_;
  std::span<const Point> waiting_;
};

}  // namespace arqon::solver
