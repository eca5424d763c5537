#include "arqon/serving/request_outcome.h"

namespace arqon::serving {
namespace {

bool breaks(double measured, double limit) { return measured >= 0 && measured > limit; }

}  // namespace

Limit judge(const RequestOutcome& request, const Slo& slo) {
  using End = RequestOutcome::End;
  if (request.end == End::kRejected || request.end == End::kFailed) return Limit::kRejected;
  const double ttft_limit =
      slo.ttft_ms + slo.ttft_ms_per_prompt_token * static_cast<double>(request.prompt_tokens);
  if (breaks(request.ttft_ms, ttft_limit)) return Limit::kTtft;
  if (breaks(request.max_gap_ms, slo.max_gap_ms)) return Limit::kGap;
  if (breaks(request.tpot_ms, slo.tpot_ms)) return Limit::kTpot;
  if (breaks(request.e2e_ms, slo.e2e_ms)) return Limit::kE2e;
  return request.end == End::kCut ? Limit::kCap : Limit::kNone;
}

Limit count(const RequestOutcome& request, const Slo& slo, ClassCounters& counters) {
  const Limit broken = judge(request, slo);
  ++counters.arrived;
  counters.prompt_tokens += request.prompt_tokens;
  if (broken == Limit::kNone) {
    ++counters.good;
    counters.good_tokens += request.output_tokens;
  } else {
    ++counters.bad;
    ++counters.bad_by[static_cast<std::size_t>(broken)];
  }
  counters.output_tokens += request.output_tokens;
  if (request.ttft_ms >= 0) counters.ttft_ms.record(request.ttft_ms);
  if (request.max_gap_ms >= 0) counters.gap_ms.record(request.max_gap_ms);
  if (request.tpot_ms >= 0) counters.tpot_ms.record(request.tpot_ms);
  return broken;
}

}  // namespace arqon::serving
