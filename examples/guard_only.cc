// The guard, the evidence and the way back in front of somebody else's optimizer.
#include <cmath>
#include <cstdio>

#include "arqon/base/rng.h"
#include "arqon/guard/presets.h"
#include "arqon/guard/safety_executor.h"
#include "arqon/guard/violation_text.h"
#include "arqon/stats/trial.h"

using namespace arqon;

// Your engine: one request under `setting`, in ms. Here: large batches wait, small ones queue.
double serve(const Config& setting, Rng& rng) {
  return (40 + 800 / setting[0] + 2 * setting[0]) * std::exp(0.4 * rng.normal());
}

int main() {
  const Space space({{.name = "batch_size", .type = ParamType::kInt, .min = 1, .max = 64}});
  const auto rails = guard::make_preset(guard::Preset::kAggressive, space);
  auto guard = *guard::SafetyExecutor::create(space, rails);
  Rng optimizer = Rng(1).stream("optimizer"), traffic = Rng(1).stream("traffic");
  TimePoint now = time_at(0);  // your monotonic clock
  guard.set_baseline(Config{8}, now);
  for (int round = 0; round < 40; ++round, now += std::chrono::minutes(2)) {
    const Config found(guard.confirmed().begin(), guard.confirmed().end());
    const Config wish{std::floor(optimizer.uniform(1, 80))};  // any optimizer's proposal
    const auto verdict = guard.propose(wish, guard::Lane::kExperiment, now);
    if (!verdict.permitted) {
      std::printf("%g -> %g refused: %s\n", found[0], wish[0],
                  guard::describe(verdict.violation, space).c_str());
      continue;
    }
    auto trial = *stats::Trial::create({.margin = 0.02});
    stats::Finding finding;
    for (int i = 0; i < 20000 && finding.verdict == stats::Verdict::kInconclusive; ++i) {
      const auto arm = i % 2 == 0 ? stats::Arm::kCanary : stats::Arm::kControl;
      const double ms = serve(arm == stats::Arm::kCanary ? wish : found, traffic);
      trial.observe(arm, 0, ms, /*good=*/ms < 400);
      if (i % 50 == 49) trial.end_block(), finding = trial.judge();
    }
    if (finding.verdict == stats::Verdict::kPass) guard.confirm(now);
    else guard.revert(now, guard::SafetyExecutor::Why::kFailed);
    std::printf("%g -> %g %s (%s), latency x %.2f\n", found[0], wish[0],
                std::string(to_string(finding.verdict)).c_str(),
                std::string(to_string(finding.test)).c_str(), finding.latency_ratio);
  }
  std::printf("in force: %g\n", guard.in_force()[0]);
}
