// Cached text of one replica (equation page 2.5): which blocks of KV hold the beginning of which
// text, who uses them, and which go first when blocks run short.
//
// Blocks are kept in nodes, runs of blocks that come and go together: one node per recorded hash
// block, or one for a system prompt and one for what a conversation has said so far. A request
// passes a chain of nodes; two requests share text as far as their chains agree. Nodes in use are
// pinned. The others count as free blocks, keep their content until the space is needed, and lose
// it least recently used first, the end of a text before its beginning.
//
// Two sequences that compute the same text at the same time share the blocks at once; an engine
// keeps both copies until they end.
#pragma once

#include <cstdint>
#include <vector>

#include "arqon/workload/request.h"

namespace arqon::sim {

// The nodes that the first `tokens` tokens of a request's text pass, root first. Full blocks only.
class PrefixWalk {
 public:
  // `request` may be null: text that nobody shares. `own` tells requests apart.
  PrefixWalk(const workload::Request* request, std::uint32_t own, std::int64_t tokens,
             std::int64_t block_size)
      : request_(request), own_(own), tokens_(tokens), block_size_(block_size) {}

  // Moves on to the next node; false when there is none.
  bool next();
  std::uint64_t key() const { return key_; }
  // Blocks from the start of the text to where the node begins and ends.
  std::int64_t begin() const { return begin_; }
  std::int64_t end() const { return end_; }

 private:
  // Key and end in tokens of stage `stage_`; false behind the last.
  bool stage(std::int64_t* limit);

  const workload::Request* request_;
  std::uint32_t own_;
  std::int64_t tokens_, block_size_;
  std::size_t stage_ = 0;
  std::uint64_t key_ = 0;
  std::int64_t begin_ = 0, end_ = 0;
};

// What a sequence uses of the cache.
struct PrefixHold {
  static constexpr std::uint32_t kNone = 0xffffffff;
  std::uint32_t tail = kNone;  // last node of its chain
  std::uint32_t nodes = 0;     // in its chain
  std::int64_t blocks = 0;     // of its own that are in the cache
};

// One thread. No allocation once it has held as many nodes before.
class PrefixCache {
 public:
  struct Hit {
    PrefixHold hold;                // to acquire; hold.blocks = blocks that need no computation
    std::int64_t newly_pinned = 0;  // of those, free blocks that acquiring it takes
  };
  // Longest cached beginning, at most `blocks_max` blocks. Changes nothing.
  Hit find(PrefixWalk walk, std::int64_t blocks_max) const;
  // Takes the hit. Of a free node that is used in part the rest is given up.
  void acquire(const Hit& hit);
  // All full blocks of the walk are computed: puts those beyond the hold into the cache.
  void extend(PrefixHold& hold, PrefixWalk walk);
  // The sequence gives its nodes back; their content stays while there is room.
  void release(PrefixHold& hold);
  // Evicts until at most `blocks` >= 0 blocks are cached and not in use.
  void shrink_to(std::int64_t blocks);
  void clear();

  // Blocks in use by somebody, each counted once.
  std::int64_t pinned() const { return pinned_; }
  // Blocks cached and not in use: free, but not empty.
  std::int64_t evictable() const { return evictable_; }
  // To be added to the sum of the blocks that sequences hold to count each shared one once.
  std::int64_t correction() const { return pinned_ - covered_; }

 private:
  struct Node {
    std::uint64_t key = 0;
    std::int64_t blocks = 0;  // present, from the node's beginning
    std::uint32_t parent = PrefixHold::kNone;
    std::uint32_t children = 0;
    std::uint32_t users = 0;  // sequences
    std::uint32_t older = PrefixHold::kNone, newer = PrefixHold::kNone;  // unused nodes
  };
  std::uint32_t lookup(std::uint64_t key) const;
  std::uint32_t add(std::uint64_t key, std::uint32_t parent);
  void use(std::uint32_t id);
  void unuse(std::uint32_t id);
  void remove(std::uint32_t id);
  std::size_t slot_of(std::uint64_t key) const;
  void insert_slot(std::uint32_t id);
  void erase_slot(std::uint64_t key);

  std::vector<Node> nodes_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> slots_;  // open addressing by key: node + 1, 0 = empty
  std::size_t count_ = 0;
  std::uint32_t oldest_ = PrefixHold::kNone, newest_ = PrefixHold::kNone;
  std::int64_t pinned_ = 0, evictable_ = 0, covered_ = 0;
};

}  // namespace arqon::sim
