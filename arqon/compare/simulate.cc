#include "arqon/compare/simulate.h"

#include <algorithm>

#include "arqon/compare/evaluate.h"
#include "arqon/wire/csv.h"
#include "arqon/workload/generate.h"

namespace arqon::compare {
namespace {

constexpr int kSlices = 250;

// Counters are kept per replica; a pool is a row of neighbouring ones.
std::vector<documents::PoolTotals> pool_totals(const documents::Scenario& scenario,
                                               sim::Twin& twin) {
  std::vector<documents::PoolTotals> out;
  int replica = 0;
  for (const sim::PoolSpec& pool : scenario.fleet.pools) {
    documents::PoolTotals totals{.name = pool.name, .replicas = pool.replicas};
    for (int i = 0; i < sim::seats_of(pool); ++i) {
      const serving::Observation seen = twin.observe({replica++});
      for (const serving::ClassCounters& c : seen.classes) {
        totals.arrived += c.arrived;
        totals.good += c.good;
        totals.bad += c.bad;
        totals.output_tokens += c.output_tokens;
        totals.good_tokens += c.good_tokens;
      }
    }
    out.push_back(std::move(totals));
  }
  return out;
}

}  // namespace

Result<Simulation> simulate(const documents::Scenario& scenario, const SimulateOptions& options) {
  auto trace = make_trace(scenario, scenario.seed);
  if (!trace) return tl::unexpected(trace.error());
  sim::TwinOptions twin_options = twin_options_of(scenario, *trace, scenario.seed);
  twin_options.record_requests = options.record_requests;
  twin_options.step_log = options.step_log;
  auto made = sim::Twin::create(std::move(twin_options));
  if (!made) return tl::unexpected(made.error());
  sim::Twin& twin = **made;
  if (!options.setting.empty()) {
    Config setting = twin.capabilities().boot;
    for (const auto& [slot, value] : options.setting) setting[slot] = value;
    if (auto applied = twin.apply(setting); !applied) return tl::unexpected(applied.error());
  }
  Simulation out;
  for (int i = 1; i <= kSlices && !out.partial; ++i) {
    const double done = static_cast<double>(i) / kSlices;
    twin.wait_until(time_at(i == kSlices ? scenario.duration_s : done * scenario.duration_s));
    out.partial = options.keep_going && !options.keep_going(done);
  }
  if (!out.partial) twin.drain();
  out.totals = twin.totals();
  out.requests = twin.requests();
  out.simulated_s = to_seconds(twin.now());
  out.pools = pool_totals(scenario, twin);
  return out;
}

std::string requests_csv(const documents::Scenario& scenario,
                         const std::vector<sim::RequestRow>& rows) {
  wire::CsvWriter csv;
  for (const char* column : {"arrival_s", "class", "prompt_tokens", "output_tokens", "ttft_ms",
                             "tpot_ms", "max_gap_ms", "e2e_ms", "broke", "replica"}) {
    csv.field(column);
  }
  csv.end_row();
  for (const sim::RequestRow& r : rows) {
    const bool known = r.request_class < scenario.classes.size();
    csv.field(r.arrival_s).field(known ? scenario.classes[r.request_class].name : std::string());
    csv.field(std::uint64_t{r.prompt_tokens}).field(std::uint64_t{r.output_tokens});
    csv.field(r.ttft_ms).field(r.tpot_ms).field(r.max_gap_ms).field(r.e2e_ms);
    csv.field(serving::to_string(r.broke)).field(static_cast<double>(r.replica));
    csv.end_row();
  }
  return csv.take();
}

}  // namespace arqon::compare
