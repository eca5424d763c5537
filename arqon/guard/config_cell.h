// The setting in force, published by one writer and read by any thread without waiting for it.
// A sequence lock over atomics: the sequence number is twice the generation, odd while a write is
// under way, so values, time and generation are always one snapshot. (Boehm 2012, "Can seqlocks get
// along with programming language memory models?"; release stores and acquire loads per word stand
// in for fences, which cost nothing on x86 and which ThreadSanitizer understands.)
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "arqon/base/assert.h"
#include "arqon/base/time.h"

namespace arqon::guard {

constexpr std::size_t kSlotsMax = 64;  // dense slots of one setting

struct Snapshot {
  std::array<double, kSlotsMax> values{};
  std::size_t size = 0;          // slots in use; 0 before the first publication
  std::uint64_t generation = 0;  // 0 before the first publication, then rising by 1
  TimePoint applied_at;

  std::span<const double> setting() const { return {values.data(), size}; }
};

// Neither copied nor moved: readers keep its address. No allocation, lock or syscall anywhere.
// `Atomic` is std::atomic; the model test puts one in whose stores become visible as late and as
// much out of order as the language allows.
template <template <typename> typename Atomic>
class BasicConfigCell {
 public:
  // slots <= kSlotsMax.
  explicit BasicConfigCell(std::size_t slots) noexcept : slots_(slots) {
    ARQON_ASSERT(slots <= kSlotsMax);
  }
  BasicConfigCell(const BasicConfigCell&) = delete;
  BasicConfigCell& operator=(const BasicConfigCell&) = delete;

  // Writer thread only. Exactly `slots` values; returns the new generation.
  std::uint64_t publish(std::span<const double> values, TimePoint now) noexcept {
    ARQON_ASSERT(values.size() == slots_);
    const std::uint64_t before = sequence_.load(std::memory_order_relaxed);
    sequence_.store(before + 1, std::memory_order_relaxed);
    // Each release store keeps the odd number above in front of itself: a reader that sees any new
    // word also sees that the sequence has moved.
#pragma GCC unroll 4
    for (std::size_t i = 0; i < slots_; ++i) {
      words_[i].store(std::bit_cast<std::uint64_t>(values[i]), std::memory_order_release);
    }
    applied_at_.store(now.time_since_epoch().count(), std::memory_order_release);
    sequence_.store(before + 2, std::memory_order_release);
    return (before + 2) >> 1;
  }

  // Generation of the newest complete snapshot. One load.
  std::uint64_t generation() const noexcept {
    return sequence_.load(std::memory_order_acquire) >> 1;
  }

  // One attempt; false, with `out` unspecified, when a write was under way. Copies whole groups of
  // four: what stands behind the last slot is 0.
  bool try_read(Snapshot& out) const noexcept {
    const std::uint64_t before = sequence_.load(std::memory_order_acquire);
    if ((before & 1) != 0) return false;
    // Acquire loads keep the check below behind them.
    for (std::size_t i = 0; i < slots_; i += kGroup) {
#pragma GCC unroll 4
      for (std::size_t j = i; j < i + kGroup; ++j) {
        out.values[j] = std::bit_cast<double>(words_[j].load(std::memory_order_acquire));
      }
    }
    out.applied_at = TimePoint(Duration(applied_at_.load(std::memory_order_acquire)));
    out.generation = before >> 1;
    out.size = before == 0 ? 0 : slots_;
    return sequence_.load(std::memory_order_relaxed) == before;
  }

  // Repeats until an attempt succeeds: a write lasts tens of nanoseconds.
  void read(Snapshot& out) const noexcept {
    while (!try_read(out)) {
    }
  }

 private:
  static constexpr std::size_t kCacheLine = 64;
  static constexpr std::size_t kGroup = 4;
  static_assert(kSlotsMax % kGroup == 0);

  alignas(kCacheLine) Atomic<std::uint64_t> sequence_{0};
  Atomic<std::int64_t> applied_at_{0};
  std::size_t slots_;  // on the line that every reader has
  std::array<Atomic<std::uint64_t>, kSlotsMax> words_{};
};

using ConfigCell = BasicConfigCell<std::atomic>;
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// One reader's copy of the cell. One thread each; the cell must outlive it.
class ConfigReader {
 public:
  explicit ConfigReader(const ConfigCell& cell) noexcept : cell_(&cell) {}

  // The newest snapshot, or the one before it while a write is under way. Costs one load as long as
  // nothing has changed; never waits. The reference holds until the next call.
  const Snapshot& current() noexcept {
    if (cell_->generation() != copies_[active_].generation) refresh();
    return copies_[active_];
  }

 private:
  void refresh() noexcept {
    if (cell_->try_read(copies_[1 - active_])) active_ = 1 - active_;
  }

  const ConfigCell* cell_;
  std::array<Snapshot, 2> copies_{};
  std::size_t active_ = 0;
};

}  // namespace arqon::guard
