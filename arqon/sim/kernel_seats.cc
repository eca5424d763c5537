// Machines up and down: restarts for boot settings, starts and stops that a knob or an event asks
// for, failures, throttling, and what all of that costs.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "arqon/sim/kernel.h"
#include "arqon/sim/kernel_times.h"

namespace arqon::sim {
namespace {

Ps seconds_to_ps(double s) { return std::llround(s * static_cast<double>(kPsPerSecond)); }

}  // namespace

// Roles are the router's: what runs at a replica ends there as it began.
bool Twin::Kernel::prefills(const Seat& seat) const {
  const int prefill = pool_state_[seat.pool].prefill_replicas;
  return prefill == 0 || seat.number < prefill;
}
bool Twin::Kernel::decodes(const Seat& seat) const {
  const int prefill = pool_state_[seat.pool].prefill_replicas;
  return prefill == 0 || seat.number >= prefill;
}

bool Twin::Kernel::wanted_up(const Seat& seat) const {
  return !seat.stopped && seat.number < pool_state_[seat.pool].replicas;
}

bool Twin::Kernel::needs_restart(const Seat& seat) const {
  return seat.phase == Phase::kUp && wanted_up(seat) &&
         !(seat.replica->boot() == seat.wanted.boot);
}

bool Twin::Kernel::unsettled() const {
  return std::any_of(seats_.begin(), seats_.end(), [&](const Seat& seat) {
    if (seat.phase == Phase::kFailed) return false;
    return seat.phase == Phase::kDraining || seat.phase == Phase::kLoading ||
           (seat.phase == Phase::kUp) != wanted_up(seat) || needs_restart(seat);
  });
}

void Twin::Kernel::tend_seats() {
  for (std::size_t r = 0; r < seats_.size(); ++r) tend(r);
  begin_restart();
}

void Twin::Kernel::tend(std::size_t index) {
  Seat& seat = seats_[index];
  const bool wanted = wanted_up(seat);
  if (seat.phase == Phase::kUp && !wanted) retire(index);
  if (seat.phase == Phase::kDraining && !seat.restarts && wanted) {  // called back
    seat.phase = Phase::kUp;
    seat.replica->hold(false);
    set_serving(index, true);
  }
  if (seat.phase == Phase::kDraining && seat.replica->empty()) {
    if (wanted) {
      seat.phase = Phase::kLoading;
      seat.ready_at = now_ + seconds_to_ps(options_.fleet.restart_load_s);
    } else {
      empty_queue(index);
      seat.paid += now_ - seat.paid_from;
      seat.phase = Phase::kOff;
      seat.restarts = false;
    }
  }
  if (seat.phase == Phase::kOff && wanted) {
    const double load_s = seat.asleep ? options_.fleet.wake_s : options_.fleet.restart_load_s;
    seat.phase = Phase::kLoading;
    seat.ready_at = now_ + seconds_to_ps(load_s);
    seat.paid_from = now_;
    seat.asleep = false;
  }
  if (seat.phase == Phase::kLoading && now_ >= seat.ready_at) {
    seat.replica->reboot(seat.wanted.boot, seat.wanted_blocks, now_);
    seat.replica->hold(false);
    seat.phase = Phase::kUp;
    seat.restarts = false;
    set_serving(index, true);
  }
}

// One replica at a time: off the router, what runs ends, its queue goes elsewhere, load, back on.
void Twin::Kernel::begin_restart() {
  const bool rolling = std::any_of(seats_.begin(), seats_.end(),
                                   [](const Seat& seat) { return seat.restarts; });
  if (rolling) return;
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    if (!needs_restart(seats_[r])) continue;
    seats_[r].restarts = true;
    return retire(r);
  }
}

void Twin::Kernel::retire(std::size_t index) {
  Seat& seat = seats_[index];
  seat.phase = Phase::kDraining;
  seat.replica->hold(true);
  const auto up = std::count_if(seats_.begin(), seats_.end(), [&](const Seat& other) {
    return other.pool == seat.pool && other.phase == Phase::kUp;
  });
  if (up == 0 && seat.restarts) return;  // nowhere else to go: the queue waits
  set_serving(index, false);
  empty_queue(index);
}

