#include "arqon/stats/ageing.h"

#include <algorithm>
#include <bit>

#include "arqon/base/assert.h"

namespace arqon::stats {

AgeingLedger::AgeingLedger(Duration limit, std::size_t capacity)
    : limit_(limit), entries_(std::bit_ceil(std::max<std::size_t>(1, capacity))) {
  ARQON_ASSERT(limit > Duration(0));
}

std::optional<AgeingLedger::Ticket> AgeingLedger::start(TimePoint due) noexcept {
  // Room is made at the old end only, in order, so that ageing never searches.
  while (first_ < next_ && at(first_).state == State::kDone) at(first_++).state = State::kFree;
  if (next_ - first_ == entries_.size()) {
    ++overflowed_;
    return std::nullopt;
  }
  if (first_ < next_) due = std::max(due, at(next_ - 1).due);
  at(next_) = {due, State::kOpen};
  ++open_;
  return next_++;
}

AgeingLedger::Fate AgeingLedger::finish(Ticket ticket, TimePoint now, bool ok) noexcept {
  if (ticket < first_ || ticket >= next_ || at(ticket).state != State::kOpen) return Fate::kCounted;
  Entry& entry = at(ticket);
  entry.state = State::kDone;
  --open_;
  return ok && now - entry.due <= limit_ ? Fate::kGood : Fate::kBad;
}

std::uint64_t AgeingLedger::age(TimePoint now) noexcept {
  std::uint64_t aged = 0;
  for (; first_ < next_; ++first_) {
    Entry& entry = at(first_);
    if (entry.state == State::kOpen) {
      if (now - entry.due <= limit_) break;
      ++aged;
      --open_;
    }
    entry.state = State::kFree;
  }
  return aged;
}

}  // namespace arqon::stats
