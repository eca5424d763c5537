#include "apps/arqonhpo/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <optional>
#include <span>

#include "arqon/wire/diagnostic.h"

namespace arqon::app {
namespace {

using SlotValues = std::vector<std::pair<std::size_t, double>>;

// Engine flags that a pool has whether or not the scenario tunes them.
struct Flag {
  std::string_view name;
  bool whole;
  std::function<void(sim::EngineSpec&, double)> write;
};

std::int64_t whole(double value) { return static_cast<std::int64_t>(value); }

const std::vector<Flag>& flags() {
  using Spec = sim::EngineSpec;
  static const std::vector<Flag> kFlags{
      {"batch_size", true, [](Spec& e, double v) { e.batch_size = whole(v); }},
      {"prefill_token_budget", true, [](Spec& e, double v) { e.prefill_token_budget = whole(v); }},
      {"long_prefill_threshold", true,
       [](Spec& e, double v) { e.long_prefill_threshold = whole(v); }},
      {"queued_token_limit", true, [](Spec& e, double v) { e.queued_token_limit = whole(v); }},
      {"speculative_decoding_k", true,
       [](Spec& e, double v) { e.speculative_decoding_k = whole(v); }},
      {"max_tokens", true, [](Spec& e, double v) { e.max_tokens = whole(v); }},
      {"max_wait_ms", false, [](Spec& e, double v) { e.max_wait_ms = v; }},
      {"block_size", true, [](Spec& e, double v) { e.block_size = whole(v); }},
      {"gpu_memory_utilization", false, [](Spec& e, double v) { e.gpu_memory_utilization = v; }},
      {"kv_cache_blocks", true, [](Spec& e, double v) { e.kv_cache_blocks = whole(v); }}};
  return kFlags;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

Error unknown_address(const std::string& address, const documents::Scenario& scenario) {
  std::vector<std::string> known;
  for (const Parameter& p : scenario.knobs.parameters()) known.push_back(p.name);
  for (const sim::PoolSpec& pool : scenario.fleet.pools) {
    for (const Flag& flag : flags()) {
      const std::string name = fmt::format("{}.{}", pool.name, flag.name);
      if (std::find(known.begin(), known.end(), name) == known.end()) known.push_back(name);
    }
  }
  const std::string near = wire::nearest_name(address, known);
  return {ErrorCode::kUsage,
          fmt::format("--set: there is no knob \"{}\"{}; known: {}", address,
                      near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near),
                      fmt::join(known, ", "))};
}

// The slots of one knob as typed.
std::optional<std::vector<double>> parse_slots(const Parameter& knob, std::string_view text) {
  if (knob.type == ParamType::kCategorical) {
    const auto found = std::find(knob.choices.begin(), knob.choices.end(), text);
    if (found == knob.choices.end()) return std::nullopt;
    return std::vector{static_cast<double>(found - knob.choices.begin())};
  }
  if (knob.type == ParamType::kBool && (text == "true" || text == "on")) return std::vector{1.0};
  if (knob.type == ParamType::kBool && (text == "false" || text == "off")) return std::vector{0.0};
  std::vector<double> slots;
  while (true) {
    const std::size_t colon = text.find(':');
    const auto value = parse_number(text.substr(0, colon));
    if (!value) return std::nullopt;
    slots.push_back(*value);
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
  }
  if (slots.size() != knob.slots()) return std::nullopt;
  return slots;
}

std::string domain_text(const Parameter& knob) {
  if (knob.type == ParamType::kCategorical)
    return fmt::format("one of {}", fmt::join(knob.choices, ", "));
  if (knob.type == ParamType::kBool) return "true or false";
  if (knob.type == ParamType::kSimplex) {
    return fmt::format("{} weights that sum to 1, such as 0.5:0.5", knob.slots());
  }
  return fmt::format("{} in [{}, {}]", knob.type == ParamType::kInt ? "a whole number" : "a number",
                     knob.min, knob.max);
}

Status set_knob(const Space& knobs, std::size_t k, const std::string& value, SlotValues& setting) {
  const Space one({knobs[k]});
  const auto slots = parse_slots(knobs[k], value);
  if (!slots || !one.contains(*slots)) {
    const std::string grid =
        knobs[k].step > 0 ? fmt::format(" in steps of {}", knobs[k].step) : std::string();
    return fail(ErrorCode::kUsage, fmt::format("--set: {} takes {}{} (got {})", knobs[k].name,
                                               domain_text(knobs[k]), grid, value));
  }
  for (std::size_t s = 0; s < slots->size(); ++s) {
    setting.emplace_back(knobs.offset(k) + s, (*slots)[s]);
  }
  return {};
}

Status set_flag(documents::Scenario& scenario, const std::string& address,
                const std::string& value) {
  const std::size_t dot = address.find('.');
  const std::string pool_name = address.substr(0, dot);
  const std::string flag_name = dot == std::string::npos ? "" : address.substr(dot + 1);
  const auto pool = std::find_if(scenario.fleet.pools.begin(), scenario.fleet.pools.end(),
                                 [&](const auto& p) { return p.name == pool_name; });
  const auto flag = std::find_if(flags().begin(), flags().end(),
                                 [&](const Flag& f) { return f.name == flag_name; });
  if (pool == scenario.fleet.pools.end() || flag == flags().end()) {
    return tl::unexpected(unknown_address(address, scenario));
  }
  const auto parsed = parse_number(value);
  if (!parsed || *parsed < 0 || *parsed > 1e12 || (flag->whole && *parsed != std::floor(*parsed))) {
    return fail(ErrorCode::kUsage, fmt::format("--set: {} takes {} from 0 (got {})", address,
                                               flag->whole ? "a whole number" : "a number", value));
  }
  flag->write(pool->engine, *parsed);
  return {};
}

}  // namespace

Status apply_settings(const std::vector<std::string>& assignments, documents::Scenario& scenario,
                      std::vector<std::pair<std::size_t, double>>& setting) {
  for (const std::string& assignment : assignments) {
    const std::size_t equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(ErrorCode::kUsage, fmt::format("--set takes KNOB=VALUE, e.g. main.batch_size=64 "
                                                 "(got {})",
                                                 assignment));
    }
    const std::string address = assignment.substr(0, equals);
    const std::string value = assignment.substr(equals + 1);
    const auto knob = scenario.knobs.find(address);
    const Status done =
        knob ? set_knob(scenario.knobs, *knob, value, setting) : set_flag(scenario, address, value);
    if (!done) return done;
  }
  return {};
}

}  // namespace arqon::app
