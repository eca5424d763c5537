// The way from here to a target in steps the guard permits.
#pragma once

#include <span>

#include "arqon/guard/guardrails.h"
#include "arqon/space/space.h"

namespace arqon::control {

// The next setting on the way: every knob moves towards `target` by at most its max_delta, on its
// grid. Equals `target` when one step is enough. Both settings must lie in the space.
Config glide_step(const Space& space, std::span<const guard::Limits> limits, const Config& from,
                  const Config& target);

// Steps from `from` to `target`; 0 when equal.
int glide_length(const Space& space, std::span<const guard::Limits> limits, const Config& from,
                 const Config& target);

}  // namespace arqon::control
