#include <fmt/format.h>

#include <algorithm>

#include "arqon/documents/internal/calibration.h"
#include "arqon/documents/internal/hardware.h"
#include "arqon/documents/internal/keys.h"
#include "arqon/documents/internal/scenario_parts.h"
#include "arqon/sim/checks.h"
#include "arqon/sim/model_data.h"

namespace arqon::documents::internal {
namespace {

constexpr std::size_t kPoolsMax = 64;
constexpr Range kReplicas{.min = 1, .max = 1024};
constexpr Range kPrice{.min = 0, .max = 1e6};
constexpr Range kLoadS{.min = 0, .max = 86400};

// Where each option of the engine lives, in the order of kPoolKnobs.
template <typename Spec, typename Visit>
void each_option(Spec& spec, Visit visit) {
  visit(kPoolKnobs[0], spec.batch_size);
  visit(kPoolKnobs[1], spec.prefill_token_budget);
  visit(kPoolKnobs[2], spec.long_prefill_threshold);
  visit(kPoolKnobs[3], spec.queued_token_limit);
  visit(kPoolKnobs[4], spec.speculative_decoding_k);
  visit(kPoolKnobs[5], spec.max_tokens);
  visit(kPoolKnobs[6], spec.max_wait_ms);
  visit(kPoolKnobs[7], spec.block_size);
  visit(kPoolKnobs[8], spec.gpu_memory_utilization);
  visit(kPoolKnobs[9], spec.kv_cache_blocks);
  visit(kPoolKnobs[10], spec.deadline_shed);
}

// What the scheduler is built with; no knob moves it.
void read_scheduling(const Section& section, sim::EngineSpec& out) {
  constexpr std::size_t kListMax = 64;
  assign(out.prefix_caching, section.get("prefix_caching").boolean());
  assign(out.watermark, section.get("watermark").number({.min = 0, .max = 0.5}));
  const Node preferred = section.get("preferred_batch_sizes");
  if (preferred) {
    for (const Node& item : preferred.items(kListMax)) {
      out.preferred_batch_sizes.push_back(item.integer({.min = 1, .max = 65536}).value_or(1));
    }
    if (out.scheduler != "triton") preferred.fail_key("goes with scheduler \"triton\" only");
  }
  const Node bands = section.get("speculation_by_batch");
  if (!bands) return;
  for (const Node& item : bands.items(kListMax)) {
    const Section step(item, kSpeculationStepKeys);
    const Node most = step.need("batch_max");
    const std::int64_t before =
        out.speculation_by_batch.empty() ? 0 : out.speculation_by_batch.back().batch_max;
    const std::int64_t batch_max = most.integer(kCountFromOne).value_or(before + 1);
    if (batch_max <= before) most.fail("must be above the one before it");
    const std::int64_t k = step.need("k").integer({.min = 0, .max = 64}).value_or(0);
    out.speculation_by_batch.push_back({batch_max, k});
  }
}

wire::Object scheduling_object(const sim::EngineSpec& engine, wire::Object out) {
  out.emplace_back("prefix_caching", engine.prefix_caching);
  out.emplace_back("watermark", wire::compact_number(engine.watermark));
  if (!engine.preferred_batch_sizes.empty()) {
    wire::Array sizes;
    for (const std::int64_t size : engine.preferred_batch_sizes) sizes.emplace_back(size);
    out.emplace_back("preferred_batch_sizes", std::move(sizes));
  }
  if (!engine.speculation_by_batch.empty()) {
    wire::Array bands;
    for (const auto& step : engine.speculation_by_batch) {
      bands.emplace_back(wire::Object{{"batch_max", step.batch_max}, {"k", step.k}});
    }
    out.emplace_back("speculation_by_batch", std::move(bands));
  }
  return out;
}

sim::EngineSpec read_engine(const Node& node) {
  const Section section(node, kEngineKeys);
  sim::EngineSpec out;
  if (const auto index = section.get("scheduler").one_of(kSchedulers)) {
    out.scheduler = kSchedulers[*index];
  }
  each_option(out, [&](const PoolKnob& knob, auto& option) {
    const Range range{.min = knob.min, .max = knob.max};
    if (knob.whole) {
      assign(option, section.get(knob.name).integer(range));
    } else {
      assign(option, section.get(knob.name).number(range));
    }
  });
  if (out.block_size && (*out.block_size % 16 != 0 || *out.block_size > 256)) {
    section.get("block_size").fail(std::string(kBlockRule));
  }
  assign(out.async_scheduling, section.get("async_scheduling").boolean());
  read_scheduling(section, out);
  return out;
}

// False when it was refused.
bool read_tp(const Node& node, const sim::ModelData* model, int& tp) {
  if (!node) return true;
  const auto read = node.integer({.min = 1, .max = 8});
  if (!read) return false;
  const std::string fault =
      model == nullptr ? "" : sim::split_fault(*model, static_cast<int>(*read));
  if (!fault.empty()) {
    node.fail(fault);
    return false;
  }
  tp = static_cast<int>(*read);
  return true;
}

void read_counts(const Section& section, sim::PoolSpec& out) {
  assign(out.replicas, section.get("replicas").integer(kReplicas));
  const Node most = section.get("replicas_max");
  assign(out.replicas_max, most.integer(kReplicas));
  if (out.replicas_max != 0 && out.replicas_max < out.replicas) {
    most.fail(fmt::format("must not be below replicas, {}", out.replicas));
  }
  const Node prefill = section.get("prefill_replicas");
  assign(out.prefill_replicas, prefill.integer({.min = 0, .max = 1023}));
  if (out.prefill_replicas >= out.replicas) {
    prefill.fail(fmt::format("must leave a replica to decode: at most {}", out.replicas - 1));
  }
}

sim::PoolSpec read_pool(const Node& node, const std::filesystem::path& folder) {
  const Section section(node, kPoolKeys);
  sim::PoolSpec out;
  const Node name = section.need("name");
  assign(out.name, name.text());
  if (!out.name.empty() && (!plain_name(out.name, /*dots=*/false) || out.name == "router")) {
    name.fail("must be letters, digits, '_' or '-', and not \"router\": it begins addresses");
  }
  read_model(section.need("model"), out);
  read_gpu(section.need("gpu"), out);
  const sim::ModelData* model = sim::model_of(out);
  const bool shared = read_tp(section.get("tp"), model, out.tp);
  const Node dtype = section.get("dtype");
  if (const auto index = dtype.one_of(kDtypes)) out.dtype = kDtypes[*index];
  const sim::GpuData* gpu = sim::gpu_of(out);
  if (out.dtype == "fp8" && gpu != nullptr && gpu->fp8_speedup <= 1) {
    dtype.fail("this gpu has no fp8");
  }
  read_counts(section, out);
  assign(out.price_per_gpu_hour, section.get("price_per_gpu_hour").number(kPrice));
  assign(out.price_per_million_tokens, section.get("price_per_million_tokens").number(kPrice));
  assign(out.quality, section.get("quality").number(kFraction));
  out.engine = read_engine(section.get("engine"));
  read_pool_calibration(section.get("calibration"), folder, out);
  if (shared && model != nullptr && gpu != nullptr) {
    const std::string fault = sim::memory_fault(out);
    const Node at = section.has("tp") ? section.get("tp") : section.get("model");
    if (!fault.empty()) at.fail(fault);
  }
  return out;
}

wire::Object engine_object(const sim::EngineSpec& engine) {
  wire::Object out{{"scheduler", engine.scheduler}};
  each_option(engine, [&](const PoolKnob& knob, const auto& option) {
    if (option) out.emplace_back(knob.name, wire::compact_number(static_cast<double>(*option)));
  });
  out.emplace_back("async_scheduling", engine.async_scheduling);
  return scheduling_object(engine, std::move(out));
}

}  // namespace

std::optional<double> engine_option(const sim::EngineSpec& engine, std::string_view name) {
  std::optional<double> out;
  each_option(engine, [&](const PoolKnob& knob, const auto& option) {
    if (knob.name == name) assign(out, option);
  });
  return out;
}

bool plain_name(std::string_view name, bool dots) {
  constexpr std::size_t kNameMax = 64;
  if (name.empty() || name.size() > kNameMax || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || (dots && c == '.');
  });
}

