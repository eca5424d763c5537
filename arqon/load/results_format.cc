#include "arqon/load/results_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace arqon::load::results {

using wire::Value;

void Reader::complain(const Value* at, std::string_view path, std::string_view what) {
  if (!error_.empty()) return;
  error_ = at != nullptr && at->line > 0 ? fmt::format("{}:{}: {}: {}", at->line + line_offset_,
                                                       at->column, path, what)
                                         : fmt::format("{}: {}", path, what);
}

const Value* Reader::need(const Value& object, std::string_view key, std::string_view path) {
  const Value* value = object.find(key);
  if (value == nullptr) complain(&object, join(path, key), "is missing");
  return value;
}

std::optional<double> Reader::number(const Value& object, std::string_view key,
                                     std::string_view path, double min, double max) {
  const Value* value = object.find(key);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (value->is_number() && value->number() >= min && value->number() <= max) {
    return value->number();
  }
  complain(value, join(path, key), fmt::format("must be a number from {} to {}", min, max));
  return std::nullopt;
}

double Reader::need_number(const Value& object, std::string_view key, std::string_view path,
                           double min, double max) {
  if (need(object, key, path) == nullptr) return 0;
  const auto value = number(object, key, path, min, max);
  if (!value) complain(object.find(key), join(path, key), "must be a number");
  return value.value_or(0);
}

const wire::Array* Reader::array(const Value& object, std::string_view key,
                                 std::string_view path) {
  static const wire::Array kNone;
  const Value* value = object.find(key);
  if (value == nullptr || value->is_null()) return &kNone;
  if (value->as_array() == nullptr) complain(value, join(path, key), "must be a list");
  return value->as_array() == nullptr ? &kNone : value->as_array();
}

std::string Reader::text(const Value& object, std::string_view key) {
  const Value* value = object.find(key);
  return value != nullptr && value->as_string() != nullptr ? *value->as_string() : "";
}

std::string Reader::join(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

void finish(ForeignRun& run, const serving::Slo& slo) {
  double first = std::numeric_limits<double>::infinity(), last = 0, prompt = 0, output = 0;
  for (const Row& row : run.rows) first = std::min(first, row.warmup ? first : row.arrival_s);
  if (!std::isfinite(first)) first = 0;
  for (Row& row : run.rows) {
    for (double* t : {&row.arrival_s, &row.sent_s, &row.first_token_s, &row.last_token_s,
                      &row.end_s}) {
      if (*t != Row::kNever) *t -= first;
    }
    row.broke = serving::judge(outcome_of(row), slo);
    if (row.warmup) continue;
    last = std::max({last, row.arrival_s, row.end_s});
    prompt += row.prompt_tokens;
    if (row.ended && row.failure == Failure::kNone) output += row.output_tokens;
  }
  std::stable_sort(run.rows.begin(), run.rows.end(),
                   [](const Row& a, const Row& b) { return a.arrival_s < b.arrival_s; });
  constexpr double kAlways = std::numeric_limits<double>::infinity();
  run.totals = totals_of(run.rows, {slo}, -kAlways, kAlways);
  if (run.seconds <= 0) run.seconds = last;
  if (run.seconds <= 0) return;
  run.totals.output_tokens_per_s = output / run.seconds;
  run.totals.input_tokens_per_s = prompt / run.seconds;
}

void finish_summary(ForeignRun& run, const serving::Slo& slo, double good, double failed) {
  serving::ClassResult result;
  result.name = slo.name;
  result.ledger.good = static_cast<std::uint64_t>(good);
  result.ledger.rejected = static_cast<std::uint64_t>(failed);
  result.ledger.arrived = result.ledger.good + result.ledger.rejected;
  result.ttft_ms = run.totals.ttft_ms;
  result.tpot_ms = run.totals.tpot_ms;
  result.max_gap_ms = run.totals.max_gap_ms;
  result.e2e_ms = run.totals.e2e_ms;
  run.totals.ledger = result.ledger;
  run.totals.attainment = result.ledger.attainment();
  run.totals.classes = {std::move(result)};
  run.remarks.emplace_back(
      "The file has summaries alone: no request is judged by a limit, and good means finished.");
}

}  // namespace arqon::load::results
