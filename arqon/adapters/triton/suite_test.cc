// The battery of testing/engine_suite.h over recorded answers.
#include <utility>

#include "arqon/adapters/triton/model_config.h"
#include "arqon/adapters/triton/triton.h"
#include "arqon/adapters/triton/triton_test_fake.h"
#include "arqon/testing/engine_suite.h"

namespace arqon::adapters::triton {
namespace {

using testing::Fault;

class JumpingClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  void wait_until(TimePoint t) override { now_ = std::max(now_, t); }

 private:
  TimePoint now_ = time_at(1);
};

class ReplayedTriton final : public testing::Rig {
 public:
  Status attach() {
    serving::Slo slo{.name = "all"};
    slo.e2e_ms = 100;
    const auto target = wire::parse_json(
        R"({"engine":"triton","url":"http://h:8000","model":"sleeper","load_timeout_s":2})");
    const AttachRequest request{
        .target = *target,
        .knobs =
            {{.name = "main.preferred_batch_size", .type = ParamType::kInt, .min = 1, .max = 32},
             {.name = "main.max_wait_ms", .min = 0, .max = 50},
             {.name = "main.instances", .type = ParamType::kInt, .min = 1, .max = 4}},
        .classes = {slo},
        .clock = clock_};
    auto engine = attach_over(request, triton_.transport());
    if (!engine) return tl::unexpected(engine.error());
    engine_ = std::move(*engine);
    return {};
  }

  serving::Engine& engine() override { return *engine_; }
  Clock& clock() override { return clock_; }
  std::string_view kind() const override { return "replayed"; }
  Status drive(int requests) override {
    triton_.success += requests;
    return {};
  }
  std::set<Fault> supports() const override {
    std::set<Fault> all(testing::all_faults().begin(), testing::all_faults().end());
    all.erase(Fault::kIdle);
    all.erase(Fault::kNoTokens);
    return all;
  }
  std::string why_not(Fault fault) const override {
    return fault == Fault::kIdle ? "an idle Triton loads at once"
                                 : "Triton answers with tensors, not tokens";
  }
  Status inject(Fault fault) override { return set(fault, true); }
  Status heal(Fault fault) override { return set(fault, false); }
  std::optional<Config> truth() override {
    const auto config = wire::parse_json(triton_.config);
    Config values;
    for (const Knob knob : {Knob::kPreferredBatchSize, Knob::kMaxWait, Knob::kInstances}) {
      values.push_back(read_knob(*config, knob).value());
    }
    return values;
  }
  std::optional<std::uint64_t> writes() override {
    return static_cast<std::uint64_t>(triton_.loads);
  }

 private:
  void restart(bool on) {
    if (!on) return;
    triton_.restart();
  }
  void less(bool on) {
    triton_.boot_config = recorded("config.json");
    if (on) replace_all(triton_.boot_config, "\"max_batch_size\":32", "\"max_batch_size\":16");
    triton_.restart();
  }
  Status set(Fault fault, bool on) {
    switch (fault) {
      case Fault::kNoEffect:
        triton_.no_effect = on;
        break;
      case Fault::kClamp:
        triton_.clamp = [on](std::string& text) {
          if (on) replace_all(text, "[32]", "[24]");
        };
        break;
      case Fault::kRefuse:
        triton_.refuse = on;
        break;
      case Fault::kCounterReset:
        restart(on);
        break;
      case Fault::kOtherFlags:
        if (on) replace_all(triton_.server, "2.51.0", "2.52.0");
        restart(on);
        break;
      case Fault::kLessCapacity:
        less(on);
        break;
      case Fault::kHang:
        triton_.mute = on;
        break;
      case Fault::kDown:
        if (!on) triton_.restart();
        triton_.down = on;
        break;
      case Fault::kGarbage:
        triton_.mangle_metrics = [on](std::string& text) {
          if (on) text = "\x16\x03 nv_{{{";
        };
        break;
      case Fault::kHalfWritten:
        triton_.mangle_metrics = [on](std::string& text) {
          if (on) text.resize(text.size() / 2);
        };
        break;
      case Fault::kIdle:
      case Fault::kNoTokens:
        return fail(ErrorCode::kUsage, why_not(fault));
    }
    return {};
  }

  FakeTriton triton_;
  JumpingClock clock_;
  std::unique_ptr<serving::Engine> engine_;
};

Result<std::shared_ptr<testing::Rig>> make_rig() {
  auto rig = std::make_shared<ReplayedTriton>();
  if (const Status attached = rig->attach(); !attached) return tl::unexpected(attached.error());
  return rig;
}

ARQON_ENGINE_SUITE(TritonReplayed, make_rig);

}  // namespace
}  // namespace arqon::adapters::triton
