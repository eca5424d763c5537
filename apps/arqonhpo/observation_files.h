// Files of what an engine was seen to do, in any of the forms that calibrate and advise take.
#pragma once

#include <filesystem>
#include <vector>

#include "apps/arqonhpo/console.h"
#include "arqon/base/result.h"
#include "arqon/calibrate/history.h"

namespace arqon::app {

struct ObservationFiles {
  calibrate::Observations windows;  // in order of the files
  calibrate::Traffic traffic;       // of the last history among them; seconds is 0 without one
};

// Every problem goes to stderr; the error says how many there were. kInvalidConfig, kUnavailable.
Result<ObservationFiles> read_observation_files(const std::vector<std::filesystem::path>& files,
                                                double window_s, const Console& console);

}  // namespace arqon::app
