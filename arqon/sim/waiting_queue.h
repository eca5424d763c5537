// Who waits at a replica: online requests before backfill, each first come, first served.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "arqon/base/assert.h"
#include "arqon/sim/sequence.h"

namespace arqon::sim {

// A ring that grows to the most it has held. One thread.
class SequenceRing {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  SequenceId operator[](std::size_t i) const { return items_[(first_ + i) & (items_.size() - 1)]; }
  SequenceId front() const { return (*this)[0]; }
  void push_back(SequenceId id) {
    make_room();
    items_[(first_ + size_++) & (items_.size() - 1)] = id;
  }
  void push_front(SequenceId id) {
    make_room();
    first_ = (first_ - 1) & (items_.size() - 1);
    items_[first_] = id;
    ++size_;
  }
  void pop_front() {
    ARQON_ASSERT(size_ > 0);
    first_ = (first_ + 1) & (items_.size() - 1);
    --size_;
  }
  void clear() { first_ = size_ = 0; }

 private:
  void make_room() {
    if (size_ < items_.size()) return;
    std::vector<SequenceId> larger(items_.empty() ? 64 : 2 * items_.size());
    for (std::size_t i = 0; i < size_; ++i) larger[i] = (*this)[i];
    items_.swap(larger);
    first_ = 0;
  }
  std::vector<SequenceId> items_;  // a power of two of them
  std::size_t first_ = 0, size_ = 0;
};

class WaitingQueue {
 public:
  bool empty() const { return rings_[0].empty() && rings_[1].empty(); }
  std::size_t size() const { return rings_[0].size() + rings_[1].size(); }
  SequenceId front() const { return rings_[rings_[0].empty() ? 1 : 0].front(); }
  void pop_front() { rings_[rings_[0].empty() ? 1 : 0].pop_front(); }
  void push_back(SequenceId id, bool backfill) { rings_[backfill ? 1 : 0].push_back(id); }
  void push_front(SequenceId id, bool backfill) { rings_[backfill ? 1 : 0].push_front(id); }
  void clear() {
    for (SequenceRing& ring : rings_) ring.clear();
  }
  template <typename Visit>
  void each(Visit visit) const {
    for (const SequenceRing& ring : rings_) {
      for (std::size_t i = 0; i < ring.size(); ++i) visit(ring[i]);
    }
  }

 private:
  std::array<SequenceRing, 2> rings_;  // online, backfill
};

}  // namespace arqon::sim
