#include <fmt/format.h>

#include <algorithm>

#include "arqon/documents/internal/keys.h"
#include "arqon/documents/internal/parameters.h"
#include "arqon/documents/internal/reader.h"
#include "arqon/documents/study.h"

namespace arqon::documents {
namespace {

using internal::assign;
using internal::Node;
using internal::Section;

constexpr std::size_t kNamesMax = 256;
constexpr std::size_t kTrialsMax = 100'000;

solver::Metric read_metric(const Node& node) {
  solver::Metric out;
  if (node.value().is_number()) {
    out.value = node.value().number();
    return out;
  }
  const Section section(node, internal::kMetricKeys);
  if (!section.is_object()) return out;
  assign(out.value, section.need("value").number());
  assign(out.n, section.get("n").integer());
  assign(out.over, section.get("over").integer());
  out.lo = section.get("lo").number();
  out.hi = section.get("hi").number();
  if (out.over && !section.has("n")) section.get("over").fail("needs n, of which it is a part");
  if (out.n && out.over && *out.over > *out.n) section.get("over").fail("must not be above n");
  if (out.lo && out.hi && *out.lo > *out.hi) section.get("hi").fail("must not be below lo");
  return out;
}

// What the study asks for must be there when the measurement succeeded.
void check_outcome(const Section& section, const solver::StudyConfig& config,
                   const solver::Trial& trial) {
  const Node value = section.get("value");
  if (config.objective && value) {
    value.fail_key("this study has an objective: report metrics, not a value",
                   fmt::format("put the measurement under \"metrics\", \"{}\"",
                               wire::shortened(config.objective->metric)));
  }
  if (trial.outcome != solver::Outcome::kOk) return;
  if (!config.objective) {
    section.need("value");
    return;
  }
  const Node metrics = section.need("metrics");
  if (!metrics || metrics.value().as_object() == nullptr) return;
  const auto require = [&](const std::string& metric) {
    if (metrics.value().find(metric) == nullptr) {
      metrics.fail(fmt::format("the metric \"{}\" is missing", wire::shortened(metric)));
    }
  };
  require(config.objective->metric);
  for (const solver::Constraint& c : config.constraints) {
    if (c.metric != config.objective->metric) require(c.metric);
  }
}

solver::Trial read_trial(const Node& node, const solver::StudyConfig& config) {
  const Section section(node, internal::kTrialKeys);
  solver::Trial out;
  if (!section.is_object()) return out;
  assign(out.params,
         internal::read_setting(section.need("params"), config.space, internal::Grid::kOn));
  out.applied = internal::read_setting(section.get("applied"), config.space, internal::Grid::kOff);
  out.value = section.get("value").number();
  for (const auto& [name, member] : section.get("metrics").members(kNamesMax)) {
    out.metrics.emplace(name, read_metric(member));
  }
  for (const auto& [name, member] : section.get("context").members(kNamesMax)) {
    if (const auto x = member.number()) out.context.emplace(name, *x);
  }
  if (const auto index = section.get("status").one_of(internal::kStatuses)) {
    out.outcome = static_cast<solver::Outcome>(*index);
  }
  assign(out.cost, section.get("cost").number(internal::kNotNegative));
  out.t_s = section.get("t_s").number();
  assign(out.generation, section.get("generation").integer());
  assign(out.eval_id, section.get("eval_id").integer());
  check_outcome(section, config, out);
  return out;
}

std::vector<solver::Trial> read_trials(const Node& node, const solver::StudyConfig& config) {
  std::vector<solver::Trial> out;
  if (node.value().as_array() == nullptr) {
    out.push_back(read_trial(node, config));
    return out;
  }
  for (const Node& item : node.items(kTrialsMax)) out.push_back(read_trial(item, config));
  return out;
}

wire::Object metric_object(const solver::Metric& m) {
  wire::Object out{{"value", m.value}};
  if (m.n) out.emplace_back("n", *m.n);
  if (m.over) out.emplace_back("over", *m.over);
  if (m.lo) out.emplace_back("lo", *m.lo);
  if (m.hi) out.emplace_back("hi", *m.hi);
  return out;
}

wire::Object trial_object(const Space& space, const solver::Trial& trial) {
  wire::Object out{{"params", internal::setting_object(space, trial.params)}};
  if (trial.applied) out.emplace_back("applied", internal::setting_object(space, *trial.applied));
  if (trial.value) out.emplace_back("value", *trial.value);
  if (!trial.metrics.empty()) {
    wire::Object metrics;
    for (const auto& [name, metric] : trial.metrics) {
      metrics.emplace_back(name, metric_object(metric));
    }
    out.emplace_back("metrics", std::move(metrics));
  }
  if (!trial.context.empty()) {
    wire::Object context;
    for (const auto& [name, x] : trial.context) context.emplace_back(name, x);
    out.emplace_back("context", std::move(context));
  }
  out.emplace_back("status", internal::kStatuses[static_cast<std::size_t>(trial.outcome)]);
  out.emplace_back("cost", trial.cost);
  if (trial.t_s) out.emplace_back("t_s", *trial.t_s);
  if (trial.generation) out.emplace_back("generation", *trial.generation);
  if (trial.eval_id) out.emplace_back("eval_id", *trial.eval_id);
  return out;
}

}  // namespace

tl::expected<std::vector<solver::Trial>, wire::Diagnostics> parse_results(
    std::string_view text, const solver::StudyConfig& config) {
  return internal::parse_document<std::vector<solver::Trial>>(
      text, [&](const Node& node) { return read_trials(node, config); });
}

tl::expected<Config, wire::Diagnostics> parse_params(std::string_view text, const Space& space) {
  return internal::parse_document<Config>(text, [&](const Node& node) {
    return internal::read_setting(node, space, internal::Grid::kOn).value_or(Config{});
  });
}

std::string params_to_json(const Space& space, const Config& config) {
  return wire::write_json(wire::Value(internal::setting_object(space, config)));
}

std::string to_json(const Space& space, const solver::Trial& trial) {
  return wire::write_json(wire::Value(trial_object(space, trial)));
}

std::string to_json(const Space& space, std::span<const solver::Trial> trials) {
  wire::Array out;
  for (const solver::Trial& trial : trials) out.emplace_back(trial_object(space, trial));
  return wire::write_json(wire::Value(std::move(out)));
}

}  // namespace arqon::documents
