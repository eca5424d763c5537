#include "arqon/adapters/scraped_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "arqon/space/space.h"

namespace arqon::adapters {
namespace {

using serving::Health;

bool same(const Config& a, const Config& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](double x, double y) {
    return std::abs(x - y) <= 1e-9 * std::max({1.0, std::abs(x), std::abs(y)});
  });
}

tl::unexpected<Error> context(const Error& error, std::string_view text) {
  return tl::unexpected<Error>(error.with_context(text));
}

}  // namespace

ScrapedEngine::ScrapedEngine(std::unique_ptr<Surface> surface, serving::Capabilities capabilities,
                             const Reading& found, HistogramOutcomes outcomes,
                             ScrapedOptions options, Clock& clock)
    : surface_(std::move(surface)),
      capabilities_(std::move(capabilities)),
      flags_(found.flags),
      outcomes_(std::move(outcomes)),
      options_(options),
      clock_(clock),
      attached_(clock.now()),
      progress_(attached_) {
  capabilities_.identity = found.identity;
  last_.epoch = outcomes_.epoch();
  last_.classes.resize(1);
  last_.effective = found.values;
}

Status ScrapedEngine::check(const Config& setting, serving::Scope scope) const {
  if (scope.replica != serving::Scope::kAll && scope.replica != 0) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("there is no replica {}: this is one engine", scope.replica));
  }
  const Space space(capabilities_.knobs);
  if (setting.size() != space.slots()) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("{} values for {} knobs", setting.size(), space.slots()));
  }
  if (const auto wrong = space.first_violation(setting)) {
    const Parameter& knob = space[*wrong];
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("{}: {} is outside [{}, {}] or off its grid", knob.name,
                            setting[space.offset(*wrong)], knob.min, knob.max));
  }
  return {};
}

std::string ScrapedEngine::changed(const Reading& reading) const {
  if (reading.identity != capabilities_.identity) {
    return fmt::format("this is {} {} now, not {} {}", reading.identity.engine,
                       reading.identity.model, capabilities_.identity.engine,
                       capabilities_.identity.model);
  }
  if (reading.flags != flags_) return "the engine was started with other flags";
  if (const Status fits = check_domain(reading); !fits) return fits.error().message;
  return "";
}

Status ScrapedEngine::check_domain(const Reading& reading) const {
  for (std::size_t k = 0; k < capabilities_.knobs.size(); ++k) {
    const Parameter& knob = capabilities_.knobs[k];
    if (knob.type == ParamType::kCategorical || knob.max <= reading.capacity[k]) continue;
    return fail(ErrorCode::kRefused, fmt::format("{}: the engine's capacity is {} now, below {}",
                                                 knob.name, reading.capacity[k], knob.max));
  }
  return {};
}

Status begin_counting(HistogramOutcomes& outcomes, const Result<wire::Exposition>& metrics,
                      std::string_view where, std::string_view remedy) {
  if (metrics && outcomes.update(*metrics)) return {};
  return fail(ErrorCode::kUnavailable,
              fmt::format("no metrics at {} ({}): {}", where,
                          metrics ? outcomes.why() : metrics.error().message, remedy));
}

void complete(serving::Capabilities& capabilities, std::string engine,
              const std::vector<serving::Slo>& classes, const HistogramOutcomes& outcomes,
              const wire::Exposition& metrics) {
  capabilities.engine = std::move(engine);
  capabilities.classes = classes;
  for (serving::KnobFacts& facts : capabilities.facts) {
    for (const std::string& note : outcomes.notes(metrics)) facts.note += "; " + note;
  }
}

Result<Config> ScrapedEngine::apply(const Config& setting, serving::Scope scope) {
  if (const Status fits = check(setting, scope); !fits) return tl::unexpected(fits.error());
  const auto before = surface_->read();
  if (!before) return context(before.error(), "before the write");
  if (const std::string why = changed(*before); !why.empty()) {
    return fail(ErrorCode::kRefused, why + ": not written to until it is looked at again");
  }
  last_.effective = before->values;
  if (same(before->values, setting)) return before->values;
  const Status written = surface_->write(before->values, setting);
  const bool refused = !written && written.error().code != ErrorCode::kUnavailable;
  if (!refused && restarts(before->values, setting)) outcomes_.expect_restart();
  if (!written) {
    if (refused) return after_refusal(before->values, setting, written.error());
    return context(written.error(), "what is in force is unknown until it is observed");
  }
  const auto after = surface_->read();
  if (!after) return context(after.error(), "written, but what is in force cannot be read");
  last_.effective = after->values;
  if (same(after->values, before->values)) {
    return fail(ErrorCode::kConflict, "the engine answered yes and changed nothing");
  }
  return after->values;
}

