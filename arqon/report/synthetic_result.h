// A made-up comparison of the shape of `mix-migration`, for the tests of this room.
#pragma once

#include <cstdint>
#include <vector>

#include "arqon/documents/results.h"
#include "arqon/documents/scenario.h"

namespace arqon::report {

documents::Scenario synthetic_scenario();

struct SyntheticOptions {
  std::vector<std::uint64_t> seeds = {1, 2, 3};
  double window_s = 15;
  // Shares of bad requests after the shift; what the default does differs from it.
  double bad_default = 0.14, bad_arqonhpo = 0.012, bad_hindsight = 0.006;
};
documents::TuneResult synthetic_result(const documents::Scenario& scenario,
                                       const SyntheticOptions& options = {});

}  // namespace arqon::report
