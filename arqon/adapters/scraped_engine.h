// The engine behind adapters whose telemetry is a Prometheus scrape and whose knobs are written and
// read one way or another: everything the contract of serving::Engine asks for, over a Surface that
// says how. One replica, one caller thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/adapters/adapter.h"
#include "arqon/adapters/histogram_outcomes.h"
#include "arqon/adapters/target_reader.h"
#include "arqon/net/http.h"
#include "arqon/serving/second_hand.h"
#include "arqon/wire/prometheus.h"

namespace arqon::adapters {

// What can be read of an engine beside its telemetry.
struct Reading {
  Config values;  // in force, in the order of the knobs
  serving::Identity identity;
  std::string flags;             // any text that differs when it was started otherwise
  std::vector<double> capacity;  // per knob; kNoLimit where there is none
};

// How one kind of engine is reached. Every call ends within a deadline of its own.
class Surface {
 public:
  virtual ~Surface() = default;
  // kUnavailable when it does not answer or makes no sense.
  virtual Result<Reading> read() = 0;
  // Makes the difference between two settings; kRefused and kUnavailable as in Engine::apply. What
  // really happened is read back by the caller.
  virtual Status write(const Config& from, const Config& to) = 0;
  // Another process of ours has written this; for values that nobody can read.
  virtual void written_for_us(const Config& /*to*/) {}
  virtual Result<wire::Exposition> scrape() = 0;
  // kUnavailable when nobody answers; false when somebody does and is not well.
  virtual Result<bool> healthy() = 0;
};

struct ScrapedOptions {
  double dollars_per_hour = 0;
  Duration stuck{};  // requests wait and none ends for so long: degraded
};

class ScrapedEngine final : public serving::Engine, public serving::SecondHand {
 public:
  // `found` is what attach read; the first scrape is the base of the counters.
  ScrapedEngine(std::unique_ptr<Surface> surface, serving::Capabilities capabilities,
                const Reading& found, HistogramOutcomes outcomes, ScrapedOptions options,
                Clock& clock);

  using serving::Engine::apply;
  using serving::Engine::observe;
  const serving::Capabilities& capabilities() const override { return capabilities_; }
  Result<Config> apply(const Config& setting, serving::Scope scope) override;
  serving::Observation observe(serving::Scope scope) override;
  serving::Health health() override;
  Status requalify() override;
  void written_for_us(const Config& setting, serving::Scope scope) override;

 private:
  Status check(const Config& setting, serving::Scope scope) const;
  // Why nothing may be written to what was read; empty when all is as at attach.
  std::string changed(const Reading& reading) const;
  bool restarts(const Config& from, const Config& to) const;
  Status check_domain(const Reading& reading) const;
  Result<Config> after_refusal(const Config& before, const Config& asked, Error refusal);

  std::unique_ptr<Surface> surface_;
  serving::Capabilities capabilities_;
  std::string flags_;
  HistogramOutcomes outcomes_;
  ScrapedOptions options_;
  Clock& clock_;
  serving::Observation last_;
  TimePoint attached_, progress_;
  std::uint64_t ended_ = 0;
};

// Target options that these adapters share:
//   "timeout_s": 2 (of one request), "stuck_s": 10, "dollars_per_hour": 0,
//   "not_judged": [] (HistogramRules), "limit_inside_bucket": "refuse" or "next_bound"
struct ScrapedTarget {
  Duration timeout{};
  ScrapedOptions options;
  HistogramRules rules;
};
const std::vector<std::string>& scraped_keys();
ScrapedTarget read_scraped(TargetReader& reader);

// GET of a scrape, whole or an error.
Result<wire::Exposition> scrape(net::Client& client, const std::string& url, Duration timeout);
// GET of a JSON document; kUnavailable for any status but 200.
Result<wire::Value> get_json(net::Client& client, const net::Request& request);

// One knob that an engine has, whether it can be moved here or not.
struct Offer {
  std::string name;  // ours, without a pool
  std::string engine_name;
  Parameter domain;  // widest possible; its class says how it moves
  serving::KnobFacts facts;
  Duration settle{};
  double value = 0;    // in force
  std::string absent;  // why it cannot be moved; empty when it can
};

struct Chosen {
  std::vector<std::size_t> offers;     // index per knob
  serving::Capabilities capabilities;  // knobs, facts, settle, boot
};

// The knobs a document asks for, or all that can be moved. kInvalidConfig, one line per mistake:
// a knob the engine does not have (with what it offers), one that is absent (with why), bounds
// beyond the capacity or without the value in force.
Result<Chosen> choose(std::string_view engine, const std::vector<Parameter>& wanted,
                      const std::vector<Offer>& offers);

KnobReport report_of(const Offer& offer);

// Makes a first scrape the base of the counters; kUnavailable says `where` it looked, what was
// wrong and the `remedy`.
Status begin_counting(HistogramOutcomes& outcomes, const Result<wire::Exposition>& metrics,
                      std::string_view where, std::string_view remedy);
// The engine's name, the classes, and on every knob what the outcomes say of these metrics.
void complete(serving::Capabilities& capabilities, std::string engine,
              const std::vector<serving::Slo>& classes, const HistogramOutcomes& outcomes,
              const wire::Exposition& metrics);

}  // namespace arqon::adapters
