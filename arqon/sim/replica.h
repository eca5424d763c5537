// One engine replica: continuous batching in the shape of vLLM V1, step by step or, where nothing
// can happen in between, many decode steps at once.
//
// A step: every running sequence decodes (1 token, or on average E(k) with speculation), unfinished
// prefills take what is left of the token budget in admission order, then the waiting queue is
// admitted first come, first served until budget, running cap or KV blocks run out. When a decode
// finds no block, the sequence admitted last is evicted to the head of the queue and will compute
// its prompt and its answer so far again.
//
// Run-length steps: with n sequences decoding and nobody admissible, step j lasts d + g * j in
// integer picoseconds, so a run of steps ends where the single steps would, to the last digit.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "arqon/sim/account.h"
#include "arqon/sim/gap_stack.h"
#include "arqon/sim/noise.h"
#include "arqon/sim/sequence.h"
#include "arqon/sim/settings.h"
#include "arqon/sim/step_log.h"
#include "arqon/sim/step_time.h"

namespace arqon::sim {

// 128-bit sums of picoseconds times context units.
__extension__ using Wide = unsigned __int128;

// What a replica has done; cumulative.
struct ReplicaStats {
  std::uint64_t steps = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t recomputed_tokens = 0;
  std::uint64_t decode_steps = 0;         // sequences times steps
  std::uint64_t decode_units = 0;         // tokens from them, in kContextUnit-ths
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

// A request that leaves a replica for another one (Sequence::forward says why).
struct Forwarded {
  Ps at;
  SequenceId id;
};

struct ReplicaOptions {
  std::shared_ptr<const StepTime> step_time;  // shared by the replicas of a pool
  EngineSettings settings;
  std::int64_t blocks = 0;
  int index = 0;  // fleet-wide
  bool step_by_step = false;
  std::shared_ptr<StepLog> step_log;  // null = not recorded
  std::vector<FinishedSlot>* finished_slots = nullptr;  // closed loop: filled at finish
  std::vector<Forwarded>* forwarded = nullptr;  // must be there when a sequence is to go on
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
  // Boots with new settings at `t`; only when empty.
  void reboot(const BootSettings& boot, std::int64_t blocks, Ps t);
  const BootSettings& boot() const { return boot_; }
  // Takes the whole queue away, in order.
  std::deque<SequenceId> take_queue();
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
  // Blocks held, summed exactly over all running sequences. Linear in them.
  std::int64_t blocks_used() const;
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

  // Schedules what starts at now(); false when there is nothing to do.
  bool start(Ps horizon);
  bool hold_for_batch(Ps horizon);
  void make_room();
  bool fits(std::int64_t blocks) const;
  std::int64_t budget_left() const;
  std::int64_t chunk_tokens(const Sequence& sequence, std::int64_t budget) const;
  void add_chunk(SequenceId id, std::int64_t tokens);
  void schedule_partial();
  void schedule_waiting();
  void evict_last();
  void respeculate();
  // Sets the rate; returns the step at which the sequence will have finished.
  std::int64_t plan(Sequence& sequence) const;

  std::int64_t decode_blocks_exact() const;
  // Never less than decode_blocks_exact(), in O(1).
  std::int64_t decode_blocks_bound() const;
  std::int64_t partial_blocks() const;
  // Steps whose bound on blocks still holds, at least 1.
  std::int64_t steps_until_full() const;

  void start_run(Ps horizon);
  void start_mixed();
  Ps decode_base();
  std::int64_t run_length(Ps first, Ps growth, Ps horizon) const;
  void count_run(Ps first, Ps growth, std::int64_t steps, Ps total);
  void log_run(std::int64_t steps) const;

  void settle();
  void settle_chunks();
  void begin_decoding(SequenceId id);
  void start_decoding(SequenceId id, std::int64_t context);
  void settle_joined();
  void finish(SequenceId id, Ps gap);
  Ps gap_of(const Sequence& sequence) const;
  std::int64_t context_at(const Sequence& sequence, std::int64_t step) const {
    return sequence.base_context + (step - sequence.base_step) * std::int64_t{sequence.rate};
  }

  SequenceSlab& slab_;
  Account& account_;
  std::shared_ptr<const StepTime> step_time_;
  Noise noise_;
  int index_;
  bool step_by_step_;
  std::vector<FinishedSlot>* finished_slots_;
  std::vector<Forwarded>* forwarded_;

  LiveSettings live_;
  BootSettings boot_;
  std::int64_t blocks_;
  std::int64_t speculation_;  // k in force
  bool held_ = false;

  Ps now_ = 0;
  std::int64_t step_ = 0;            // steps settled
  std::int64_t context_ = 0;         // of all decoding sequences, kContextUnit-ths
  std::int64_t context_rate_ = 0;    // its growth per step
  std::vector<Decoding> decoding_;   // heap by Later
  std::vector<SequenceId> partial_;  // prefills under way, in order of admission
  std::vector<Chunk> chunks_;        // of the step under way
  std::vector<SequenceId> joined_;   // began to decode in it with a KV cache from elsewhere
  std::deque<SequenceId> waiting_;
  std::int64_t queued_tokens_ = 0;   // prompt tokens waiting and half done
  std::int64_t partial_tokens_ = 0;  // tokens held by partial_
  std::uint32_t admissions_ = 0;
  bool evicted_ = false;           // in the step being scheduled
  std::int64_t chunk_blocks_ = 0;  // taken by chunks_ on top of what partial_ held
  Ps waiting_since_ = 0;           // when the queue was last empty
  bool woken_ = false;             // idle until now: stalls of the idle time are skipped
  Pending pending_;
  GapStack gaps_;
  std::vector<Ps> decode_base_;  // memo by decoding sequences; 0 = unknown
  ReplicaStats stats_;
  std::shared_ptr<StepLog> step_log_;
};

}  // namespace arqon::sim
