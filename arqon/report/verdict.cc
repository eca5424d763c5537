#include "arqon/report/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "arqon/report/panels.h"
#include "arqon/report/run_series.h"
#include "arqon/report/words.h"

namespace arqon::report {
namespace {

using documents::StrategyRun;
using documents::StrategySummary;
using documents::TuneResult;

constexpr double kShareTie = 0.001;
constexpr double kRatioTie = 0.01;
constexpr std::size_t kReasonsMax = 4;

Outcome outcome(const TuneResult& result, const StrategySummary& s) {
  return {s.attainment, s.cost, s.good_tokens, latency_ms(result, s.strategy)};
}

Outcome outcome(const StrategyRun& r) {
  return {r.totals.attainment, r.totals.dollars_per_million_good_tokens,
          static_cast<double>(r.totals.good_tokens), r.totals.ttft_ms.p90};
}

// -1, 0, +1 for a against b where smaller is better and 1 % is a tie.
int less_is_better(double a, double b) {
  if (!std::isfinite(a) || !std::isfinite(b)) return 0;
  if (std::fabs(a - b) <= kRatioTie * std::max(std::fabs(a), std::fabs(b))) return 0;
  return a < b ? 1 : -1;
}

std::string strategy_title(std::string_view name) {
  if (name == "yesterday") return "yesterday's best setting";
  if (name == "default") return "the engine's default";
  return std::string(name);
}

// "99.43% of requests good" and the like: the measure's value in words.
std::string measure_text(const StrategySummary& s, std::string_view measure) {
  const std::string good = percent(s.attainment) + " of requests good";
  if (measure == "cost") return dollars(s.cost) + " per million good tokens at " + good;
  if (measure == "good_tokens") return short_count(s.good_tokens) + " good tokens at " + good;
  if (measure == "latency") return "p99 TTFT " + milliseconds(s.ttft_ms_p99) + " at " + good;
  return good;
}

std::string relative(double a, double b) {
  if (!std::isfinite(a / b)) return "";
  const double change = (a - b) / b;
  if (a / b >= 3) return fmt::format(" ({:.1f} times as many)", a / b);
  return fmt::format(" ({}{:.1f}%)", change < 0 ? "\xE2\x88\x92" : "+", std::fabs(change) * 100);
}

// "bad requests 7.90% -> 0.57%, cost ... -> ..., good tokens ... -> ...".
std::string from_to(const StrategySummary& base, const StrategySummary& own) {
  const char* arrow = "\xE2\x86\x92";
  return fmt::format(
      "bad requests {} {} {}, cost per million good tokens {} {} {}{}, good tokens {} {} {}{}",
      percent(1 - base.attainment), arrow, percent(1 - own.attainment), dollars(base.cost), arrow,
      dollars(own.cost), relative(own.cost, base.cost), short_count(base.good_tokens), arrow,
      short_count(own.good_tokens), relative(own.good_tokens, base.good_tokens));
}

struct Score {
  int wins = 0, ties = 0, losses = 0;
  int seeds() const { return wins + ties + losses; }
};

Score score_by_seed(const TuneResult& result, std::string_view baseline) {
  Score score;
  for (const StrategyRun& own : result.runs) {
    if (own.strategy != "arqonhpo") continue;
    const StrategyRun* other = find_run(result, baseline, own.seed);
    if (other == nullptr) continue;
    const StrategyRun* ideal = find_run(result, "hindsight", own.seed);
    const double attainable = ideal == nullptr ? 0 : ideal->totals.attainment;
    const int order = compare_outcomes(outcome(own), outcome(*other), result.measure, attainable);
    (order > 0 ? score.wins : order < 0 ? score.losses : score.ties) += 1;
  }
  return score;
}

std::string plural(double n, std::string_view one) {
  return fmt::format("{} {}{}", count(n), one, n == 1 ? "" : "s");
}

std::string brought_sentence(const TuneResult& result, const StrategySummary& own,
                             const StrategySummary& base, double attainable) {
  const int order =
      compare_outcomes(outcome(result, own), outcome(result, base), result.measure, attainable);
  const std::string_view word = order > 0 ? "better" : order < 0 ? "worse: a loss" : "a tie";
  std::string out =
      fmt::format("Against {}: {}; {}.", strategy_title(base.strategy), word, from_to(base, own));
  const Score score = score_by_seed(result, base.strategy);
  if (score.seeds() > 1) {
    fmt::format_to(std::back_inserter(out), " Seed by seed: {}, {}, {}.", plural(score.wins, "win"),
                   plural(score.ties, "tie"),
                   score.losses == 1 ? "1 loss" : fmt::format("{} losses", score.losses));
  }
  return out;
}

// First and last setting that ruled the run; empty when the run has no windows.
std::pair<Config, Config> ends_of(const control::RunRecord& record) {
  std::pair<Config, Config> ends;
  if (record.windows.empty()) return ends;
  ends = {record.windows.front().values, record.windows.back().values};
  if (!record.decisions.empty() && !record.decisions.front().from.empty()) {
    ends.first = record.decisions.front().from;
  }
  for (const control::WindowRecord& w : record.windows) {
    if (w.state == "confirmed") ends.second = w.values;
  }
  return ends;
}

std::string changed_text(const StrategyRun& run, const Space& knobs) {
  std::set<std::uint64_t> applied, refused, reverted;
  for (const control::ChangeRecord& c : run.record.changes) {
    if (c.lane == "reflex") continue;
    if (c.state == control::ChangeState::kApplied) applied.insert(c.decision);
    if (c.state == control::ChangeState::kRefused) refused.insert(c.decision);
    if (c.state == control::ChangeState::kReverted) reverted.insert(c.decision);
  }
  const auto reflexes =
      std::count_if(run.record.changes.begin(), run.record.changes.end(), [](const auto& c) {
        return c.lane == "reflex" && c.state == control::ChangeState::kApplied;
      });
  std::string tail = fmt::format("{} put on trial, {} reverted, {} refused by the guard",
                                 plural(static_cast<double>(applied.size()), "change"),
                                 reverted.size(), refused.size());
  if (reflexes > 0) tail += ", " + plural(static_cast<double>(reflexes), "reflex move");
  const auto [first, last] = ends_of(run.record);
  const std::string moved = setting_difference(knobs, first, last);
  if (applied.empty() && reflexes == 0)
    return "Nothing: no change was put in force (" + tail + ").";
  if (moved.empty()) return "Nothing that lasted: it ended at the setting it found (" + tail + ").";
  return moved + " (" + tail + ").";
}

// What is told of ArqonHPO. On a live engine it keeps what it confirmed from repeat to repeat, so
// its repeats are one story whose clock counts on; otherwise the run that the report shows.
std::optional<StrategyRun> told_run(const TuneResult& result, double repeat_s) {
  const StrategyRun* shown = shown_run(result);
  if (shown == nullptr) return std::nullopt;
  if (result.phases.empty()) return *shown;
  StrategyRun whole = *shown;
  whole.record.windows.clear();
  whole.record.changes.clear();
  whole.record.decisions.clear();
  double begin_s = 0;
  const auto append = [&](auto& to, auto rows) {
    for (auto& row : rows) {
      row.t_s += begin_s;
      to.push_back(std::move(row));
    }
  };
  for (const StrategyRun& run : result.runs) {
    if (run.strategy != shown->strategy) continue;
    append(whole.record.windows, run.record.windows);
    append(whole.record.changes, run.record.changes);
    append(whole.record.decisions, run.record.decisions);
    begin_s += repeat_s;
  }
  return whole;
}

// The latest experiment before decision `at` in the record.
const control::DecisionRecord* tried_before(const control::RunRecord& record, std::size_t at) {
  while (at-- > 0) {
    if (record.decisions[at].action == "experiment") return &record.decisions[at];
  }
  return nullptr;
}

// With a full stop.
std::string ended(std::string sentence) {
  if (!sentence.empty() && sentence.back() != '.') sentence += '.';
  return sentence;
}

std::string confirmed_sentence(const control::RunRecord& record, std::size_t at,
                               const Space& knobs) {
  const control::DecisionRecord& d = record.decisions[at];
  std::string moved = setting_difference(knobs, d.from, d.to);
  const control::DecisionRecord* tried = tried_before(record, at);
  if (moved.empty() && tried != nullptr) moved = setting_difference(knobs, tried->from, tried->to);
  std::string out = fmt::format("At {} {} was kept: {}", clock_text(d.t_s), moved, ended(d.reason));
  if (tried != nullptr && !tried->reason.empty()) out += " Tried because " + ended(tried->reason);
  return out;
}

std::vector<std::string> why_sentences(const StrategyRun& run, const Space& knobs) {
  std::vector<std::string> out;
  std::size_t left_out = 0;
  const auto& decisions = run.record.decisions;
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    if (decisions[i].action != "confirm") continue;
    if (out.size() < kReasonsMax) {
      out.push_back(confirmed_sentence(run.record, i, knobs));
    } else {
      ++left_out;
    }
  }
  if (left_out > 0) {
    out.push_back(fmt::format("{} more in the table of decisions.", left_out));
  }
  if (!out.empty() || decisions.empty()) return out;
  const control::DecisionRecord& last = decisions.back();
  out.push_back(fmt::format("No change was confirmed. Last decision ({}, {}): {}",
                            clock_text(last.t_s), last.action, last.reason));
  return out;
}

// True when not even hindsight beats the better of the baselines in the measure.
bool nothing_to_gain(const TuneResult& result, const StrategySummary& ideal) {
  bool known = false;
  for (const std::string_view name : {"default", "yesterday"}) {
    const StrategySummary* base = find_summary(result, name);
    if (base == nullptr) continue;
    known = true;
    if (compare_outcomes(outcome(result, ideal), outcome(result, *base), result.measure,
                         ideal.attainment) <= 0) {
      return true;
    }
  }
  return !known;
}

std::string hindsight_text(const TuneResult& result, const StrategySummary* own) {
  const StrategySummary* ideal = find_summary(result, "hindsight");
  if (ideal == nullptr) {
    return "Not searched in this run: add --compare to see the best static setting that knowing "
           "the traffic beforehand would have picked.";
  }
  std::string out = "Held one setting from the start";
  const StrategyRun* shown = shown_run(result);
  const StrategyRun* run = shown == nullptr ? nullptr : find_run(result, "hindsight", shown->seed);
  if (run != nullptr && !run->note.empty()) out += " (" + run->note + ")";
  out +=
      ", chosen with knowledge of this very traffic: " + measure_text(*ideal, result.measure) + ".";
  if (own == nullptr) return out;
  const int order = compare_outcomes(outcome(result, *own), outcome(result, *ideal), result.measure,
                                     ideal->attainment);
  out += order > 0   ? " ArqonHPO did better: it changes its setting when the traffic does."
         : order < 0 ? " That is better than ArqonHPO, which paid for finding out while it served."
                     : " ArqonHPO came out level with it, exploration included.";
  const double gap = (1 - own->attainment) - (1 - ideal->attainment);
  fmt::format_to(std::back_inserter(out), " Bad requests: {} {} than hindsight's.", points(gap),
                 gap >= 0 ? "more" : "fewer");
  if (own->capture) {
    fmt::format_to(
        std::back_inserter(out),
        " Of what an oracle that knows every shift gains over yesterday, it captured {}.",
        percent(*own->capture, 0));
  }
  return out;
}

// Both outcomes in one sentence, in the words of the measure.
std::string both(const StrategySummary& own, const StrategySummary& base,
                 std::string_view measure) {
  const std::string with = strategy_title(base.strategy);
  if (measure == "cost") {
    return fmt::format(
        "With ArqonHPO a million good tokens cost {} and {} of requests were good; with {} it "
        "would "
        "have been {} and {}.",
        dollars(own.cost), percent(own.attainment), with, dollars(base.cost),
        percent(base.attainment));
  }
  if (measure == "good_tokens") {
    return fmt::format(
        "ArqonHPO delivered {} good tokens ({} of requests good); {} would have delivered {} ({}).",
        short_count(own.good_tokens), percent(own.attainment), with, short_count(base.good_tokens),
        percent(base.attainment));
  }
  if (measure == "latency") {
    return fmt::format(
        "With ArqonHPO the p99 time to first token was {} and {} of requests were good; with {} it "
        "would have been {} and {}.",
        milliseconds(own.ttft_ms_p99), percent(own.attainment), with,
        milliseconds(base.ttft_ms_p99), percent(base.attainment));
  }
  return fmt::format("With ArqonHPO {} of requests were good; with {} it would have been {}.",
                     percent(own.attainment), with, percent(base.attainment));
}

void judge(Verdict& v, const TuneResult& result, const StrategySummary& own,
           const StrategySummary& base) {
  const StrategySummary* ideal = find_summary(result, "hindsight");
  const double attainable = ideal == nullptr ? 0 : ideal->attainment;
  const int order =
      compare_outcomes(outcome(result, own), outcome(result, base), result.measure, attainable);
  const std::string sentence = both(own, base, result.measure);
  const std::string title = strategy_title(base.strategy);
  v.tone = order > 0 ? Tone::kGain : order < 0 ? Tone::kLoss : Tone::kEven;
  v.headline = sentence;
  if (order < 0) {
    v.headline = fmt::format("ArqonHPO lost to {}. {}", title, sentence);
  } else if (ideal != nullptr && nothing_to_gain(result, *ideal)) {
    v.tone = Tone::kNothingToGain;
    v.headline =
        "There was nothing to gain here, not even with hindsight, and ArqonHPO did no harm. " +
        sentence;
  } else if (order == 0) {
    v.headline = fmt::format("ArqonHPO came out level with {}. {}", title, sentence);
  }
  if (own.seeds > 1) v.headline += fmt::format(" Medians over {} seeds.", own.seeds);
}

std::string pool_text(const sim::PoolSpec& pool) {
  return fmt::format("{} {} of {} on {}{}", pool.replicas,
                     pool.replicas == 1 ? "replica" : "replicas", pool.model,
                     pool.tp > 1 ? fmt::format("{} x ", pool.tp) : std::string(), pool.gpu);
}

std::string joined(const std::vector<std::string>& parts, std::string_view last = " and ") {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += i + 1 == parts.size() ? last : std::string_view(", ");
    out += parts[i];
  }
  return out;
}

