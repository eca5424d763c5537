#include "arqon/guard/config_cell.h"

#include "arqon/base/assert.h"

namespace arqon::guard {

static_assert(std::atomic<double>::is_always_lock_free);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

std::uint64_t ConfigCell::publish(std::span<const double> values, TimePoint now) noexcept {
  ARQON_ASSERT(values.size() == slots_ && slots_ <= kSlotsMax);
  const std::uint64_t before = sequence_.load(std::memory_order_relaxed);
  sequence_.store(before + 1, std::memory_order_relaxed);
  // Each release store keeps the odd number above in front of itself: a reader that sees any new
  // word also sees that the sequence has moved.
  for (std::size_t i = 0; i < values.size(); ++i) {
    values_[i].store(values[i], std::memory_order_release);
  }
  applied_at_.store(now.time_since_epoch().count(), std::memory_order_release);
  sequence_.store(before + 2, std::memory_order_release);
  return (before + 2) >> 1;
}

bool ConfigCell::try_read(Snapshot& out) const noexcept {
  const std::uint64_t before = sequence_.load(std::memory_order_acquire);
  if ((before & 1) != 0) return false;
  // Acquire loads keep the check below behind them.
  for (std::size_t i = 0; i < slots_; ++i) {
    out.values[i] = values_[i].load(std::memory_order_acquire);
  }
  out.applied_at = TimePoint(Duration(applied_at_.load(std::memory_order_acquire)));
  out.generation = before >> 1;
  out.size = before == 0 ? 0 : slots_;
  return sequence_.load(std::memory_order_relaxed) == before;
}

void ConfigCell::read(Snapshot& out) const noexcept {
  while (!try_read(out)) {
  }
}

}  // namespace arqon::guard
