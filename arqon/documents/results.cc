#include "arqon/documents/results.h"

#include <fmt/format.h>

#include "arqon/documents/internal/keys.h"
#include "arqon/documents/internal/parameters.h"
#include "arqon/wire/json.h"

namespace arqon::documents {
namespace {

using wire::Array;
using wire::Object;
using wire::Value;

std::string_view state_name(control::ChangeState state) {
  return internal::kChangeStates[static_cast<std::size_t>(state)];
}

std::string_view limit_name(std::size_t limit) {
  return serving::to_string(static_cast<serving::Limit>(limit));
}

Value number(double x) { return wire::compact_number(x); }

Object ledger_object(const serving::Ledger& l) {
  return {{"arrived", l.arrived}, {"good", l.good},         {"late", l.late},
          {"cut", l.cut},         {"rejected", l.rejected}, {"unfinished", l.unfinished}};
}

Object quantiles_object(const sim::Quantiles& q) {
  return {{"mean", number(q.mean)}, {"p50", number(q.p50)}, {"p90", number(q.p90)},
          {"p95", number(q.p95)},   {"p99", number(q.p99)}, {"n", q.n}};
}

// Counts by the limit that broke first; limits that broke nothing are left out.
template <typename Counts>
Object by_limit(const Counts& counts) {
  Object out;
  for (std::size_t i = 1; i < serving::kLimits; ++i) {
    if (counts[i] > 0) out.emplace_back(limit_name(i), counts[i]);
  }
  return out;
}

Object class_totals(const sim::ClassResult& c) {
  return {{"ledger", ledger_object(c.ledger)},      {"attainment", number(c.ledger.attainment())},
          {"late_by", by_limit(c.late_by)},         {"ttft_ms", quantiles_object(c.ttft_ms)},
          {"tpot_ms", quantiles_object(c.tpot_ms)}, {"max_gap_ms", quantiles_object(c.max_gap_ms)},
          {"e2e_ms", quantiles_object(c.e2e_ms)}};
}

Object totals_object(const sim::Totals& t) {
  Object classes;
  for (const sim::ClassResult& c : t.classes) classes.emplace_back(c.name, class_totals(c));
  Array histogram;
  for (const std::uint64_t steps : t.batch_histogram) histogram.emplace_back(steps);
  return {{"ledger", ledger_object(t.ledger)},
          {"attainment", number(t.attainment)},
          {"worst_5_min_attainment", number(t.worst_5_min_attainment)},
          {"good_tokens", t.good_tokens},
          {"paid_gpu_s", number(t.paid_gpu_s)},
          {"paid_dollars", number(t.paid_dollars)},
          {"dollars_per_million_good_tokens", number(t.dollars_per_million_good_tokens)},
          {"ttft_ms", quantiles_object(t.ttft_ms)},
          {"tpot_ms", quantiles_object(t.tpot_ms)},
          {"max_gap_ms", quantiles_object(t.max_gap_ms)},
          {"e2e_ms", quantiles_object(t.e2e_ms)},
          {"output_tokens_per_s", number(t.output_tokens_per_s)},
          {"input_tokens_per_s", number(t.input_tokens_per_s)},
          {"busy_fraction", number(t.busy_fraction)},
          {"kv_use", Object{{"mean", number(t.kv_use_mean)}, {"max", number(t.kv_use_max)}}},
          {"preemptions", t.preemptions},
          {"recomputed_tokens", t.recomputed_tokens},
          {"prefix_hit_rate", number(t.prefix_hit_rate)},
          {"tokens_per_step", number(t.tokens_per_step)},
          {"steps", t.steps},
          {"batch_histogram", std::move(histogram)},
          {"simulated_s", number(t.simulated_s)},
          {"classes", std::move(classes)}};
}

// Settings of a record carry the record's own knob names: a slot of a simplex has no name of its
// own, so its parts go by position.
Value setting_value(const std::vector<std::string>& names, const Config& values,
                    const Space* space) {
  if (space != nullptr && values.size() == space->slots()) {
    return internal::setting_object(*space, values);
  }
  Object out;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string name = names.size() == values.size() ? names[i] : fmt::format("slot {}", i);
    out.emplace_back(name, number(values[i]));
  }
  return out;
}

Object class_window(const control::ClassWindow& c) {
  return {{"arrived", c.arrived},
          {"good", c.good},
          {"bad", c.bad},
          {"bad_by", by_limit(c.bad_by)},
          {"prompt_tokens", c.prompt_tokens},
          {"output_tokens", c.output_tokens},
          {"good_tokens", c.good_tokens},
          {"ttft_ms_p50", number(c.ttft_ms_p50)},
          {"ttft_ms_p99", number(c.ttft_ms_p99)},
          {"gap_ms_p99", number(c.gap_ms_p99)},
          {"tpot_ms_p50", number(c.tpot_ms_p50)},
          {"tpot_ms_p99", number(c.tpot_ms_p99)}};
}

Object window_object(const control::RunRecord& record, const control::WindowRecord& w,
                     const Space* space) {
  Object ledger;
  for (std::size_t i = 0; i < w.classes.size(); ++i) {
    const std::string name =
        i < record.class_names.size() ? record.class_names[i] : fmt::format("class {}", i);
    ledger.emplace_back(name, class_window(w.classes[i]));
  }
  return {
      {"t_s", number(w.t_s)},         {"seconds", number(w.seconds)},
      {"ledger", std::move(ledger)},  {"values", setting_value(record.knob_names, w.values, space)},
      {"setting", w.state},           {"paid_dollars", number(w.paid_dollars)},
      {"running", number(w.running)}, {"waiting", number(w.waiting)},
      {"kv_use", number(w.kv_use)}};
}

Object change_object(const control::ChangeRecord& c) {
  return {{"t_s", number(c.t_s)},         {"decision", c.decision}, {"address", c.address},
          {"from", number(c.from)},       {"to", number(c.to)},     {"lane", c.lane},
          {"state", state_name(c.state)}, {"reason", c.reason}};
}

Object decision_object(const control::RunRecord& record, const control::DecisionRecord& d,
                       const Space* space) {
  return {{"decision", d.decision},
          {"t_s", number(d.t_s)},
          {"action", d.action},
          {"from", setting_value(record.knob_names, d.from, space)},
          {"to", setting_value(record.knob_names, d.to, space)},
          {"reason", d.reason},
          {"bad_share_before", number(d.bad_share_before)},
          {"bad_share_after", number(d.bad_share_after)},
          {"requests_before", d.requests_before},
          {"requests_after", d.requests_after}};
}

template <typename Items, typename Convert>
Array array_of(const Items& items, Convert convert) {
  Array out;
  out.reserve(items.size());
  for (const auto& item : items) out.emplace_back(convert(item));
  return out;
}

Object run_object(const StrategyRun& run, const Space& space) {
  const control::RunRecord& r = run.record;
  return {
      {"strategy", run.strategy},
      {"seed", run.seed},
      {"note", run.note},
      {"totals", totals_object(run.totals)},
      {"windows", array_of(r.windows, [&](const auto& w) { return window_object(r, w, &space); })},
      {"changes", array_of(r.changes, change_object)},
      {"decisions",
       array_of(r.decisions, [&](const auto& d) { return decision_object(r, d, &space); })}};
}

Object summary_object(const StrategySummary& s) {
  Object out{{"strategy", s.strategy},
             {"seeds", s.seeds},
             {"attainment", number(s.attainment)},
             {"worst_5_min", number(s.worst_5_min)},
             {"cost", number(s.cost)},
             {"good_tokens", number(s.good_tokens)},
             {"latency", Object{{"ttft_ms_p50", number(s.ttft_ms_p50)},
                                {"ttft_ms_p99", number(s.ttft_ms_p99)},
                                {"gap_ms_p99", number(s.gap_ms_p99)}}},
             {"changes", Object{{"applied", number(s.changes_applied)},
                                {"refused", number(s.changes_refused)},
                                {"reverted", number(s.changes_reverted)},
                                {"per_hour", number(s.changes_per_hour)}}},
             {"excess", number(s.excess)}};
  out.emplace_back("capture", s.capture ? number(*s.capture) : Value());
  out.emplace_back("recovery_s", s.recovery_s ? number(*s.recovery_s) : Value());
  return out;
}

Object pool_object(const PoolTotals& pool) {
  return {{"replicas", pool.replicas},
          {"arrived", pool.arrived},
          {"good", pool.good},
          {"bad", pool.bad},
          {"output_tokens", pool.output_tokens},
          {"good_tokens", pool.good_tokens}};
}

Object phase_object(const PhaseRow& row) {
  const auto counts = [](const std::vector<std::uint64_t>& numbers) {
    return Array(numbers.begin(), numbers.end());
  };
  Object out{{"phase", row.phase},
             {"strategy", row.strategy},
             {"arrived", counts(row.arrived)},
             {"good", counts(row.good)}};
  if (row.against_default) {
    out.emplace_back("against_default_points", Object{{"mean", number(row.against_default->mean)},
                                                      {"low", number(row.against_default->low)},
                                                      {"high", number(row.against_default->high)}});
  }
  return out;
}

}  // namespace

