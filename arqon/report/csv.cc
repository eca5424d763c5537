#include "arqon/report/csv.h"

#include <fmt/format.h>

#include <iterator>
#include <vector>

namespace arqon::report {
namespace {

std::string_view state_name(control::ChangeState state) {
  switch (state) {
    case control::ChangeState::kApplied:
      return "applied";
    case control::ChangeState::kRefused:
      return "refused";
    case control::ChangeState::kReverted:
      return "reverted";
    case control::ChangeState::kConfirmed:
      return "confirmed";
  }
  return "applied";
}

// One name per slot of a setting.
std::vector<std::string> slot_names(const Space& knobs) {
  std::vector<std::string> names;
  for (const Parameter& p : knobs.parameters()) {
    if (p.type != ParamType::kSimplex) {
      names.push_back(p.name);
      continue;
    }
    for (const std::string& part : p.choices) names.push_back(p.name + "." + part);
  }
  return names;
}

void window_rows(std::string& out, const documents::StrategyRun& run, std::size_t slots) {
  const std::string head = fmt::format("{},{}", csv_text(run.strategy), run.seed);
  for (const control::WindowRecord& w : run.record.windows) {
    std::string knobs;
    for (std::size_t i = 0; i < slots; ++i) {
      knobs += i < w.values.size() ? fmt::format(",{}", w.values[i]) : std::string(",");
    }
    for (std::size_t c = 0; c < w.classes.size(); ++c) {
      const control::ClassWindow& k = w.classes[c];
      const std::string name = c < run.record.class_names.size() ? run.record.class_names[c] : "";
      fmt::format_to(std::back_inserter(out),
                     "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}{}\n", head, w.t_s,
                     w.seconds, csv_text(w.state), csv_text(name), k.arrived, k.good, k.bad,
                     k.prompt_tokens, k.output_tokens, k.good_tokens, k.ttft_ms_p50, k.ttft_ms_p99,
                     k.gap_ms_p99, k.tpot_ms_p50, w.paid_dollars, w.kv_use, knobs);
    }
  }
}

}  // namespace

std::string csv_text(std::string_view text) {
  std::string field(text);
  if (!field.empty() &&
      std::string_view("=+-@\t\r").find(field.front()) != std::string_view::npos) {
    field.insert(field.begin(), '\'');
  }
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string quoted = "\"";
  for (const char c : field) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string windows_csv(const documents::TuneResult& result, const documents::Scenario& scenario) {
  std::string out =
      "strategy,seed,t_s,seconds,state,class,arrived,good,bad,prompt_tokens,output_tokens,"
      "good_tokens,ttft_ms_p50,ttft_ms_p99,gap_ms_p99,tpot_ms_p50,paid_dollars,kv_use";
  const std::vector<std::string> slots = slot_names(scenario.knobs);
  for (const std::string& name : slots) out += "," + csv_text(name);
  out += '\n';
  for (const documents::StrategyRun& run : result.runs) window_rows(out, run, slots.size());
  return out;
}

std::string changes_csv(const documents::TuneResult& result) {
  std::string out = "strategy,seed,decision,t_s,address,from,to,lane,state,reason\n";
  for (const documents::StrategyRun& run : result.runs) {
    for (const control::ChangeRecord& c : run.record.changes) {
      fmt::format_to(std::back_inserter(out), "{},{},{},{},{},{},{},{},{},{}\n",
                     csv_text(run.strategy), run.seed, c.decision, c.t_s, csv_text(c.address),
                     c.from, c.to, csv_text(c.lane), state_name(c.state), csv_text(c.reason));
    }
  }
  return out;
}

}  // namespace arqon::report
