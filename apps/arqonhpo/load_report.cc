#include "apps/arqonhpo/load_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "apps/arqonhpo/totals_text.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/documents/results.h"
#include "arqon/report/words.h"
#include "arqon/wire/csv.h"

namespace arqon::app {
namespace {

using wire::Object;
using wire::Value;

// What no client can know; the twin's results have it.
constexpr std::array<std::string_view, 13> kTwinOnly = {
    "paid_gpu_s",  "paid_dollars",      "dollars_per_million_good_tokens",
    "kv_use",      "preemptions",       "recomputed_tokens", "prefix_hit_rate",
    "steps",       "batch_histogram",   "busy_fraction",
    "simulated_s", "tokens_per_step",   "requests_per_wall_s"};

Value seconds_or_null(double s) { return s < 0 ? Value() : wire::compact_number(s); }

Object quantiles(const serving::Quantiles& q, double max) {
  return {{"mean", wire::compact_number(q.mean)}, {"p50", wire::compact_number(q.p50)},
          {"p90", wire::compact_number(q.p90)},   {"p99", wire::compact_number(q.p99)},
          {"max", wire::compact_number(max)}};
}

Object failures_object(const load::Outcome& outcome) {
  Object out;
  for (std::size_t i = 1; i < load::kFailures; ++i) {
    if (outcome.failures[i] == 0) continue;
    out.emplace_back(load::to_string(static_cast<load::Failure>(i)), outcome.failures[i]);
  }
  return out;
}

double cpu_ms_per_1000_tokens(const load::Outcome& outcome) {
  if (outcome.tokens == 0) return 0;
  return outcome.cpu_s * 1e3 / (static_cast<double>(outcome.tokens) / 1e3);
}

Object load_object(const load::Outcome& o, const LoadContext& context) {
  Object examples;
  for (const load::FailureExample& e : o.examples) {
    examples.emplace_back(load::to_string(e.failure), e.text);
  }
  const load::Saturation& s = o.saturation;
  return {
      {"url", context.url},
      {"model", context.model},
      {"endpoint", context.endpoint},
      {"concurrency", context.concurrency == 0 ? Value() : Value(context.concurrency)},
      {"rate", wire::compact_number(context.rate)},
      {"arrivals_s", wire::compact_number(o.arrivals_s)},
      {"stopped", o.stopped},
      {"warmup", Object{{"seconds", wire::compact_number(context.warmup_s)},
                        {"requests", std::uint64_t{o.warmup_requests}},
                        {"failures", std::uint64_t{o.warmup_failures}}}},
      {"context_max",
       context.context_max == 0 ? Value() : Value(std::uint64_t{context.context_max})},
      {"shortened", context.shortened},
      {"resent", o.resent},
      {"failures", failures_object(o)},
      {"failure_examples", std::move(examples)},
      {"saturation", Object{{"client_from_s", seconds_or_null(s.client_from_s)},
                            {"server_from_s", seconds_or_null(s.server_from_s)},
                            {"server_until_s", seconds_or_null(s.server_until_s)},
                            {"backlog_from", wire::compact_number(s.backlog_from)},
                            {"backlog_to", wire::compact_number(s.backlog_to)},
                            {"streams_full", s.streams_full}}},
      {"lag_ms", quantiles(o.lag_ms, o.lag_ms_max)},
      {"client", Object{{"cpu_s", wire::compact_number(o.cpu_s)},
                        {"tokens", o.tokens},
                        {"pieces", o.pieces},
                        {"cpu_ms_per_1000_tokens",
                         wire::compact_number(cpu_ms_per_1000_tokens(o))}}}};
}

std::string_view advice(load::Failure failure) {
  switch (failure) {
    case load::Failure::kConnection: return "is the server up, and is the URL right?";
    case load::Failure::kRefused: return "the server sheds load";
    case load::Failure::kStatus: return "the server does not take these requests";
    case load::Failure::kNoTokens: return "a server that is going down answers like this";
    case load::Failure::kShort: return "does the server know ignore_eos? else --stop-early";
    case load::Failure::kTimeout: return "--request-timeout says how long is too long";
    default: return "";
  }
}

std::string failure_lines(const load::Outcome& outcome) {
  std::string out;
  for (const load::FailureExample& e : outcome.examples) {
    const std::uint64_t n = outcome.failures[static_cast<std::size_t>(e.failure)];
    const std::string_view hint = advice(e.failure);
    out += fmt::format("failed: {}            {} requests, the first: {}{}\n",
                       load::to_string(e.failure), report::count(static_cast<double>(n)), e.text,
                       hint.empty() ? "" : fmt::format(" ({})", hint));
  }
  return out;
}

}  // namespace

Object measured_totals(const serving::Totals& totals, const documents::Scenario& scenario,
                       double wall_s) {
  const auto whole =
      wire::parse_json(documents::to_json(totals, scenario, build_id(), {.wall_s = wall_s}));
  Object out;
  if (!whole) return out;  // what we wrote ourselves can be read
  for (const wire::Member& member : *whole->as_object()) {
    const bool unknown =
        std::find(kTwinOnly.begin(), kTwinOnly.end(), member.first) != kTwinOnly.end();
    if (!unknown) out.push_back(member);
  }
  return out;
}

std::string load_json(const load::Outcome& outcome, const documents::Scenario& scenario,
                      const LoadContext& context) {
  Object out = measured_totals(outcome.totals, scenario, outcome.seconds);
  out.emplace_back("load", load_object(outcome, context));
  return wire::write_json(Value(std::move(out)), 2) + "\n";
}

std::string load_requests_csv(const load::Outcome& outcome,
                              const std::vector<serving::Slo>& classes) {
  wire::CsvWriter csv;
  for (const char* column :
       {"arrival_s", "class", "prompt_tokens", "output_tokens", "ttft_ms", "tpot_ms", "max_gap_ms",
        "e2e_ms", "broke", "failure", "status", "sent_s", "output_asked", "pieces", "warmup"}) {
    csv.field(column);
  }
  csv.end_row();
  const auto measured = [&csv](double value) {
    if (value >= 0) {
      csv.field(value);
    } else {
      csv.field("");
    }
  };
  for (const load::Row& row : outcome.rows) {
    const serving::RequestOutcome times = load::outcome_of(row);
    csv.field(row.arrival_s).field(classes[row.request_class].name);
    csv.field(std::uint64_t{row.prompt_tokens}).field(std::uint64_t{row.output_tokens});
    for (const double ms : {times.ttft_ms, times.tpot_ms, times.max_gap_ms, times.e2e_ms}) {
      measured(ms);
    }
    csv.field(row.ended ? serving::to_string(row.broke) : "unfinished");
    csv.field(load::to_string(row.failure)).field(static_cast<double>(row.status));
    if (row.sent_s == load::Row::kNever) {
      csv.field("");
    } else {
      csv.field(row.sent_s);
    }
    csv.field(std::uint64_t{row.output_asked}).field(std::uint64_t{row.pieces});
    csv.field(std::uint64_t{row.warmup ? 1U : 0U});
    csv.end_row();
  }
  return csv.take();
}

wire::Object foreign_object(const load::ForeignRun& run, const documents::Scenario& scenario) {
  Object out = measured_totals(run.totals, scenario, run.seconds);
  // Traffic and seed are the other client's.
  std::erase_if(out, [](const wire::Member& member) {
    return member.first == "scenario_hash" || member.first == "seed";
  });
  out.emplace_back("tool", run.tool);
  out.emplace_back("label", run.label);
  out.emplace_back("model", run.model);
  out.emplace_back("remarks", wire::Array(run.remarks.begin(), run.remarks.end()));
  return out;
}

std::string foreign_text(const load::ForeignRun& run, const documents::Scenario& scenario,
                         const Console& console) {
  const serving::Totals& t = run.totals;
  std::string remarks;
  for (const std::string& remark : run.remarks) remarks += remark + "\n";
  return fmt::format(
      "{}{}{}: {}\n\n{}\n{}\n"
      "throughput          {} output and {} input tokens per second\n\n{}",
      console.bold(run.tool), run.label.empty() ? "" : ", ", run.label,
      report::duration_text(run.seconds), ledger_table(scenario.classes, t), latency_table(t),
      report::count(t.output_tokens_per_s), report::count(t.input_tokens_per_s), remarks);
}

std::string load_remarks(const load::Outcome& o, const LoadContext& context) {
  std::string out = failure_lines(o);
  const load::Saturation& s = o.saturation;
  if (s.server()) {
    out += fmt::format(
        "server saturated    from {:.0f} s to {:.0f} s its backlog grew from {:.0f} to {:.0f} "
        "requests:\n                    latencies there depend on how long the run was\n",
        s.server_from_s, s.server_until_s, s.backlog_from, s.backlog_to);
  }
  if (s.client()) {
    out += fmt::format(
        "client too slow     from {:.0f} s on requests left late ({}): these figures do not "
        "speak of the server alone\n",
        s.client_from_s,
        s.streams_full ? "every stream was in use; --streams N for more"
                       : "this machine is busy; run it elsewhere or lower --rate");
  }
  if (o.resent > 0) {
    out += fmt::format(
        "sent again          {} requests: the server closed a kept connection under them\n",
        report::count(static_cast<double>(o.resent)));
  }
  if (context.shortened > 0) {
    out += fmt::format("shortened           {} requests to fit the model's {} tokens\n",
                       report::count(static_cast<double>(context.shortened)), context.context_max);
  }
  out += fmt::format(
      "client              left late by {} (p50), {} (p99); {:.1f} ms of processor time per 1,000 "
      "tokens\n",
      report::milliseconds(o.lag_ms.p50), report::milliseconds(o.lag_ms.p99),
      cpu_ms_per_1000_tokens(o));
  return out;
}

}  // namespace arqon::app
