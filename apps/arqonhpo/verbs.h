// The verbs: typed arguments in, exit code out.
#pragma once

#include "apps/arqonhpo/command_line.h"
#include "apps/arqonhpo/console.h"

namespace arqon::app {

int run_tune(const TuneArgs& args, Console& console);
int run_simulate(const SimulateArgs& args, Console& console);
int run_calibrate(const CalibrateArgs& args, Console& console);
int run_advise(const AdviseArgs& args, Console& console);
int run_validate(const ValidateArgs& args, Console& console);
int run_agent(const AgentArgs& args, Console& console);
int run_audit(const AuditArgs& args, Console& console);
int run_replay(const ReplayArgs& args, Console& console);
int run_load(const LoadArgs& args, Console& console);
int run_doctor(const DoctorArgs& args, Console& console);
int run_person(const PersonArgs& args, Console& console);

// Version, compiler and build type; goes into results, never into decisions.
std::string build_id();

}  // namespace arqon::app
