#include "arqon/stats/drift.h"

#include "arqon/base/assert.h"

namespace arqon::stats {

DriftDetector::DriftDetector(const Baseline& baseline, const DriftLimits& limits)
    : mean_(baseline.mean),
      inverse_(1 / baseline.deviation),
      slack_(limits.slack),
      alarm_(limits.alarm),
      cut_(limits.cut) {
  ARQON_ASSERT(baseline.deviation > 0 && limits.alarm > 0 && limits.cut > 0 && limits.slack >= 0);
}

}  // namespace arqon::stats
