#include "arqon/sim/settings.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace arqon::sim {
namespace {

template <auto Member>
void write_live(EngineSettings& s, double v) {
  s.live.*Member = std::llround(v);
}
template <auto Member>
double read_live(const EngineSettings& s) {
  return static_cast<double>(s.live.*Member);
}
template <auto Member>
constexpr EngineKnob live_knob(std::string_view name) {
  return {name, false, &read_live<Member>, &write_live<Member>};
}

constexpr std::array<EngineKnob, 11> kKnobs = {{
    live_knob<&LiveSettings::batch_size>("batch_size"),
    live_knob<&LiveSettings::prefill_token_budget>("prefill_token_budget"),
    live_knob<&LiveSettings::long_prefill_threshold>("long_prefill_threshold"),
    live_knob<&LiveSettings::queued_token_limit>("queued_token_limit"),
    live_knob<&LiveSettings::speculative_decoding_k>("speculative_decoding_k"),
    live_knob<&LiveSettings::max_tokens>("max_tokens"),
    {"max_wait_ms", false, [](const EngineSettings& s) { return s.live.max_wait_ms; },
     [](EngineSettings& s, double v) { s.live.max_wait_ms = v; }},
    {"deadline_shed", false, [](const EngineSettings& s) { return s.live.deadline_shed; },
     [](EngineSettings& s, double v) { s.live.deadline_shed = v; }},
    {"block_size", true,
     [](const EngineSettings& s) { return static_cast<double>(s.boot.block_size); },
     [](EngineSettings& s, double v) { s.boot.block_size = std::llround(v); }},
    {"gpu_memory_utilization", true,
     [](const EngineSettings& s) { return s.boot.gpu_memory_utilization; },
     [](EngineSettings& s, double v) { s.boot.gpu_memory_utilization = v; }},
    {"kv_cache_blocks", true,
     [](const EngineSettings& s) { return static_cast<double>(s.boot.kv_cache_blocks); },
     [](EngineSettings& s, double v) { s.boot.kv_cache_blocks = std::llround(v); }},
}};

const EngineKnob* find_knob(std::string_view name) {
  for (const EngineKnob& knob : kKnobs) {
    if (knob.name == name) return &knob;
  }
  return nullptr;
}

std::string known_addresses(const FleetSpec& fleet) {
  std::string pools;
  for (const PoolSpec& pool : fleet.pools) pools += (pools.empty() ? "" : ", ") + pool.name;
  std::string names;
  for (const EngineKnob& knob : kKnobs) names += std::string(knob.name) + ", ";
  return fmt::format(
      "known: router.weights, router.pool_weights, router.spill_depth, router.cascade_threshold, "
      "and "
      "POOL.KNOB or POOL/N.KNOB with pools {} and knobs {}replicas, prefill_replicas",
      pools, names);
}

tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidConfig, std::move(message));
}

tl::unexpected<Error> unknown(std::string_view address, const FleetSpec& fleet) {
  return invalid(fmt::format("unknown knob \"{}\"; {}", address, known_addresses(fleet)));
}

// Of "router.knob"; nothing when there is no such knob.
Result<KnobBinding> bind_router(const Parameter& parameter, const FleetSpec& fleet,
                                std::size_t seats) {
  const std::string_view address = parameter.name;
  const bool weights = address == "router.weights", pools = address == "router.pool_weights";
  if (weights || pools) {
    const std::size_t parts = weights ? seats : fleet.pools.size();
    if (parameter.type != ParamType::kSimplex || parameter.slots() != parts) {
      return invalid(fmt::format("knob \"{}\" must be a simplex with one choice per {} ({} in this "
                                 "fleet)",
                                 address, weights ? "replica" : "pool", parts));
    }
    return KnobBinding{.kind = weights ? KnobKind::kRouterWeights : KnobKind::kPoolWeights,
                       .replicas = seats,
                       .slots = parts};
  }
  const bool depth = address == "router.spill_depth";
  if (!depth && address != "router.cascade_threshold") return unknown(address, fleet);
  if (parameter.slots() != 1 || (depth && !(parameter.min >= 0))) {
    return invalid(fmt::format("knob \"{}\" must be a number{}", address,
                               depth ? ", and its least value 0 or more" : ""));
  }
  if (!depth && !fleet.router.cascade) {
    return invalid(fmt::format("knob \"{}\" needs router.cascade", address));
  }
  return KnobBinding{.kind = depth ? KnobKind::kSpillDepth : KnobKind::kThreshold,
                     .replicas = seats};
}

// "pool.replicas" and "pool.prefill_replicas".
Result<KnobBinding> bind_count(const Parameter& parameter, KnobKind kind, const PoolSpec& pool) {
  const double low = kind == KnobKind::kReplicas ? 1 : 0;
  const double high = seats_of(pool) - (kind == KnobKind::kReplicas ? 0 : 1);
  if (parameter.type != ParamType::kInt || !(parameter.min >= low && parameter.max <= high)) {
    return invalid(fmt::format("knob \"{}\" must be an int inside [{}, {}], replicas_max {}",
                               parameter.name, low, high,
                               kind == KnobKind::kReplicas ? "included" : "less one that decodes"));
  }
  return KnobBinding{.kind = kind};
}

