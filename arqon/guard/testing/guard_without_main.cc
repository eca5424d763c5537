// Runs the property test against an executor that lacks one check: guard_without CHECK; "none"
// shows that the rig itself lets a whole executor pass.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <string_view>

#include "arqon/guard/internal/enabled.h"

namespace {
// In the order of Check.
constexpr std::array<std::string_view, 23> kNames{
    "kLength", "kFinite", "kBounds", "kEnvelope", "kGrid", "kSimplex",
    "kMaxDelta", "kRate", "kBaseline", "kUnproven", "kSafeMode", "kFrozen",
    "kForbidden", "kClock", "kConstraint", "kOwner", "kLane", "kCoolDown",
    "kDwell", "kFlips", "kTravel", "kReach", "kJump"};
}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const std::string_view asked = argc == 2 ? argv[1] : "";
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] != asked) continue;
    arqon::guard::internal::left_out = static_cast<int>(i);
    return RUN_ALL_TESTS();
  }
  if (asked == "none") return RUN_ALL_TESTS();
  std::fprintf(stderr, "no such check\n");
  return 0;  // the tests demand a failure: a misspelt name must not look like one
}
