// The plain half of TPE: where good results are dense and bad ones are not.
#pragma once

#include <span>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/solver/strategies/tpe/border.h"
#include "arqon/solver/strategies/tpe/judge.h"
#include "arqon/solver/strategy.h"

namespace arqon::solver {

// Observations after judgement: penalties carry no loss and are not allowed.
std::vector<Labelled> label(std::span<const Observation> observations);

// True when `at` is the place of one of `data`.
bool was_told(const Point& at, std::span<const Labelled> data);

// Of 48 draws from the density of the good results (the best tenth of what is allowed), the one
// with the greatest ratio to the density of all others and of what is pending.
Config likeliest_good(const View& view, const Encoding& encoding, std::span<const Labelled> data,
                      std::span<const Point> pending, Rng& rng);

}  // namespace arqon::solver
