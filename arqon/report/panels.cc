#include "arqon/report/panels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <string_view>

#include "arqon/report/knob_path.h"
#include "arqon/report/plot.h"
#include "arqon/report/report.h"
#include "arqon/report/run_series.h"
#include "arqon/report/words.h"

namespace arqon::report {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
// Shares and costs of short windows are noisy: fewer, longer slices show the level.
constexpr std::size_t kCalmSlices = 180;
constexpr std::size_t kFineSlices = 360;
constexpr std::size_t kMarksMax = 300;
// A 99th percentile of fewer requests than this says nothing.
constexpr double kJudgedMin = 10;
constexpr std::string_view kMarkKinds[] = {"applied", "refused", "reverted", "confirmed"};

struct Legend {
  std::string css;  // of the swatch
  std::string text;
};

// What every panel needs.
struct Stage {
  const documents::TuneResult& result;
  const documents::Scenario& scenario;
  const documents::StrategyRun& run;
  std::vector<const documents::StrategyRun*> beside;  // default, yesterday of the same seed
  std::vector<Shift> shift_lines;
  double end_s = 1;
};

std::string class_css(std::size_t c) { return fmt::format("c{}", c % 6); }

double middle(const Bucket& b) { return b.t_s - b.seconds / 2; }

std::vector<Bucket> slices(const Stage& stage, const documents::StrategyRun& run, std::size_t n) {
  return merge_windows(run.record, stage.scenario.classes.size(), stage.end_s, n);
}

std::string figure(std::string_view title, std::string_view unit, const std::vector<Legend>& legend,
                   std::string_view svg) {
  std::string keys;
  for (const Legend& key : legend) {
    fmt::format_to(std::back_inserter(keys),
                   R"(<span class="key"><i class="swatch {}"></i>{}</span>)", key.css,
                   escape(key.text));
  }
  return fmt::format(R"(<figure class="panel"><figcaption><b>{}</b> <span class="unit">{}</span>)"
                     R"(<span class="keys">{}</span></figcaption>{}</figure>)",
                     escape(title), escape(unit), keys, svg);
}

void draw_shifts(const Stage& stage, Panel& panel, bool with_text) {
  for (const Shift& s : stage.shift_lines) panel.shift(s.t_s, with_text ? s.text : "");
}

template <typename Text>
void draw_ticks(Panel& panel, const std::vector<double>& values, Text text) {
  std::vector<std::pair<double, std::string>> labels;
  for (const double v : values) labels.emplace_back(v, text(v));
  panel.value_ticks(labels);
}

std::string traffic_panel(const Stage& stage) {
  const std::vector<Bucket> buckets = slices(stage, stage.run, kFineSlices);
  const std::size_t classes = stage.scenario.classes.size();
  std::vector<double> times;
  std::vector<std::vector<double>> edges(classes + 1, std::vector<double>(buckets.size(), 0.0));
  double peak = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    times.push_back(middle(buckets[i]));
    for (std::size_t c = 0; c < classes; ++c) {
      const double rate = buckets[i].classes[c].arrived / std::max(buckets[i].seconds, 1e-9);
      edges[c + 1][i] = edges[c][i] + rate;
    }
    peak = std::max(peak, edges[classes][i]);
  }
  const Axis axis = nice_axis(AxisKind::kLinear, 0, std::max(peak, 1e-3));
  Panel panel(130, stage.end_s, axis);
  draw_ticks(panel, ticks(axis), number);
  std::vector<Legend> legend;
  for (std::size_t c = 0; c < classes; ++c) {
    const std::string& name = stage.scenario.classes[c].name;
    panel.area(times, edges[c], edges[c + 1], {class_css(c), name, "per_s"});
    legend.push_back({"block " + class_css(c), name});
  }
  draw_shifts(stage, panel, true);
  panel.time_labels();
  return figure("Traffic and mix", "requests per second, stacked by class", legend,
                panel.svg("Requests per second over time, stacked by class"));
}

