// Simulated traffic for a Trial: canary and control side by side. For tests and the study.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/stats/trial.h"

namespace arqon::stats::testing {

// Latencies are log-normal with median 1; fates and errors are independent of them.
struct Traffic {
  double sigma = 0.5;
  double slower = 1;        // canary's latency, times
  double tail_slower = 1;   // the same, of latencies above the 95th percentile alone
  double bad_control = 0.01, bad_canary = 0.01;
  double error_control = 0.001, error_canary = 0.001;
  std::uint64_t cluster = 1;      // so many in a row of one arm share latency and fate
  double canary_share = 0;        // 0: as the options say
  double mix_canary = 0;          // added to the canary's share of class 1 (two classes)
  double outlier = 0;             // latency of one canary request, times; 0 = none
  // Latency factor of request i, both arms; may be empty.
  std::function<double(std::uint64_t)> load;
};

struct TrialRun {
  Finding last;
  std::uint64_t canary = 0;   // canary requests until the verdict, or in all
  std::uint64_t requests = 0; // of both arms
};

// One stream of requests; judged after every block until a verdict is reached or canary has had
// `canary_max` requests.
inline TrialRun run_trial(const TrialOptions& options, const Traffic& traffic, Rng rng,
                     std::uint64_t canary_max, std::uint64_t block = 50,
                     bool until_pass = true) {
  Trial trial = *Trial::create(options);
  TrialRun out;
  struct Pending {
    std::uint64_t left = 0;
    double z = 0;
    bool bad = false, error = false;
    std::size_t class_index = 0;
  };
  std::array<Pending, 2> pending;
  const double share = traffic.canary_share > 0 ? traffic.canary_share : options.share;
  constexpr double kTail = 1.6448536269514722;  // 95 % of a standard normal
  while (out.canary < canary_max) {
    const bool canary = rng.uniform() < share;
    Pending& p = pending[canary ? 1 : 0];
    if (p.left == 0) {
      p.left = traffic.cluster;
      p.z = rng.normal();
      p.bad = rng.uniform() < (canary ? traffic.bad_canary : traffic.bad_control);
      p.error = rng.uniform() < (canary ? traffic.error_canary : traffic.error_control);
      const double second = 0.5 + (canary ? traffic.mix_canary : 0);
      p.class_index = options.classes > 1 && rng.uniform() < second ? 1 : 0;
    }
    --p.left;
    double latency = std::exp(traffic.sigma * p.z);
    if (traffic.load) latency *= traffic.load(out.requests);
    if (canary) {
      latency *= traffic.slower;
      if (p.z > kTail) latency *= traffic.tail_slower;
      if (traffic.outlier > 0 && out.canary == 100) latency *= traffic.outlier;
    }
    trial.observe(canary ? Arm::kCanary : Arm::kControl, p.class_index, latency, !p.bad, p.error);
    ++out.requests;
    out.canary += canary ? 1U : 0U;
    if (out.requests % block != 0) continue;
    trial.end_block();
    out.last = trial.judge();
    if (out.last.verdict == Verdict::kFail) return out;
    if (out.last.verdict == Verdict::kPass && until_pass) return out;
  }
  return out;
}

}  // namespace arqon::stats::testing
