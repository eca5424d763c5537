#include "arqon/control/run_record.h"

namespace arqon::control {

std::string_view to_string(ChangeState state) {
  switch (state) {
    case ChangeState::kApplied:
      return "applied";
    case ChangeState::kRefused:
      return "refused";
    case ChangeState::kReverted:
      return "reverted";
    case ChangeState::kConfirmed:
      return "confirmed";
  }
  return "applied";
}

}  // namespace arqon::control
