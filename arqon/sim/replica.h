// One engine replica: continuous batching in the shape of vLLM V1 (equation page 2.3), step by step
// or, where nothing can happen in between, many decode steps at once (2.4).
//
// The way of a request here, and where it waits:
//   enqueue        -> waiting_     here it waits: for a step to end, for a seat under batch_size,
//                                  for budget, for blocks, for those before it
//   schedule_*     -> partial_     its prompt is computed, a chunk a step   replica_schedule.cc
//   settle_chunks  -> decoding_    its first token is out                   replica_steps.cc
//   settle         -> account      its last token is out
// An eviction leads back to the head of waiting_. How long a step takes: step_time.h.
//
// A step: every running sequence decodes (1 token, or on average E(k) with speculation), unfinished
// prefills take what is left of the token budget in admission order, then the waiting queue is
// admitted, online before backfill, first come, first served, until budget, running cap or KV
// blocks run out. When a decode finds no block, the sequence admitted last (of backfill first) is
// evicted to the head of the queue and will compute its prompt and its answer so far again, but for
// what is still cached then.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "arqon/sim/account.h"
#include "arqon/sim/gap_stack.h"
#include "arqon/sim/noise.h"
#include "arqon/sim/prefix_cache.h"
#include "arqon/sim/scheduler.h"
#include "arqon/sim/sequence.h"
#include "arqon/sim/settings.h"
#include "arqon/sim/step_log.h"
#include "arqon/sim/step_time.h"
#include "arqon/sim/waiting_queue.h"

namespace arqon::sim {

// 128-bit sums of picoseconds times context units.
__extension__ using Wide = unsigned __int128;

// What a replica has done; cumulative.
struct ReplicaStats {
  std::uint64_t steps = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t recomputed_tokens = 0;
  std::uint64_t prompt_tokens = 0;  // of admitted requests, evicted ones each time
  std::uint64_t cached_tokens = 0;  // of those, found in the prefix cache
  std::uint64_t decode_steps = 0;   // sequences times steps
  std::uint64_t decode_units = 0;   // tokens from them, in kContextUnit-ths
  std::array<std::uint64_t, 32> batch{};  // steps by floor(log2(running))
  Ps busy = 0;
  Wide context_time = 0;         // integral of context held, kContextUnit-ths x ps
  std::int64_t context_max = 0;  // kContextUnit-ths
};

// A slot of a closed loop whose request has ended.
struct FinishedSlot {
  Ps at;
  std::uint32_t slot;
};

// A request that leaves a replica for another place (Sequence::forward says why).
struct Forwarded {
  Ps at;
  SequenceId id;
};

struct ReplicaOptions {
  std::shared_ptr<const StepTime> step_time;  // shared by the replicas of a pool
  EngineSettings settings;
  SchedulerOptions scheduler = {};
  std::int64_t blocks = 0;
  int index = 0;  // fleet-wide
  bool step_by_step = false;
  // Accepted drafts are drawn at every step, by the streams of this; null = their mean is used.
  const Rng* sampled_speculation = nullptr;
  std::vector<FinishedSlot>* finished_slots = nullptr;  // closed loop: filled at finish
  std::vector<Forwarded>* forwarded = nullptr;  // must be there when a sequence is to go on
  std::shared_ptr<StepLog> step_log;  // null = not recorded
};

// One thread; shares slab and account with the other replicas of its twin.
class Replica {
 public:
  Replica(ReplicaOptions options, Noise noise, SequenceSlab& slab, Account& account);

  // Runs every step that starts before `t` and settles every one that ends by `t`.
  void advance_to(Ps t);
  // Puts a request at the end of the queue at `t`, the time last advanced to.
  void enqueue(SequenceId id, Ps t);
  // True when the engine's own admission refuses more: prompt tokens not yet computed, of queued
  // and half-prefilled requests, exceed the limit.
  bool refuses() const;

  // In force from the next step on.
  void set_live(const LiveSettings& live) { live_ = live; }
  const LiveSettings& live() const { return live_; }

  // Admission off: what runs ends, the queue waits. on = back to work.
  void hold(bool on) { held_ = on; }
  // Nothing runs (the queue may be full).
  bool empty() const { return decoding_.empty() && partial_.empty(); }
  // Boots with new settings and a cold prefix cache at `t`; only when empty.
  void reboot(const BootSettings& boot, std::int64_t blocks, Ps t);
  const BootSettings& boot() const { return boot_; }
  // Takes the whole queue away, in order.
  std::vector<SequenceId> take_queue();
  // The machine stops at `t`: the step under way is lost, and everything that ran or waited here is
  // returned in order of admission.
  std::vector<SequenceId> fail(Ps t);
  // From the next step on; see Noise::set_speed.
  void set_speed(double speed) { noise_.set_speed(speed); }

  // Counts broken limits of everything in flight at `now`.
  void judge(Ps now);

  std::size_t running() const { return decoding_.size() + partial_.size(); }
  std::size_t waiting() const { return waiting_.size(); }
  std::int64_t blocks() const { return blocks_; }
  // Blocks in use, shared ones once, summed exactly over all running sequences. Linear in them.
  std::int64_t blocks_used() const;
  // Blocks that are free and still hold text that may be asked for again.
  std::int64_t blocks_cached() const { return cache_.evictable(); }
  // Fraction of blocks in use, estimated with half-empty last blocks.
  double kv_use() const;
  Ps now() const { return now_; }
  // End of the step under way; now() when idle.
  Ps busy_until() const { return pending_.steps > 0 ? pending_.end : now_; }
  const ReplicaStats& stats() const { return stats_; }

