// What a live engine has done while we watched, summed over its restarts.
#pragma once

#include <optional>

#include "arqon/documents/results.h"
#include "arqon/serving/engine.h"

namespace arqon::app {

// An engine that counts what passes: every call goes on to `engine`, which outlives it. Same thread
// rule as the engine.
class Tally final : public serving::Engine {
 public:
  explicit Tally(serving::Engine& engine) : engine_(engine) {}

  using serving::Engine::apply;
  using serving::Engine::observe;
  const serving::Capabilities& capabilities() const override { return engine_.capabilities(); }
  Result<Config> apply(const Config& setting, serving::Scope scope) override {
    return engine_.apply(setting, scope);
  }
  serving::Observation observe(serving::Scope scope) override;
  serving::Health health() override { return engine_.health(); }
  Status confirm() override { return engine_.confirm(); }
  Status renew(Duration lease) override { return engine_.renew(lease); }
  Status requalify() override { return engine_.requalify(); }

  // From the first observation of the whole fleet to the last. End-to-end times, and what only the
  // twin knows, stay 0.
  sim::Totals totals(const control::RunRecord& record) const;
  // The newest observation of the whole fleet.
  const std::optional<serving::Observation>& last() const { return last_; }

 private:
  void add(const serving::Observation& now);

  serving::Engine& engine_;
  std::optional<serving::Observation> last_;
  std::vector<serving::ClassCounters> sums_;
  TimePoint first_{};
  double paid_dollars_ = 0;
};

}  // namespace arqon::app
