// The cell against memory that is as weak as the language allows: a store becomes visible any time
// later and past others, unless it is a release; a load may have happened any time earlier, unless
// an acquire stands in front of it. x86 keeps both in order, so that threads alone would not show a
// missing order; this does. The mutation targets compile it against spoiled cells.
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/guard/config_cell.h"

namespace arqon::guard {
namespace {

using View = std::map<const void*, std::uint64_t>;

// One writer's stores under way, and what one reader may see.
class Memory {
 public:
  static Memory& instance() {
    static Memory memory;
    return memory;
  }

  void reset(std::uint64_t run) {
    rng_ = Rng(99).stream(run);
    pending_.clear();
    views_.clear();
    eager_ = writing_ = true;
  }
  // From here on stores wait for their turn.
  void begin() { eager_ = false; }
  // What is loaded from here on is loaded by the reader.
  void read() {
    writing_ = false;
    views_ = {view_};
  }
  void drain() {
    while (!pending_.empty()) land();
  }

  void store(const void* where, std::uint64_t value, std::memory_order order) {
    pending_.push_back({where, value, order == std::memory_order_release});
    if (eager_) drain();
  }
  std::uint64_t load(const void* where, std::memory_order order) {
    if (writing_) return own(where);
    while (!pending_.empty() && rng_.uniform() < 0.25) land();
    // An acquire load, like every load behind one, happens now.
    const View& seen = order == std::memory_order_acquire ? views_.back()
                                                          : views_[rng_.below(views_.size())];
    const auto at = seen.find(where);
    const std::uint64_t value = at == seen.end() ? 0 : at->second;
    if (order == std::memory_order_acquire) views_ = {view_};
    return value;
  }

 private:
  struct Store {
    const void* where;
    std::uint64_t value;
    bool release;
  };

  // A writer sees its own stores at once.
  std::uint64_t own(const void* where) const {
    for (std::size_t i = pending_.size(); i-- > 0;) {
      if (pending_[i].where == where) return pending_[i].value;
    }
    const auto at = view_.find(where);
    return at == view_.end() ? 0 : at->second;
  }

  // One of the stores that may become visible next does.
  void land() {
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      bool free = !pending_[i].release || i == 0;
      for (std::size_t j = 0; j < i; ++j) free = free && pending_[j].where != pending_[i].where;
      if (free) ready.push_back(i);
    }
    const std::size_t next = ready[rng_.below(ready.size())];
    view_[pending_[next].where] = pending_[next].value;
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(next));
    views_.push_back(view_);
  }

  Rng rng_{0};
  std::vector<Store> pending_;
  View view_;                // memory now
  std::vector<View> views_;  // since the reader's last acquire
  bool eager_ = true, writing_ = true;
};

template <typename T>
struct Weak {
  Weak(T value = {}) { store(value, std::memory_order_release); }  // NOLINT: as std::atomic
  void store(T value, std::memory_order order) {
    Memory::instance().store(this, static_cast<std::uint64_t>(value), order);
  }
  T load(std::memory_order order) const {
    return static_cast<T>(Memory::instance().load(this, order));
  }
};

TEST(ConfigCellModel, no_order_that_memory_may_choose_tears_a_snapshot) {
  constexpr std::size_t kSlots = 5;
  int whole = 0, refused = 0;
  for (std::uint64_t run = 0; run < 4000; ++run) {
    Memory::instance().reset(run);
    BasicConfigCell<Weak> cell(kSlots);
    const std::vector<double> old(kSlots, 1), fresh(kSlots, 2);
    cell.publish(old, TimePoint(Duration(1)));
    Memory::instance().begin();
    cell.publish(fresh, TimePoint(Duration(2)));
    Memory::instance().read();
    Snapshot seen;
    if (!cell.try_read(seen)) {
      ++refused;
      Memory::instance().drain();
      continue;
    }
    ++whole;
    ASSERT_TRUE(seen.generation == 1 || seen.generation == 2);
    const auto generation = static_cast<double>(seen.generation);
    for (std::size_t i = 0; i < kSlots; ++i) ASSERT_EQ(seen.values[i], generation) << run;
    ASSERT_EQ(seen.applied_at, TimePoint(Duration(static_cast<std::int64_t>(seen.generation))));
    Memory::instance().drain();
  }
  // Both happen, or nothing was tried.
  EXPECT_GT(whole, 300);
  EXPECT_GT(refused, 300);
}

}  // namespace
}  // namespace arqon::guard
