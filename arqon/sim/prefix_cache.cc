#include "arqon/sim/prefix_cache.h"

#include <algorithm>

#include "arqon/base/assert.h"

namespace arqon::sim {
namespace {

constexpr std::uint32_t kNone = PrefixHold::kNone;
constexpr std::uint64_t kSystem = std::uint64_t{1} << 62, kSession = std::uint64_t{1} << 63;
constexpr std::uint64_t kOwn = kSystem | kSession;
constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;
constexpr std::size_t kSlotsMin = 64;

}  // namespace

bool PrefixWalk::stage(std::int64_t* limit) {
  const std::size_t at = stage_++;
  std::size_t own = 0;  // stage of the text that no record describes
  if (request_ != nullptr && request_->hashes != nullptr) {
    const workload::PromptHashes& hashes = *request_->hashes;
    own = hashes.chain.size();
    if (at < own) {
      key_ = hashes.chain[at];
      *limit = std::min<std::int64_t>(static_cast<std::int64_t>(at + 1) * hashes.block_tokens,
                                      request_->prompt_tokens);
      return true;
    }
  } else if (request_ != nullptr && request_->system_tokens > 0) {
    own = 1;
    if (at == 0) {
      key_ = kSystem + request_->system_prompt;
      *limit = request_->system_tokens;
      return true;
    }
  }
  const bool session =
      request_ != nullptr && request_->hashes == nullptr && request_->session != 0;
  key_ = session ? kSession + request_->session : kOwn + own_;
  *limit = tokens_;
  return at == own;
}

bool PrefixWalk::next() {
  begin_ = end_;
  std::int64_t limit = 0;
  while (stage(&limit)) {
    const std::int64_t end = std::min(limit, tokens_) / block_size_;
    if (end <= begin_) continue;  // not one full block
    end_ = end;
    return true;
  }
  return false;
}

PrefixCache::Hit PrefixCache::find(PrefixWalk walk, std::int64_t blocks_max) const {
  Hit hit;
  while (hit.hold.blocks < blocks_max && walk.next()) {
    const std::uint32_t id = lookup(walk.key());
    if (id == kNone || nodes_[id].parent != hit.hold.tail) break;
    const Node& node = nodes_[id];
    const std::int64_t span = walk.end() - walk.begin();
    const std::int64_t have =
        std::min({node.blocks, span, blocks_max - hit.hold.blocks});
    if (node.users == 0) hit.newly_pinned += have;
    hit.hold.blocks += have;
    hit.hold.tail = id;
    ++hit.hold.nodes;
    if (have < span || have < node.blocks) break;
  }
  return hit;
}

void PrefixCache::acquire(const Hit& hit) {
  if (hit.hold.tail != kNone && nodes_[hit.hold.tail].users == 0) {
    // Only the last node can be used in part: what the nodes before it leave of the hit.
    std::int64_t part = hit.hold.blocks;
    for (std::uint32_t id = nodes_[hit.hold.tail].parent; id != kNone; id = nodes_[id].parent) {
      part -= nodes_[id].blocks;
    }
    Node& last = nodes_[hit.hold.tail];
    ARQON_ASSERT(part > 0 && part <= last.blocks);
    evictable_ -= last.blocks - part;
    last.blocks = part;
  }
  for (std::uint32_t id = hit.hold.tail; id != kNone; id = nodes_[id].parent) use(id);
  covered_ += hit.hold.blocks;
}

void PrefixCache::extend(PrefixHold& hold, PrefixWalk walk) {
  std::uint32_t passed = 0;
  while (walk.next()) {
    ++passed;
    if (passed < hold.nodes) continue;
    if (passed > hold.nodes) {
      std::uint32_t id = lookup(walk.key());
      if (id == kNone) id = add(walk.key(), hold.tail);
      // A trace whose hashes are no chain: one hash behind two beginnings. It shares nothing more.
      if (nodes_[id].parent != hold.tail) return;
      use(id);
      hold.tail = id;
      hold.nodes = passed;
    }
    Node& node = nodes_[hold.tail];
    const std::int64_t growth = std::max<std::int64_t>(0, walk.end() - walk.begin() - node.blocks);
    node.blocks += growth;
    pinned_ += growth;
    const std::int64_t covered = std::max(walk.end(), hold.blocks);
    covered_ += covered - hold.blocks;
    hold.blocks = covered;
  }
}

void PrefixCache::release(PrefixHold& hold) {
  for (std::uint32_t id = hold.tail; id != kNone; id = nodes_[id].parent) unuse(id);
  covered_ -= hold.blocks;
  hold = {};
}

void PrefixCache::shrink_to(std::int64_t blocks) {
  ARQON_ASSERT(blocks >= 0);
  while (evictable_ > blocks) {
    Node& node = nodes_[oldest_];
    const std::int64_t dropped = std::min(node.blocks, evictable_ - blocks);
    node.blocks -= dropped;
    evictable_ -= dropped;
    if (node.blocks == 0) remove(oldest_);
  }
}

void PrefixCache::clear() {
  nodes_.clear();
  free_.clear();
  std::fill(slots_.begin(), slots_.end(), 0u);
  count_ = 0;
  oldest_ = newest_ = kNone;
  pinned_ = evictable_ = covered_ = 0;
}

// ---- nodes ---------------------------------------------------------------------------------

void PrefixCache::use(std::uint32_t id) {
  Node& node = nodes_[id];
  if (node.users++ > 0) return;
  pinned_ += node.blocks;
  evictable_ -= node.blocks;
  (node.older == kNone ? oldest_ : nodes_[node.older].newer) = node.newer;
  (node.newer == kNone ? newest_ : nodes_[node.newer].older) = node.older;
  node.older = node.newer = kNone;
}

void PrefixCache::unuse(std::uint32_t id) {
  Node& node = nodes_[id];
  ARQON_ASSERT(node.users > 0);
  if (--node.users > 0) return;
  pinned_ -= node.blocks;
  evictable_ += node.blocks;
  node.older = newest_;
  (newest_ == kNone ? oldest_ : nodes_[newest_].newer) = id;
  newest_ = id;
}

std::uint32_t PrefixCache::add(std::uint64_t key, std::uint32_t parent) {
  std::uint32_t id = static_cast<std::uint32_t>(nodes_.size());
  if (free_.empty()) {
    nodes_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  nodes_[id] = {.key = key, .parent = parent};
  if (parent != kNone) ++nodes_[parent].children;
  insert_slot(id);
  // It begins unused and empty, at the newest end.
  Node& node = nodes_[id];
  node.older = newest_;
  (newest_ == kNone ? oldest_ : nodes_[newest_].newer) = id;
  newest_ = id;
  return id;
}

void PrefixCache::remove(std::uint32_t id) {
  Node& node = nodes_[id];
  // The end of a text goes before its beginning: release puts it further to the old end.
  ARQON_ASSERT(node.users == 0 && node.children == 0);
  (node.older == kNone ? oldest_ : nodes_[node.older].newer) = node.newer;
  (node.newer == kNone ? newest_ : nodes_[node.newer].older) = node.older;
  if (node.parent != kNone) --nodes_[node.parent].children;
  erase_slot(node.key);
  free_.push_back(id);
}

// ---- table by key --------------------------------------------------------------------------

std::size_t PrefixCache::slot_of(std::uint64_t key) const {
  const std::uint64_t mixed = (key ^ (key >> 32)) * kGolden;
  return (mixed ^ (mixed >> 29)) & (slots_.size() - 1);
}

std::uint32_t PrefixCache::lookup(std::uint64_t key) const {
  if (slots_.empty()) return kNone;
  for (std::size_t at = slot_of(key);; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at] == 0) return kNone;
    if (nodes_[slots_[at] - 1].key == key) return slots_[at] - 1;
  }
}

void PrefixCache::insert_slot(std::uint32_t id) {
  if (2 * (count_ + 1) > slots_.size()) {
    std::vector<std::uint32_t> old(std::max(kSlotsMin, 2 * slots_.size()), 0u);
    old.swap(slots_);
    count_ = 0;
    for (const std::uint32_t entry : old) {
      if (entry != 0) insert_slot(entry - 1);
    }
  }
  std::size_t at = slot_of(nodes_[id].key);
  while (slots_[at] != 0) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = id + 1;
  ++count_;
}

// Entries behind the gap move up, so that a search never meets a hole before its key.
void PrefixCache::erase_slot(std::uint64_t key) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t gap = slot_of(key);
  while (nodes_[slots_[gap] - 1].key != key) gap = (gap + 1) & mask;
  slots_[gap] = 0;
  --count_;
  for (std::size_t at = (gap + 1) & mask; slots_[at] != 0; at = (at + 1) & mask) {
    const std::size_t home = slot_of(nodes_[slots_[at] - 1].key);
    if (((at - home) & mask) < ((at - gap) & mask)) continue;
    slots_[gap] = slots_[at];
    slots_[at] = 0;
    gap = at;
  }
}

}  // namespace arqon::sim
