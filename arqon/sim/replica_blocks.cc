// Blocks of KV: who holds how many, and what of the cache gives way (equation page 2.3, 2.5).
#include <algorithm>

#include "arqon/base/assert.h"
#include "arqon/sim/kv_pool.h"
#include "arqon/sim/replica.h"

namespace arqon::sim {

std::int64_t Replica::decode_blocks_exact(std::int64_t step) const {
  std::int64_t blocks = 0;
  for (const Decoding& d : decoding_) {
    const Sequence& sequence = slab_[d.id];
    const std::int64_t tokens =
        std::min(context_at(sequence, step) / kContextUnit + speculation_ + 1,
                 std::int64_t{sequence.prompt} + std::int64_t{sequence.output});
    blocks += blocks_of(tokens, boot_.block_size);
  }
  return blocks;
}

std::int64_t Replica::decode_blocks_bound(std::int64_t context) const {
  const auto n = static_cast<std::int64_t>(decoding_.size());
  return (context + n * (speculation_ + boot_.block_size) * kContextUnit) /
         (boot_.block_size * kContextUnit);
}

std::int64_t Replica::partial_blocks() const {
  std::int64_t blocks = 0;
  for (const SequenceId id : partial_) {
    blocks += blocks_of(slab_[id].prefilled, boot_.block_size);
  }
  return blocks;
}

std::int64_t Replica::blocks_used() const {
  return decode_blocks_exact(step_) + partial_blocks() + cache_.correction();
}

std::int64_t Replica::steps_until_full() const {
  const auto n = static_cast<std::int64_t>(decoding_.size());
  const std::int64_t blocks = blocks_ - cache_.correction() - partial_blocks();
  const std::int64_t room = (blocks + 1) * boot_.block_size * kContextUnit - 1 -
                            n * (speculation_ + boot_.block_size) * kContextUnit - context_;
  return room < 0 ? 1 : room / context_rate_ + 1;
}

// Blocks in use only grow within a run, so what the last of its steps evicts is what all of them
// evict, and in the same order.
void Replica::take_blocks(std::int64_t steps) {
  if (cache_.evictable() == 0) return;
  const std::int64_t other = partial_blocks() + chunk_blocks_ + cache_.correction();
  const std::int64_t context = context_ + (steps - 1) * context_rate_;
  if (cache_.evictable() + other + decode_blocks_bound(context) <= blocks_) return;
  const std::int64_t used = other + decode_blocks_exact(step_ + steps - 1);
  ARQON_ASSERT(used >= 0 && used <= blocks_);
  cache_.shrink_to(blocks_ - used);
}

std::int64_t Replica::whole_blocks(const Sequence& sequence) const {
  return blocks_of(std::int64_t{sequence.prompt} + std::int64_t{sequence.output},
                   boot_.block_size);
}

void Replica::leave(Sequence& sequence, std::int64_t tokens) {
  if (scheduler_.kind == SchedulerKind::kTensorRtLlm) reserved_blocks_ -= whole_blocks(sequence);
  if (!scheduler_.prefix_caching) return;
  cache_.extend(sequence.prefix, walk(sequence, tokens));
  cache_.release(sequence.prefix);
}

}  // namespace arqon::sim