std::string to_json(const TuneResult& result, const Scenario& scenario) {
  Object out{{"schema", 1},
                   {"scenario", result.scenario},
                   {"scenario_hash", scenario_hash(scenario)},
                   {"seed", scenario.seed},
                   {"measure", result.measure},
                   {"build", result.build},
                   {"summary", array_of(result.summary, summary_object)},
                   {"remarks", Array(result.remarks.begin(), result.remarks.end())},
                   {"runs", array_of(result.runs, [&](const auto& run) {
                      return run_object(run, scenario.knobs);
                    })}};
  if (!result.phases.empty()) out.emplace_back("phases", array_of(result.phases, phase_object));
  return wire::write_json(Value(std::move(out)), 1);
}

std::string to_json(const sim::Totals& totals, const Scenario& scenario, std::string_view build,
                    const RunFacts& facts) {
  Object out{{"schema", 1},
             {"scenario", scenario.name},
             {"scenario_hash", scenario_hash(scenario)},
             {"seed", scenario.seed},
             {"build", build}};
  if (facts.partial) out.emplace_back("partial", true);
  for (wire::Member& member : totals_object(totals)) out.push_back(std::move(member));
  Object pools;
  for (const PoolTotals& pool : facts.pools) pools.emplace_back(pool.name, pool_object(pool));
  out.emplace_back("pools", std::move(pools));
  out.emplace_back("wall_s", number(facts.wall_s));
  const double requests = static_cast<double>(totals.ledger.arrived);
  out.emplace_back("requests_per_wall_s",
                   facts.wall_s > 0 ? Value(requests / facts.wall_s) : Value());
  return wire::write_json(Value(out), 2);
}

std::string decisions_json(const control::RunRecord& record) {
  const Object out{{"schema", 1},
                   {"knobs", Array(record.knob_names.begin(), record.knob_names.end())},
                   {"changes", array_of(record.changes, change_object)},
                   {"decisions", array_of(record.decisions, [&](const auto& d) {
                      return decision_object(record, d, nullptr);
                    })}};
  return wire::write_json(Value(out), 1) + "\n";
}

}  // namespace arqon::documents
