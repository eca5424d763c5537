#include "arqon/sim/checks.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "arqon/sim/kv_pool.h"
#include "arqon/sim/model_data.h"
#include "arqon/sim/router.h"
#include "arqon/sim/scheduler.h"

namespace arqon::sim {
namespace {

// Keeps integer picoseconds far from overflow.
constexpr Duration kArrivalLast = std::chrono::hours(24 * 60);

template <typename Table>
std::string names_of(const Table& table) {
  std::string out;
  for (const auto& row : table) out += (out.empty() ? "" : ", ") + std::string(row.name);
  return out;
}

tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidConfig, std::move(message));
}

Status check_calibration(const PoolSpec& pool) {
  const Calibration& c = pool.calibration;
  struct Range {
    std::string_view name;
    double value, min, max;
  };
  const std::array<Range, 9> ranges = {
      {{"host_ms", c.host_ms, 0, 100},
       {"host_ms_per_sequence", c.host_ms_per_sequence, 0, 1},
       {"host_overlap", c.host_overlap.value_or(0), 0, 1},
       {"front_end_ms", c.front_end_ms, 0.1, 10000},
       {"linear_memory", c.linear_memory, 0.1, 10},
       {"linear_compute", c.linear_compute, 0.1, 10},
       {"linear_scale", c.linear_scale, 0.1, 10},
       {"decode_kv", c.decode_kv, 0.1, 10},
       {"other_memory_gb", c.other_memory_gb, 0, 1000}}};
  for (const Range& range : ranges) {
    if (range.value >= range.min && range.value <= range.max) continue;
    return invalid(fmt::format("pool \"{}\": calibration.{} must lie in [{}, {}] (got {})",
                               pool.name, range.name, range.min, range.max, range.value));
  }
  return {};
}

Status check_pool(const PoolSpec& pool) {
  if (model_of(pool) == nullptr) {
    return invalid(fmt::format("pool \"{}\": unknown model \"{}\"; known: {}", pool.name,
                               pool.model, names_of(known_models())));
  }
  if (gpu_of(pool) == nullptr) {
    return invalid(fmt::format("pool \"{}\": unknown gpu \"{}\"; known: {}", pool.name, pool.gpu,
                               names_of(known_gpus())));
  }
  if (const std::string fault = split_fault(*model_of(pool), pool.tp); !fault.empty()) {
    return invalid(fmt::format("pool \"{}\": tp {} (got {})", pool.name, fault, pool.tp));
  }
  if (pool.dtype != "bf16" && pool.dtype != "fp8") {
    return invalid(
        fmt::format("pool \"{}\": unknown dtype \"{}\"; known: bf16, fp8", pool.name, pool.dtype));
  }
  if (pool.dtype == "fp8" && gpu_of(pool)->fp8_speedup <= 1) {
    return invalid(fmt::format("pool \"{}\": {} has no fp8", pool.name, pool.gpu));
  }
  if (pool.replicas < 1 || pool.replicas > 1024) {
    return invalid(fmt::format("pool \"{}\": replicas must lie in [1, 1024] (got {})", pool.name,
                               pool.replicas));
  }
  if (!(pool.price_per_gpu_hour >= 0)) {
    return invalid(fmt::format("pool \"{}\": price_per_gpu_hour must not be negative", pool.name));
  }
  if (const auto scheduler = scheduler_options(pool.engine, fmt::format("pool \"{}\"", pool.name));
      !scheduler) {
    return tl::unexpected<Error>(scheduler.error());
  }
  return check_calibration(pool);
}

Status check_counts(const PoolSpec& pool) {
  if (pool.replicas_max != 0 && (pool.replicas_max < pool.replicas || pool.replicas_max > 1024)) {
    return invalid(fmt::format("pool \"{}\": replicas_max must be 0 or lie in [{}, 1024] (got {})",
                               pool.name, pool.replicas, pool.replicas_max));
  }
  if (pool.prefill_replicas < 0 || pool.prefill_replicas >= pool.replicas) {
    return invalid(fmt::format("pool \"{}\": prefill_replicas must leave a replica to decode: "
                               "lie in "
                               "[0, {}] (got {})",
                               pool.name, pool.replicas - 1, pool.prefill_replicas));
  }
  if (!(pool.price_per_million_tokens >= 0 && pool.price_per_million_tokens <= 1e6)) {
    return invalid(fmt::format("pool \"{}\": price_per_million_tokens must lie in [0, 1e6] (got "
                               "{})",
                               pool.name, pool.price_per_million_tokens));
  }
  return {};
}

