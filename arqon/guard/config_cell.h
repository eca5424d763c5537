// The setting in force, published by one writer and read by any thread without waiting for it.
// A sequence lock over atomics: the sequence number is twice the generation, odd while a write is
// under way, so values, time and generation are always one snapshot. (Boehm 2012, "Can seqlocks get
// along with programming language memory models?"; release stores and acquire loads per word stand
// in for fences, which cost nothing on x86 and which ThreadSanitizer understands.)
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

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
class ConfigCell {
 public:
  // slots <= kSlotsMax.
  explicit ConfigCell(std::size_t slots) noexcept : slots_(slots) {}
  ConfigCell(const ConfigCell&) = delete;
  ConfigCell& operator=(const ConfigCell&) = delete;

  // Writer thread only. Exactly `slots` values; returns the new generation.
  std::uint64_t publish(std::span<const double> values, TimePoint now) noexcept;

  // Generation of the newest complete snapshot. One load.
  std::uint64_t generation() const noexcept {
    return sequence_.load(std::memory_order_acquire) >> 1;
  }
  // One attempt; false, with `out` unspecified, when a write was under way.
  bool try_read(Snapshot& out) const noexcept;
  // Repeats until an attempt succeeds: a write lasts tens of nanoseconds.
  void read(Snapshot& out) const noexcept;

 private:
  static constexpr std::size_t kCacheLine = 64;

  alignas(kCacheLine) std::atomic<std::uint64_t> sequence_{0};
  std::atomic<std::int64_t> applied_at_{0};
  std::array<std::atomic<double>, kSlotsMax> values_{};
  std::size_t slots_;
};

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
