// Settings in and out: what the knobs are, what they say, and how a new setting is put in force.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "arqon/sim/kernel.h"
#include "arqon/sim/kernel_times.h"

namespace arqon::sim {
namespace {

constexpr double kSameValue = 1e-9;  // relative; rounding of a grid, not another value
constexpr Duration kLiveSettle = std::chrono::seconds(5);
constexpr Duration kRestartSettle = std::chrono::seconds(15);

tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidConfig, std::move(message));
}

// Parts of a simplex: they sum to 1.
void write_shares(std::span<const double> weights, std::size_t parts, std::span<double> out) {
  double sum = 0;
  for (const double w : weights) sum += w;
  for (std::size_t i = 0; i < parts; ++i) {
    out[i] = weights.empty() ? 1.0 / static_cast<double>(parts) : weights[i] / sum;
  }
}

}  // namespace

Config Twin::Kernel::read_config(bool in_force, int replica) const {
  Config out(options_.knobs.slots());
  for (const KnobBinding& b : bindings_) {
    double& value = out[b.offset];
    switch (b.kind) {
      case KnobKind::kEngine: value = read_engine_knob(b, in_force, replica); break;
      case KnobKind::kRouterWeights:
        write_shares(router_.weights(), b.slots, std::span(out).subspan(b.offset));
        break;
      case KnobKind::kPoolWeights:
        write_shares(pools_.weights(), b.slots, std::span(out).subspan(b.offset));
        break;
      case KnobKind::kSpillDepth: value = pools_.spill_depth(); break;
      case KnobKind::kThreshold: value = threshold_; break;
      case KnobKind::kReplicas: value = pool_state_[b.pool].replicas; break;
      case KnobKind::kPrefillReplicas: value = pool_state_[b.pool].prefill_replicas; break;
    }
  }
  return out;
}

double Twin::Kernel::read_engine_knob(const KnobBinding& b, bool in_force, int replica) const {
  const std::size_t at = b.covers(replica) ? static_cast<std::size_t>(replica) : b.first_replica;
  double value = b.knob->read(seats_[at].wanted);
  // While a restart rolls, the old value holds until the last replica has it.
  for (std::size_t i = 0; in_force && b.knob->restart && i < b.replicas; ++i) {
    const Seat& seat = seats_[b.first_replica + i];
    if (b.covers(replica) && b.first_replica + i != at) continue;
    if (seat.phase == Phase::kOff || seat.replica->boot() == seat.wanted.boot) continue;
    value = b.knob->read({seat.wanted.live, seat.replica->boot()});
  }
  return value;
}

void Twin::Kernel::fill_capabilities() {
  capabilities_.engine = "simulated vllm-v1";
  capabilities_.identity = {.engine = capabilities_.engine,
                            .model = std::string(seats_[0].model->name),
                            .hardware = std::string(seats_[0].gpu->name)};
  capabilities_.knobs = options_.knobs.parameters();
  bool fleet_wide = false;
  for (std::size_t i = 0; i < bindings_.size(); ++i) {
    const KnobBinding& b = bindings_[i];
    const bool restart = b.kind == KnobKind::kEngine && b.knob->restart;
    const bool loads = restart || b.kind == KnobKind::kReplicas;
    fleet_wide = fleet_wide || b.kind != KnobKind::kEngine;
    Parameter& parameter = capabilities_.knobs[i];
    if (restart && parameter.change_class != ChangeClass::kForbidden) {
      parameter.change_class = ChangeClass::kRestart;
    }
    const int rolls = restart ? static_cast<int>(b.replicas) : 1;
    capabilities_.settle.push_back(
        loads ? kRestartSettle + from_seconds(options_.fleet.restart_load_s) * rolls : kLiveSettle);
  }
  capabilities_.boot = read_config(true);
  capabilities_.classes = options_.classes;
  // What belongs to the fleet as a whole cannot be tried on one replica.
  capabilities_.replicas = fleet_wide ? 1 : static_cast<int>(seats_.size());
}

// The setting as it will stand. What is in force already may stay wherever it lies, and a value
// that differs from it by rounding is the same value: it must not cost a restart.
Result<Config> Twin::Kernel::accept(const Config& setting, const Config& present) const {
  Config accepted = present;
  Config checked = options_.knobs.default_config();
  for (std::size_t i = 0; i < options_.knobs.size(); ++i) {
    const auto first = static_cast<std::ptrdiff_t>(options_.knobs.offset(i));
    const auto slots = static_cast<std::ptrdiff_t>(options_.knobs[i].slots());
    const auto begin = setting.begin() + first;
    const auto same = [](double a, double b) {
      return std::abs(a - b) <= kSameValue * std::max(1.0, std::abs(b));
    };
    if (std::equal(begin, begin + slots, present.begin() + first, same)) continue;
    std::copy_n(begin, slots, accepted.begin() + first);
    std::copy_n(begin, slots, checked.begin() + first);
  }
  const auto outside = options_.knobs.first_violation(checked);
  if (!outside) return accepted;
  const Parameter& p = options_.knobs[*outside];
  return invalid(fmt::format("{} is not in the domain of {}: {} to {} in steps of {}",
                             setting[options_.knobs.offset(*outside)], p.name, p.min, p.max,
                             p.grid_step()));
}