Result<KnobBinding> bind_in_pool(const Parameter& parameter, std::string_view knob_name,
                                 const PoolSpec& pool) {
  if (knob_name == "replicas") return bind_count(parameter, KnobKind::kReplicas, pool);
  if (knob_name == "prefill_replicas") {
    return bind_count(parameter, KnobKind::kPrefillReplicas, pool);
  }
  if (parameter.slots() != 1) {
    return invalid(fmt::format("knob \"{}\" must be a number", parameter.name));
  }
  return KnobBinding{.knob = find_knob(knob_name)};
}

// The replica that "pool/N" names.
Result<std::size_t> replica_number(std::string_view address, std::string_view number, int count) {
  int index = -1;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
  if (error != std::errc{} || end != number.data() + number.size() || index < 0 || index >= count) {
    return invalid(fmt::format("knob \"{}\": replica must be 0 to {}", address, count - 1));
  }
  return static_cast<std::size_t>(index);
}

Result<KnobBinding> bind_knob(const Parameter& parameter, const FleetSpec& fleet) {
  const std::string_view address = parameter.name;
  std::size_t total = 0;
  for (const PoolSpec& pool : fleet.pools) total += static_cast<std::size_t>(seats_of(pool));
  const std::size_t dot = address.rfind('.');
  if (dot == std::string_view::npos) return unknown(address, fleet);
  if (address.substr(0, dot) == "router") return bind_router(parameter, fleet, total);
  const std::string_view name = address.substr(dot + 1), scope = address.substr(0, dot);
  const std::size_t slash = scope.rfind('/');
  const bool one = slash != std::string_view::npos;
  const bool count = name == "replicas" || name == "prefill_replicas";
  if ((count && one) || (!count && find_knob(name) == nullptr)) return unknown(address, fleet);
  std::size_t first = 0;
  for (std::size_t p = 0; p < fleet.pools.size(); ++p) {
    const PoolSpec& pool = fleet.pools[p];
    if (pool.name != scope.substr(0, slash)) {
      first += static_cast<std::size_t>(seats_of(pool));
      continue;
    }
    Result<KnobBinding> bound = bind_in_pool(parameter, name, pool);
    if (!bound) return bound;
    bound->pool = p;
    bound->first_replica = first;
    bound->replicas = static_cast<std::size_t>(seats_of(pool));
    if (one) {
      const auto index = replica_number(address, scope.substr(slash + 1), seats_of(pool));
      if (!index) return tl::unexpected<Error>(index.error());
      bound->first_replica += *index;
      bound->replicas = 1;
    }
    return bound;
  }
  return unknown(address, fleet);
}

}  // namespace

EngineSettings initial_settings(const EngineSpec& spec, const GpuData& gpu) {
  EngineSettings out;
  out.live.batch_size = spec.batch_size.value_or(gpu.batch_size);
  out.live.prefill_token_budget = spec.prefill_token_budget.value_or(gpu.prefill_token_budget);
  out.live.long_prefill_threshold = spec.long_prefill_threshold.value_or(0);
  out.live.queued_token_limit = spec.queued_token_limit.value_or(0);
  out.live.speculative_decoding_k = spec.speculative_decoding_k.value_or(0);
  out.live.max_tokens = spec.max_tokens.value_or(0);
  out.live.max_wait_ms = spec.max_wait_ms.value_or(0);
  out.live.deadline_shed = spec.deadline_shed.value_or(0);
  out.boot.block_size = spec.block_size.value_or(16);
  out.boot.gpu_memory_utilization = spec.gpu_memory_utilization.value_or(kMemoryUtilization);
  out.boot.kv_cache_blocks = spec.kv_cache_blocks.value_or(0);
  return out;
}

Status check_settings(const EngineSettings& settings, std::string_view where) {
  struct Range {
    std::string_view knob;
    double min, max;
  };
  // Upper ends keep integer time from overflowing; no engine comes near them.
  static constexpr std::array<Range, 11> kRanges = {{{"batch_size", 1, 1 << 16},
                                                     {"prefill_token_budget", 1, 1 << 20},
                                                     {"long_prefill_threshold", 0, 1 << 20},
                                                     {"queued_token_limit", 0, 1e15},
                                                     {"speculative_decoding_k", 0, 64},
                                                     {"max_tokens", 0, 1 << 30},
                                                     {"max_wait_ms", 0, 1e6},
                                                     {"deadline_shed", 0, 1000},
                                                     {"block_size", 1, 1024},
                                                     {"gpu_memory_utilization", 0.01, 1},
                                                     {"kv_cache_blocks", 0, 1 << 30}}};
  for (const Range& range : kRanges) {
    const double value = find_knob(range.knob)->read(settings);
    if (!(value >= range.min && value <= range.max)) {
      return fail(ErrorCode::kInvalidConfig,
                  fmt::format("{}.{} must lie in [{}, {}] (got {})", where, range.knob, range.min,
                              range.max, value));
    }
  }
  if (settings.live.prefill_token_budget < settings.live.speculative_decoding_k + 1) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("{}.prefill_token_budget must hold one speculative step ({} tokens)",
                            where, settings.live.speculative_decoding_k + 1));
  }
  return {};
}

std::span<const EngineKnob> engine_knobs() { return kKnobs; }

Result<std::vector<KnobBinding>> bind_knobs(const Space& knobs, const FleetSpec& fleet) {
  std::vector<KnobBinding> out;
  for (std::size_t i = 0; i < knobs.size(); ++i) {
    Result<KnobBinding> bound = bind_knob(knobs[i], fleet);
    if (!bound) return tl::unexpected<Error>(bound.error());
    bound->offset = knobs.offset(i);
    out.push_back(*bound);
  }
  return out;
}

}  // namespace arqon::sim
