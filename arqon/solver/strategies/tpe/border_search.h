// Points near the border: the cheapest that is safe, the one that promises most, the one that
// tells most.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/solver/strategies/tpe/border.h"
#include "arqon/solver/strategies/tpe/grain.h"

namespace arqon::solver {

// Conditions on a point; a point that meets none of the minima is taken when none meets them.
struct Wish {
  double score_min = -1e9;   // normal score of P(allowed), the border's uncertainty integrated out
  double margin_min = -1e9;  // mean margin to the border in units of its noise
  double patience = 0;       // a point already told may be this much worse, in ln or spreads
};

struct Promise {
  Point at;
  double gain = 0;  // expected loss saved, in ln where losses are positive, else in spreads
};

// Borrows everything for one decision. All searches are deterministic given the stream.
class BorderSearch {
 public:
  BorderSearch(const Encoding& encoding, const Space& space, const Border& border,
               std::span<const Grain> grains, std::span<const Labelled> data)
      : encoding_(encoding), space_(space), border_(border), grains_(grains), data_(data) {}

  // Least loss (a pessimistic estimate) among the points that meet the wish; else the surest. A
  // point that was told already wins when it is as good: staying put costs nothing.
  Point cheapest(const Wish& wish, Rng& rng) const;
  // Where the loss may be least if the border lies further out: upper confidence on both.
  Point most_promising(Rng& rng) const;
  // The point whose expected saving over `safe` is greatest, given that only a margin of `score`
  // would be used in the end.
  Promise promise(const Point& safe, double score, Rng& rng) const;
  // A point close to `about`, moved to where the border's place is told: margin about `margin`.
  Point sharpen(const Point& about, double margin, Rng& rng) const;

 private:
  struct Merit {
    bool meets;    // what is asked for; the other kind loses
    double value;  // larger is better
  };
  static constexpr Merit kNoBetter{false, -1e300};
  // May answer kNoBetter as soon as it is sure that `to_beat` is as good.
  using Judge = std::function<Merit(const Point& at, const Merit& to_beat)>;
  struct Best {
    Point at;
    Merit merit = kNoBetter;
  };

  Best best_told(const Judge& judge, const Point& from, double reach) const;
  Best search(const Judge& judge, const Point& from, double reach, Best best, Rng& rng) const;
  void consider(const Judge& judge, const Point& raw, Best& best) const;
  void refine(const Judge& judge, const Point& middle, double reach, double width, Rng& rng,
              Best& best) const;

  const Encoding& encoding_;
  const Space& space_;
  const Border& border_;
  std::span<const Grain> grains_;
  std::span<const Labelled> data_;
};

}  // namespace arqon::solver
