#include "arqon/report/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <vector>

#include "arqon/report/run_series.h"
#include "arqon/report/words.h"

namespace arqon::report {
namespace {

using documents::StrategyRun;
using documents::StrategySummary;
using documents::TuneResult;

template <typename... Args>
void put(std::string& out, fmt::format_string<Args...> text, Args&&... args) {
  fmt::format_to(std::back_inserter(out), text, std::forward<Args>(args)...);
}

std::string signed_number(double value, const std::string& text) {
  if (!std::isfinite(value)) return "n/a";
  return value < 0 ? "\xE2\x88\x92" + text : value > 0 ? "+" + text : text;
}

double measure_of(const TuneResult& result, const StrategySummary& s) {
  if (result.measure == "cost") return s.cost;
  if (result.measure == "good_tokens") return s.good_tokens;
  if (result.measure == "latency") return latency_ms(result, s.strategy);
  return 1 - s.attainment;
}

double measure_of(const StrategyRun& r, std::string_view measure) {
  if (measure == "cost") return r.totals.dollars_per_million_good_tokens;
  if (measure == "good_tokens") return static_cast<double>(r.totals.good_tokens);
  if (measure == "latency") return r.totals.ttft_ms.p90;
  return 1 - r.totals.attainment;
}

std::string measure_text(double value, std::string_view measure) {
  if (measure == "cost") return dollars(value);
  if (measure == "good_tokens") return short_count(value);
  if (measure == "latency") return milliseconds(value);
  return percent(value);
}

std::string_view measure_title(std::string_view measure) {
  if (measure == "cost") return "Dollars per million good tokens (shorter is better)";
  if (measure == "good_tokens") return "Good tokens (longer is better)";
  if (measure == "latency") return "p90 of time to first token (shorter is better)";
  return "Share of requests that were not good (shorter is better)";
}

// Excess in the unit of the measure; shares in points. More is worse in every measure: the measure
// of good tokens counts downwards, so there an excess is tokens missing.
std::string excess_text(double excess, std::string_view measure) {
  if (!std::isfinite(excess)) return "n/a";
  const double size = std::fabs(excess);
  if (measure == "cost") return signed_number(excess, dollars(size));
  if (measure == "good_tokens") return signed_number(-excess, short_count(size));
  if (measure == "latency") return signed_number(excess, milliseconds(size));
  return signed_number(excess, fmt::format("{:.2f} pt", size * 100));
}

std::string row_class(std::string_view strategy) {
  return strategy == "arqonhpo" ? " class=\"own\"" : "";
}

void comparison_row(std::string& out, const TuneResult& result, const StrategySummary& s) {
  const bool moves = s.changes_applied + s.changes_refused + s.changes_reverted > 0;
  put(out, "<tr{}><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
      row_class(s.strategy), escape(s.strategy), percent(s.attainment), percent(s.worst_5_min),
      dollars(s.cost), short_count(s.good_tokens));
  put(out, "<td>{}</td><td>{}</td><td>{}</td>", milliseconds(s.ttft_ms_p50),
      milliseconds(s.ttft_ms_p99), milliseconds(s.gap_ms_p99));
  if (moves) {
    put(out, "<td>{} / {} / {}</td>", number(s.changes_applied), number(s.changes_refused),
        number(s.changes_reverted));
  } else {
    out += "<td class=\"none\">\xE2\x80\x93</td>";
  }
  const bool against = find_summary(result, "hindsight") != nullptr;
  put(out, "<td>{}</td><td>{}</td><td>{}</td></tr>",
      against ? excess_text(s.excess, result.measure) : "\xE2\x80\x93",
      s.capture ? percent(*s.capture, 0) : "\xE2\x80\x93",
      s.recovery_s ? duration_text(*s.recovery_s) : "\xE2\x80\x93");
}

std::string evidence(std::uint64_t requests, double bad_share) {
  if (requests == 0) return "\xE2\x80\x93";
  return fmt::format("{} <span class=\"of\">of {}</span>", percent(bad_share),
                     count(static_cast<double>(requests)));
}

struct Row {
  double t_s = 0;
  std::string html;
};

// Decisions that moved nothing and say the same one after the other are told once.
bool same_words(const control::DecisionRecord& a, const control::DecisionRecord& b) {
  return a.action == b.action && a.reason == b.reason && a.from == a.to && b.from == b.to;
}

// One row for decisions[first..last], which differ in time alone.
Row decision_row(const std::vector<control::DecisionRecord>& decisions, std::size_t first,
                 std::size_t last, const Space& knobs) {
  const control::DecisionRecord& d = decisions[first];
  const std::string moved = setting_difference(knobs, d.from, d.to);
  const bool quiet = moved.empty();
  std::string out;
  put(out, "<tr class=\"{}\"><td>{}</td><td>{}</td><td><span class=\"tag\">{}</span></td>",
      quiet ? "quiet" : "", d.decision, clock_text(d.t_s), escape(d.action));
  put(out, "<td class=\"text\">{}</td><td class=\"text\">{}",
      quiet ? "\xE2\x80\x93" : escape(moved), escape(d.reason));
  if (last > first) {
    put(out, " <span class=\"of\">({} times until {})</span>", last - first + 1,
        clock_text(decisions[last].t_s));
  }
  put(out, "</td><td>{}</td><td>{}</td></tr>", evidence(d.requests_before, d.bad_share_before),
      evidence(d.requests_after, d.bad_share_after));
  return {d.t_s, out};
}

Row refused_row(const std::vector<const control::ChangeRecord*>& changes) {
  std::string moved;
  for (const control::ChangeRecord* c : changes) {
    put(moved, "{}{} {} \xE2\x86\x92 {}", moved.empty() ? "" : ", ", c->address, number(c->from),
        number(c->to));
  }
  const control::ChangeRecord& first = *changes.front();
  std::string out;
  put(out, "<tr class=\"quiet\"><td>{}</td><td>{}</td><td><span class=\"tag\">refused</span></td>",
      first.decision, clock_text(first.t_s));
  put(out,
      "<td class=\"text\">{}</td><td class=\"text\">{}</td><td>\xE2\x80\x93</td><td>\xE2\x80\x93"
      "</td></tr>",
      escape(moved), escape(first.reason));
  return {first.t_s, out};
}

std::vector<Row> decision_rows(const StrategyRun& run, const Space& knobs) {
  std::vector<Row> rows;
  std::set<std::uint64_t> told;
  const auto& decisions = run.record.decisions;
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    const std::size_t first = i;
    told.insert(decisions[i].decision);
    while (i + 1 < decisions.size() && same_words(decisions[i], decisions[i + 1])) {
      told.insert(decisions[++i].decision);
    }
    rows.push_back(decision_row(decisions, first, i, knobs));
  }
  std::map<std::uint64_t, std::vector<const control::ChangeRecord*>> refused;
  for (const control::ChangeRecord& c : run.record.changes) {
    const bool untold = c.state == control::ChangeState::kRefused && told.count(c.decision) == 0;
    if (untold) refused[c.decision].push_back(&c);
  }
  for (const auto& [decision, changes] : refused) rows.push_back(refused_row(changes));
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.t_s < b.t_s; });
  return rows;
}

