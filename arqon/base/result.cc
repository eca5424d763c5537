#include "arqon/base/result.h"

#include <fmt/format.h>

namespace arqon {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInternal: return "internal";
    case ErrorCode::kUsage: return "usage";
    case ErrorCode::kInvalidConfig: return "invalid_config";
    case ErrorCode::kRefused: return "refused";
    case ErrorCode::kInconclusive: return "inconclusive";
    case ErrorCode::kRolledBack: return "rolled_back";
    case ErrorCode::kConflict: return "conflict";
    case ErrorCode::kUnavailable: return "unavailable";
    case ErrorCode::kInterrupted: return "interrupted";
  }
  return "internal";
}

int exit_code(ErrorCode code) {
  return code == ErrorCode::kInterrupted ? 130 : static_cast<int>(code) + 1;
}

Error Error::with_context(std::string_view context) const {
  return Error{code, fmt::format("{}: {}", context, message)};
}

}  // namespace arqon
