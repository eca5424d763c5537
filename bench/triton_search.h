// How the Triton bench tunes: explore with the solver, then the finals among the leaders. Kept
// apart from the server so that a test can run it on a model of the surface.
#pragma once

#include <cstdint>
#include <functional>

#include "arqon/base/result.h"
#include "arqon/solver/study.h"

namespace arqon::bench {

struct Seen {
  double per_second = 0, p99_ms = 0;
};

struct Search {
  int changes = 25;  // of the engine's setting, finals included
  double limit_ms = 60;
  std::uint64_t seed = 1;
  double cost_s = 1.5;  // of one measurement
};

using Measure = std::function<Result<Seen>(const Config&)>;

// preferred_batch_size 1..16 and max_wait_ms 0..20 in halves.
Space triton_space();

// The setting {preferred_batch_size, max_wait_ms} it ends at; what `measure` says when it fails;
// kInconclusive when no setting kept the limit.
Result<Config> search(const Measure& measure, const Search& options);

}  // namespace arqon::bench
