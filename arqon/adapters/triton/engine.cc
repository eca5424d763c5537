#include "arqon/adapters/triton/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "arqon/serving/request_outcome.h"
#include "arqon/space/space.h"

namespace arqon::adapters::triton {
namespace {

using serving::Health;
using serving::Observation;
using wire::Value;

constexpr Duration kTraceSettle = std::chrono::seconds(2);
// The copy before is unloaded some 0.2 s after a load has returned. A load 3 ms after another has
// made Triton 2.51 end with a segmentation fault, once in some hundred.
constexpr Duration kBetweenLoads = std::chrono::milliseconds(500);
constexpr Duration kSummaryWindow = std::chrono::seconds(60);

bool same(double a, double b) { return std::abs(a - b) < 1e-9; }

}  // namespace

Duration settle_of(Latency latency) {
  // Old answers end within 0.1 s of a load's return. Quantiles forget after a minute.
  return latency == Latency::kSummary ? kSummaryWindow + kTraceSettle : kTraceSettle;
}

LiveTriton::LiveTriton(Server server, Options options, Found found, const Value& config,
                       Clock& clock)
    : server_(std::move(server)),
      options_(std::move(options)),
      found_(std::move(found)),
      clock_(clock),
      attached_(clock.now()),
      progress_(attached_),
      rest_(fingerprint(config, touched())),
      batch_size_(config.find("max_batch_size")->number()),
      batch_size_sent_(batch_size_) {
  if (options_.latency == Latency::kTrace) {
    trace_.emplace(options_.trace_file, server_.model());
    trace_->skip_existing();
  }
  last_.epoch = 1;
  last_.classes.resize(found_.capabilities.classes.size());
  last_.effective = found_.capabilities.boot;
}

std::vector<Knob> LiveTriton::touched() const {
  std::vector<Knob> all = found_.knobs;
  const auto has = [&](Knob knob) { return std::ranges::find(all, knob) != all.end(); };
  // The server fills an empty list with max_batch_size: it then goes along.
  if (has(Knob::kBatchSize) && !has(Knob::kPreferredBatchSize)) {
    all.push_back(Knob::kPreferredBatchSize);
  }
  return all;
}

Result<Config> LiveTriton::read(const Value& config) const {
  Config values;
  for (std::size_t k = 0; k < found_.knobs.size(); ++k) {
    const Knob knob = found_.knobs[k];
    const Result<double> value = read_knob(config, knob);
    if (!value) return tl::unexpected(value.error());
    const bool as_asked = !asked_.empty() && same(stored_value(knob, asked_[k]), *value);
    values.push_back(as_asked ? asked_[k] : *value);
  }
  return values;
}

std::optional<std::string> LiveTriton::changed(const Value& config) const {
  if (unqualified_) return "the last load changed more than it was told to";
  if (fingerprint(config, touched()) != rest_) {
    return "the model's config is another one than at attach";
  }
  const double largest = config.find("max_batch_size")->number();
  for (std::size_t k = 0; k < found_.knobs.size(); ++k) {
    // What we did not write ourselves is what the model was started with: its capacity.
    const bool ours = largest == batch_size_ || largest == batch_size_sent_;
    if (found_.knobs[k] == Knob::kBatchSize && !ours &&
        found_.capabilities.knobs[k].max > largest) {
      return fmt::format("max_batch_size is {} now", largest);
    }
  }
  return std::nullopt;
}

Status LiveTriton::check_setting(const Config& setting, serving::Scope scope) const {
  const Space space(found_.capabilities.knobs);
  if (setting.size() != space.slots()) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("{} values for {} knobs", setting.size(), space.slots()));
  }
  if (const auto broken = space.first_violation(setting)) {
    const Parameter& p = space[*broken];
    return fail(ErrorCode::kInvalidConfig, fmt::format("{}: {} is not in [{}, {}] or off its grid",
                                                       p.name, setting[*broken], p.min, p.max));
  }
  if (scope.replica > 0 || scope.replica < serving::Scope::kAll) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("there is no replica {}: one Triton is one replica", scope.replica));
  }
  return {};
}

Value LiveTriton::edited(const Value& config, const Config& setting) const {
  Value out = config;
  for (std::size_t k = 0; k < found_.knobs.size(); ++k) {
    const Knob knob = found_.knobs[k];
    const double now = read_knob(config, knob).value_or(setting[k]);
    const double then = stored_value(knob, setting[k]);
    if (same(now, then)) continue;
    const Result<double> preferred = read_knob(config, Knob::kPreferredBatchSize);
    write_knob(out, knob, then);
    const bool goes_along =
        knob == Knob::kBatchSize && preferred && same(*preferred, now) &&
        std::ranges::find(found_.knobs, Knob::kPreferredBatchSize) == found_.knobs.end();
    if (goes_along) write_knob(out, Knob::kPreferredBatchSize, then);
  }
  return out;
}

