// The way of a request through the kernel: from its client to a replica's queue and, where it goes
// on from there, back to the router.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "arqon/sim/kernel.h"
#include "arqon/sim/kernel_times.h"
#include "arqon/sim/prefix_keys.h"

namespace arqon::sim {
namespace {

// A client that was turned away waits so long, then twice as long, ..., each time up to a quarter
// more or less.
constexpr Ps kRetryAfter = kPsPerSecond;
constexpr double kRetryJitter = 0.25;

}  // namespace

// Everything that reaches the router by `end`, in the order of time.
void Twin::Kernel::dispatch_until(Ps end) {
  const bool open = options_.closed_loop_concurrency == 0;
  while (true) {
    const Ps arrives = open && next_ < trace_.size() ? ps_of(trace_[next_].arrival) + front_end_
                                                     : std::numeric_limits<Ps>::max();
    const Ps due = due_.empty() ? std::numeric_limits<Ps>::max() : due_.top().at;
    if (std::min(arrives, due) > end) return;
    if (arrives <= due) {
      const auto index = static_cast<std::uint32_t>(next_++);
      dispatch({arrives, new_sequence(index, arrives - front_end_, 0), index, Reason::kAsk});
    } else {
      const Due next = due_.top();
      due_.pop();
      dispatch(next);
    }
  }
}

SequenceId Twin::Kernel::new_sequence(std::size_t trace_index, Ps arrival, std::uint32_t slot) {
  const workload::Request& r = trace_[trace_index];
  Sequence sequence;
  sequence.arrival = arrival;
  sequence.trace_index = static_cast<std::uint32_t>(trace_index);
  sequence.prompt = sequence.prefill_target = r.prompt_tokens;
  sequence.output = r.output_tokens;
  sequence.slot = slot;
  sequence.request = &r;
  sequence.acceptance = r.acceptance;
  sequence.acceptance_row = r.acceptance_row;
  sequence.backfill = r.backfill;
  sequence.request_class = r.request_class;
  return slab_.add(sequence);
}

void Twin::Kernel::dispatch(Due due) {
  if (looks()) refresh_loads(due.at);
  const std::optional<std::size_t> chosen = choose(due);
  Sequence& sequence = slab_[due.id];
  if (!chosen) {  // nobody is there who may answer
    sequence.replica = 0;
    account_.route(sequence);
    return turn_away(due.id, 0, due.at);
  }
  Seat& seat = seats_[*chosen];
  seat.replica->advance_to(due.at);
  if (due.reason != Reason::kHandOver) shape_answer(sequence, seat, *chosen);
  sequence.replica = static_cast<std::uint16_t>(*chosen);
  account_.route(sequence);
  if (due.reason != Reason::kHandOver && seat.replica->refuses()) {
    return turn_away(due.id, *chosen, due.at);
  }
  seat.replica->enqueue(due.id, due.at);
}

// What the replica will do with it: cut it, or send it on after the prefill.
void Twin::Kernel::shape_answer(Sequence& sequence, const Seat& seat, std::size_t chosen) const {
  const std::uint32_t wanted = trace_[sequence.trace_index].output_tokens;
  const std::int64_t cap = seat.replica->live().max_tokens;
  sequence.cut = cap > 0 && std::int64_t{wanted} > cap;
  sequence.output = sequence.cut ? static_cast<std::uint32_t>(cap) : wanted;
  if (sequence.forward == Forward::kAfterAnswer) return;
  sequence.forward = Forward::kNone;
  if (!prefills(seat) || decodes(seat)) return;
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    if (r == chosen || seats_[r].pool != seat.pool) continue;
    if (decodes(seats_[r]) && router_.available(r)) sequence.forward = Forward::kAfterPrefill;
  }
}

// ---- choice of a replica -------------------------------------------------------------------

std::optional<std::size_t> Twin::Kernel::choose(Due due) {
  if (due.reason == Reason::kHandOver) return choose_decode(due);
  return choose_entry(due);
}

void Twin::Kernel::candidates_of(PoolSet pools, bool decode) {
  bool any = false;
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    const Seat& seat = seats_[r];
    const bool inside = (pools >> seat.pool & 1) != 0 && (decode ? decodes(seat) : prefills(seat));
    candidates_[r] = inside ? 1 : 0;
    any = any || (inside && router_.available(r));
  }
  if (any) return;
  // None of that role is up: one of the other role does both.
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    candidates_[r] = (pools >> seats_[r].pool & 1) != 0 ? 1 : 0;
  }
}

