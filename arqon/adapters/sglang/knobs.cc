// Our names for what SGLang schedules by (server.h, candidates).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "arqon/adapters/sglang/server.h"

namespace arqon::adapters::sglang {
namespace {

using wire::Value;

constexpr double kQueuedMax = 1e6;  // a queue that long is no limit
constexpr double kConservativenessMin = 0.05, kConservativenessMax = 10;
// A lower cap acts as requests end, a chunk size at the next batch.
constexpr Duration kSettleRequests = std::chrono::seconds(15);
constexpr Duration kSettleBatch = std::chrono::seconds(3);

Candidate candidate(std::string name, std::string key, ParamType type) {
  Candidate out;
  out.offer.name = std::move(name);
  out.offer.engine_name = key;
  out.offer.domain.type = type;
  out.offer.domain.change_class = ChangeClass::kLive;
  out.offer.settle = kSettleBatch;
  out.key = std::move(key);
  return out;
}

void bound(Candidate& c, double min, double max, double now) {
  c.offer.domain.min = min;
  c.offer.domain.max = max;
  c.offer.domain.scale = min > 0 ? Scale::kLog : Scale::kLinear;
  c.offer.facts.boot_capacity = max;
  c.offer.value = now;
  if (now < min || now > max) {
    c.offer.absent = fmt::format("the value in force, {}, is outside [{}, {}]", now, min, max);
  } else if (min >= max) {
    c.offer.absent = fmt::format("nothing to choose: the engine allows {} alone", max);
  }
}

bool readable(Candidate& c, const Value* now, std::string_view otherwise) {
  if (now != nullptr && now->is_number()) return true;
  c.offer.absent = otherwise;
  return false;
}

// The cap on running requests: max_running_requests where the scheduler takes it live. Every build
// reads pp_max_micro_batch_size when it admits requests; without pipeline parallelism that is the
// same cap under another name.
Candidate batch_size(const Info& info) {
  if (info.has_live_knobs()) {
    Candidate c = candidate("batch_size", "max_running_requests", ParamType::kInt);
    const Value* now = info.from_scheduler("max_running_requests");
    const Value* most = info.ceiling("max_running_requests");
    if (most == nullptr || !most->is_number()) most = now;
    if (readable(c, now, "not read back")) bound(c, 1, most->number(), now->number());
    c.offer.settle = kSettleRequests;
    c.offer.facts.note = "cap on running requests per data-parallel rank; lower acts as they end";
    return c;
  }
  Candidate c = candidate("batch_size", "pp_max_micro_batch_size", ParamType::kInt);
  c.stock = true;
  const Value* now = info.from_scheduler("pp_max_micro_batch_size");
  const Value* most = info.from_scheduler("effective_max_running_requests_per_dp");
  const double stages = std::max(1.0, info.number("pp_size", 1));
  if (readable(c, now,
               "max_running_requests needs a restart on this build (--max-running-requests), and "
               "pp_max_micro_batch_size is not read back")) {
    const bool told = most != nullptr && most->is_number();
    const double cap = told ? std::floor(most->number() / stages) : now->number();
    bound(c, 1, cap, now->number());
  }
  c.offer.settle = kSettleRequests;
  c.offer.facts.note =
      "requests that one micro-batch may hold per data-parallel rank, up to "
      "max_running_requests / pp_size; lower acts as they end";
  return c;
}

Candidate prefill_budget(const Info& info) {
  Candidate c = candidate("prefill_token_budget", "chunked_prefill_size", ParamType::kInt);
  const Value* now = info.in_force("chunked_prefill_size");
  const double boot = info.number("chunked_prefill_size", 0);
  const double page = std::max(1.0, info.number("page_size", 1));
  if (readable(c, now, "not read back")) {
    if (now->number() <= 0) {
      c.offer.absent = "chunked prefill is off: start with --chunked-prefill-size";
    } else {
      bound(c, page, std::max(boot, now->number()), now->number());
      c.offer.domain.step = page;
    }
  }
  c.offer.facts.note = "tokens of a prompt per prefill batch; up to the size of the start";
  return c;
}

Candidate prefill_tokens(const Info& info) {
  Candidate c = candidate("max_prefill_tokens", "max_prefill_tokens", ParamType::kInt);
  const Value* now = info.in_force("max_prefill_tokens");
  const Value* most = info.ceiling("max_prefill_tokens");
  const double pool = info.number("max_total_num_tokens", now == nullptr ? 0 : now->number());
  if (readable(c, now, "not read back")) {
    const bool told = most != nullptr && most->is_number();
    bound(c, 1, told ? most->number() : pool, now->number());
  }
  c.offer.facts.note =
      "tokens of all prompts per prefill batch; the engine takes the larger of "
      "this and the context length";
  return c;
}

Candidate queued(const Info& info) {
  Candidate c = candidate("max_queued_requests", "max_queued_requests", ParamType::kInt);
  if (readable(c, info.in_force("max_queued_requests"),
               "no limit was set at the start: give --max-queued-requests")) {
    bound(c, 0, kQueuedMax, info.in_force("max_queued_requests")->number());
  }
  c.offer.facts.note = "requests that may wait; more are refused and count as bad";
  return c;
}

Candidate conservativeness(const Info& info) {
  Candidate c =
      candidate("schedule_conservativeness", "schedule_conservativeness", ParamType::kFloat);
  const Value* now = info.in_force("schedule_conservativeness");
  if (readable(c, now, "not read back")) {
    bound(c, kConservativenessMin, kConservativenessMax, now->number());
  }
  c.offer.facts.note = "higher admits later and retracts less";
  return c;
}

Candidate policy(const Info& info) {
  Candidate c = candidate("schedule_policy", "schedule_policy", ParamType::kCategorical);
  std::vector<std::string>& choices = c.offer.domain.choices;
  choices = {"fcfs", "lpm", "dfs-weight", "lof"};
  const Value* now = info.in_force("schedule_policy");
  const std::string* name = now == nullptr ? nullptr : now->as_string();
  const auto it =
      name == nullptr ? choices.end() : std::find(choices.begin(), choices.end(), *name);
  c.offer.domain.max = static_cast<double>(choices.size() - 1);
  if (it == choices.end()) {
    c.offer.absent = name == nullptr ? "not read back" : "\"" + *name + "\" is none of our choices";
  } else {
    c.offer.value = static_cast<double>(std::distance(choices.begin(), it));
  }
  c.offer.facts.note = "order of the waiting queue";
  return c;
}

Candidate never(std::string name, std::string key, std::string why) {
  Candidate c = candidate(std::move(name), std::move(key), ParamType::kInt);
  c.offer.absent = std::move(why);
  return c;
}

}  // namespace

std::vector<Candidate> candidates(const Info& info) {
  return {
      batch_size(info),
      prefill_budget(info),
      prefill_tokens(info),
      queued(info),
      conservativeness(info),
      policy(info),
      never("speculative_decoding_k", "speculative_num_steps",
            "needs a restart with --speculative-num-steps"),
      never("kv_cache_size", "mem_fraction_static", "needs a restart with --mem-fraction-static"),
      never("speculative_accept_threshold", "speculative_accept_threshold_single",
            "live, but it changes what the model answers: never moved")};
}

wire::Value written(const Candidate& candidate, double value) {
  const Parameter& domain = candidate.offer.domain;
  if (domain.type == ParamType::kCategorical) {
    return Value(domain.choices[static_cast<std::size_t>(std::llround(value))]);
  }
  if (domain.type == ParamType::kInt) return Value(std::int64_t{std::llround(value)});
  return Value(value);
}

}  // namespace arqon::adapters::sglang