std::size_t replicas_in_all(const sim::FleetSpec& fleet) {
  std::size_t out = 0;
  for (const sim::PoolSpec& pool : fleet.pools) out += static_cast<std::size_t>(seats_of(pool));
  return out;
}

sim::FleetSpec read_fleet(const Node& node, const std::filesystem::path& folder) {
  const Section section(node, kFleetKeys);
  sim::FleetSpec out;
  const Node pools = section.need("pools");
  for (const Node& item : pools.items(kPoolsMax)) {
    sim::PoolSpec pool = read_pool(item, folder);
    const bool twin = std::any_of(out.pools.begin(), out.pools.end(),
                                  [&](const auto& other) { return other.name == pool.name; });
    if (twin && !pool.name.empty()) {
      item.child("name").fail("another pool has this name");
    }
    out.pools.push_back(std::move(pool));
  }
  if (pools && pools.value().as_array() != nullptr && pools.value().as_array()->empty()) {
    pools.fail("must name at least one pool");
  }
  out.router = read_router(section.get("router"), out);
  out.events = read_events(section.get("events"), out);
  const Section link(section.get("kv_transfer"), kKvTransferKeys);
  assign(out.kv_transfer.gb_per_s, link.get("gb_per_s").number({.min = 0.001, .max = 1e6}));
  assign(out.kv_transfer.latency_ms, link.get("latency_ms").number({.min = 0.5, .max = 60000}));
  assign(out.noise, section.get("noise").boolean());
  assign(out.sampled_speculation, section.get("sampled_speculation").boolean());
  assign(out.restart_load_s, section.get("restart_load_s").number(kLoadS));
  assign(out.wake_s, section.get("wake_s").number(kLoadS));
  return out;
}

