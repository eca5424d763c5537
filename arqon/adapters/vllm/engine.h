// vLLM behind the Engine contract: one or several replicas, live knobs through the plugin's page,
// restart knobs through a rolling restart. Tested with vLLM 0.32.0.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "arqon/adapters/adapter.h"
#include "arqon/adapters/router.h"
#include "arqon/adapters/vllm/knobs.h"
#include "arqon/adapters/vllm/replica.h"
#include "arqon/adapters/vllm/rolling.h"
#include "arqon/adapters/vllm/target.h"
#include "arqon/serving/engine.h"

namespace arqon::adapters::vllm {

// What the engine reaches the world by; tests put fakes here.
struct World {
  Http http;
  RunCommand run;
  std::filesystem::path shared_memory = kSharedMemory;
  std::unique_ptr<Router> router;  // null: none
};

// libcurl and child processes.
World real_world();

class VllmEngine final : public serving::Engine {
 public:
  // kInvalidConfig for the document's mistakes, kUnavailable when an engine does not answer.
  static Result<std::unique_ptr<VllmEngine>> attach(const AttachRequest& request, World world);

  using serving::Engine::apply;
  using serving::Engine::observe;
  const serving::Capabilities& capabilities() const override { return capabilities_; }
  Result<Config> apply(const Config& setting, serving::Scope scope) override;
  serving::Observation observe(serving::Scope scope) override;
  serving::Health health() override;
  Status confirm() override;
  Status renew(Duration lease) override;
  Status requalify() override;

  // Why the last health() was not kOk.
  const std::string& why() const { return why_; }
  // Looks at the pages again, and at nothing else.
  void look();
  const Replica& replica(std::size_t i) const { return *replicas_[i]; }

 private:
  VllmEngine(Target target, World world, Clock& clock);
  void describe(const std::vector<serving::Slo>& classes);
  Status permits(const Config& setting, const std::vector<std::size_t>& scope);
  std::vector<std::size_t> in(serving::Scope scope) const;
  Config config_of(const Replica& replica) const;
  std::vector<Change> live_changes(const Replica& replica, const Config& setting) const;
  Status restart_where_needed(std::size_t replica, const Config& setting);
  RestartValues restart_values(const Config& setting) const;
  Result<Config> write(const Config& setting, const std::vector<std::size_t>& scope);

  Target target_;
  World world_;
  Clock& clock_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::vector<Knob> knobs_;
  Space space_;
  serving::Capabilities capabilities_;
  Config asked_;      // by the last apply
  Config confirmed_;  // empty until something was
  TimePoint since_;
  std::string why_;
};

}  // namespace arqon::adapters::vllm
