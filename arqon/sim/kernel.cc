#include "arqon/sim/kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "arqon/sim/checks.h"
#include "arqon/sim/kernel_times.h"

namespace arqon::sim {

Twin::Kernel::Kernel(TwinOptions options, RoutingPolicy policy, std::size_t seats)
    : options_(std::move(options)),
      trace_(*options_.trace),
      account_(options_.classes, trace_, seats, options_.record_requests),
      router_(policy, seats, Rng(options_.seed).stream("router")),
      pools_(options_.fleet, options_.quality, options_.classes.size()),
      cascade_stream_(Rng(options_.seed).stream("cascade")),
      retry_stream_(Rng(options_.seed).stream("retry")),
      speculation_stream_(Rng(options_.seed).stream("speculation")),
      candidates_(seats, 1),
      depths_(options_.fleet.pools.size(), 0.0) {
  const RouterSpec& router = options_.fleet.router;
  if (!router.weights.empty()) router_.set_weights(router.weights);
  if (router.cascade) threshold_ = router.cascade->threshold;
  for (const PoolSpec& pool : options_.fleet.pools) {
    const double ps = pool.calibration.front_end_ms * static_cast<double>(kPsPerMs);
    front_end_ = std::max<Ps>(front_end_, std::llround(ps));
  }
  state_age_ = std::llround(router.state_age_ms * static_cast<double>(kPsPerMs));
  for (const workload::Request& r : trace_) {
    largest_request_ = std::max(largest_request_, std::uint64_t{r.prompt_tokens} + r.output_tokens);
  }
}

Result<std::unique_ptr<Twin::Kernel>> Twin::Kernel::create(TwinOptions options) {
  if (options.trace == nullptr) options.trace = std::make_shared<const workload::Trace>();
  if (Status s = check_fleet(options.fleet); !s) return tl::unexpected<Error>(s.error());
  if (Status s = check_trace(*options.trace, options.classes.size()); !s) {
    return tl::unexpected<Error>(s.error());
  }
  Result<std::vector<KnobBinding>> bindings = bind_knobs(options.knobs, options.fleet);
  if (!bindings) return tl::unexpected<Error>(bindings.error());
  std::size_t seats = 0;
  for (const PoolSpec& pool : options.fleet.pools) {
    seats += static_cast<std::size_t>(seats_of(pool));
  }
  const RoutingPolicy policy = *parse_policy(options.fleet.router.policy);
  std::unique_ptr<Kernel> kernel(new Kernel(std::move(options), policy, seats));
  kernel->bindings_ = std::move(*bindings);
  kernel->find_lookahead();
  for (std::size_t p = 0; p < kernel->options_.fleet.pools.size(); ++p) {
    if (Status s = kernel->build_pool(p); !s) return tl::unexpected<Error>(s.error());
  }
  kernel->fill_capabilities();
  for (int slot = 0; slot < kernel->options_.closed_loop_concurrency; ++slot) {
    kernel->send_next(static_cast<std::uint32_t>(slot), 0);
  }
  return kernel;
}

// A request that comes back takes at least the front end, or the transfer of its KV cache.
void Twin::Kernel::find_lookahead() {
  const auto at_most = [&](Ps time) {
    lookahead_ = lookahead_ == 0 ? time : std::min(lookahead_, time);
  };
  if (options_.closed_loop_concurrency > 0 || options_.fleet.router.cascade) at_most(front_end_);
  // A request that is shed may be sent again after a while.
  bool sheds = false;
  for (const PoolSpec& pool : options_.fleet.pools) {
    sheds = sheds || pool.engine.deadline_shed.value_or(0) > 0;
  }
  for (const Parameter& knob : options_.knobs.parameters()) {
    sheds = sheds || knob.name.ends_with(".deadline_shed");
  }
  if (sheds) at_most(kPsPerSecond / 2);
  bool splits = false;
  for (const PoolSpec& pool : options_.fleet.pools) splits = splits || pool.prefill_replicas > 0;
  for (const KnobBinding& b : bindings_) splits = splits || b.kind == KnobKind::kPrefillReplicas;
  if (splits) {
    at_most(std::llround(options_.fleet.kv_transfer.latency_ms * static_cast<double>(kPsPerMs)));
  }
}

Status Twin::Kernel::build_pool(std::size_t pool_index) {
  const PoolSpec& pool = options_.fleet.pools[pool_index];
  const ModelData* model = model_of(pool);
  const GpuData* gpu = gpu_of(pool);
  const auto step_time = std::make_shared<const StepTime>(
      *model, *gpu,
      StepTimeOptions{.tp = pool.tp,
                      .dtype = pool.dtype,
                      .scheduler = pool.engine.scheduler,
                      .async_scheduling = pool.engine.async_scheduling,
                      .draft_ms_base = options_.draft_ms_base,
                      .draft_ms_per_k = options_.draft_ms_per_k,
                      .calibration = pool.calibration});
  const EngineSettings settings = initial_settings(pool.engine, *gpu);
  if (Status s = check_settings(settings, pool.name); !s) return s;
  const Result<SchedulerOptions> scheduler =
      scheduler_options(pool.engine, fmt::format("pool \"{}\"", pool.name));
  if (!scheduler) return tl::unexpected<Error>(scheduler.error());
  pool_state_.push_back({pool.replicas, pool.prefill_replicas});
  for (int i = 0; i < seats_of(pool); ++i) {
    Seat seat{.pool = pool_index,
              .number = i,
              .name = fmt::format("{}/{}", pool.name, i),
              .model = model,
              .gpu = gpu,
              .wanted = settings};
    Result<std::int64_t> blocks = blocks_for(seat, settings.boot);
    if (!blocks) return tl::unexpected<Error>(blocks.error());
    seat.wanted_blocks = *blocks;
    const std::size_t index = seats_.size();
    ReplicaOptions options{.step_time = step_time,
                           .settings = settings,
                           .scheduler = *scheduler,
                           .blocks = *blocks,
                           .index = static_cast<int>(index),
                           .step_by_step = options_.step_by_step,
                           .step_log = options_.step_log};
    if (options_.closed_loop_concurrency > 0) options.finished_slots = &finished_slots_;
    options.forwarded = &forwarded_;
    if (options_.fleet.sampled_speculation) options.sampled_speculation = &speculation_stream_;
    seat.replica = std::make_unique<Replica>(
        std::move(options),
        Noise(Rng(options_.seed).stream("noise").stream(index), options_.fleet.noise), slab_,
        account_);
    seats_.push_back(std::move(seat));
    if (i < pool.replicas) continue;
    seats_.back().phase = Phase::kOff;
    router_.set_available(index, false);
  }
  return {};
}

Result<std::int64_t> Twin::Kernel::blocks_for(const Seat& seat, const BootSettings& boot) const {
  const PoolSpec& pool = options_.fleet.pools[seat.pool];
  const std::int64_t blocks =
      boot.kv_cache_blocks > 0
          ? boot.kv_cache_blocks
          : kv_blocks(*seat.model, *seat.gpu,
                      {pool.tp, pool.dtype, boot.gpu_memory_utilization, boot.block_size,
                       pool.calibration.other_memory_gb});
  const std::int64_t needed =
      blocks_of(static_cast<std::int64_t>(largest_request_), boot.block_size);
  if (blocks < needed) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format(
                    "pool \"{}\": its KV cache holds {} tokens, but one request of this workload "
                    "needs {}; raise gpu_memory_utilization or tp, or give kv_cache_blocks",
                    pool.name, std::max<std::int64_t>(0, blocks) * boot.block_size,
                    largest_request_));
  }
  return blocks;
}