std::optional<std::size_t> Twin::Kernel::choose_entry(Due due) {
  Sequence& sequence = slab_[due.id];
  PoolSet up = 0;
  std::fill(depths_.begin(), depths_.end(), std::numeric_limits<double>::infinity());
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    if (!router_.available(r)) continue;
    const std::size_t pool = seats_[r].pool;
    up |= PoolSet{1} << pool;
    depths_[pool] = std::min(depths_[pool], router_.load(r).waiting);
  }
  PoolSet pools = 0;
  if (options_.fleet.router.cascade) {
    CascadeSpec cascade = *options_.fleet.router.cascade;
    cascade.threshold = threshold_;
    const CascadeDraw draw = draw_cascade(cascade, cascade_stream_, sequence.trace_index);
    const bool large = draw.large || due.reason == Reason::kEscalate;
    for (std::size_t p = 0; p < options_.fleet.pools.size(); ++p) {
      if (options_.fleet.pools[p].name == (large ? cascade.large : cascade.small)) {
        pools = PoolSet{1} << p;
      }
    }
    sequence.forward = !large && draw.escalates ? Forward::kAfterAnswer : Forward::kNone;
    sequence.unfit = !large && draw.unfit;
  } else {
    pools = pools_.choose(sequence.request_class, due.at, up, depths_);
  }
  if (pools == 0) return std::nullopt;
  candidates_of(pools, /*decode=*/false);
  const PrefixKeys keys = prefix_keys(trace_[sequence.trace_index]);
  return router_.choose(candidates_, keys.span());
}

std::optional<std::size_t> Twin::Kernel::choose_decode(Due due) {
  candidates_of(PoolSet{1} << seats_[slab_[due.id].replica].pool, /*decode=*/true);
  return router_.choose(candidates_);
}

// ---- what comes back -----------------------------------------------------------------------

void Twin::Kernel::turn_away(SequenceId id, std::size_t seat, Ps at) {
  Sequence& sequence = slab_[id];
  if (sequence.retries < trace_[sequence.trace_index].retries) {
    const Ps wait = kRetryAfter << sequence.retries;
    const std::uint64_t draw =
        retry_stream_.stream(sequence.trace_index).at(sequence.retries);
    const double part = 1 + kRetryJitter * (2 * static_cast<double>(draw >> 11) * 0x1.0p-53 - 1);
    ++sequence.retries;
    sequence.first_token = sequence.last_token = sequence.gap = 0;
    sequence.prefilled = 0;
    sequence.prefill_target = sequence.prompt;
    sequence.kv_ready = false;
    const Ps back = at + std::llround(static_cast<double>(wait) * part) + front_end_;
    due_.push({back, id, sequence.trace_index, Reason::kAsk});
    return;
  }
  account_.reject(sequence, static_cast<int>(seat));
  if (options_.closed_loop_concurrency > 0) finished_slots_.push_back({at, sequence.slot});
  slab_.free(id);
}

void Twin::Kernel::forward(const Forwarded& forwarded) {
  Sequence& sequence = slab_[forwarded.id];
  Seat& seat = seats_[sequence.replica];
  if (sequence.forward == Forward::kShed) {
    sequence.forward = Forward::kNone;
    return turn_away(forwarded.id, sequence.replica, forwarded.at);
  }
  if (sequence.forward == Forward::kAfterAnswer) {
    seat.distrusted_tokens += sequence.output;
    sequence.first_token = sequence.last_token = sequence.gap = 0;
    sequence.prefilled = 0;
    sequence.prefill_target = sequence.prompt;
    sequence.forward = Forward::kNone;
    due_.push({forwarded.at + front_end_, forwarded.id, sequence.trace_index, Reason::kEscalate});
    return;
  }
  sequence.forward = Forward::kNone;
  const KvTransferSpec& link = options_.fleet.kv_transfer;
  const double bytes = kv_bytes_per_token(*seat.model) * sequence.prefill_target;
  const double ms = link.latency_ms + bytes / (link.gb_per_s * 1e6);
  due_.push({forwarded.at + std::llround(ms * static_cast<double>(kPsPerMs)), forwarded.id,
             sequence.trace_index, Reason::kHandOver});
}

void Twin::Kernel::collect() {
  for (const Forwarded& forwarded : forwarded_) forward(forwarded);
  forwarded_.clear();
  // By time, then by slot: the order in which replicas were advanced must not matter.
  std::sort(finished_slots_.begin(), finished_slots_.end(),
            [](const FinishedSlot& a, const FinishedSlot& b) {
              return a.at != b.at ? a.at < b.at : a.slot < b.slot;
            });
  for (const FinishedSlot& done : finished_slots_) send_next(done.slot, done.at);
  finished_slots_.clear();
}

void Twin::Kernel::send_next(std::uint32_t slot, Ps at) {
  if (next_ >= trace_.size()) return;
  account_.arrive(next_, at);
  due_.push({at + front_end_, new_sequence(next_, at, slot), static_cast<std::uint32_t>(next_),
             Reason::kAsk});
  ++next_;
}

}  // namespace arqon::sim