Result<Config> LiveTriton::read_back(const Config& before, const Config& asked) {
  auto config = server_.config();
  // A busy server may be late once; reading again is harmless.
  if (!config && config.error().code == ErrorCode::kUnavailable) config = server_.config();
  if (!config) {
    return fail(ErrorCode::kUnavailable,
                "loaded, but the config in force cannot be read: " + config.error().message);
  }
  if (const auto why = changed(*config)) {
    unqualified_ = true;
    return fail(ErrorCode::kConflict, fmt::format("after the load {}: nothing more is written "
                                                  "until the engine is looked at again",
                                                  *why));
  }
  auto now = read(*config);
  if (!now) return fail(ErrorCode::kConflict, now.error().message);
  for (std::size_t k = 0; k < asked.size(); ++k) {
    const double wanted = stored_value(found_.knobs[k], asked[k]);
    if (!same(wanted, before[k]) && same((*now)[k], before[k])) {
      return fail(ErrorCode::kConflict,
                  fmt::format("the server answered yes and {} is still {} instead of {}",
                              found_.capabilities.knobs[k].name, before[k], wanted));
    }
  }
  batch_size_ = config->find("max_batch_size")->number();
  last_.effective = *now;
  return now;
}

Result<Config> LiveTriton::apply(const Config& setting, serving::Scope scope) {
  if (const Status fits = check_setting(setting, scope); !fits) return tl::unexpected(fits.error());
  const auto version = server_.version();
  if (!version) return tl::unexpected(version.error());
  const auto config = server_.config();
  if (!config) return tl::unexpected(config.error());
  if ("triton " + *version != found_.capabilities.identity.engine) {
    return fail(ErrorCode::kRefused, "this is triton " + *version +
                                         " now: not written to until "
                                         "it is looked at again");
  }
  if (const auto why = changed(*config)) {
    return fail(ErrorCode::kRefused, *why + ": not written to until it is looked at again");
  }
  const auto before = read(*config);
  if (!before) return fail(ErrorCode::kRefused, before.error().message);
  const Value next = edited(*config, setting);
  if (next == *config) {
    asked_ = setting;
    const auto now = read(*config);
    if (now) last_.effective = *now;
    return now;
  }
  if (const Status allowed = check_constraints(next); !allowed) {
    return tl::unexpected(allowed.error());
  }
  batch_size_sent_ = next.find("max_batch_size")->number();
  asked_ = setting;
  clock_.wait_until(loaded_at_ + kBetweenLoads);
  const Status loaded = server_.load(next, options_.load_timeout);
  loaded_at_ = clock_.now();
  if (!loaded) {
    const bool refused = loaded.error().code == ErrorCode::kRefused;
    return fail(loaded.error().code,
                fmt::format("load of \"{}\": {}{}", server_.model(), loaded.error().message,
                            refused ? "; the old config serves on (the server's log says more)"
                                    : "; what is in force is unknown until it is observed"));
  }
  return read_back(*before, setting);
}

void LiveTriton::written_for_us(const Config& setting, serving::Scope /*scope*/) {
  asked_ = setting;
  for (std::size_t k = 0; k < found_.knobs.size(); ++k) {
    if (found_.knobs[k] == Knob::kBatchSize) batch_size_sent_ = setting[k];
  }
}

void LiveTriton::began_again() {
  ++last_.epoch;
  for (serving::ClassCounters& counters : last_.classes) counters = {};
  late_remainder_ = failed_untraced_ = 0;
}

void LiveTriton::count_traced(serving::ClassCounters& counters) {
  const serving::Slo& slo = found_.capabilities.classes.front();
  for (const TracedRequest& traced : trace_->poll()) {
    serving::RequestOutcome outcome;
    outcome.end = traced.served ? serving::RequestOutcome::End::kFinished
                                : serving::RequestOutcome::End::kRejected;
    // A trace does not tell an answer from the backend's failure; the counters do.
    if (traced.served && failed_untraced_ >= 1) {
      outcome.end = serving::RequestOutcome::End::kFailed;
      failed_untraced_ -= 1;
    }
    outcome.output_tokens = traced.served ? 1 : 0;  // an answer
    outcome.e2e_ms = traced.e2e_ms();
    serving::count(outcome, slo, counters);
  }
}