// The rivals that did better, without those that knew the traffic beforehand; "" when none did.
std::string ahead_sentence(const TuneResult& result, const StrategySummary& own,
                           double attainable) {
  std::vector<std::string> ahead;
  for (const StrategySummary& s : result.summary) {
    const bool rival = s.strategy == "rules" || s.strategy == "random" || s.strategy == "expert";
    const int order =
        compare_outcomes(outcome(result, own), outcome(result, s), result.measure, attainable);
    if (rival && order < 0) {
      ahead.push_back(fmt::format("{} ({})", s.strategy, measure_text(s, result.measure)));
    }
  }
  return ahead.empty() ? "" : fmt::format("Ahead of ArqonHPO here: {}.", joined(ahead));
}

}  // namespace

std::string_view to_string(Tone tone) {
  switch (tone) {
    case Tone::kGain:
      return "Gain";
    case Tone::kEven:
      return "Even";
    case Tone::kLoss:
      return "Loss";
    case Tone::kNothingToGain:
      return "Nothing to gain";
    case Tone::kUnknown:
      return "No verdict";
  }
  return "No verdict";
}

int compare_outcomes(const Outcome& a, const Outcome& b, std::string_view measure,
                     double attainable) {
  const bool a_misses = a.attainment < attainable - kShareTie;
  const bool b_misses = b.attainment < attainable - kShareTie;
  if (a_misses != b_misses) return a_misses ? -1 : 1;
  if (measure == "cost") return less_is_better(a.cost, b.cost);
  if (measure == "good_tokens") return less_is_better(b.good_tokens, a.good_tokens);
  if (measure == "latency") return less_is_better(a.latency_ms, b.latency_ms);
  const double difference = a.attainment - b.attainment;
  return std::fabs(difference) <= kShareTie ? 0 : difference > 0 ? 1 : -1;
}

