// The battery of testing/engine_suite.h over the adapter and a stand-in for the engine.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>

#include "arqon/adapters/vllm/engine.h"
#include "arqon/adapters/vllm/fake_vllm_test.h"
#include "arqon/testing/engine_suite.h"

namespace arqon::adapters::vllm {
namespace {

using testing::Fault;

class FakeRig final : public testing::Rig {
 public:
  explicit FakeRig(int number) : fake_("suite" + std::to_string(number)) {
    document_ = fake_.target();
    const std::vector<Parameter> knobs = {
        {.name = "main.batch_size",
         .type = ParamType::kInt,
         .scale = Scale::kLog,
         .min = 1,
         .max = 32},
        {.name = "main.prefill_token_budget", .type = ParamType::kInt, .min = 192, .max = 2048},
        {.name = "main.long_prefill_threshold",
         .type = ParamType::kInt,
         .min = 0,
         .max = 512,
         .step = 128},
        {.name = "main.speculative_decoding_k", .type = ParamType::kInt, .min = 0, .max = 4},
        {.name = "main.max_queued_requests", .type = ParamType::kInt, .min = 0, .max = 100}};
    auto engine =
        VllmEngine::attach({document_, knobs, {{.name = "all"}}, fake_.clock}, fake_.world());
    if (engine) engine_ = std::move(*engine);
  }
  bool attached() const { return engine_ != nullptr; }

  serving::Engine& engine() override { return *engine_; }
  Clock& clock() override { return fake_.clock; }
  std::string_view kind() const override { return "replayed"; }
  Status drive(int requests) override {
    fake_.serve(requests);
    return {};
  }
  std::set<Fault> supports() const override {
    return {Fault::kIdle,       Fault::kNoEffect,     Fault::kClamp,      Fault::kCounterReset,
            Fault::kOtherFlags, Fault::kLessCapacity, Fault::kHang,       Fault::kDown,
            Fault::kNoTokens,   Fault::kGarbage,      Fault::kHalfWritten};
  }
  std::string why_not(Fault) const override { return "the page has no way to refuse"; }
  Status inject(Fault fault) override {
    switch (fault) {
      case Fault::kIdle:
        fake_.become_idle();
        break;
      case Fault::kNoEffect:
        fake_.no_effect = true;
        break;
      case Fault::kClamp:
        fake_.clamp = 20;
        break;
      case Fault::kCounterReset:
        restart();
        break;
      case Fault::kOtherFlags:
        fake_.max_model_len = 1024;
        restart();
        break;
      case Fault::kLessCapacity:
        fake_.max_num_seqs = 16;
        restart();
        break;
      case Fault::kHang:
        fake_.hung = true;
        break;
      case Fault::kDown:
        fake_.down = true;
        break;
      case Fault::kNoTokens:
        fake_.no_tokens = true;
        break;
      case Fault::kGarbage:
        fake_.spoil = [](const std::string&) { return std::string("<html>502</html>\n"); };
        break;
      case Fault::kHalfWritten:
        fake_.spoil = [](const std::string& text) { return text.substr(0, text.size() * 2 / 3); };
        break;
      case Fault::kRefuse:
        break;
    }
    return {};
  }
  Status heal(Fault fault) override {
    fake_.no_effect = fake_.hung = fake_.no_tokens = false;
    fake_.clamp.reset();
    fake_.spoil = nullptr;
    if (fault == Fault::kIdle) fake_.become_busy();
    if (fault == Fault::kDown) restart();
    if (fault == Fault::kLessCapacity) {
      fake_.max_num_seqs = 32;
      restart();
    }
    fake_.clock.pass(std::chrono::milliseconds(5));
    return {};
  }
  std::optional<Config> truth() override {
    Config out;
    for (const std::size_t slot : {0U, 1U, 2U, 5U, 6U}) {
      out.push_back(static_cast<double>(fake_.effective[slot]));
    }
    return out;
  }
  std::optional<std::uint64_t> writes() override {
    return static_cast<std::uint64_t>(fake_.writes);
  }

 private:
  void restart() {
    fake_.start();
    fake_.clock.pass(std::chrono::milliseconds(5));
  }
  FakeVllm fake_;
  wire::Value document_;
  std::unique_ptr<VllmEngine> engine_;
};

Result<std::shared_ptr<testing::Rig>> make_rig() {
  static std::atomic<int> number = 0;
  auto rig = std::make_shared<FakeRig>(++number);
  if (!rig->attached()) return fail(ErrorCode::kInternal, "the stand-in cannot be attached to");
  return rig;
}

ARQON_ENGINE_SUITE(VllmStandIn, make_rig);

}  // namespace
}  // namespace arqon::adapters::vllm
