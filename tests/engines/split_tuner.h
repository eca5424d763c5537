// The tuner on the shares of a router's servers: the solver proposes a split, the guard permits the
// steps there, the cheapest split that keeps the target is confirmed.
#pragma once

#include "arqon/base/time.h"
#include "arqon/serving/engine.h"
#include "arqon/wire/json.h"

namespace arqon::engines {

// Order: {"max_delta": total variation of a step, "trials": N, "requests": per trial at least,
// "seconds_max": per trial, "target": share of good requests}. The engine's first knob is the
// split. Answer: {"steps": [splits written], "trials": [{"split", "good", "cost"}], "best": split,
// "refused": steps the guard refused}.
wire::Object tune_split(serving::Engine& engine, Clock& clock, const wire::Value& order);

}  // namespace arqon::engines
