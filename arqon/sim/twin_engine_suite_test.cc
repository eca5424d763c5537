// The twin under the battery that every engine passes.
#include <memory>

#include "arqon/sim/twin_fixture.h"
#include "arqon/testing/engine_suite.h"

namespace arqon::sim {
namespace {

using testing::Fault;

class TwinRig final : public testing::Rig {
 public:
  explicit TwinRig(std::unique_ptr<Twin> twin) : twin_(std::move(twin)) {}
  serving::Engine& engine() override { return *twin_; }
  Clock& clock() override { return *twin_; }
  std::string_view kind() const override { return "simulated"; }
  Status drive(int requests) override {
    const std::uint64_t until = ended() + static_cast<std::uint64_t>(requests);
    const TimePoint end = twin_->now() + std::chrono::seconds(60);
    while (ended() < until) {
      if (twin_->now() > end) return fail(ErrorCode::kInternal, "requests do not end");
      twin_->wait_until(twin_->now() + std::chrono::milliseconds(100));
    }
    return {};
  }
  std::set<Fault> supports() const override { return {}; }
  std::string why_not(Fault fault) const override {
    switch (fault) {
      case Fault::kIdle:
        return "it takes settings whether or not it steps";
      case Fault::kNoEffect:
      case Fault::kClamp:
      case Fault::kRefuse:
        return "it does what it is told or names the broken rule";
      case Fault::kNoTokens:
        return "every simulated request has tokens";
      case Fault::kGarbage:
      case Fault::kHalfWritten:
        return "its readings are values, not text";
      default:
        return "a simulation neither restarts nor stops to answer";
    }
  }
  Status inject(Fault) override { return fail(ErrorCode::kInternal, "it has no faults"); }
  Status heal(Fault) override { return fail(ErrorCode::kInternal, "it has no faults"); }
  Duration patience() const override { return std::chrono::seconds(60); }

 private:
  std::uint64_t ended() {
    const serving::Observation seen = twin_->serving::Engine::observe();
    return seen.classes[0].good + seen.classes[0].bad;
  }
  std::unique_ptr<Twin> twin_;
};

// Four replicas, a live knob, one that restarts, and 30 requests/s for an hour.
Result<std::shared_ptr<testing::Rig>> make_rig() {
  TwinOptions options = small_twin();
  options.fleet.pools[0].replicas = 4;
  options.classes[0].ttft_ms = 5000;
  add_knob(options, "main.batch_size", 1, 1024);
  add_knob(options, "main.prefill_token_budget", 1024, 16384, 256);
  add_knob(options, "main.gpu_memory_utilization", 0.5, 0.95, 0.01);
  workload::Trace trace;
  for (int i = 0; i < 30 * 3600; ++i) trace.push_back(request_at(i / 30.0, 200, 20));
  set_trace(options, std::move(trace));
  return std::make_shared<TwinRig>(make_twin(std::move(options)));
}

ARQON_ENGINE_SUITE(Twin, make_rig);

}  // namespace
}  // namespace arqon::sim
