// The ledger of a run: what became of each request, when that was known, and the totals.
#pragma once

#include <cstdint>
#include <vector>

#include "arqon/serving/engine.h"
#include "arqon/serving/outcome.h"
#include "arqon/sim/result.h"
#include "arqon/sim/sequence.h"
#include "arqon/sim/twin.h"

namespace arqon::sim {

// A finished request in ms; tpot < 0 when it is not judged (one token).
struct Sample {
  float ttft, tpot, gap, e2e;
};

// One thread.
class Account {
 public:
  Account(const std::vector<serving::Slo>& classes, const workload::Trace& trace,
          std::size_t replicas, bool record_requests);

  // Counts arrivals of the trace up to `t`, in trace order.
  void arrive_until(Ps t);
  // One arrival of a closed loop, at `t`.
  void arrive(std::size_t trace_index, Ps t);

  // The router has chosen sequence.replica.
  void route(const Sequence& sequence);

  // Counts a limit that `sequence` has broken for good, once.
  void judge_waiting(Sequence& sequence, Ps now);
  void judge_decoding(Sequence& sequence, Ps gap, Ps now);
  // When a request in a queue has waited there for its TTFT limit times `factor`; never where there
  // is no limit.
  Ps queue_deadline(const Sequence& sequence, double factor) const;
  // True when some class could have been broken by a pause as long as `gap`.
  bool gap_matters(Ps gap) const { return gap > gap_limit_min_; }
  // True when some class limits the whole duration.
  bool judges_e2e() const { return judges_e2e_; }

  void first_token(Sequence& sequence);
  void finish(Sequence& sequence, Ps now, Ps gap, int replica);
  void reject(const Sequence& sequence, int replica);

  const std::vector<serving::ClassCounters>& counters() const { return counters_; }
  // Of the requests sent to one replica; without histograms.
  const std::vector<serving::ClassCounters>& counters(std::size_t replica) const {
    return by_replica_[replica];
  }
  // Every request that ended did so in one row of the ledger. A bug stops here.
  void check() const;
  std::uint64_t ended() const { return ended_; }
  std::uint64_t arrived() const { return arrived_; }
  const std::vector<RequestRow>& rows() const { return rows_; }
  // Fills what the ledger and the samples know.
  void fill(Totals& totals, double simulated_s) const;

 private:
  struct Limits {
    double ttft, ttft_per_token, tpot;  // ps, may be infinite
    Ps gap, e2e;
  };
  struct Bin {
    std::uint64_t arrived = 0, good = 0;
  };
  void mark(Sequence& sequence, serving::Limit limit);
  serving::ClassCounters& replica_counters(const Sequence& sequence) {
    return by_replica_[sequence.replica][sequence.request_class];
  }
  bool ttft_broken(const Sequence& sequence, Ps age) const;
  Bin& bin_at(Ps arrival);
  void record_row(const Sequence& sequence, const Sample& sample, int replica);

  const workload::Trace& trace_;
  std::vector<serving::Slo> classes_;
  std::vector<Limits> limits_;
  std::vector<serving::ClassCounters> counters_;
  std::vector<std::vector<serving::ClassCounters>> by_replica_;
  std::vector<ClassResult> results_;  // ledger and late_by
  std::vector<std::vector<Sample>> samples_;
  std::vector<Bin> bins_;  // 5 minutes each, by arrival
  std::vector<RequestRow> rows_;
  std::size_t next_arrival_ = 0;
  std::uint64_t ended_ = 0, arrived_ = 0;
  Ps gap_limit_min_ = 0;
  bool judges_e2e_ = false;
};

}  // namespace arqon::sim