const PoolSpec* find_pool(const FleetSpec& fleet, const std::string& name) {
  for (const PoolSpec& pool : fleet.pools) {
    if (pool.name == name) return &pool;
  }
  return nullptr;
}

Status check_cascade(const CascadeSpec& c, const FleetSpec& fleet) {
  for (const std::string& name : {c.small, c.large}) {
    if (find_pool(fleet, name) != nullptr) continue;
    return invalid(fmt::format("router.cascade: no pool is named \"{}\"", name));
  }
  if (c.small == c.large) return invalid("router.cascade: small and large must be two pools");
  const auto share = [](double v) { return v >= 0 && v <= 1; };
  if (!share(c.hard_share) || !share(c.caught) || !share(c.false_alarms) ||
      !(std::abs(c.threshold) <= 100) || !(std::abs(c.separation) <= 100)) {
    return invalid("router.cascade: hard_share, caught and false_alarms must lie in [0, 1], "
                   "threshold and separation in [-100, 100]");
  }
  return {};
}

Status check_events(const FleetSpec& fleet) {
  double last = 0;
  for (std::size_t i = 0; i < fleet.events.size(); ++i) {
    const FleetEvent& event = fleet.events[i];
    const auto where = fmt::format("fleet.events[{}]", i);
    if (!(event.at_s >= last && event.at_s <= 60 * 86400.0)) {
      return invalid(fmt::format("{}.at_s must not be before the event before it, nor after 60 "
                                 "days (got {})",
                                 where, event.at_s));
    }
    last = event.at_s;
    const PoolSpec* pool = find_pool(fleet, event.pool);
    if (pool == nullptr) return invalid(fmt::format("{}: no pool \"{}\"", where, event.pool));
    if (event.replica >= seats_of(*pool)) {
      return invalid(fmt::format("{}: pool \"{}\" has replicas 0 to {} (got {})", where, event.pool,
                                 seats_of(*pool) - 1, event.replica));
    }
    if (!(event.speed >= 0.05 && event.speed <= 1)) {
      return invalid(fmt::format("{}.speed must lie in [0.05, 1] (got {})", where, event.speed));
    }
  }
  return {};
}

Status check_pool_weights(const RouterSpec& router, std::size_t pools) {
  if (!(router.spill_depth >= 0 && router.spill_depth <= 1e9)) {
    return invalid(
        fmt::format("router.spill_depth must lie in [0, 1e9] (got {})", router.spill_depth));
  }
  double sum = 0;
  bool valid = router.pool_weights.empty() || router.pool_weights.size() == pools;
  for (const double w : router.pool_weights) {
    valid = valid && w >= 0 && std::isfinite(w);
    sum += w;
  }
  if (valid && (router.pool_weights.empty() || sum > 0)) return {};
  return invalid(fmt::format(
      "router.pool_weights must be {} values >= 0 with a positive sum, one per pool", pools));
}

Status check_router(const RouterSpec& router, std::size_t replicas) {
  if (!parse_policy(router.policy)) {
    return invalid(fmt::format("unknown router policy \"{}\"; known: least_request, round_robin, "
                               "random, weighted, prefix_affine",
                               router.policy));
  }
  if (!(router.state_age_ms >= 0 && router.state_age_ms <= 1e6)) {
    return invalid(
        fmt::format("router.state_age_ms must lie in [0, 1e6] (got {})", router.state_age_ms));
  }
  if (router.weights.empty()) return {};
  double sum = 0;
  bool valid = router.weights.size() == replicas;
  for (const double w : router.weights) {
    valid = valid && w >= 0 && std::isfinite(w);
    sum += w;
  }
  if (!valid || !(sum > 0)) {
    return invalid(fmt::format(
        "router.weights must be {} values >= 0 with a positive sum, one per replica", replicas));
  }
  return {};
}

}  // namespace

