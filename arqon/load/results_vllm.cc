#include "arqon/load/results_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace arqon::load::results {

using wire::Value;

namespace {

Row vllm_row(Reader& in, const Value& root, std::size_t i) {
  const auto item = [&](std::string_view key, double max) {
    const wire::Array& list = *in.array(root, key, "");
    if (i >= list.size()) return std::optional<double>();
    const Value& value = list[i];
    if (value.is_number() && std::fabs(value.number()) <= max) return std::optional(value.number());
    in.complain(&value, fmt::format("{}[{}]", key, i), "must be a number within bounds");
    return std::optional<double>();
  };
  Row row;
  row.ended = true;
  row.arrival_s = row.sent_s = item("start_times", 1e18).value_or(0);
  row.prompt_tokens = tokens(item("input_lens", kTokensMax));
  row.output_tokens = tokens(item("output_lens", kTokensMax));
  row.output_asked = row.output_tokens;
  const wire::Array& errors = *in.array(root, "errors", "");
  const std::string* error = i < errors.size() ? errors[i].as_string() : nullptr;
  const double ttft_s = item("ttfts", kSecondsMax).value_or(0);
  if ((error != nullptr && !error->empty()) || row.output_tokens == 0) {
    row.failure = error != nullptr && !error->empty() ? Failure::kError : Failure::kNoTokens;
    row.end_s = row.sent_s + ttft_s;
    return row;
  }
  row.first_token_s = row.last_token_s = row.sent_s + ttft_s;
  row.pieces = 1;
  const wire::Array& itls = *in.array(root, "itls", "");
  const wire::Array* gaps = i < itls.size() ? itls[i].as_array() : nullptr;
  for (const Value& gap : gaps != nullptr ? *gaps : wire::Array{}) {
    if (!gap.is_number() || gap.number() < 0 || gap.number() > kSecondsMax) {
      in.complain(&gap, fmt::format("itls[{}]", i), "must be times in seconds");
      break;
    }
    row.last_token_s += gap.number();
    row.max_gap_ms = std::max(row.max_gap_ms, gap.number() * 1e3);
    ++row.pieces;
  }
  row.end_s = row.last_token_s;
  return row;
}

serving::Quantiles vllm_quantiles(Reader& in, const Value& root, const std::string& metric,
                                  std::uint64_t n) {
  const auto get = [&](const std::string& what) {
    return in.number(root, fmt::format("{}_{}_ms", what, metric), "", 0, kSecondsMax * 1e3);
  };
  serving::Quantiles q;
  const auto mean = get("mean");
  if (!mean) return q;
  q.mean = *mean;
  q.p50 = get("median").value_or(0);
  q.p90 = get("p90").value_or(0);
  q.p95 = get("p95").value_or(0);
  q.p99 = get("p99").value_or(0);
  q.n = n;
  return q;
}

}  // namespace

bool is_vllm(const Value& root) {
  return root.find("completed") != nullptr && root.find("total_output_tokens") != nullptr &&
         root.find("request_throughput") != nullptr;
}

ForeignRun read_vllm(Reader& in, const Value& root, const serving::Slo& slo) {
  ForeignRun run;
  run.tool = "vllm bench serve";
  run.label = Reader::text(root, "label");
  run.model = Reader::text(root, "model_id");
  run.seconds = in.need_number(root, "duration", "", 0, kSecondsMax);
  const double completed = in.need_number(root, "completed", "", 0, kTokensMax);
  const double failed = in.number(root, "failed", "", 0, kTokensMax).value_or(0);
  const wire::Array& ttfts = *in.array(root, "ttfts", "");
  for (const std::string_view key : {"input_lens", "output_lens", "itls", "errors"}) {
    const Value* list = root.find(key);
    if (list == nullptr || ttfts.empty() || in.array(root, key, "")->size() == ttfts.size()) {
      continue;
    }
    in.complain(list, key, fmt::format("must have {} items as ttfts has", ttfts.size()));
  }
  if (!ttfts.empty()) {
    for (std::size_t i = 0; i < ttfts.size() && in.good(); ++i) {
      run.rows.push_back(vllm_row(in, root, i));
    }
    run.remarks.emplace_back(
        root.find("start_times") != nullptr
            ? "Latencies count from sending, not from the moment a request was due."
            : "The file does not say when requests were sent; latencies count from sending.");
    finish(run, slo);
    return run;
  }
  const auto n = static_cast<std::uint64_t>(completed);
  run.totals.ttft_ms = vllm_quantiles(in, root, "ttft", n);
  run.totals.tpot_ms = vllm_quantiles(in, root, "tpot", n);
  run.totals.e2e_ms = vllm_quantiles(in, root, "e2el", n);
  run.totals.output_tokens_per_s =
      in.number(root, "output_throughput", "", 0, 1e12).value_or(0);
  if (run.seconds > 0) {
    run.totals.input_tokens_per_s =
        in.number(root, "total_input_tokens", "", 0, 1e15).value_or(0) / run.seconds;
  }
  run.totals.good_tokens = static_cast<std::uint64_t>(
      in.number(root, "total_output_tokens", "", 0, 1e15).value_or(0));
  finish_summary(run, slo, completed, failed);
  run.remarks.emplace_back("vllm bench serve keeps requests with --save-detailed.");
  return run;
}

}  // namespace arqon::load::results