void ScrapedEngine::written_for_us(const Config& setting, serving::Scope /*scope*/) {
  if (restarts(last_.effective, setting)) outcomes_.expect_restart();
  surface_->written_for_us(setting);
}

bool ScrapedEngine::restarts(const Config& from, const Config& to) const {
  for (std::size_t k = 0; k < capabilities_.knobs.size(); ++k) {
    if (from[k] != to[k] && capabilities_.knobs[k].change_class == ChangeClass::kRestart) {
      return true;
    }
  }
  return false;
}

// A refused write of several knobs may have moved some of them before it came to the one it did not
// like: those go back.
Result<Config> ScrapedEngine::after_refusal(const Config& before, const Config& asked,
                                            Error refusal) {
  auto now = surface_->read();
  if (now && !same(now->values, before)) {
    const Status back = surface_->write(now->values, before);
    now = surface_->read();
    if (!back || !now || !same(now->values, before)) {
      return fail(ErrorCode::kConflict,
                  fmt::format("refused in part ({}), and what had moved does not go back",
                              refusal.message));
    }
  }
  if (!now) return context(now.error(), refusal.message);
  last_.effective = now->values;
  return fail(refusal.code,
              fmt::format("refused, nothing was changed ({} of {} values differ): {}",
                          std::inner_product(before.begin(), before.end(), asked.begin(),
                                             std::size_t{0}, std::plus<>(), std::not_equal_to<>()),
                          before.size(), refusal.message));
}

serving::Observation ScrapedEngine::observe(serving::Scope /*scope*/) {
  const auto metrics = surface_->scrape();
  const auto reading =
      metrics ? surface_->read() : Result<Reading>(tl::unexpected<Error>(metrics.error()));
  // All or nothing: counters without the setting they belong to prove nothing.
  last_.fresh = metrics && reading && outcomes_.update(*metrics);
  last_.at = clock_.now();
  last_.paid_dollars = options_.dollars_per_hour * to_seconds(last_.at - attached_) / 3600;
  if (!last_.fresh) return last_;
  last_.epoch = outcomes_.epoch();
  last_.classes.front() = outcomes_.counters();
  last_.effective = reading->values;
  last_.running = outcomes_.running();
  last_.waiting = outcomes_.waiting();
  last_.kv_use = outcomes_.kv_use();
  if (outcomes_.ended() != ended_ || last_.waiting <= 0) progress_ = last_.at;
  ended_ = outcomes_.ended();
  return last_;
}

Health ScrapedEngine::health() {
  const auto healthy = surface_->healthy();
  if (!healthy) return Health::kDown;
  const auto reading = surface_->read();
  if (!reading) return Health::kDegraded;
  if (!changed(*reading).empty()) return Health::kUnqualified;
  const bool stuck = last_.waiting > 0 && clock_.now() - progress_ > options_.stuck;
  if (!*healthy || stuck) return Health::kDegraded;
  return surface_->scrape() ? Health::kOk : Health::kDegraded;
}

Status ScrapedEngine::requalify() {
  const auto reading = surface_->read();
  if (!reading) return tl::unexpected<Error>(reading.error());
  if (const Status fits = check_domain(*reading); !fits) return fits;
  capabilities_.identity = reading->identity;
  flags_ = reading->flags;
  for (std::size_t k = 0; k < capabilities_.facts.size(); ++k) {
    capabilities_.facts[k].boot_capacity = reading->capacity[k];
  }
  last_.effective = reading->values;
  return {};
}

Result<wire::Exposition> scrape(net::Client& client, const std::string& url, Duration timeout) {
  const auto answer = client.send({.url = url, .timeout = timeout});
  if (!answer) return tl::unexpected<Error>(answer.error());
  if (answer->status != 200) {
    return fail(ErrorCode::kUnavailable, fmt::format("{}: HTTP status {}", url, answer->status));
  }
  auto parsed = wire::parse_prometheus(answer->body);
  if (!parsed) return fail(ErrorCode::kUnavailable, wire::to_string(parsed.error(), url));
  return std::move(*parsed);
}

Result<wire::Value> get_json(net::Client& client, const net::Request& request) {
  const auto answer = client.send(request);
  if (!answer) return tl::unexpected<Error>(answer.error());
  if (answer->status != 200) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: HTTP status {}: {}", request.url, answer->status,
                            wire::shortened(answer->body)));
  }
  auto parsed = wire::parse_json(answer->body);
  if (!parsed) return fail(ErrorCode::kUnavailable, wire::to_string(parsed.error(), request.url));
  return std::move(*parsed);
}

}  // namespace arqon::adapters
