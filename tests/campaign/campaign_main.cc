// The campaign:
//   campaign                     seeds 1 to 10000
//   campaign --seeds FIRST-LAST [--threads N] [--quiet]
//   campaign --seed N            one seed, told; without the kinds of faults it does not need
// Exit code 1 when a rule of the safety contract was broken anywhere.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>

#include "tests/campaign/plan.h"

namespace arqon::campaign {
namespace {

struct Sums {
  std::uint64_t seeds = 0, failed = 0, ticks = 0, writes = 0, confirms = 0, reverts = 0, runs = 0;
  std::uint64_t faults[kKinds] = {};
};

std::string told(const Outcome& outcome) {
  std::string out;
  for (const Breach& b : outcome.breaches) out += fmt::format("  {}: {}\n", b.rule, b.what);
  return out;
}

// The kinds of faults without which the seed still breaks a rule.
std::set<Kind> not_needed(std::uint64_t seed) {
  std::set<Kind> without;
  for (std::size_t k = 0; k < kKinds; ++k) {
    std::set<Kind> more = without;
    more.insert(static_cast<Kind>(k));
    if (!run(plan_of(seed, more)).breaches.empty()) without = std::move(more);
  }
  return without;
}

void tell_failure(std::uint64_t seed, const Outcome& outcome) {
  const Plan small = plan_of(seed, not_needed(seed));
  std::string faults;
  for (const Fault& f : small.faults) {
    faults += fmt::format("{}{} at {:.0f} s", faults.empty() ? "" : ", ", to_string(f.kind),
                          f.from_s);
  }
  std::printf("seed %llu broke the contract:\n%s  with no more than: %s\n  again: campaign --seed "
              "%llu\n",
              static_cast<unsigned long long>(seed), told(outcome).c_str(),
              faults.empty() ? "no fault" : faults.c_str(), static_cast<unsigned long long>(seed));
  std::fflush(stdout);
}

int one(std::uint64_t seed) {
  const Plan plan = plan_of(seed);
  for (const Fault& f : plan.faults) {
    std::printf("%6.0f s  %s\n", f.from_s, std::string(to_string(f.kind)).c_str());
  }
  const Outcome outcome = run(plan);
  std::printf("%llu ticks, %llu runs, %llu writes, %llu confirmed, %llu reverted, chain %.16s\n",
              static_cast<unsigned long long>(outcome.ticks),
              static_cast<unsigned long long>(outcome.runs),
              static_cast<unsigned long long>(outcome.writes),
              static_cast<unsigned long long>(outcome.confirms),
              static_cast<unsigned long long>(outcome.reverts), outcome.head.c_str());
  if (outcome.breaches.empty()) return 0;
  tell_failure(seed, outcome);
  return 1;
}

int many(std::uint64_t first, std::uint64_t last, unsigned threads) {
  const auto begin = std::chrono::steady_clock::now();
  std::atomic<std::uint64_t> next{first};
  std::mutex mutex;
  Sums sums;
  const auto work = [&] {
    for (std::uint64_t seed = next++; seed <= last; seed = next++) {
      const Plan plan = plan_of(seed);
      const Outcome outcome = run(plan);
      // Every 64th twice: the same seed, the same chain (S12).
      const bool same = seed % 64 != 0 || run(plan).head == outcome.head;
      const std::lock_guard lock(mutex);
      ++sums.seeds;
      sums.ticks += outcome.ticks;
      sums.writes += outcome.writes;
      sums.confirms += outcome.confirms;
      sums.reverts += outcome.reverts;
      sums.runs += outcome.runs;
      for (const Fault& f : plan.faults) ++sums.faults[static_cast<std::size_t>(f.kind)];
      if (!same) std::printf("seed %llu: S12: another chain the second time\n",
                             static_cast<unsigned long long>(seed));
      if (!outcome.breaches.empty()) tell_failure(seed, outcome);
      sums.failed += !same || !outcome.breaches.empty() ? 1u : 0u;
    }
  };
  {
    std::vector<std::jthread> pool;
    for (unsigned t = 0; t < threads; ++t) pool.emplace_back(work);
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::string faults;
  for (std::size_t k = 0; k < kKinds; ++k) {
    faults += fmt::format("{}{} {}", k == 0 ? "" : ", ", to_string(static_cast<Kind>(k)),
                          sums.faults[k]);
  }
  std::printf("faults: %s\n", faults.c_str());
  std::printf("%llu seeds, %llu simulated hours, %llu tuners, %llu writes, %llu confirmed, %llu "
              "reverted in %.0f s: %llu seeds broke a rule\n",
              static_cast<unsigned long long>(sums.seeds),
              static_cast<unsigned long long>(sums.ticks / 3600),
              static_cast<unsigned long long>(sums.runs),
              static_cast<unsigned long long>(sums.writes),
              static_cast<unsigned long long>(sums.confirms),
              static_cast<unsigned long long>(sums.reverts), seconds,
              static_cast<unsigned long long>(sums.failed));
  return sums.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace arqon::campaign

int main(int argc, char** argv) {
  std::uint64_t first = 1, last = 10'000;
  unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string word = argv[i], value = argv[i + 1];
    char* end = nullptr;
    const std::uint64_t number = std::strtoull(value.c_str(), &end, 10);
    if (word == "--seed") return arqon::campaign::one(number);
    if (word == "--threads" && number > 0) threads = static_cast<unsigned>(number);
    if (word == "--seeds" && *end == '-') {
      first = number;
      last = std::strtoull(end + 1, nullptr, 10);
    }
  }
  return arqon::campaign::many(first, last, threads);
}
