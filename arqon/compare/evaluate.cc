#include "arqon/compare/evaluate.h"

#include <algorithm>

#include "arqon/workload/generate.h"

namespace arqon::compare {
namespace {

// Limit a protective map speaks of; kNone for an unknown name (documents has refused those).
serving::Limit limit_named(std::string_view name) {
  for (std::size_t i = 1; i < serving::kLimits; ++i) {
    const auto limit = static_cast<serving::Limit>(i);
    if (serving::to_string(limit) == name) return limit;
  }
  return serving::Limit::kNone;
}

}  // namespace

Result<SharedTrace> make_trace(const documents::Scenario& scenario, std::uint64_t seed) {
  workload::GenerateOptions options;
  options.duration_s = scenario.duration_s;
  options.seed = seed;
  options.folder = scenario.folder;
  for (const serving::Slo& c : scenario.classes) options.classes.push_back(c.name);
  auto trace = workload::generate(scenario.workloads, options);
  if (!trace) return tl::unexpected(trace.error());
  return std::make_shared<const workload::Trace>(std::move(*trace));
}

SharedTrace slice(const workload::Trace& trace, double from_s, double to_s) {
  workload::Trace part;
  for (workload::Request request : trace) {
    if (request.arrival < from_seconds(from_s) || request.arrival >= from_seconds(to_s)) continue;
    request.arrival -= from_seconds(from_s);
    part.push_back(request);
  }
  return std::make_shared<const workload::Trace>(std::move(part));
}

std::vector<double> segment_bounds(const documents::Scenario& scenario) {
  std::vector<double> bounds{0};
  for (const workload::Spec& spec : scenario.workloads) {
    for (const workload::Segment& s : spec.segments) {
      if (s.at_s > 0 && s.at_s < scenario.duration_s) bounds.push_back(s.at_s);
    }
  }
  bounds.push_back(scenario.duration_s);
  std::sort(bounds.begin(), bounds.end());
  bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
  return bounds;
}

sim::TwinOptions twin_options_of(const documents::Scenario& scenario, const SharedTrace& trace,
                                 std::uint64_t seed) {
  sim::TwinOptions options;
  options.fleet = scenario.fleet;
  options.classes = scenario.classes;
  options.quality = scenario.quality;
  options.knobs = scenario.knobs;
  options.trace = trace;
  options.seed = seed;
  options.closed_loop_concurrency = workload::closed_loop_concurrency(scenario.workloads);
  if (!scenario.workloads.empty()) {
    options.draft_ms_base = scenario.workloads.front().acceptance.draft_ms_base;
    options.draft_ms_per_k = scenario.workloads.front().acceptance.draft_ms_per_k;
  }
  return options;
}

Result<std::unique_ptr<sim::Twin>> make_twin(const documents::Scenario& scenario,
                                             const SharedTrace& trace, std::uint64_t seed) {
  return sim::Twin::create(twin_options_of(scenario, trace, seed));
}

Result<sim::Totals> evaluate(const documents::Scenario& scenario, const SharedTrace& trace,
                             double duration_s, std::uint64_t seed, const Config& setting) {
  auto twin = make_twin(scenario, trace, seed);
  if (!twin) return tl::unexpected(twin.error());
  if (auto applied = (*twin)->apply(setting); !applied) return tl::unexpected(applied.error());
  (*twin)->wait_until(time_at(duration_s));
  (*twin)->drain();
  return (*twin)->totals();
}

control::LoopOptions loop_options(const documents::Scenario& scenario, std::uint64_t seed) {
  control::LoopOptions options;
  options.guardrails = scenario.guardrails;
  options.window = scenario.window;
  options.mode = scenario.mode;
  options.budget = scenario.budget;
  options.seed = seed;
  for (const documents::Protective& map : scenario.protective) {
    control::Protective directions{};
    for (const auto& [name, direction] : map) {
      directions[static_cast<std::size_t>(limit_named(name))] = static_cast<std::int8_t>(direction);
    }
    options.protective.push_back(directions);
  }
  return options;
}

double measure_of(std::string_view measure, const sim::Totals& totals) {
  if (measure == "cost") return totals.dollars_per_million_good_tokens;
  if (measure == "good_tokens") return -static_cast<double>(totals.good_tokens);
  if (measure == "latency") return totals.ttft_ms.p90;
  return 1 - totals.attainment;
}

}  // namespace arqon::compare