std::vector<Point> share_points(const std::vector<Bucket>& buckets, std::size_t c) {
  std::vector<Point> points;
  for (const Bucket& b : buckets) {
    const ClassBucket& k = b.classes[c];
    points.emplace_back(middle(b), k.judged() > 0 ? k.good / k.judged() : kNone);
  }
  return points;
}

double lowest(const std::vector<Point>& points, double start) {
  for (const auto& [t, v] : points) {
    if (std::isfinite(v)) start = std::min(start, v);
  }
  return start;
}

std::string share_panel(const Stage& stage, std::size_t c) {
  const serving::Slo& slo = stage.scenario.classes[c];
  const std::vector<Point> own = share_points(slices(stage, stage.run, kCalmSlices), c);
  std::vector<std::vector<Point>> others;
  double low = lowest(own, slo.attainment - 0.04);
  for (const documents::StrategyRun* other : stage.beside) {
    others.push_back(share_points(slices(stage, *other, kCalmSlices), c));
    low = lowest(others.back(), low);
  }
  const Axis axis{AxisKind::kStretched, std::max(0.0, std::floor(low * 20) / 20), 1};
  Panel panel(130, stage.end_s, axis);
  draw_ticks(panel, ticks(axis), [](double v) { return percent(v, v > 0.99 && v < 1 ? 1 : 0); });
  draw_shifts(stage, panel, false);
  std::vector<Legend> legend{{"line " + class_css(c) + " own", stage.run.strategy}};
  for (std::size_t i = 0; i < others.size(); ++i) {
    const std::string& name = stage.beside[i]->strategy;
    panel.line(others[i], {"base " + name, name, "percent"});
    legend.push_back({"line base " + name, name});
  }
  panel.line(own, {class_css(c) + " own", stage.run.strategy, "percent"});
  panel.level(slo.attainment, "target", "");
  legend.push_back({"line limit", "target " + percent(slo.attainment, 1)});
  panel.time_labels();
  return figure("Good requests: " + slo.name, "share of requests judged, axis stretched near 100%",
                legend, panel.svg("Share of good requests of class " + slo.name + " over time"));
}

// One latency with its limit per class.
struct LatencyPlot {
  std::string title;
  double ClassBucket::*value;
  // Limit of a class in ms at a mean prompt length; kNoLimit when it has none.
  double (*limit)(const serving::Slo& slo, double prompt_tokens);
};

double ttft_limit(const serving::Slo& slo, double prompt_tokens) {
  return slo.ttft_ms + slo.ttft_ms_per_prompt_token * prompt_tokens;
}
double gap_limit(const serving::Slo& slo, double) { return slo.max_gap_ms; }

struct LatencyLines {
  std::vector<Point> seen, limit;
};

LatencyLines latency_lines(const std::vector<Bucket>& buckets, const serving::Slo& slo,
                           std::size_t c, const LatencyPlot& plot) {
  LatencyLines lines;
  for (const Bucket& b : buckets) {
    const ClassBucket& k = b.classes[c];
    const double value = k.*plot.value;
    const bool enough = k.judged() >= kJudgedMin && value > 0;
    lines.seen.emplace_back(middle(b), enough ? value : kNone);
    const double limit = k.arrived > 0 ? plot.limit(slo, k.prompt_tokens / k.arrived) : kNone;
    lines.limit.emplace_back(middle(b), std::isfinite(limit) ? limit : kNone);
  }
  return lines;
}

void widen(const std::vector<Point>& points, double& low, double& high) {
  for (const auto& [t, v] : points) {
    if (!std::isfinite(v)) continue;
    low = std::min(low, v);
    high = std::max(high, v);
  }
}