void LiveTriton::count_summary(const wire::Exposition& exposition, double served, double failed,
                               serving::ClassCounters& counters) {
  const serving::Slo& slo = found_.capabilities.classes.front();
  double late = 0;
  if (options_.latency == Latency::kSummary && served > 0) {
    const auto bounds = share_above(read_summary(exposition, server_.model()), slo.e2e_ms);
    late = served * (bounds ? bounds->most : 1);
  }
  late_remainder_ += late;
  const auto late_now = static_cast<std::uint64_t>(std::min(late_remainder_, served));
  late_remainder_ -= static_cast<double>(late_now);
  const auto ended = static_cast<std::uint64_t>(served);
  const auto lost = static_cast<std::uint64_t>(failed);
  counters.arrived += ended + lost;
  counters.good += ended - late_now;
  counters.good_tokens += ended - late_now;
  counters.output_tokens += ended;
  counters.bad += late_now + lost;
  counters.bad_by[static_cast<std::size_t>(serving::Limit::kE2e)] += late_now;
  counters.bad_by[static_cast<std::size_t>(serving::Limit::kRejected)] += lost;
}

bool LiveTriton::count(const wire::Exposition& exposition) {
  const auto now = read_counters(exposition, server_.model());
  if (!now) return false;
  Counters before = counters_.value_or(*now);
  if (now->fell_since(before)) {
    began_again();
    before = {};
  }
  const double served = now->success - before.success;
  const double failed = now->failure - before.failure;
  serving::ClassCounters& counters = last_.classes.front();
  if (trace_) {
    failed_untraced_ += now->backend - before.backend;
    count_traced(counters);
  } else {
    count_summary(exposition, served, failed, counters);
  }
  last_.waiting = now->pending;
  const TimePoint at = clock_.now();
  const double since_us = to_seconds(at - last_.at) * 1e6;
  // Little's law: time spent in execution per time that passed.
  const double computing =
      (now->request_us - now->queue_us) - (before.request_us - before.queue_us);
  if (counters_ && since_us > 0) last_.running = std::max(0.0, computing / since_us);
  if (served + failed > 0 || now->pending <= 0) progress_ = at;
  counters_ = *now;
  return true;
}

Observation LiveTriton::observe(serving::Scope /*scope*/) {
  const auto exposition = server_.metrics();
  const auto config =
      exposition ? server_.config() : Result<Value>(tl::unexpected(exposition.error()));
  const auto effective = config ? read(*config) : Result<Config>(tl::unexpected(config.error()));
  // All or nothing: counters without the setting they belong to prove nothing.
  last_.fresh = exposition && effective && count(*exposition);
  if (last_.fresh) last_.effective = *effective;
  last_.at = clock_.now();
  last_.paid_dollars = options_.dollars_per_hour * to_seconds(last_.at - attached_) / 3600;
  return last_;
}

bool LiveTriton::stuck() const {
  return counters_ && counters_->pending > 0 && clock_.now() - progress_ > options_.stall;
}

Health LiveTriton::health() {
  const auto ready = server_.server_ready();
  if (!ready) return Health::kDown;
  // Ready and yet mute: it hangs, or something else answers in its place.
  const auto version = server_.version();
  if (!version) return Health::kDegraded;
  const auto config = server_.config();
  if (!config) return Health::kDegraded;
  const auto versions = server_.versions();
  if (!versions) return Health::kDegraded;
  if ("triton " + *version != found_.capabilities.identity.engine || *versions != found_.versions ||
      changed(*config)) {
    return Health::kUnqualified;
  }
  const auto model = server_.model_ready();
  if (!*ready || !model || !*model || stuck()) return Health::kDegraded;
  return server_.metrics() ? Health::kOk : Health::kDegraded;
}

Status LiveTriton::requalify() {
  const auto version = server_.version();
  if (!version) return tl::unexpected(version.error());
  const auto versions = server_.versions();
  if (!versions) return tl::unexpected(versions.error());
  const auto config = server_.config();
  if (!config) return tl::unexpected(config.error());
  if (const Status control = server_.check_control(); !control) return control;
  const auto values = read(*config);
  if (!values) return fail(ErrorCode::kRefused, values.error().message);
  const double largest = config->find("max_batch_size")->number();
  for (std::size_t k = 0; k < found_.knobs.size(); ++k) {
    const Parameter& p = found_.capabilities.knobs[k];
    const bool sized =
        found_.knobs[k] == Knob::kPreferredBatchSize || found_.knobs[k] == Knob::kBatchSize;
    const bool tuned = std::ranges::find(found_.knobs, Knob::kBatchSize) != found_.knobs.end();
    const bool ours = tuned && (largest == batch_size_ || largest == batch_size_sent_);
    if (sized && !ours && p.max > std::max(largest, 1.0)) {
      return fail(ErrorCode::kRefused,
                  fmt::format("{} goes to {}, but the model's max_batch_size is {} now", p.name,
                              p.max, largest));
    }
  }
  found_.capabilities.identity.engine = "triton " + *version;
  found_.capabilities.engine = found_.capabilities.identity.engine;
  found_.versions = *versions;
  rest_ = fingerprint(*config, touched());
  batch_size_ = batch_size_sent_ = largest;
  unqualified_ = false;
  return {};
}

}  // namespace arqon::adapters::triton
