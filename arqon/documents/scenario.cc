#include "arqon/documents/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "arqon/base/rng.h"
#include "arqon/documents/internal/keys.h"
#include "arqon/documents/internal/parameters.h"
#include "arqon/documents/internal/scenario_parts.h"

namespace arqon::documents {
namespace {

using internal::assign;
using internal::Node;
using internal::Range;
using internal::Section;

constexpr std::size_t kClassesMax = 64;
constexpr Range kLimitMs{.min = 0, .max = 1e9, .above_min = true};
constexpr Range kAttainment{.min = 0, .max = 1, .above_min = true};
constexpr Range kDurationS{.min = 0, .max = 31 * 86400.0, .above_min = true};
// The largest double below 2^63.
constexpr Range kSeed{.min = 0, .max = 9223372036854774784.0};

void read_ttft(const Node& node, serving::Slo& slo) {
  if (!node || node.value().as_object() == nullptr) {
    assign(slo.ttft_ms, node.number(kLimitMs));
    return;
  }
  const Section section(node, internal::kTtftKeys);
  assign(slo.ttft_ms, section.need("base").number(kLimitMs));
  assign(slo.ttft_ms_per_prompt_token,
         section.get("per_prompt_token").number({.min = 0, .max = 1e6}));
}

void read_classes(const Node& node, Scenario& scenario) {
  for (const auto& [name, member] : node.members(kClassesMax)) {
    if (!internal::plain_name(name, /*dots=*/false)) {
      member.fail_key("a class name is letters, digits, '_' or '-'");
    }
    const Section section(member, internal::kClassKeys);
    serving::Slo slo{.name = name};
    read_ttft(section.get("ttft_ms"), slo);
    assign(slo.tpot_ms, section.get("tpot_ms").number(kLimitMs));
    assign(slo.max_gap_ms, section.get("max_gap_ms").number(kLimitMs));
    assign(slo.e2e_ms, section.get("e2e_ms").number(kLimitMs));
    assign(slo.attainment, section.get("attainment").number(kAttainment));
    const Node lesser = section.get("lesser_share");
    sim::QualityRule rule;
    assign(rule.min, section.get("quality").number(internal::kFraction));
    assign(rule.below_per_day, lesser.number(internal::kFraction));
    if (lesser && !section.has("quality")) lesser.fail_key("needs a quality");
    scenario.quality.push_back(rule);
    scenario.classes.push_back(std::move(slo));
  }
  if (!node || node.value().as_object() == nullptr) return;
  if (node.value().as_object()->empty()) node.fail("must have at least one class");
}

// A quality that no pool has cannot be kept.
void check_quality(const Node& classes, const Scenario& scenario) {
  double best = 0;
  for (const sim::PoolSpec& pool : scenario.fleet.pools) best = std::max(best, pool.quality);
  for (std::size_t i = 0; i < scenario.classes.size(); ++i) {
    if (scenario.fleet.pools.empty() || scenario.quality[i].min <= best) continue;
    classes.child(scenario.classes[i].name).child("quality").fail("no pool has this quality");
  }
}

control::WindowSpec read_window(const Node& node) {
  const Section section(node, internal::kWindowKeys);
  control::WindowSpec out;
  assign(out.requests_min, section.get("requests_min").integer(internal::kCountFromOne));
  assign(out.seconds_min, section.get("seconds_min").number({.min = 0, .max = 1e6}));
  const Node longest = section.get("seconds_max");
  assign(out.seconds_max, longest.number({.min = 0, .max = 1e6, .above_min = true}));
  if (out.seconds_max < out.seconds_min) {
    (longest ? longest : section.get("seconds_min")).fail("seconds_max is below seconds_min");
  }
  return out;
}

void read_head(const Section& root, Scenario& out) {
  root.need("schema").integer({.min = 1, .max = 1});
  const Node name = root.need("name");
  assign(out.name, name.text());
  if (!out.name.empty() && !internal::plain_name(out.name, /*dots=*/true)) {
    name.fail("must be letters, digits, '.', '_' or '-' and not begin with '.': it names a folder");
  }
  assign(out.seed, root.get("seed").integer(kSeed));
  assign(out.duration_s, root.get("duration_s").number(kDurationS));
  if (const auto i = root.get("measure").one_of(internal::kMeasures)) {
    out.measure = internal::kMeasures[*i];
  }
  assign(out.gain_expected, root.get("gain_expected").boolean());
  internal::read_target(root, out);
  if (const auto i = root.get("mode").one_of(internal::kModes)) {
    out.mode = static_cast<control::Mode>(*i);
  }
  assign(out.budget, root.get("budget").integer(internal::kCountFromOne));
}

Scenario read_scenario(const Node& node, const std::filesystem::path& folder) {
  const Section root(node, internal::kScenarioKeys);
  Scenario out;
  if (!root.is_object()) return out;
  read_head(root, out);
  // A live engine is what it is, and its traffic comes by itself: both may be left out.
  const auto part = [&](const char* key) { return out.live() ? root.get(key) : root.need(key); };
  if (const Node fleet = part("fleet")) out.fleet = internal::read_fleet(fleet, folder);
  read_classes(root.need("classes"), out);
  check_quality(root.get("classes"), out);
  std::vector<std::string> classes;
  for (const serving::Slo& slo : out.classes) classes.push_back(slo.name);
  if (const Node workload = part("workload")) {
    out.workloads = internal::read_workloads(workload, classes, out.duration_s);
  }
  if (out.live()) {
    internal::read_live_knobs(root, out);
  } else {
    internal::read_knobs(root.get("knobs"), out);
    assign(out.guardrails, internal::read_guardrails(root.get("guardrails"), out.knobs));
  }
  out.window = read_window(root.get("window"));
  return out;
}

wire::Object class_object(const serving::Slo& slo, const sim::QualityRule& quality) {
  wire::Object out;
  if (std::isfinite(slo.ttft_ms)) {
    out.emplace_back("ttft_ms", wire::Object{{"base", wire::compact_number(slo.ttft_ms)},
                                             {"per_prompt_token",
                                              wire::compact_number(slo.ttft_ms_per_prompt_token)}});
  }
  const auto limit = [&](const char* key, double ms) {
    if (std::isfinite(ms)) out.emplace_back(key, wire::compact_number(ms));
  };
  limit("tpot_ms", slo.tpot_ms);
  limit("max_gap_ms", slo.max_gap_ms);
  limit("e2e_ms", slo.e2e_ms);
  if (quality.min > 0) {
    out.emplace_back("quality", wire::compact_number(quality.min));
    out.emplace_back("lesser_share", wire::compact_number(quality.below_per_day));
  }
  out.emplace_back("attainment", wire::compact_number(slo.attainment));
  return out;
}

wire::Object window_object(const control::WindowSpec& window) {
  return {{"requests_min", window.requests_min},
          {"seconds_min", wire::compact_number(window.seconds_min)},
          {"seconds_max", wire::compact_number(window.seconds_max)}};
}

// What may be tuned: of a live engine as written, for only the engine knows the rest.
void append_knobs(const Scenario& s, wire::Object& out) {
  if (!s.live()) {
    out.emplace_back("knobs", internal::knobs_object(s));
    out.emplace_back("guardrails", internal::guardrails_object(s.guardrails, s.knobs));
    return;
  }
  if (!s.live_knobs.is_null()) out.emplace_back("knobs", s.live_knobs);
  if (!s.live_guardrails.is_null()) out.emplace_back("guardrails", s.live_guardrails);
  wire::Object agent{{"spawn", s.agent.spawn}};
  if (!s.agent.socket.empty()) agent.emplace_back("socket", s.agent.socket);
  out.emplace_back("agent", std::move(agent));
}

wire::Object body_object(const Scenario& s) {
  wire::Object classes;
  for (std::size_t i = 0; i < s.classes.size(); ++i) {
    // A scenario built in code need not name a quality.
    const sim::QualityRule quality = i < s.quality.size() ? s.quality[i] : sim::QualityRule{};
    classes.emplace_back(s.classes[i].name, class_object(s.classes[i], quality));
  }
  wire::Object out{{"duration_s", wire::compact_number(s.duration_s)},
                   {"measure", s.measure},
                   {"gain_expected", s.gain_expected},
                   {"target", s.live() ? s.target : wire::Object{{"engine", s.target_engine}}},
                   {"mode", internal::kModes[static_cast<std::size_t>(s.mode)]}};
  if (s.budget) out.emplace_back("budget", *s.budget);
  if (!s.live() || !s.fleet.pools.empty()) {
    out.emplace_back("fleet", internal::fleet_object(s.fleet));
  }
  if (!s.live() || !s.workloads.empty()) {
    out.emplace_back("workload", internal::workloads_value(s.workloads));
  }
  out.emplace_back("classes", std::move(classes));
  append_knobs(s, out);
  out.emplace_back("window", window_object(s.window));
  return out;
}

}  // namespace

tl::expected<Scenario, wire::Diagnostics> parse_scenario(std::string_view text,
                                                         const std::filesystem::path& file) {
  const std::filesystem::path folder = file.parent_path();
  auto scenario = internal::parse_document<Scenario>(
      text, [&](const Node& node) { return read_scenario(node, folder); });
  if (scenario) scenario->folder = folder;
  return scenario;
}

std::string to_json(const Scenario& scenario) {
  wire::Object out{{"schema", 1}, {"name", scenario.name}, {"seed", scenario.seed}};
  for (wire::Member& member : body_object(scenario)) out.push_back(std::move(member));
  return wire::write_json(wire::Value(std::move(out)), 2);
}

std::string scenario_hash(const Scenario& scenario) {
  const std::string canonical = wire::write_json(wire::Value(body_object(scenario)));
  return fmt::format("{:016x}", hash_bytes(canonical));
}

}  // namespace arqon::documents