Verdict verdict(const TuneResult& result, const documents::Scenario& scenario) {
  Verdict v;
  const StrategySummary* own = find_summary(result, "arqonhpo");
  const StrategySummary* ideal = find_summary(result, "hindsight");
  const StrategySummary* base = find_summary(result, "yesterday");
  if (base == nullptr) base = find_summary(result, "default");
  if (own == nullptr) {
    v.headline = "ArqonHPO itself did not run here; the table shows the strategies that did.";
  } else if (base == nullptr) {
    v.headline =
        "ArqonHPO reached " + measure_text(*own, result.measure) + "; no baseline ran beside it.";
  } else {
    judge(v, result, *own, *base);
  }
  const std::optional<StrategyRun> run = told_run(result, scenario.duration_s);
  v.changed = run ? changed_text(*run, scenario.knobs) : "No run was finished.";
  if (run) v.why = why_sentences(*run, scenario.knobs);
  for (const std::string_view name : {"default", "yesterday"}) {
    const StrategySummary* other = find_summary(result, name);
    if (own == nullptr || other == nullptr) continue;
    v.brought.push_back(
        brought_sentence(result, *own, *other, ideal == nullptr ? 0 : ideal->attainment));
  }
  if (own != nullptr) {
    const std::string ahead =
        ahead_sentence(result, *own, ideal == nullptr ? 0 : ideal->attainment);
    if (!ahead.empty()) v.brought.push_back(ahead);
  }
  v.hindsight = scenario.live() ? "Nobody knows: a live engine serves its traffic once."
                                : hindsight_text(result, own);
  return v;
}

std::string scenario_sentence(const documents::Scenario& scenario) {
  std::vector<std::string> pools, classes, knobs;
  for (const sim::PoolSpec& pool : scenario.fleet.pools) pools.push_back(pool_text(pool));
  for (const serving::Slo& slo : scenario.classes) classes.push_back(slo.name);
  for (const Parameter& p : scenario.knobs.parameters()) knobs.push_back(p.name);
  const std::size_t moves = shifts(scenario).size();
  std::string out = scenario.live() ? fmt::format("A live engine ({}) serves {}",
                                                  scenario.target_engine, joined(classes))
                                    : fmt::format("{} serve {}", joined(pools), joined(classes));
  out += " for " + duration_text(scenario.duration_s);
  if (moves > 0)
    out += fmt::format("; the traffic shifts {}", moves == 1   ? std::string("once")
                                                  : moves == 2 ? std::string("twice")
                                                               : fmt::format("{} times", moves));
  out += knobs.empty() ? std::string("; nothing may be tuned.")
                       : "; " + joined(knobs) + " may be tuned while it serves.";
  return out;
}

}  // namespace arqon::report
