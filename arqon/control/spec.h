// How the live loop runs: window size and mode.
#pragma once

#include <cstdint>
#include <string>

namespace arqon::control {

enum class Mode : std::uint8_t { kObserve, kRecommend, kApprove, kAuto };

// A window ends at the first moment when both minima are met, or at seconds_max.
struct WindowSpec {
  std::uint64_t requests_min = 300;
  double seconds_min = 15;
  double seconds_max = 600;
};

}  // namespace arqon::control