std::vector<std::uint64_t> seeds_of(const TuneResult& result) {
  std::vector<std::uint64_t> seeds;
  for (const StrategyRun& run : result.runs) {
    if (std::find(seeds.begin(), seeds.end(), run.seed) == seeds.end()) seeds.push_back(run.seed);
  }
  return seeds;
}

std::vector<std::string> strategies_of(const TuneResult& result) {
  std::vector<std::string> names;
  for (const StrategyRun& run : result.runs) {
    if (std::find(names.begin(), names.end(), run.strategy) == names.end()) {
      names.push_back(run.strategy);
    }
  }
  return names;
}

std::string limit_text(double ms, double per_token = 0) {
  if (!std::isfinite(ms)) return "\xE2\x80\x93";
  if (per_token == 0) return milliseconds(ms);
  return fmt::format("{} + {} ms per prompt token", milliseconds(ms), number(per_token));
}

}  // namespace

std::string measure_bars(const TuneResult& result) {
  double most = 0;
  for (const StrategySummary& s : result.summary) {
    most = std::max(most, measure_of(result, s));
  }
  for (const StrategyRun& r : result.runs) most = std::max(most, measure_of(r, result.measure));
  if (!(most > 0) || !std::isfinite(most)) return "";
  std::string out;
  put(out, "<figure class=\"bars\"><figcaption>{}</figcaption><div class=\"bar-rows\">",
      measure_title(result.measure));
  for (const StrategySummary& s : result.summary) {
    const double value = measure_of(result, s);
    put(out,
        "<div class=\"bar-name{0}\">{1}</div><div class=\"bar-track\"><div class=\"bar{0}\" "
        "style=\"width:{2:.2f}%\"></div>",
        s.strategy == "arqonhpo" ? " own" : "", escape(s.strategy),
        std::clamp(value / most, 0.0, 1.0) * 100);
    for (const StrategyRun& r : result.runs) {
      if (r.strategy != s.strategy || s.seeds < 2) continue;
      const double at = measure_of(r, result.measure) / most;
      put(out, "<i class=\"seed\" style=\"left:{:.2f}%\" title=\"seed {}\"></i>",
          std::clamp(at, 0.0, 1.0) * 100, r.seed);
    }
    put(out, "</div><div class=\"bar-value\">{}</div>", measure_text(value, result.measure));
  }
  return out + "</div></figure>";
}