std::string latency_panel(const Stage& stage, const LatencyPlot& plot) {
  const std::vector<Bucket> buckets = slices(stage, stage.run, kFineSlices);
  std::vector<LatencyLines> lines;
  double low = 1e12;
  double high = 0;
  for (std::size_t c = 0; c < stage.scenario.classes.size(); ++c) {
    lines.push_back(latency_lines(buckets, stage.scenario.classes[c], c, plot));
    widen(lines.back().seen, low, high);
    widen(lines.back().limit, low, high);
  }
  if (high <= 0) return "";
  const Axis axis = nice_axis(AxisKind::kLog, low, high);
  Panel panel(130, stage.end_s, axis);
  draw_ticks(panel, ticks(axis), milliseconds);
  draw_shifts(stage, panel, false);
  std::vector<Legend> legend;
  bool limited = false;
  for (std::size_t c = 0; c < lines.size(); ++c) {
    const std::string& name = stage.scenario.classes[c].name;
    panel.line(lines[c].limit, {class_css(c) + " limit", name + " limit", "ms"});
    panel.line(lines[c].seen, {class_css(c) + " fine", name, "ms"});
    limited = limited || lowest(lines[c].limit, 1e12) < 1e12;
    legend.push_back({"line " + class_css(c), name});
  }
  if (limited) legend.push_back({"line limit", "limit of the class"});
  panel.time_labels();
  return figure(plot.title, "99th percentile of each window, log axis", legend,
                panel.svg(plot.title + " over time against the limits"));
}

std::vector<Point> cost_points(const std::vector<Bucket>& buckets) {
  std::vector<Point> points;
  for (const Bucket& b : buckets) {
    points.emplace_back(middle(b),
                        b.good_tokens > 0 ? b.paid_dollars / b.good_tokens * 1e6 : kNone);
  }
  return points;
}

std::string cost_panel(const Stage& stage) {
  const std::vector<Point> own = cost_points(slices(stage, stage.run, kCalmSlices));
  std::vector<std::vector<Point>> others;
  double low = 1e12;
  double high = 0;
  widen(own, low, high);
  for (const documents::StrategyRun* other : stage.beside) {
    others.push_back(cost_points(slices(stage, *other, kCalmSlices)));
    widen(others.back(), low, high);
  }
  if (high <= 0) return "";
  const AxisKind kind = high > 6 * low ? AxisKind::kLog : AxisKind::kLinear;
  const Axis axis = nice_axis(kind, low, high);
  Panel panel(110, stage.end_s, axis);
  draw_ticks(panel, ticks(axis, 3), dollars);
  draw_shifts(stage, panel, false);
  std::vector<Legend> legend{{"line strong", stage.run.strategy}};
  for (std::size_t i = 0; i < others.size(); ++i) {
    const std::string& name = stage.beside[i]->strategy;
    panel.line(others[i], {"base " + name, name, "dollars"});
    legend.push_back({"line base " + name, name});
  }
  panel.line(own, {"strong", stage.run.strategy, "dollars"});
  panel.time_labels();
  const std::string unit = kind == AxisKind::kLog ? "dollars per million good tokens, log axis"
                                                  : "dollars per million good tokens";
  return figure("Cost", unit, legend, panel.svg("Cost per million good tokens over time"));
}

