// A request inside the engine, and the slab that holds all of them.
#pragma once

#include <cstdint>
#include <vector>

#include "arqon/serving/outcome.h"
#include "arqon/sim/prefix_cache.h"
#include "arqon/sim/speculation.h"
#include "arqon/sim/step_time.h"
#include "arqon/workload/request.h"

namespace arqon::sim {

using SequenceId = std::uint32_t;

// What happens to a request at the end of its time at a replica, decided when it is sent there.
enum class Forward : std::uint8_t {
  kNone,          // it has ended
  kAfterPrefill,  // its KV cache goes to a decode replica once it has its first token
  kAfterAnswer,   // the answer is not trusted: the whole request goes to a larger model
  kShed,          // it waited beyond its deadline and goes back to its client
};

// Decoding sequences are updated lazily: their context is a linear function of the replica's step
// number since `base_step`.
struct Sequence {
  const workload::Request* request = nullptr;  // whose text it is; null = shares none
  PrefixHold prefix;                           // what it uses of the replica's cache
  Ps arrival = 0;             // intended
  Ps first_token = 0;         // 0 = none yet
  Ps last_token = 0;          // before a preemption; 0 = never preempted since
  Ps queued_at = 0;           // when it joined the queue of its replica
  Ps gap = 0;                 // largest pause up to gap_step
  std::int64_t gap_step = 0;  // pauses after this step are in the replica's GapStack
  std::int64_t base_step = 0;
  std::int64_t base_context = 0;  // prompt + output at base_step, in kContextUnit-ths
  std::uint32_t trace_index = 0;
  std::uint32_t prompt = 0;     // tokens
  std::uint32_t output = 0;     // tokens it will be allowed
  std::uint32_t prefilled = 0;  // tokens computed of prefill_target
  std::uint32_t prefill_target = 0;
  std::uint32_t lost = 0;       // computed tokens that an eviction took
  std::uint32_t rate = 0;       // kContextUnit-ths per decode step
  std::uint32_t admission = 0;  // order of admission at its replica
  std::uint32_t slot = 0;       // closed loop: which slot sent it
  float acceptance = 0;
  std::uint16_t request_class = 0;
  std::uint16_t replica = 0;  // fleet-wide index of the one that serves it
  serving::Limit broke = serving::Limit::kNone;
  std::uint8_t acceptance_row = 0;  // as in workload::Request
  Match match = Match::kUnknown;
  bool backfill = false;
  bool cut = false;  // output was shortened by max_tokens
  bool kv_ready = false;   // its KV cache came from elsewhere: it needs blocks, but no prefill
  bool unfit = false;      // a hard question that a small model answers
  std::uint8_t retries = 0;  // times its client has sent it again
  Forward forward = Forward::kNone;
};

// Ids stay valid until freed; references only until the next add. One thread.
class SequenceSlab {
 public:
  SequenceId add(const Sequence& sequence) {
    if (free_.empty()) {
      items_.push_back(sequence);
      return static_cast<SequenceId>(items_.size() - 1);
    }
    const SequenceId id = free_.back();
    free_.pop_back();
    items_[id] = sequence;
    return id;
  }
  void free(SequenceId id) { free_.push_back(id); }
  Sequence& operator[](SequenceId id) { return items_[id]; }
  const Sequence& operator[](SequenceId id) const { return items_[id]; }
  std::size_t live() const { return items_.size() - free_.size(); }

 private:
  std::vector<Sequence> items_;
  std::vector<SequenceId> free_;
};

}  // namespace arqon::sim
