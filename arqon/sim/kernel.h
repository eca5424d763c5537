// The event kernel behind Twin: requests in, replicas forward, knobs applied, machines up and down.
// Replicas touch each other only through the router, so each runs ahead by itself between the
// moments at which the router looks.
//
// The way of a request, and where it waits:
//   client -> front end (a constant)            kernel_dispatch.cc: dispatch
//   -> pool (quality, weights, spill, cascade)  pool_choice.h
//   -> replica (policy, stale loads)            router.h
//   -> the engine's admission; refused: back to its client, who may try again
//   -> the replica's queue: here it waits       replica.h: schedule_waiting
//   -> steps                                    step_time.h
//   -> end, or on to a decode replica or a larger model: back to the router
// kernel.cc: creation and the run of time; kernel_knobs.cc: settings in and out; kernel_seats.cc:
// restarts, starts, stops, failures; kernel_report.cc: observations and totals.
#pragma once

#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "arqon/sim/account.h"
#include "arqon/sim/pool_choice.h"
#include "arqon/sim/replica.h"
#include "arqon/sim/router.h"
#include "arqon/sim/settings.h"
#include "arqon/sim/twin.h"

namespace arqon::sim {

class Twin::Kernel {
 public:
  static Result<std::unique_ptr<Kernel>> create(TwinOptions options);

  const serving::Capabilities& capabilities() const { return capabilities_; }
  Result<Config> apply(const Config& setting, serving::Scope scope);
  serving::Observation observe(serving::Scope scope);
  serving::Health health() const;
  Ps now() const { return now_; }
  void run_to(Ps target);
  void drain();
  Totals totals() const;
  const std::vector<RequestRow>& requests() const { return account_.rows(); }

 private:
  // kDraining: off the router, what runs ends. kLoading: weights on their way. kOff costs nothing.
  enum class Phase : std::uint8_t { kUp, kDraining, kLoading, kOff, kFailed };
  // A place for a replica: what it is and what it should become.
  struct Seat {
    std::size_t pool = 0;
    int number = 0;    // in its pool
    std::string name;  // "pool/N"
    const ModelData* model = nullptr;
    const GpuData* gpu = nullptr;
    EngineSettings wanted;
    std::int64_t wanted_blocks = 0;
    std::unique_ptr<Replica> replica;
    Phase phase = Phase::kUp;
    bool stopped = false;   // by an event, whatever `replicas` says
    bool asleep = false;    // kOff with its weights in host memory
    bool restarts = false;  // drains and loads for new boot settings
    Ps ready_at = 0;        // kLoading
    Ps paid_from = 0, paid = 0;
    std::uint64_t distrusted_tokens = 0;  // of answers that a larger model gave again
  };
  // What a pool's own knobs say.
  struct PoolState {
    int replicas = 1;
    int prefill_replicas = 0;
  };
  enum class Reason : std::uint8_t { kAsk, kHandOver, kEscalate };
  // A request on its way to the router.
  struct Due {
    Ps at;
    SequenceId id;
    std::uint32_t trace_index;
    Reason reason;
    bool operator>(const Due& other) const {
      return at != other.at ? at > other.at : trace_index > other.trace_index;
    }
  };
  // The heap's container may be walked.
  struct DueQueue : std::priority_queue<Due, std::vector<Due>, std::greater<>> {
    const std::vector<Due>& items() const { return c; }
  };

  explicit Kernel(TwinOptions options, RoutingPolicy policy, std::size_t seats);
  Status build_pool(std::size_t pool_index);
  Result<std::int64_t> blocks_for(const Seat& seat, const BootSettings& boot) const;
  void find_lookahead();

  // Values of the replicas' settings; of the first one a knob moves, or of `replica` if it is one.
  Config read_config(bool in_force, int replica = serving::Scope::kAll) const;
  double read_engine_knob(const KnobBinding& binding, bool in_force, int replica) const;
  void fill_capabilities();
  Result<Config> accept(const Config& setting, const Config& present) const;
  // What a setting comes to, checked whole before any of it is put in force.
  struct Plan {
    Config accepted;
    std::vector<EngineSettings> wanted;  // per seat
    std::vector<std::int64_t> blocks;
    std::vector<PoolState> pools;
  };
  Result<Plan> plan(const Config& setting, serving::Scope scope) const;
  Status check_plan(Plan& plan) const;
  void write_router(const Config& accepted);

  void run_slice(Ps target);
  void dispatch_until(Ps end);
  void dispatch(Due due);
  std::optional<std::size_t> choose(Due due);
  std::optional<std::size_t> choose_entry(Due due);
  std::optional<std::size_t> choose_decode(Due due);
  void candidates_of(PoolSet pools, bool decode);
  void shape_answer(Sequence& sequence, const Seat& seat, std::size_t chosen) const;
  void place(SequenceId id, std::size_t chosen, Ps at);
  // Its client may try again; otherwise it ends here.
  void turn_away(SequenceId id, std::size_t seat, Ps at);
  SequenceId new_sequence(std::size_t trace_index, Ps arrival, std::uint32_t slot);
  void collect();
  void forward(const Forwarded& forwarded);
  void send_next(std::uint32_t slot, Ps at);
  void advance_all(Ps t);
  void refresh_loads(Ps at);
  bool looks() const { return router_.needs_loads() || pools_.needs_depth(); }

  bool prefills(const Seat& seat) const;
  bool decodes(const Seat& seat) const;
  bool wanted_up(const Seat& seat) const;
  bool needs_restart(const Seat& seat) const;
  bool unsettled() const;
  void tend_seats();
  void tend(std::size_t seat);
  void begin_restart();
  void retire(std::size_t seat);
  void set_serving(std::size_t seat, bool serving);
  void empty_queue(std::size_t seat);
  void happen(const FleetEvent& event);
  void happen_to(std::size_t seat, const FleetEvent& event);
  void fail_seat(std::size_t seat);
  Ps next_event_at() const;
  Ps paid(const Seat& seat) const;
  double paid_gpu_s(double* dollars) const;

  TwinOptions options_;
  const workload::Trace& trace_;
  std::vector<KnobBinding> bindings_;
  serving::Capabilities capabilities_;
  Account account_;
  SequenceSlab slab_;
  std::vector<Seat> seats_;
  std::vector<PoolState> pool_state_;
  Router router_;
  PoolChoice pools_;
  double threshold_ = 0;  // of the cascade
  Rng cascade_stream_, retry_stream_, speculation_stream_;
  Candidates candidates_;
  std::vector<double> depths_;  // per pool
  Ps front_end_ = 0;  // from the client's send to the router: parsing, tokenising, the hop
  Ps state_age_ = 0;
  Ps loads_at_ = -1;  // when the router last looked
  // > 0: what ends at a replica may come back to the router so much later at the earliest.
  Ps lookahead_ = 0;

  Ps now_ = 0;
  std::size_t next_ = 0;               // next request of the trace to send
  std::size_t next_event_ = 0;
  std::uint64_t largest_request_ = 1;  // tokens
  std::vector<FinishedSlot> finished_slots_;
  std::vector<Forwarded> forwarded_;
  DueQueue due_;
};

}  // namespace arqon::sim
