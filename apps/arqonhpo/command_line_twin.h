// The options of the verbs that know the twin: simulate, calibrate and advise.
#pragma once

#include <CLI/CLI.hpp>

#include "apps/arqonhpo/command_line.h"

namespace arqon::app {

void add_simulate(CLI::App& app, SimulateArgs& args);
void add_calibrate(CLI::App& app, CalibrateArgs& args);
void add_advise(CLI::App& app, AdviseArgs& args);

}  // namespace arqon::app