void Twin::Kernel::set_serving(std::size_t index, bool serving) {
  router_.set_available(index, serving);
}

// What waits there is sent anew.
void Twin::Kernel::empty_queue(std::size_t index) {
  for (const SequenceId id : seats_[index].replica->take_queue()) {
    const Sequence& sequence = slab_[id];
    dispatch({now_, id, sequence.trace_index,
              sequence.kv_ready ? Reason::kHandOver : Reason::kAsk});
  }
}

// ---- events --------------------------------------------------------------------------------

Ps Twin::Kernel::next_event_at() const {
  const std::vector<FleetEvent>& events = options_.fleet.events;
  if (next_event_ >= events.size()) return std::numeric_limits<Ps>::max();
  return seconds_to_ps(events[next_event_].at_s);
}

void Twin::Kernel::happen(const FleetEvent& event) {
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    const Seat& seat = seats_[r];
    const bool named = options_.fleet.pools[seat.pool].name == event.pool;
    if (named && (event.replica < 0 || event.replica == seat.number)) happen_to(r, event);
  }
}

void Twin::Kernel::happen_to(std::size_t index, const FleetEvent& event) {
  Seat& seat = seats_[index];
  switch (event.kind) {
    case FleetEventKind::kThrottle: seat.replica->set_speed(event.speed); return;
    case FleetEventKind::kFail: fail_seat(index); return;
    case FleetEventKind::kRecover:
      if (seat.phase != Phase::kFailed) return;
      seat.phase = Phase::kLoading;
      seat.restarts = true;
      seat.ready_at = now_ + seconds_to_ps(options_.fleet.restart_load_s);
      return;
    case FleetEventKind::kStop:
    case FleetEventKind::kSleep:
      seat.stopped = true;
      seat.asleep = event.kind == FleetEventKind::kSleep;
      return;
    case FleetEventKind::kStart:
    case FleetEventKind::kWake: seat.stopped = false; return;
  }
}

// Requests without a token are sent elsewhere by the router; a stream that broke is for its client
// to begin again.
void Twin::Kernel::fail_seat(std::size_t index) {
  Seat& seat = seats_[index];
  if (seat.phase == Phase::kFailed || seat.phase == Phase::kOff) return;
  seat.phase = Phase::kFailed;
  seat.restarts = false;
  set_serving(index, false);
  for (const SequenceId id : seat.replica->fail(now_)) {
    Sequence& sequence = slab_[id];
    const bool streams = sequence.first_token != 0 && sequence.forward != Forward::kAfterAnswer;
    if (streams && !sequence.kv_ready) {
      turn_away(id, index, now_);
      continue;
    }
    if (!sequence.kv_ready) {  // the transfer can be made again, a prefill must be
      sequence.prefilled = 0;
      sequence.prefill_target = sequence.prompt;
      sequence.first_token = 0;
    }
    dispatch({now_, id, sequence.trace_index,
              sequence.kv_ready ? Reason::kHandOver : Reason::kAsk});
  }
  collect();
}

// ---- cost ----------------------------------------------------------------------------------

Ps Twin::Kernel::paid(const Seat& seat) const {
  return seat.paid + (seat.phase == Phase::kOff ? 0 : now_ - seat.paid_from);
}

double Twin::Kernel::paid_gpu_s(double* dollars) const {
  double gpu_s = 0;
  *dollars = 0;
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    const Seat& seat = seats_[r];
    const PoolSpec& pool = options_.fleet.pools[seat.pool];
    const double spent = seconds_of(paid(seat)) * pool.tp;
    gpu_s += spent;
    *dollars += spent / 3600 * pool.price_per_gpu_hour;
    if (pool.price_per_million_tokens <= 0) continue;
    std::uint64_t tokens = seat.distrusted_tokens;
    for (const serving::ClassCounters& c : account_.counters(r)) {
      tokens += c.prompt_tokens + c.output_tokens;
    }
    *dollars += static_cast<double>(tokens) / 1e6 * pool.price_per_million_tokens;
  }
  return gpu_s;
}

}  // namespace arqon::sim