// ---- time ----------------------------------------------------------------------------------

void Twin::Kernel::advance_all(Ps t) {
  for (Seat& seat : seats_) seat.replica->advance_to(t);
}

void Twin::Kernel::refresh_loads(Ps at) {
  const Ps look = state_age_ > 0 ? at - at % state_age_ : at;
  if (look <= loads_at_ && state_age_ > 0) return;
  loads_at_ = look;
  advance_all(look);
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    const Replica& replica = *seats_[r].replica;
    router_.report(r, {static_cast<double>(replica.running() + replica.waiting()),
                       static_cast<double>(replica.waiting())});
  }
}

// What ends inside one slice of the lookahead reaches the router after it.
void Twin::Kernel::run_slice(Ps target) {
  while (now_ < target) {
    const Ps end = lookahead_ > 0 ? std::min(target, now_ + lookahead_) : target;
    dispatch_until(end);
    // The router looks on its own grid, whether or not somebody sends or watches then.
    if (looks() && state_age_ > 0) refresh_loads(end);
    advance_all(end);
    collect();
    if (options_.closed_loop_concurrency == 0) account_.arrive_until(end);
    now_ = end;
  }
}

void Twin::Kernel::run_to(Ps target) {
  while (now_ < target) {
    while (next_event_at() <= now_) happen(options_.fleet.events[next_event_++]);
    const bool changing = unsettled();
    if (changing) tend_seats();
    run_slice(std::min({target, changing ? now_ + kSeatTick : target, next_event_at()}));
  }
}

void Twin::Kernel::drain() {
  const Ps last = trace_.empty() ? 0 : ps_of(trace_.back().arrival);
  if (options_.closed_loop_concurrency == 0) run_to(std::max(now_, last));
  const Ps most = now_ + kDrainMost;
  const auto all_ended = [&] {
    return next_ >= trace_.size() && account_.ended() == trace_.size();
  };
  while (!all_ended() && now_ < most) run_to(std::min(most, now_ + kDrainSlice));
}

}  // namespace arqon::sim