wire::Object fleet_object(const sim::FleetSpec& fleet) {
  wire::Array pools;
  for (const sim::PoolSpec& pool : fleet.pools) {
    wire::Object object{
        {"name", pool.name},
        {"model", model_value(pool)},
        {"gpu", gpu_value(pool)},
        {"tp", pool.tp},
        {"dtype", pool.dtype},
        {"replicas", pool.replicas},
        {"replicas_max", seats_of(pool)},
        {"prefill_replicas", pool.prefill_replicas},
        {"price_per_gpu_hour", wire::compact_number(pool.price_per_gpu_hour)},
        {"price_per_million_tokens", wire::compact_number(pool.price_per_million_tokens)},
        {"quality", wire::compact_number(pool.quality)},
        {"engine", engine_object(pool.engine)}};
    wire::Object calibration = scalars_object(pool.calibration);
    if (!calibration.empty()) object.emplace_back("calibration", std::move(calibration));
    pools.emplace_back(std::move(object));
  }
  return {{"pools", std::move(pools)},
          {"router", router_object(fleet.router)},
          {"events", events_array(fleet.events)},
          {"kv_transfer",
           wire::Object{{"gb_per_s", wire::compact_number(fleet.kv_transfer.gb_per_s)},
                        {"latency_ms", wire::compact_number(fleet.kv_transfer.latency_ms)}}},
          {"noise", fleet.noise},
          {"sampled_speculation", fleet.sampled_speculation},
          {"restart_load_s", wire::compact_number(fleet.restart_load_s)},
          {"wake_s", wire::compact_number(fleet.wake_s)}};
}

}  // namespace arqon::documents::internal
