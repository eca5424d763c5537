#include <fmt/format.h>

#include "arqon/base/assert.h"
#include "arqon/documents/internal/keys.h"
#include "arqon/documents/results.h"
#include "arqon/wire/csv.h"

namespace arqon::documents {
namespace {

void class_header(const std::string& name, wire::CsvWriter& csv) {
  for (const char* column :
       {"arrived", "good", "bad", "prompt_tokens", "output_tokens", "good_tokens", "ttft_ms_p50",
        "ttft_ms_p99", "gap_ms_p99", "tpot_ms_p50", "tpot_ms_p99"}) {
    csv.field(fmt::format("{}.{}", name, column));
  }
  for (std::size_t i = 1; i < serving::kLimits; ++i) {
    csv.field(
        fmt::format("{}.bad_by_{}", name, serving::to_string(static_cast<serving::Limit>(i))));
  }
}

void class_cells(const control::ClassWindow& c, wire::CsvWriter& csv) {
  csv.field(c.arrived).field(c.good).field(c.bad).field(c.prompt_tokens).field(c.output_tokens);
  csv.field(c.good_tokens).field(c.ttft_ms_p50).field(c.ttft_ms_p99).field(c.gap_ms_p99);
  csv.field(c.tpot_ms_p50);
  csv.field(c.tpot_ms_p99);
  for (std::size_t i = 1; i < serving::kLimits; ++i) csv.field(c.bad_by[i]);
}

// One name per slot: the address, or address/part for a simplex.
std::vector<std::string> slot_names(const Space& space) {
  std::vector<std::string> out;
  for (const Parameter& p : space.parameters()) {
    if (p.type != ParamType::kSimplex) out.push_back(p.name);
    for (std::size_t i = 0; p.type == ParamType::kSimplex && i < p.slots(); ++i) {
      out.push_back(fmt::format("{}/{}", p.name, p.choices[i]));
    }
  }
  return out;
}

}  // namespace

std::string windows_csv(const StrategyRun& run, const Scenario& scenario) {
  const std::vector<std::string> knobs = slot_names(scenario.knobs);
  wire::CsvWriter csv;
  for (const char* column :
       {"t_s", "seconds", "setting", "paid_dollars", "running", "waiting", "kv_use"}) {
    csv.field(column);
  }
  for (const std::string& name : run.record.class_names) class_header(name, csv);
  for (const std::string& name : knobs) csv.field(name);
  csv.end_row();
  for (const control::WindowRecord& w : run.record.windows) {
    ARQON_ASSERT(w.classes.size() == run.record.class_names.size());
    csv.field(w.t_s).field(w.seconds).field(w.state).field(w.paid_dollars).field(w.running);
    csv.field(w.waiting).field(w.kv_use);
    for (const control::ClassWindow& c : w.classes) class_cells(c, csv);
    for (std::size_t i = 0; i < knobs.size(); ++i) {
      i < w.values.size() ? csv.field(w.values[i]) : csv.field("");
    }
    csv.end_row();
  }
  return csv.take();
}

std::string changes_csv(const StrategyRun& run) {
  wire::CsvWriter csv;
  for (const std::string_view column : internal::kChangeColumns) csv.field(column);
  csv.end_row();
  for (const control::ChangeRecord& c : run.record.changes) {
    csv.field(c.t_s).field(c.decision).field(c.address).field(c.from).field(c.to).field(c.lane);
    csv.field(internal::kChangeStates[static_cast<std::size_t>(c.state)]).field(c.reason);
    csv.end_row();
  }
  return csv.take();
}

}  // namespace arqon::documents
