// The twin: a simulated serving stack behind the Engine contract, driven by a simulated clock.
#pragma once

#include <memory>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/serving/engine.h"
#include "arqon/serving/outcome.h"
#include "arqon/sim/fleet.h"
#include "arqon/sim/result.h"
#include "arqon/sim/step_log.h"
#include "arqon/space/space.h"
#include "arqon/workload/request.h"

namespace arqon::sim {

// Raised when the twin's behaviour changes; stored baselines name the number they were made with.
constexpr int kTwinSemantics = 2;

struct TwinOptions {
  FleetSpec fleet;
  std::vector<serving::Slo> classes;
  std::vector<QualityRule> quality;  // per class; may be shorter: no rule for the rest
  Space knobs{{}};  // addresses pool.knob or pool/N.knob; unknown ones fail create
  std::shared_ptr<const workload::Trace> trace;  // shared, never changed
  // Draft cost of a speculative step in ms: base + per_k * k.
  double draft_ms_base = 0.3;
  double draft_ms_per_k = 0.6;
  std::uint64_t seed = 0;        // noise streams
  bool record_requests = false;  // keep one row per request (simulate --requests)
  std::shared_ptr<StepLog> step_log;  // filled with what replicas do; null = not recorded
  // > 0: arrival times of the trace are ignored; so many slots each send the next request of the
  // trace when their last one ends (see workload::closed_loop_concurrency).
  int closed_loop_concurrency = 0;
  bool step_by_step = false;  // never run several steps at once; same results, for tests
};

// One row of `simulate --requests`.
struct RequestRow {
  double arrival_s = 0;
  std::uint16_t request_class = 0;
  std::uint32_t prompt_tokens = 0, output_tokens = 0;
  double ttft_ms = 0, tpot_ms = 0, max_gap_ms = 0, e2e_ms = 0;
  serving::Limit broke = serving::Limit::kNone;
  std::int16_t replica = -1;
};

// Engine and Clock in one: wait_until runs the event kernel. One thread; copies nothing shared but
// the trace, so many twins may run in parallel threads.
class Twin final : public serving::Engine, public Clock {
 public:
  // kInvalidConfig names an unknown model, gpu, policy, knob or a setting that cannot hold one
  // request.
  static Result<std::unique_ptr<Twin>> create(TwinOptions options);
  ~Twin() override;

  const serving::Capabilities& capabilities() const override;
  using serving::Engine::apply;
  using serving::Engine::observe;
  Result<Config> apply(const Config& setting, serving::Scope scope) override;
  serving::Observation observe(serving::Scope scope) override;
  serving::Health health() override;

  TimePoint now() const override;
  void wait_until(TimePoint t) override;

  // Runs on after the last arrival until all requests ended, at most 10 minutes; what is left then
  // is `unfinished`.
  void drain();
  Totals totals() const;
  const std::vector<RequestRow>& requests() const;

 private:
  class Kernel;
  explicit Twin(std::unique_ptr<Kernel> kernel);
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace arqon::sim
