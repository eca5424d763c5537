// "KNOB=VALUE" from the command line, put into a scenario.
#pragma once

#include <string>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/documents/scenario.h"

namespace arqon::app {

// Puts each "ADDRESS=VALUE" where it belongs: a knob of the scenario gets its value in `knobs`
// (one entry of `setting` per slot, starting from what it holds), any other engine flag of a pool
// is changed in the scenario itself. A category goes by name, a simplex as "0.7:0.3". kUsage names
// the address or value that is wrong, and what is known.
Status apply_settings(const std::vector<std::string>& assignments, documents::Scenario& scenario,
                      std::vector<std::pair<std::size_t, double>>& setting);

}  // namespace arqon::app
