#include "arqon/compare/walker.h"

#include <algorithm>
#include <string>

#include "arqon/control/glide.h"
#include "arqon/control/meter.h"
#include "arqon/guard/safety_executor.h"

namespace arqon::compare {
namespace {

constexpr Duration kTick = std::chrono::seconds(1);

void record_step(control::RunRecord& record, const Space& space, TimePoint now, const Config& from,
                 const Config& to, control::ChangeState state, const std::string& reason) {
  const std::uint64_t decision = record.changes.empty() ? 1 : record.changes.back().decision + 1;
  for (std::size_t k = 0; k < space.size(); ++k) {
    for (std::size_t s = space.offset(k); s < space.offset(k) + space[k].slots(); ++s) {
      if (from[s] == to[s]) continue;
      record.changes.push_back(
          {to_seconds(now), decision, space[k].name, from[s], to[s], "experiment", state, reason});
    }
  }
}

}  // namespace

Result<control::RunRecord> walk(const documents::Scenario& scenario, serving::Engine& engine,
                                Clock& clock, TimePoint end, const Policy& policy,
                                const std::atomic<bool>* stop) {
  const Space& space = scenario.knobs;
  control::RunRecord record;
  for (const Parameter& p : space.parameters()) record.knob_names.push_back(p.name);
  for (const serving::Slo& c : scenario.classes) record.class_names.push_back(c.name);
  auto guard = guard::SafetyExecutor::create(space, scenario.guardrails);
  if (!guard) return tl::unexpected(guard.error());
  serving::Observation last = engine.observe();
  (void)guard->set_baseline(last.effective, clock.now());
  control::Meter meter(scenario.window, last);
  Config target = last.effective;
  Config here = last.effective;
  while (clock.now() < end) {
    if (stop != nullptr && stop->load()) return fail(ErrorCode::kInterrupted, "stopped");
    clock.wait_until(std::min(end, clock.now() + kTick));
    last = engine.observe();
    const auto window = meter.take(last, "confirmed");
    if (auto wanted = policy(clock.now(), here, window ? &*window : nullptr)) target = *wanted;
    if (window) record.windows.push_back(*window);
    if (target == here ||
        guard->next_allowed(guard::Lane::kExperiment, clock.now()) > clock.now()) {
      continue;
    }
    const Config next = control::glide_step(space, scenario.guardrails.limits, here, target);
    const guard::Verdict verdict = guard->propose(next, guard::Lane::kExperiment, clock.now());
    record_step(record, space, clock.now(), here, next,
                verdict.permitted ? control::ChangeState::kApplied : control::ChangeState::kRefused,
                verdict.permitted ? "policy" : std::string(to_string(verdict.violation.kind)));
    if (!verdict.permitted) {
      target = here;
      continue;
    }
    guard->confirm(clock.now());  // these policies have no idea of evidence
    if (auto applied = engine.apply(next); !applied) return tl::unexpected(applied.error());
    if (Status kept = engine.confirm(); !kept) return tl::unexpected(kept.error());
    here = next;
  }
  if (auto window = meter.finish(last, "confirmed")) record.windows.push_back(*window);
  return record;
}

}  // namespace arqon::compare