std::string comparison_table(const TuneResult& result) {
  std::string out =
      "<div class=\"scroll\"><table class=\"figures\"><thead><tr><th scope=\"col\">Strategy</th>"
      "<th scope=\"col\">Good requests</th><th scope=\"col\">Worst 5 min</th>"
      "<th scope=\"col\">Cost per M good tokens</th><th scope=\"col\">Good tokens</th>"
      "<th scope=\"col\">TTFT p50</th><th scope=\"col\">TTFT p99</th><th scope=\"col\">Gap p99</th>"
      "<th scope=\"col\">Changes applied / refused / reverted</th>"
      "<th scope=\"col\">Excess over hindsight</th><th scope=\"col\">Capture</th>"
      "<th scope=\"col\">Recovery</th></tr></thead><tbody>";
  for (const StrategySummary& s : result.summary) comparison_row(out, result, s);
  return out + "</tbody></table></div>";
}

std::string decisions_table(const StrategyRun& run, const documents::Scenario& scenario,
                            std::size_t bytes_max) {
  const std::vector<Row> rows = decision_rows(run, scenario.knobs);
  if (rows.empty()) return "<p>No decision was taken in this run.</p>";
  std::string out =
      "<div class=\"scroll\"><table class=\"decisions\"><thead><tr><th scope=\"col\">No.</th>"
      "<th scope=\"col\">Time</th><th scope=\"col\">Action</th><th scope=\"col\">From \xE2\x86\x92 "
      "to"
      "</th><th scope=\"col\">Reason</th><th scope=\"col\">Bad before</th>"
      "<th scope=\"col\">Bad after</th></tr></thead><tbody>";
  std::size_t shown = 0;
  for (const Row& row : rows) {
    if (out.size() + row.html.size() > bytes_max) break;
    out += row.html;
    ++shown;
  }
  if (shown < rows.size()) {
    put(out,
        "<tr class=\"quiet\"><td colspan=\"7\">{} further decisions are in the CSV and JSON "
        "files of this run.</td></tr>",
        count(static_cast<double>(rows.size() - shown)));
  }
  return out + "</tbody></table></div>";
}

std::string seeds_table(const TuneResult& result) {
  const std::vector<std::uint64_t> seeds = seeds_of(result);
  std::string out =
      "<div class=\"scroll\"><table class=\"figures\"><thead><tr><th scope=\"col\">Strategy</th>";
  for (const std::uint64_t seed : seeds) put(out, "<th scope=\"col\">seed {}</th>", seed);
  out += "</tr></thead><tbody>";
  for (const std::string& name : strategies_of(result)) {
    put(out, "<tr{}><th scope=\"row\">{}</th>", row_class(name), escape(name));
    for (const std::uint64_t seed : seeds) {
      const StrategyRun* run = find_run(result, name, seed);
      const std::string note = run == nullptr ? "" : escape(run->note);
      put(out, "<td title=\"{}\">{}</td>", note,
          run == nullptr ? "\xE2\x80\x93" : percent(1 - run->totals.attainment));
    }
    out += "</tr>";
  }
  return out + "</tbody></table></div>";
}

std::string classes_table(const documents::Scenario& scenario) {
  std::string out =
      "<div class=\"scroll\"><table class=\"figures\"><thead><tr><th scope=\"col\">Class</th>"
      "<th scope=\"col\">Time to first token</th><th scope=\"col\">Per token after it</th>"
      "<th scope=\"col\">Largest gap</th><th scope=\"col\">End to end</th>"
      "<th scope=\"col\">Target: good of arrived</th></tr></thead><tbody>";
  for (const serving::Slo& slo : scenario.classes) {
    put(out,
        "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        escape(slo.name), limit_text(slo.ttft_ms, slo.ttft_ms_per_prompt_token),
        limit_text(slo.tpot_ms), limit_text(slo.max_gap_ms), limit_text(slo.e2e_ms),
        percent(slo.attainment, 1));
  }
  return out + "</tbody></table></div>";
}

std::string knobs_table(const documents::Scenario& scenario) {
  std::string out =
      "<div class=\"scroll\"><table class=\"figures\"><thead><tr><th scope=\"col\">Knob</th>"
      "<th scope=\"col\">Lowest</th><th scope=\"col\">Highest</th><th scope=\"col\">Starts at</th>"
      "<th scope=\"col\">Largest step</th><th scope=\"col\">Change</th></tr></thead><tbody>";
  const Config start = scenario.knobs.default_config();
  for (std::size_t i = 0; i < scenario.knobs.size(); ++i) {
    const Parameter& p = scenario.knobs[i];
    const bool limited = i < scenario.guardrails.limits.size();
    const double low = limited ? scenario.guardrails.limits[i].min : p.min;
    const double high = limited ? scenario.guardrails.limits[i].max : p.max;
    const auto slots = std::span(start).subspan(scenario.knobs.offset(i), p.slots());
    put(out,
        "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        escape(p.name), number(low), number(high), escape(knob_value(p, slots)),
        limited ? number(scenario.guardrails.limits[i].max_delta) : "\xE2\x80\x93",
        to_string(p.change_class));
  }
  return out + "</tbody></table></div>";
}

}  // namespace arqon::report
