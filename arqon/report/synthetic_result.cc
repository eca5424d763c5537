#include "arqon/report/synthetic_result.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "arqon/base/rng.h"

namespace arqon::report {
namespace {

using control::ChangeState;

Parameter int_knob(std::string name, double min, double max, Scale scale, double start) {
  Parameter p;
  p.name = std::move(name);
  p.type = ParamType::kInt;
  p.scale = scale;
  p.min = min;
  p.max = max;
  p.default_value = std::vector<double>{start};
  return p;
}

struct Plan {
  std::string name;
  double bad = 0;  // share of bad code requests after the shift
  bool tunes = false;
  Config setting;
};

// Share of code in the mix at t.
double code_share(double t) { return t < 2400 ? 0 : t < 4800 ? 0.5 : 1; }

control::ClassWindow class_window(double arrived, double bad, double ttft, double gap, Rng& rng) {
  control::ClassWindow w;
  w.arrived = static_cast<std::uint64_t>(arrived);
  if (w.arrived == 0) return w;
  const double noisy = std::clamp(bad * (0.6 + 0.8 * rng.uniform()), 0.0, 1.0);
  w.bad = static_cast<std::uint64_t>(arrived * noisy);
  w.good = w.arrived - w.bad;
  w.prompt_tokens = w.arrived * 1100;
  w.output_tokens = w.arrived * 180;
  w.good_tokens = w.good * 180;
  w.ttft_ms_p50 = ttft / 3;
  w.ttft_ms_p99 = ttft * (0.85 + 0.3 * rng.uniform());
  w.gap_ms_p99 = gap * (0.9 + 0.2 * rng.uniform());
  w.tpot_ms_p50 = 18;
  return w;
}

struct Step {
  double t_s;
  std::size_t knob;
  double from, to;
  ChangeState end;
  std::string why, found;
};

const std::vector<Step>& steps() {
  static const std::vector<Step> kSteps = {
      {900, 1, 1024, 512, ChangeState::kReverted, "no limit is broken; a smaller cap may calm gaps",
       "chat: bad requests rose from 0.12% to 0.60%"},
      {2460, 0, 8192, 16384, ChangeState::kRefused, "explores upward", "out of bounds [256, 8192]"},
      {2490, 0, 8192, 6144, ChangeState::kConfirmed,
       "code: the gap limit is broken by 14.1% of requests; a smaller prefill budget protects gaps",
       "bad requests fell from 7.3% to 5.2%"},
      {2640, 0, 6144, 4096, ChangeState::kConfirmed,
       "code: the gap limit is still broken by 9.8% of requests",
       "bad requests fell from 5.2% to 2.4%"},
      {2790, 0, 4096, 2048, ChangeState::kConfirmed, "code: the gap limit is still broken by 4.9%",
       "bad requests fell from 2.4% to 0.9%"},
      {2970, 0, 2048, 1024, ChangeState::kConfirmed, "the trend points further down",
       "bad requests fell from 0.9% to 0.7%"},
      {3300, 2, 0, 1, ChangeState::kConfirmed, "acceptance is high enough for one draft token",
       "bad requests fell from 0.7% to 0.5%"},
      {5100, 0, 1024, 512, ChangeState::kReverted, "all traffic is code now",
       "time to first token: bad requests rose from 0.6% to 1.9%"}};
  return kSteps;
}

void add_changes(control::RunRecord& record) {
  Config now = {8192, 1024, 0};
  std::uint64_t decision = 0;
  for (const Step& s : steps()) {
    ++decision;
    const std::string& name = record.knob_names[s.knob];
    Config next = now;
    next[s.knob] = s.to;
    if (s.end == ChangeState::kRefused) {
      record.changes.push_back({s.t_s, decision, name, s.from, s.to, "experiment", s.end, s.found});
      continue;
    }
    record.changes.push_back(
        {s.t_s, decision, name, s.from, s.to, "experiment", ChangeState::kApplied, s.why});
    record.decisions.push_back({decision, s.t_s, "experiment", now, next, s.why, 0, 0, 0, 0});
    const bool kept = s.end == ChangeState::kConfirmed;
    record.changes.push_back({s.t_s + 120, decision, name, kept ? s.from : s.to,
                              kept ? s.to : s.from, kept ? "experiment" : "revert", s.end,
                              s.found});
    record.decisions.push_back({decision, s.t_s + 120, kept ? "confirm" : "revert",
                                kept ? now : next, kept ? next : now, s.found, 0.073,
                                kept ? 0.024 : 0.09, 1320, 1980});
    if (kept) now = next;
  }
}

Config in_force(const control::RunRecord& record, const Config& start, double t) {
  Config now = start;
  for (const control::ChangeRecord& c : record.changes) {
    if (c.t_s > t || c.state == ChangeState::kRefused || c.state == ChangeState::kConfirmed)
      continue;
    const auto knob = std::find(record.knob_names.begin(), record.knob_names.end(), c.address);
    now[static_cast<std::size_t>(knob - record.knob_names.begin())] = c.to;
  }
  return now;
}

control::WindowRecord window(const Plan& plan, double t, double seconds, Rng& rng) {
  control::WindowRecord w;
  w.t_s = t;
  w.seconds = seconds;
  const double middle = t - seconds / 2;
  const double rate = 40 * (middle < 2400 ? 1 : 0.87) * (0.85 + 0.3 * rng.uniform());
  const double code = code_share(middle);
  double bad = plan.bad;
  if (plan.tunes && middle < 3000) bad = std::max(bad, 0.13 * (3000 - middle) / 600);
  const double gap = plan.tunes && middle > 3000 ? 150 : 120 + 900 * std::min(bad, 0.15);
  w.classes.push_back(class_window(rate * seconds * (1 - code), 0.002, 340, gap, rng));
  w.classes.push_back(class_window(rate * seconds * code, bad, 610, gap * 1.05, rng));
  w.paid_dollars = 4 * 2.5 * seconds / 3600;
  w.state = "confirmed";
  w.running = 60;
  w.kv_use = 0.4;
  return w;
}

void finish(documents::StrategyRun& run) {
  sim::Totals& t = run.totals;
  for (const control::WindowRecord& w : run.record.windows) {
    t.paid_dollars += w.paid_dollars;
    for (const control::ClassWindow& c : w.classes) {
      t.ledger.arrived += c.arrived;
      t.ledger.good += c.good;
      t.ledger.late += c.bad;
      t.good_tokens += c.good_tokens;
    }
  }
  t.attainment = t.ledger.attainment();
  t.worst_5_min_attainment = t.attainment - 0.02;
  t.dollars_per_million_good_tokens =
      t.paid_dollars / static_cast<double>(std::max<std::uint64_t>(t.good_tokens, 1)) * 1e6;
  t.ttft_ms = {150, 120, 300, 380, 520, t.ledger.arrived};
}

documents::StrategyRun make_run(const documents::Scenario& scenario, const Plan& plan,
                                std::uint64_t seed, double window_s) {
  documents::StrategyRun run;
  run.strategy = plan.name;
  run.seed = seed;
  for (const Parameter& p : scenario.knobs.parameters()) run.record.knob_names.push_back(p.name);
  run.record.class_names = {"chat", "code"};
  if (plan.tunes) add_changes(run.record);
  Rng rng = Rng(seed).stream(plan.name);
  for (double t = window_s; t <= scenario.duration_s; t += window_s) {
    control::WindowRecord w = window(plan, t, window_s, rng);
    w.values = in_force(run.record, plan.setting, t);
    run.record.windows.push_back(w);
  }
  finish(run);
  return run;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

documents::StrategySummary summarise(const documents::TuneResult& result, const std::string& name) {
  std::vector<double> attainment, cost, tokens;
  for (const documents::StrategyRun& run : result.runs) {
    if (run.strategy != name) continue;
    attainment.push_back(run.totals.attainment);
    cost.push_back(run.totals.dollars_per_million_good_tokens);
    tokens.push_back(static_cast<double>(run.totals.good_tokens));
  }
  documents::StrategySummary s;
  s.strategy = name;
  s.seeds = attainment.size();
  s.attainment = median(attainment);
  s.worst_5_min = s.attainment - 0.02;
  s.cost = median(cost);
  s.good_tokens = median(tokens);
  s.ttft_ms_p50 = 121;
  s.ttft_ms_p99 = 524;
  s.gap_ms_p99 = 163;
  return s;
}

}  // namespace

documents::Scenario synthetic_scenario() {
  documents::Scenario s;
  s.name = "mix-migration";
  s.duration_s = 7200;
  sim::PoolSpec pool;
  pool.name = "main";
  pool.model = "llama-3.1-8b";
  pool.gpu = "h100-sxm-80g";
  pool.replicas = 4;
  s.fleet.pools.push_back(pool);
  workload::Spec traffic;
  traffic.source = workload::GeneratorSource{"azure-conv", 44, 1};
  traffic.segments.push_back({.at_s = 0, .mix = {{"chat", 1}}});
  traffic.segments.push_back({.at_s = 2400, .mix = {{"chat", 0.5}, {"code", 0.5}}, .rate = 0.85});
  traffic.segments.push_back({.at_s = 4800, .mix = {{"code", 1}}, .rate = 0.9});
  s.workloads.push_back(traffic);
  s.classes.push_back({"chat", 300, 0.1, 50, serving::kNoLimit, serving::kNoLimit, 0.99});
  s.classes.push_back({"code", 500, 0.2, 30, 200, serving::kNoLimit, 0.99});
  s.knobs = Space({int_knob("main.prefill_token_budget", 256, 8192, Scale::kLog, 8192),
                   int_knob("main.batch_size", 8, 1024, Scale::kLog, 1024),
                   int_knob("main.speculative_decoding_k", 0, 5, Scale::kLinear, 0)});
  s.guardrails.limits = {{256, 8192, 2048}, {8, 1024, 512}, {0, 5, 1}};
  return s;
}

documents::TuneResult synthetic_result(const documents::Scenario& scenario,
                                       const SyntheticOptions& options) {
  documents::TuneResult result;
  result.scenario = scenario.name;
  result.measure = scenario.measure;
  result.build = "0.1.0 synthetic";
  const Config start = scenario.knobs.default_config();
  const std::vector<Plan> plans = {{"default", options.bad_default, false, start},
                                   {"yesterday", options.bad_default * 0.9, false, {7168, 1024, 0}},
                                   {"hindsight", options.bad_hindsight, false, {1024, 1024, 1}},
                                   {"random", 0.06, false, start},
                                   {"arqonhpo", options.bad_arqonhpo, true, start},
                                   {"oracle", options.bad_hindsight * 0.8, false, {1024, 1024, 1}}};
  for (const std::uint64_t seed : options.seeds) {
    for (const Plan& plan : plans) {
      result.runs.push_back(make_run(scenario, plan, seed, options.window_s));
      if (plan.name == "hindsight") {
        result.runs.back().note = "prefill_token_budget = 1024, speculative_decoding_k = 1";
      }
    }
  }
  for (const Plan& plan : plans) result.summary.push_back(summarise(result, plan.name));
  for (documents::StrategySummary& s : result.summary) {
    s.excess = result.summary[2].attainment - s.attainment;
    if (s.strategy != "arqonhpo") continue;
    s.changes_applied = 7;
    s.changes_refused = 1;
    s.changes_reverted = 2;
    s.changes_per_hour = 3.5;
    s.capture = 0.86;
    s.recovery_s = 720;
  }
  result.remarks = {"Hindsight and the oracle are searched over 300 settings."};
  return result;
}

}  // namespace arqon::report