Result<Twin::Kernel::Plan> Twin::Kernel::plan(const Config& setting, serving::Scope scope) const {
  const bool one = scope.replica != serving::Scope::kAll;
  const Config present = read_config(false, scope.replica);
  Result<Config> taken = accept(setting, present);
  if (!taken) return tl::unexpected<Error>(taken.error());
  Plan plan{.accepted = std::move(*taken), .wanted = {}, .blocks = {}, .pools = pool_state_};
  for (const Seat& seat : seats_) plan.wanted.push_back(seat.wanted);
  for (std::size_t i = 0; i < bindings_.size(); ++i) {
    const KnobBinding& b = bindings_[i];
    const double value = plan.accepted[b.offset];
    if (capabilities_.knobs[i].change_class == ChangeClass::kForbidden ||
        (one && !b.covers(scope.replica))) {
      std::copy_n(present.begin() + static_cast<std::ptrdiff_t>(b.offset), b.slots,
                  plan.accepted.begin() + static_cast<std::ptrdiff_t>(b.offset));
      continue;
    }
    if (b.kind == KnobKind::kReplicas) plan.pools[b.pool].replicas = static_cast<int>(value);
    if (b.kind == KnobKind::kPrefillReplicas) {
      plan.pools[b.pool].prefill_replicas = static_cast<int>(value);
    }
    if (b.kind != KnobKind::kEngine) continue;
    for (std::size_t r = b.first_replica; r < b.first_replica + b.replicas; ++r) {
      if (one && r != static_cast<std::size_t>(scope.replica)) continue;
      b.knob->write(plan.wanted[r], value);
    }
  }
  if (Status s = check_plan(plan); !s) return tl::unexpected<Error>(s.error());
  return plan;
}

Status Twin::Kernel::check_plan(Plan& plan) const {
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    if (Status s = check_settings(plan.wanted[r], seats_[r].name); !s) return s;
    Result<std::int64_t> count = blocks_for(seats_[r], plan.wanted[r].boot);
    if (!count) return tl::unexpected<Error>(count.error());
    plan.blocks.push_back(*count);
  }
  for (std::size_t p = 0; p < plan.pools.size(); ++p) {
    const PoolState& pool = plan.pools[p];
    if (pool.prefill_replicas < pool.replicas) continue;
    return invalid(fmt::format("{}.prefill_replicas must leave a replica to decode: below {} "
                               "(got {})",
                               options_.fleet.pools[p].name, pool.replicas, pool.prefill_replicas));
  }
  return {};
}

void Twin::Kernel::write_router(const Config& accepted) {
  for (const KnobBinding& b : bindings_) {
    const auto shares = std::span(accepted).subspan(b.offset, b.slots);
    if (b.kind == KnobKind::kRouterWeights) router_.set_weights(shares);
    if (b.kind == KnobKind::kPoolWeights) pools_.set_weights(shares);
    if (b.kind == KnobKind::kSpillDepth) pools_.set_spill_depth(shares[0]);
    if (b.kind == KnobKind::kThreshold) threshold_ = shares[0];
  }
}

Result<Config> Twin::Kernel::apply(const Config& setting, serving::Scope scope) {
  if (scope.replica < serving::Scope::kAll || scope.replica >= capabilities_.replicas) {
    return invalid(
        fmt::format("no replica {}; there are {}", scope.replica, capabilities_.replicas));
  }
  if (capabilities_.replicas == 1) scope.replica = serving::Scope::kAll;
  if (setting.size() != options_.knobs.slots() ||
      !std::all_of(setting.begin(), setting.end(), [](double v) { return std::isfinite(v); })) {
    return invalid(
        fmt::format("a setting of this engine has {} finite values", options_.knobs.slots()));
  }
  Result<Plan> planned = plan(setting, scope);
  if (!planned) return tl::unexpected<Error>(planned.error());
  // Nothing can fail from here on.
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    seats_[r].wanted = planned->wanted[r];
    seats_[r].wanted_blocks = planned->blocks[r];
    seats_[r].replica->set_live(planned->wanted[r].live);
  }
  pool_state_ = planned->pools;
  const bool one = scope.replica != serving::Scope::kAll;
  router_.balance(one ? std::optional(static_cast<std::size_t>(scope.replica)) : std::nullopt);
  write_router(planned->accepted);
  return planned->accepted;
}

}  // namespace arqon::sim