// Powers of two from the top down, ascending.
std::vector<double> doubling_ticks(double low, double high) {
  double factor = 2;
  while (std::log(high / low) / std::log(factor) > 6) factor *= 2;
  std::vector<double> out;
  for (double v = std::exp2(std::floor(std::log2(high) + 1e-9)); v >= low * (1 - 1e-9);
       v /= factor) {
    out.push_back(v);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

struct KnobAxis {
  Axis axis;
  std::vector<double> at;
};

KnobAxis knob_axis(const Parameter& knob) {
  const bool named = knob.type == ParamType::kCategorical || knob.type == ParamType::kBool;
  double low = knob.min;
  double high = knob.max;
  if (knob.type == ParamType::kCategorical) high = static_cast<double>(knob.choices.size()) - 1;
  if (named || knob.type == ParamType::kSimplex) low = 0;
  if (knob.type == ParamType::kBool || knob.type == ParamType::kSimplex) high = 1;
  if (knob.scale == Scale::kLog && low > 0 && high > low) {
    const double pad = std::pow(high / low, 0.06);
    const Axis axis{AxisKind::kLog, low / pad, high * pad};
    const bool doubling = knob.type == ParamType::kInt && high / low >= 4;
    return {axis, doubling ? doubling_ticks(low, high) : ticks({AxisKind::kLog, low, high})};
  }
  const double pad = std::max((high - low) * 0.06, 1e-6);
  const bool few = knob.type == ParamType::kInt && high - low <= 6;
  std::vector<double> at = ticks({AxisKind::kLinear, low, high}, few ? 6 : 4);
  if (named) {
    at.clear();
    for (double v = low; v <= high; ++v) at.push_back(v);
  }
  return {{AxisKind::kLinear, low - pad, high + pad}, at};
}

// Marks of one kind, thinned evenly when there are too many.
void draw_marks(const Stage& stage, Panel& panel, const Parameter& knob,
                control::ChangeState state) {
  std::vector<const control::ChangeRecord*> found;
  for (const control::ChangeRecord& c : stage.run.record.changes) {
    if (c.state == state && reach_of(c.address, knob) != Reach::kOther) found.push_back(&c);
  }
  const std::size_t stride = 1 + found.size() / kMarksMax;
  const std::string_view kind = kMarkKinds[static_cast<std::size_t>(state)];
  for (std::size_t i = 0; i < found.size(); i += stride) {
    const control::ChangeRecord& c = *found[i];
    const bool small = c.lane == "reflex" || reach_of(c.address, knob) == Reach::kReplica;
    panel.mark(c.t_s, c.to, {kind, small},
               fmt::format("{} {} ({}) {}: {} \xE2\x86\x92 {}. {}", clock_text(c.t_s), kind, c.lane,
                           c.address, number(c.from), number(c.to), c.reason.substr(0, 240)));
  }
}

void draw_paths(const Stage& stage, Panel& panel, std::size_t k, std::vector<Legend>& legend) {
  const Parameter& knob = stage.scenario.knobs[k];
  const std::size_t first = stage.scenario.knobs.offset(k);
  const bool simplex = knob.type == ParamType::kSimplex;
  const auto* ideal = find_run(stage.result, "hindsight", stage.run.seed);
  if (ideal != nullptr && !simplex) {
    const std::vector<Point> held = fleet_path(ideal->record, knob, first);
    panel.steps(held, {"base hindsight", "hindsight's static setting", "number"});
    if (!held.empty()) legend.push_back({"line base hindsight", "hindsight's static setting"});
  }
  const auto trials = replica_paths(stage.run.record, knob);
  for (const std::vector<Point>& trial : trials) {
    panel.steps(trial, {"canary", "one replica", "number"}, trial.back().first);
  }
  if (!trials.empty()) legend.push_back({"line canary", "tried on one replica"});
  for (std::size_t s = 0; s < knob.slots(); ++s) {
    const std::string name = simplex ? knob.choices[s] : stage.run.strategy;
    const std::string css = simplex ? class_css(s) : std::string("strong");
    panel.steps(fleet_path(stage.run.record, knob, first + s), {css, name, "number"});
    if (simplex) legend.push_back({"line " + css, name});
  }
}

std::string knob_panel(const Stage& stage, std::size_t k) {
  const Parameter& knob = stage.scenario.knobs[k];
  const KnobAxis scale = knob_axis(knob);
  Panel panel(110, stage.end_s, scale.axis);
  draw_ticks(panel, scale.at, [&](double v) {
    const bool named = knob.type == ParamType::kCategorical || knob.type == ParamType::kBool;
    return named ? knob_value(knob, std::span(&v, 1)) : number(v);
  });
  draw_shifts(stage, panel, false);
  std::vector<Legend> legend;
  draw_paths(stage, panel, k, legend);
  using control::ChangeState;
  for (const ChangeState state : {ChangeState::kRefused, ChangeState::kApplied,
                                  ChangeState::kReverted, ChangeState::kConfirmed}) {
    draw_marks(stage, panel, knob, state);
  }
  panel.time_labels();
  std::string unit = knob.unit;
  if (scale.axis.kind == AxisKind::kLog) unit += unit.empty() ? "log axis" : ", log axis";
  return figure("Knob: " + knob.name, unit, legend, panel.svg("Path of " + knob.name));
}

std::string mark_legend() {
  std::string out = R"(<p class="marks">)";
  const std::pair<std::string_view, std::string_view> kinds[] = {
      {"applied", "applied: put in force, on trial"},
      {"confirmed", "confirmed: the evidence said keep"},
      {"reverted", "reverted: taken back"},
      {"refused", "refused by the guard: never reached the engine"}};
  for (const auto& [kind, text] : kinds) {
    fmt::format_to(
        std::back_inserter(out),
        R"(<span class="key"><svg class="sample" viewBox="-8 -8 16 16" aria-hidden="true">)"
        R"(<g class="mark {}">{}</g></svg>{}</span>)",
        kind, mark_shape(kind), text);
  }
  return out +
         R"(<span class="key">small marks: on one replica first, or a reflex move</span></p>)";
}

std::string segment_text(const workload::Segment& segment) {
  std::string out;
  double total = 0;
  for (const workload::MixShare& m : segment.mix) total += m.share;
  for (const workload::MixShare& m : segment.mix) {
    if (!out.empty()) out += ", ";
    out += segment.mix.size() == 1 ? "all " + m.name
                                   : fmt::format("{} {}", m.name, percent(m.share / total, 0));
  }
  const auto add = [&](std::string_view what, double value) {
    fmt::format_to(std::back_inserter(out), "{}{} {}", out.empty() ? "" : ", ", what,
                   number(value));
  };
  if (segment.rate) add("rate \xC3\x97", *segment.rate);
  if (segment.acceptance) add("acceptance", *segment.acceptance);
  return out;
}

}  // namespace

std::vector<Shift> shifts(const documents::Scenario& scenario) {
  std::vector<Shift> out;
  for (const workload::Spec& spec : scenario.workloads) {
    for (const workload::Segment& segment : spec.segments) {
      if (segment.at_s > 0) out.push_back({segment.at_s, segment_text(segment)});
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Shift& a, const Shift& b) { return a.t_s < b.t_s; });
  return out;
}

std::string panels_html(const documents::TuneResult& result, const documents::Scenario& scenario,
                        const documents::StrategyRun& run) {
  Stage stage{result, scenario, run, {}, shifts(scenario), axis_end_s(result, scenario)};
  for (const std::string_view name : {"default", "yesterday"}) {
    const documents::StrategyRun* other = find_run(result, name, run.seed);
    if (other != nullptr && other != &run) stage.beside.push_back(other);
  }
  std::string out = fmt::format(R"(<div class="panels" data-end="{:.3f}">)", stage.end_s);
  out += traffic_panel(stage);
  for (std::size_t c = 0; c < scenario.classes.size(); ++c) out += share_panel(stage, c);
  out += latency_panel(stage, {"Time to first token", &ClassBucket::ttft_ms_p99, &ttft_limit});
  out += latency_panel(stage, {"Largest gap between tokens", &ClassBucket::gap_ms_p99, &gap_limit});
  out += cost_panel(stage);
  if (scenario.knobs.size() > 0) out += mark_legend();
  for (std::size_t k = 0; k < scenario.knobs.size(); ++k) out += knob_panel(stage, k);
  return out + "</div>";
}

}  // namespace arqon::report
