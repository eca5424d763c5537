// The event kernel behind Twin: requests in, replicas forward, knobs applied, restarts rolled.
// Replicas touch each other only through the router, so each runs ahead by itself between the
// moments at which the router looks.
#pragma once

#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "arqon/sim/account.h"
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
  // What a replica is and what it should become.
  struct Seat {
    std::size_t pool = 0;
    std::string name;  // "pool/N"
    const ModelData* model = nullptr;
    const GpuData* gpu = nullptr;
    EngineSettings wanted;
    std::int64_t wanted_blocks = 0;
    std::unique_ptr<Replica> replica;
  };
  enum class Restart : std::uint8_t { kNone, kDraining, kLoading };
  // A request of a closed loop on its way in.
  struct Sent {
    Ps at;
    std::size_t trace_index;
    std::uint32_t slot;
    bool operator>(const Sent& other) const {
      return at != other.at ? at > other.at : trace_index > other.trace_index;
    }
  };

  explicit Kernel(TwinOptions options, RoutingPolicy policy, std::size_t replicas);
  Status build_pool(std::size_t pool_index);
  Result<std::int64_t> blocks_for(const Seat& seat, const BootSettings& boot) const;
  // Values of the replicas' settings; of the first one a knob moves, or of `replica` if it is one.
  Config read_config(bool in_force, int replica = serving::Scope::kAll) const;
  void fill_capabilities();
  Result<Config> accept(const Config& setting, const Config& present) const;

  void run_slice(Ps target);
  void run_closed(Ps target);
  void collect_finished();
  void send_next(std::uint32_t slot, Ps at);
  void dispatch(std::size_t trace_index, Ps arrival, std::uint32_t slot);
  // The router's choice at `at`; that replica is up to date then.
  std::size_t choose(Ps at);
  void advance_all(Ps t);
  void refresh_loads(Ps at);
  void roll_restarts();
  bool restart_wanted() const;
  double paid_gpu_s(double* dollars) const;

  TwinOptions options_;
  const workload::Trace& trace_;
  std::vector<KnobBinding> bindings_;
  serving::Capabilities capabilities_;
  Account account_;
  SequenceSlab slab_;
  std::vector<Seat> seats_;
  Router router_;
  Ps front_end_ = 0;  // from the client's send to the router: parsing, tokenising, the hop
  Ps state_age_ = 0;
  Ps loads_at_ = -1;  // when the router last looked

  Ps now_ = 0;
  std::size_t next_ = 0;               // next request of the trace to send
  std::uint64_t largest_request_ = 1;  // tokens
  Restart restart_ = Restart::kNone;
  std::size_t restarting_ = 0;
  Ps loaded_at_ = 0;
  std::vector<FinishedSlot> finished_slots_;
  std::priority_queue<Sent, std::vector<Sent>, std::greater<>> sent_;
};

}  // namespace arqon::sim
