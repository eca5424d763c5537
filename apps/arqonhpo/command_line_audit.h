// The command lines of `audit` and `replay`.
#pragma once

#include <CLI/CLI.hpp>

#include "apps/arqonhpo/command_line.h"

namespace arqon::app {

void add_audit(CLI::App& app, AuditArgs& args);
void add_replay(CLI::App& app, ReplayArgs& args);

}  // namespace arqon::app
