// Reads the cell from two threads while a third writes as fast as it can, and looks at every word:
//   cell_soak [READS]        1,000,000,000 by default; exits 1 when one of them was torn
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "arqon/guard/config_cell.h"

namespace {

using arqon::Duration;
using arqon::TimePoint;
using arqon::guard::ConfigCell;
using arqon::guard::Snapshot;

constexpr std::size_t kSlots = 16;

// Every slot and the time follow from the generation.
bool whole(const Snapshot& s) {
  const auto generation = static_cast<double>(s.generation);
  bool same = s.applied_at == TimePoint(Duration(static_cast<std::int64_t>(s.generation)));
  for (std::size_t i = 0; i < kSlots; ++i) same = same && s.values[i] == generation;
  return same;
}

struct Tally {
  std::uint64_t torn = 0, backwards = 0, fresh = 0;
};

Tally read(const ConfigCell& cell, std::uint64_t reads) {
  Tally out;
  Snapshot s;
  std::uint64_t last = 0;
  for (std::uint64_t i = 0; i < reads; ++i) {
    cell.read(s);
    out.torn += whole(s) ? 0U : 1U;
    out.backwards += s.generation < last ? 1U : 0U;
    out.fresh += s.generation != last ? 1U : 0U;
    last = s.generation;
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t reads = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000'000;
  ConfigCell cell(kSlots);
  std::array<double, kSlots> values{};
  std::atomic<bool> stop{false};
  const auto publish = [&](std::uint64_t generation) {
    values.fill(static_cast<double>(generation));
    cell.publish(values, TimePoint(Duration(static_cast<std::int64_t>(generation))));
  };
  publish(1);
  std::uint64_t written = 1;
  std::thread writer([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      publish(++written);
      // Readers retry while a write is under way: leave them room in between.
      for (int i = 0; i < 200; ++i) std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  });
  std::array<Tally, 2> tallies;
  std::thread other([&] { tallies[1] = read(cell, reads / 2); });
  tallies[0] = read(cell, reads - reads / 2);
  other.join();
  stop = true;
  writer.join();
  const std::uint64_t torn = tallies[0].torn + tallies[1].torn;
  const std::uint64_t backwards = tallies[0].backwards + tallies[1].backwards;
  std::printf("%llu reads, %llu publications, %llu times another setting than before, %llu torn, "
              "%llu backwards\n",
              static_cast<unsigned long long>(reads), static_cast<unsigned long long>(written),
              static_cast<unsigned long long>(tallies[0].fresh + tallies[1].fresh),
              static_cast<unsigned long long>(torn), static_cast<unsigned long long>(backwards));
  return torn + backwards == 0 ? 0 : 1;
}
