#include "arqon/adapters/vllm/knobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "arqon/wire/diagnostic.h"

namespace arqon::adapters::vllm {
namespace {

// Beyond any queue; a limit that high is no limit.
constexpr double kQueuedRequestsMax = 1e6;
constexpr double kQueuedTokensMax = 1e9;
// Engines with more than this share of the blocks held back would hardly admit anything.
constexpr std::int64_t kHeadroomShare = 5;

struct Bounds {
  double min = 0, max = 0;
  std::string capacity;
};

Bounds bounds_of(Slot slot, const Report& r) {
  switch (slot) {
    case kBatchSize:
      return {1, static_cast<double>(r.max_num_seqs),
              fmt::format("max_num_seqs {} of its start", r.max_num_seqs)};
    case kPrefillTokenBudget:
      return {static_cast<double>((1 + r.num_speculative_tokens) * r.max_num_seqs),
              static_cast<double>(r.max_num_batched_tokens),
              fmt::format("(1 + {}) x max_num_seqs {} .. max_num_batched_tokens {} of its start",
                          r.num_speculative_tokens, r.max_num_seqs, r.max_num_batched_tokens)};
    case kLongPrefillThreshold:
      return {0, static_cast<double>(r.max_model_len),
              fmt::format("max_model_len {}", r.max_model_len)};
    case kKvHeadroomBlocks:
      return {0, static_cast<double>(r.blocks / kHeadroomShare),
              fmt::format("a fifth of its {} KV blocks", r.blocks)};
    case kReserveFullPrompt:
      return {0, 1, "a switch"};
    case kSpeculativeK:
      return {0, static_cast<double>(r.num_speculative_tokens),
              fmt::format("num_speculative_tokens {} of its start", r.num_speculative_tokens)};
    case kMaxQueuedRequests:
      return {0, kQueuedRequestsMax, "a million requests"};
    case kMaxQueuedTokens:
      return {0, kQueuedTokensMax, "a billion tokens"};
    case kSlotsUsed:
      break;
  }
  return {};
}

std::string why_absent(Slot slot, const Report& report) {
  if (report.has(kPlainScheduler)) {
    return "the plugin runs as the plain scheduler: this vLLM is outside the versions it was "
           "checked with; see \"why\" in its identity.json";
  }
  if (slot == kSpeculativeK) {
    return "the engine was started without a table of speculation: give "
           "num_speculative_tokens_per_batch_size in --speculative-config";
  }
  return "the plugin does not find this attribute in this vLLM";
}

Offer live_offer(const KnobKind& kind, const EngineFacts& facts) {
  Offer out{.kind = &kind};
  const bool of_api = *kind.slot >= kMaxQueuedRequests;
  const std::optional<Report>& report = of_api ? facts.api : facts.rank;
  if (!facts.rank) {
    out.why = facts.no_plugin;
  } else if (!report || !report->present()) {
    out.why = "the plugin's part in the API process does not report; is it the same installation?";
  } else if (((report->supported >> *kind.slot) & 1U) == 0) {
    out.why = why_absent(*kind.slot, *report);
  } else {
    const Bounds bounds = bounds_of(*kind.slot, *report);
    out.min = bounds.min, out.max = bounds.max, out.capacity = bounds.capacity;
    out.value = static_cast<double>(report->effective[*kind.slot]);
    out.available = out.min <= out.max && out.max > 0;
    if (!out.available) out.why = fmt::format("nothing to choose inside {}", out.capacity);
  }
  return out;
}

Offer restart_offer(const KnobKind& kind, const EngineFacts& facts) {
  Offer out{.kind = &kind, .min = 1, .max = 1e6};
  out.capacity = "what the device holds";
  if (kind.name == "max_num_seqs") {
    out.value = facts.rank ? static_cast<double>(facts.rank->max_num_seqs) : -1;
  } else if (kind.name == "gpu_memory_utilization") {
    out.min = 0.01, out.max = 1;
    out.value = facts.metrics ? facts.metrics->gpu_memory_utilization : -1;
  } else {
    out.max = 1e13;
    out.value = facts.metrics ? facts.metrics->kv_cache_bytes : -1;
  }
  out.available = facts.can_restart && out.value > 0;
  if (!facts.can_restart) {
    out.why =
        "needs a new process: give target.restart, the command that starts this replica "
        "again, and target.router, which takes it out of service meanwhile";
  } else if (!out.available) {
    out.why = "the engine does not say what it was started with";
  }
  return out;
}

std::string names_of(const std::vector<Offer>& offers) {
  std::string out;
  for (const Offer& offer : offers) {
    if (offer.available) out += fmt::format("{}{}", out.empty() ? "" : ", ", offer.kind->name);
  }
  return out.empty() ? "none" : out;
}

const Offer* find_offer(const std::vector<Offer>& offers, std::string_view name) {
  const auto it =
      std::ranges::find_if(offers, [&](const Offer& o) { return o.kind->name == name; });
  return it == offers.end() ? nullptr : &*it;
}

Parameter full_parameter(const Offer& offer) {
  Parameter p;
  p.name = fmt::format("main.{}", offer.kind->name);
  p.type = offer.kind->slot == kReserveFullPrompt ? ParamType::kBool : ParamType::kInt;
  p.min = offer.min, p.max = offer.max;
  p.scale = p.min >= 1 ? Scale::kLog : Scale::kLinear;
  p.default_value = std::vector<double>{offer.value};
  return p;
}

// What is wrong with the wanted knob; empty when nothing is.
std::string mistake(const Parameter& p, const Offer* offer, const std::vector<Offer>& offers,
                    InForce in_force) {
  if (offer == nullptr) {
    std::vector<std::string> known;
    for (const KnobKind& kind : knob_kinds()) known.emplace_back(kind.name);
    const std::string near = wire::nearest_name(p.name.substr(p.name.find('.') + 1), known);
    return fmt::format("vLLM has no such knob{}; this engine offers: {}",
                       near.empty() ? "" : fmt::format(" (did you mean \"{}\"?)", near),
                       names_of(offers));
  }
  if (!offer->available) {
    return fmt::format("cannot be moved here: {}; this engine offers: {}", offer->why,
                       names_of(offers));
  }
  if (p.slots() != 1 || p.type == ParamType::kCategorical) return "is one number";
  if (p.min < offer->min || p.max > offer->max) {
    return fmt::format(
        "[{}, {}] goes beyond [{}, {}], {}: narrow it, or start the engine with more", p.min, p.max,
        offer->min, offer->max, offer->capacity);
  }
  const Space domain({p});
  const Config value{offer->value};
  if (in_force == InForce::kInDomain && !domain.contains(value)) {
    return fmt::format(
        "the value in force, {}, is outside [{}, {}] in steps of {}: widen it so "
        "that there is a way back",
        offer->value, p.min, p.max, p.grid_step());
  }
  return "";
}

// Value of a tuned knob in `setting`, or what the report says is in force.
double value_of(const std::vector<Knob>& knobs, const Config& setting, std::string_view name,
                double fallback) {
  for (std::size_t i = 0; i < knobs.size(); ++i) {
    if (knobs[i].kind->name == name) return setting[i];
  }
  return fallback;
}

}  // namespace

const std::vector<KnobKind>& knob_kinds() {
  static const std::vector<KnobKind> kinds = {
      {"batch_size", "max_num_active_reqs", kBatchSize,
       "gates admission only: raising acts at the next step, lowering as requests finish"},
      {"prefill_token_budget", "max_num_scheduled_tokens", kPrefillTokenBudget,
       "tokens of one step; acts at the next step"},
      {"long_prefill_threshold", "scheduler_config.long_prefill_token_threshold",
       kLongPrefillThreshold, "0 = off, else at least one KV block"},
      {"kv_headroom_blocks", "kv_cache_manager.watermark_blocks", kKvHeadroomBlocks,
       "KV blocks kept free when requests are admitted: fewer preemptions, fewer admissions"},
      {"reserve_full_prompt", "scheduler_reserve_full_isl", kReserveFullPrompt,
       "admit a request only where its whole prompt fits"},
      {"speculative_decoding_k", "dynamic_sd_lookup", kSpeculativeK,
       "drafted tokens per step, for every batch size"},
      {"max_queued_requests", "scheduler_config.max_num_queued_reqs", kMaxQueuedRequests,
       "open requests beyond which the API answers 503, running ones included; 0 = no limit"},
      {"max_queued_tokens", "scheduler_config.max_num_queued_tokens", kMaxQueuedTokens,
       "prompt tokens waiting beyond which the API answers 503; 0 = no limit"},
      {"max_num_seqs", "--max-num-seqs", std::nullopt,
       "boot capacity of batch_size: by a rolling restart"},
      {"gpu_memory_utilization", "--gpu-memory-utilization", std::nullopt,
       "share of the device's memory: by a rolling restart"},
      {"kv_cache_size", "--kv-cache-memory-bytes", std::nullopt,
       "bytes of KV cache: by a rolling restart"},
  };
  return kinds;
}

const KnobKind* find_kind(std::string_view name) {
  const std::vector<KnobKind>& kinds = knob_kinds();
  const auto it = std::ranges::find(kinds, name, &KnobKind::name);
  return it == kinds.end() ? nullptr : &*it;
}

std::vector<Offer> offers(const EngineFacts& facts) {
  std::vector<Offer> out;
  for (const KnobKind& kind : knob_kinds()) {
    out.push_back(kind.slot ? live_offer(kind, facts) : restart_offer(kind, facts));
  }
  return out;
}

Result<std::vector<Knob>> resolve_knobs(const std::vector<Parameter>& wanted,
                                        const std::vector<Offer>& offers, InForce in_force) {
  std::vector<Parameter> parameters = wanted;
  for (const Offer& offer : offers) {
    if (wanted.empty() && offer.available && offer.kind->slot) {
      parameters.push_back(full_parameter(offer));
    }
  }
  std::vector<Knob> knobs;
  std::string errors;
  for (Parameter& p : parameters) {
    const std::size_t dot = p.name.find('.');
    const std::string pool = p.name.substr(0, dot);
    const std::string name = dot == std::string::npos ? "" : p.name.substr(dot + 1);
    const Offer* offer = find_offer(offers, name);
    std::string wrong = mistake(p, offer, offers, in_force);
    if (pool.find('/') != std::string::npos) wrong = "address the pool, not one replica";
    if (!wrong.empty()) {
      errors += fmt::format("{}knobs.{}: {}", errors.empty() ? "" : "\n", p.name, wrong);
      continue;
    }
    if (p.change_class != ChangeClass::kForbidden) {
      p.change_class = offer->kind->slot ? ChangeClass::kLive : ChangeClass::kRestart;
    }
    knobs.push_back({std::move(p), offer->kind, offer->max, offer->value});
  }
  if (!errors.empty()) return fail(ErrorCode::kInvalidConfig, errors);
  return knobs;
}

Status check_rules(const std::vector<Knob>& knobs, const Config& setting, const Report& rank) {
  const auto in_force = [&](Slot slot) { return static_cast<double>(rank.effective[slot]); };
  const double seqs =
      value_of(knobs, setting, "max_num_seqs", static_cast<double>(rank.max_num_seqs));
  const double cap = value_of(knobs, setting, "batch_size", std::min(seqs, in_force(kBatchSize)));
  const double budget =
      value_of(knobs, setting, "prefill_token_budget", in_force(kPrefillTokenBudget));
  const double chunk =
      value_of(knobs, setting, "long_prefill_threshold", in_force(kLongPrefillThreshold));
  const double per_sequence = static_cast<double>(1 + rank.num_speculative_tokens);
  if (cap > seqs) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("batch_size {} is more than max_num_seqs {}", cap, seqs));
  }
  if (budget < per_sequence * seqs) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("prefill_token_budget {} is less than (1 + {}) tokens x max_num_seqs "
                            "{}: running requests would starve",
                            budget, rank.num_speculative_tokens, seqs));
  }
  if (chunk > 0 && chunk < static_cast<double>(rank.block_size)) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("long_prefill_threshold {} is less than one KV block of {} tokens: "
                            "choose 0 (off) or more",
                            chunk, rank.block_size));
  }
  return {};
}

}  // namespace arqon::adapters::vllm
