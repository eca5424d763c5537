#include <fmt/format.h>

#include <csignal>
#include <exception>
#include <variant>

#include "apps/arqonhpo/command_line.h"
#include "apps/arqonhpo/console.h"
#include "apps/arqonhpo/verbs.h"

namespace arqon::app {

std::string build_id() {
  return fmt::format("{} ({} {}, {})", ARQON_VERSION, ARQON_COMPILER, __VERSION__,
                     ARQON_BUILD_TYPE);
}

namespace {

int run(const TuneArgs& args, Console& console) { return run_tune(args, console); }
int run(const SimulateArgs& args, Console& console) { return run_simulate(args, console); }
int run(const ValidateArgs& args, Console& console) { return run_validate(args, console); }
int run(const AgentArgs& args, Console& console) { return run_agent(args, console); }
int run(const LoadArgs& args, Console& console) { return run_load(args, console); }
int run(const CalibrateArgs& args, Console& console) { return run_calibrate(args, console); }
int run(const AdviseArgs& args, Console& console) { return run_advise(args, console); }
int run(const DoctorArgs& args, Console& console) { return run_doctor(args, console); }
int run(const AuditArgs& args, Console& console) { return run_audit(args, console); }
int run(const ReplayArgs& args, Console& console) { return run_replay(args, console); }
int run(const PersonArgs& args, Console& console) { return run_person(args, console); }

int run(const Message& message, Console& console) {
  if (message.exit_code != 0) {
    console.talk(message.text);
    return message.exit_code;
  }
  const Status written = console.data(message.text);
  return written ? 0 : console.complain(written.error());
}

}  // namespace
}  // namespace arqon::app

int main(int argc, char** argv) {
  // A reader that goes away is a write error, not a death.
  std::signal(SIGPIPE, SIG_IGN);
  arqon::app::Console console;
  try {
    const arqon::app::Command command = arqon::app::parse_command_line(argc, argv);
    return std::visit([&](const auto& args) { return arqon::app::run(args, console); }, command);
  } catch (const std::exception& error) {
    // The libraries do not throw; this is a bug of ours or no memory.
    return console.complain(
        {arqon::ErrorCode::kInternal, fmt::format("internal: {}", error.what())});
  }
}
