// Requests under way, counted as bad the moment their age passes the limit, finished or not. A
// stack that hangs finishes nothing: judged by what finishes it would look healthy.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "arqon/base/time.h"

namespace arqon::stats {

// One limit for all requests of a ledger (one class). Fixed memory after construction; one thread.
// Times never go back; a start earlier than the one before counts as the same.
class AgeingLedger {
 public:
  using Ticket = std::uint64_t;

  // limit > 0. At most `capacity` requests under way, rounded up to a power of two.
  AgeingLedger(Duration limit, std::size_t capacity);

  // A request that was due at `due` (its intended arrival, not when it got its turn). Nothing when
  // the ledger is full: the request is then in `overflowed` and must be judged elsewhere.
  std::optional<Ticket> start(TimePoint due) noexcept;
  // What finishing it says: good, bad, or nothing because it was counted before or is unknown.
  enum class Fate : std::uint8_t { kGood, kBad, kCounted };
  Fate finish(Ticket ticket, TimePoint now, bool ok = true) noexcept;
  // Requests that passed the limit by `now` and were not counted yet; each counts as bad once.
  std::uint64_t age(TimePoint now) noexcept;

  std::uint64_t under_way() const noexcept { return open_; }  // not finished, not counted
  std::uint64_t overflowed() const noexcept { return overflowed_; }

 private:
  enum class State : std::uint8_t { kFree, kOpen, kDone };
  struct Entry {
    TimePoint due;
    State state = State::kFree;
  };
  Entry& at(Ticket t) noexcept { return entries_[t & (entries_.size() - 1)]; }

  Duration limit_;
  std::vector<Entry> entries_;
  Ticket first_ = 0, next_ = 0;  // tickets not yet dealt with
  std::uint64_t open_ = 0, overflowed_ = 0;
};

}  // namespace arqon::stats
