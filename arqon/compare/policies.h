// The rivals: what a person, a rule of thumb or blind chance would do with the same knobs.
#pragma once

#include <cstdint>
#include <vector>

#include "arqon/compare/walker.h"
#include "arqon/documents/scenario.h"

namespace arqon::compare {

// Keeps what is in force.
Policy keep();
// A uniform target in the encoded space at each window.
Policy random_targets(const documents::Scenario& scenario, std::uint64_t seed);
// Additive increase, multiplicative decrease on the limit that most requests broke; drifts back to
// the defaults while all is well. Between pools it spills to the least one while a limit is broken.
// What a careful script does.
Policy aimd_rules(const documents::Scenario& scenario);
// settings[i] from bounds[i] on: the oracle's switches, known in advance.
Policy scheduled(std::vector<double> bounds, std::vector<Config> settings);
// The documented one-liner: engine defaults with a prefill budget of 2,048 tokens.
Config expert_setting(const documents::Scenario& scenario, const Config& boot);

}  // namespace arqon::compare
