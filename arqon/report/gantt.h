// A timeline of what each replica did: every step with its batch and prefill chunks, the queue and
// the KV cache, as one HTML file.
#pragma once

#include <string>

#include "arqon/documents/scenario.h"
#include "arqon/sim/step_log.h"

namespace arqon::report {

// A whole HTML 5 document: zoom by wheel, buttons or keys, pan by dragging; light and dark; needs
// no other file and no network. Says what was left out when the log was full. About 25 bytes a run.
// Pure function of its arguments; any thread.
std::string gantt_html(const sim::StepLog& log, const documents::Scenario& scenario);

}  // namespace arqon::report
