// Any server: a knob is a command or an HTTP call with a place for the value, a reading is a series
// of its metrics or a PromQL query. docs/howto/generic.md shows three.
#pragma once

#include <memory>
#include <string_view>

#include "arqon/adapters/adapter.h"

namespace arqon::adapters::generic {

// target: {"engine": "generic", "name": "my server 1.2", "model": "m",
//          "knobs": {NAME: {"type": "int", "min": 1, "max": 64, "write": CALL, "read": CALL, ...}},
//          "metrics": URL, "prometheus": URL, "readings": {...}, "identity": CALL, "health": CALL,
//          and what scraped_engine.h shares}; target.h has every key.
Result<std::unique_ptr<serving::Engine>> attach(const AttachRequest& request);
// A URL alone tells nothing of knobs: whether it answers, and what its metrics hold.
Result<Probe> probe(std::string_view url, Clock& clock);

}  // namespace arqon::adapters::generic