 private:
  struct Decoding {
    std::int64_t finish_step;
    std::uint32_t admission;
    SequenceId id;
  };
  struct Chunk {
    SequenceId id;
    std::uint32_t tokens;
  };
  struct Pending {
    std::int64_t steps = 0;  // 0 = idle
    Ps end = 0;
    Ps last_duration = 0;  // longest and last of the run
  };
  // Order of the heap: first to finish on top.
  struct Later {
    bool operator()(const Decoding& a, const Decoding& b) const {
      return a.finish_step != b.finish_step ? a.finish_step > b.finish_step
                                            : a.admission > b.admission;
    }
  };

  // -- what enters a step: replica_schedule.cc
  // Schedules what starts at now(); false when there is nothing to do.
  bool start(Ps horizon);
  bool hold_for_batch(Ps horizon);
  std::int64_t batch_to_send() const;
  void make_room();
  bool fits(std::int64_t blocks) const;
  bool admissible(SequenceId id, PrefixCache::Hit& hit) const;
  std::int64_t budget_left() const;
  std::int64_t chunk_tokens(const Sequence& sequence, std::int64_t budget) const;
  void add_chunk(SequenceId id, std::int64_t tokens);
  void schedule_partial();
  void schedule_waiting();
  std::int64_t admit(SequenceId id, const PrefixCache::Hit& hit, std::int64_t budget);
  void shed_front();
  Ps front_deadline() const;
  void evict_last();
  void evict_partial();
  void evict_decoding(std::size_t index);
  void requeue(SequenceId id, std::int64_t computed);

  // -- speculation: replica_schedule.cc
  void respeculate(std::int64_t k);
  void sample_speculation();
  // Sets the rate; returns the step at which the sequence will have finished.
  std::int64_t plan(Sequence& sequence) const;
  std::int64_t finish_step(const Sequence& sequence) const;

  // -- blocks: replica_blocks.cc
  // Of decoding sequences once they have computed the step that follows step number `step`.
  std::int64_t decode_blocks_exact(std::int64_t step) const;
  // Never less than that, in O(1), for a total context.
  std::int64_t decode_blocks_bound(std::int64_t context) const;
  std::int64_t partial_blocks() const;
  // Steps whose bound on blocks still holds, at least 1.
  std::int64_t steps_until_full() const;
  // The next `steps` steps take their blocks: cached text gives way.
  void take_blocks(std::int64_t steps);
  PrefixWalk walk(const Sequence& sequence, std::int64_t tokens) const {
    return PrefixWalk(sequence.request, sequence.trace_index, tokens, boot_.block_size);
  }
  std::int64_t whole_blocks(const Sequence& sequence) const;
  // The first `tokens` tokens are computed and the sequence gives its blocks back.
  void leave(Sequence& sequence, std::int64_t tokens);

  // -- how long it takes, and what comes of it: replica_steps.cc
  void start_run(Ps horizon);
  void start_mixed();
  Ps decode_base();
  std::int64_t run_length(Ps first, Ps growth, Ps horizon) const;
  void log_run(std::int64_t steps) const;
  void count_run(Ps first, Ps growth, std::int64_t steps, Ps total);
  void settle();
  void settle_chunks();
  void settle_joined();
  void begin_decoding(SequenceId id);
  void start_decoding(SequenceId id, std::int64_t context);
  void finish(SequenceId id, Ps gap);
  Ps gap_of(const Sequence& sequence) const;
  std::int64_t context_at(const Sequence& sequence, std::int64_t step) const {
    return sequence.base_context + (step - sequence.base_step) * std::int64_t{sequence.rate};
  }

  SequenceSlab& slab_;
  Account& account_;
  std::shared_ptr<const StepTime> step_time_;
  Noise noise_;
  SchedulerOptions scheduler_;
  int index_;
  bool step_by_step_;
  const Rng* sampled_speculation_;
  std::vector<FinishedSlot>* finished_slots_;
  std::vector<Forwarded>* forwarded_;
  std::shared_ptr<StepLog> step_log_;  // shared with the twin's owner

  LiveSettings live_;
  BootSettings boot_;
  std::int64_t blocks_;
  std::int64_t speculation_ = 0;  // k in force
  bool held_ = false;

  Ps now_ = 0;
  std::int64_t step_ = 0;            // steps settled
  std::int64_t context_ = 0;         // of all decoding sequences, kContextUnit-ths
  std::int64_t context_rate_ = 0;    // its growth per step
  std::vector<Decoding> decoding_;   // heap by Later
  std::vector<SequenceId> partial_;  // prefills under way, in order of admission
  std::vector<Chunk> chunks_;        // of the step under way
  std::vector<SequenceId> joined_;   // began to decode in it with a KV cache from elsewhere
  WaitingQueue waiting_;
  PrefixCache cache_;
  std::int64_t queued_tokens_ = 0;    // prompt tokens waiting and half done
  std::int64_t partial_tokens_ = 0;   // tokens held by partial_
  std::int64_t reserved_blocks_ = 0;  // kTensorRtLlm: of whole answers, by what runs
  std::int64_t batch_left_ = 0;       // kTriton: requests of the batch still to be admitted
  std::uint32_t admissions_ = 0;
  bool evicted_ = false;           // in the step being scheduled
  std::int64_t chunk_blocks_ = 0;  // taken by chunks_ on top of what partial_ held
  bool woken_ = false;             // idle until now: stalls of the idle time are skipped
  Pending pending_;
  GapStack gaps_;
  std::vector<std::vector<Ps>> decode_base_;  // memo by k and decoding sequences; 0 = unknown
  ReplicaStats stats_;
};

}  // namespace arqon::sim