std::string memory_fault(const PoolSpec& pool) {
  const GpuData& gpu = *gpu_of(pool);
  const double utilization = pool.engine.gpu_memory_utilization.value_or(kMemoryUtilization);
  const double room = utilization * gpu.memory_bytes;
  const double weights = weight_bytes_per_gpu(*model_of(pool), pool.tp, pool.dtype);
  if (weights >= room) {
    return fmt::format(
        "the weights of {} in {} take {:.1f} GB on each of {} GPUs, but gpu_memory_utilization "
        "{} of "
        "a {} is {:.1f} GB: raise tp, or take a smaller dtype",
        pool.model, pool.dtype, weights / 1e9, pool.tp, utilization, pool.gpu, room / 1e9);
  }
  const double other = pool.calibration.other_memory_gb * 1e9;
  if (pool.engine.kv_cache_blocks.value_or(0) > 0 || weights + other < room) return "";
  return fmt::format(
      "beside {:.1f} GB of weights and {:.1f} GB of activations and buffers, the {:.1f} GB of "
      "gpu_memory_utilization {} leave nothing to the KV cache: raise tp or gpu_memory_utilization",
      weights / 1e9, other / 1e9, room / 1e9, utilization);
}

std::string split_fault(const ModelData& m, int tp) {
  if (tp >= 1 && tp <= 8 && (tp & (tp - 1)) == 0 && std::fmod(m.query_heads, tp) == 0) return "";
  return fmt::format("must be 1, 2, 4 or 8 and divide the {} attention heads of {}", m.query_heads,
                     m.name);
}

Status check_fleet(const FleetSpec& fleet) {
  if (fleet.pools.empty()) return invalid("the fleet has no pools");
  if (fleet.pools.size() > 64) return invalid("a fleet has at most 64 pools");
  std::size_t replicas = 0;
  for (const PoolSpec& pool : fleet.pools) {
    if (Status s = check_pool(pool); !s) return s;
    if (Status s = check_counts(pool); !s) return s;
    if (const std::string fault = memory_fault(pool); !fault.empty()) {
      return invalid(fmt::format("pool \"{}\": {}", pool.name, fault));
    }
    replicas += static_cast<std::size_t>(seats_of(pool));
  }
  if (!(fleet.restart_load_s >= 0 && fleet.restart_load_s <= 1e6)) {
    return invalid("restart_load_s must lie in [0, 1e6]");
  }
  if (!(fleet.wake_s >= 0 && fleet.wake_s <= 1e6)) return invalid("wake_s must lie in [0, 1e6]");
  if (!(fleet.kv_transfer.gb_per_s >= 0.001 && fleet.kv_transfer.gb_per_s <= 1e6) ||
      !(fleet.kv_transfer.latency_ms >= 0.5 && fleet.kv_transfer.latency_ms <= 1e6)) {
    return invalid("kv_transfer.gb_per_s must lie in [0.001, 1e6] and latency_ms in [0.5, 1e6]");
  }
  if (Status s = check_events(fleet); !s) return s;
  if (Status s = check_pool_weights(fleet.router, fleet.pools.size()); !s) return s;
  if (fleet.router.cascade) {
    if (Status s = check_cascade(*fleet.router.cascade, fleet); !s) return s;
  }
  return check_router(fleet.router, replicas);
}

Status check_trace(const workload::Trace& trace, std::size_t classes) {
  Duration last{};
  for (std::size_t i = 0; i < trace.size(); ++i) {
    const workload::Request& r = trace[i];
    if (r.request_class >= classes) {
      return invalid(fmt::format("request {} is of class {}, but there are {} classes", i,
                                 r.request_class, classes));
    }
    if (r.prompt_tokens < 1 || r.output_tokens < 1 || r.arrival < last ||
        r.arrival > kArrivalLast || !(r.acceptance >= 0 && r.acceptance <= 1)) {
      return invalid(
          fmt::format("request {} has no tokens, an acceptance outside [0, 1] or "
                      "arrives out of order or after 60 days",
                      i));
    }
    last = r.arrival;
  }
  return {};
}

}  // namespace arqon::sim
