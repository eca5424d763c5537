// The options of the verbs that look at a real endpoint: load and doctor.
#pragma once

#include <CLI/CLI.hpp>

#include "apps/arqonhpo/command_line.h"

namespace arqon::app {

void add_load(CLI::App& app, LoadArgs& args);
void add_doctor(CLI::App& app, DoctorArgs& args);

}  // namespace arqon::app
