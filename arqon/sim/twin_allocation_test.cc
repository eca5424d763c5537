// What the twin asks of memory: nothing in the loop once it is warm, little per live request.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdlib>
#include <new>

#include "arqon/base/rng.h"
#include "arqon/sim/twin_fixture.h"

namespace {
std::size_t allocations = 0;
std::size_t bytes_now = 0, bytes_most = 0;

void* take(std::size_t size) {
  void* p = std::malloc(size == 0 ? 1 : size);
  if (p == nullptr) std::abort();
  ++allocations;
  bytes_now += malloc_usable_size(p);
  if (bytes_now > bytes_most) bytes_most = bytes_now;
  return p;
}
void give(void* p) {
  if (p == nullptr) return;
  bytes_now -= malloc_usable_size(p);
  std::free(p);
}
}  // namespace

void* operator new(std::size_t size) { return take(size); }
void* operator new[](std::size_t size) { return take(size); }
void operator delete(void* p) noexcept { give(p); }
void operator delete[](void* p) noexcept { give(p); }
void operator delete(void* p, std::size_t) noexcept { give(p); }
void operator delete[](void* p, std::size_t) noexcept { give(p); }

namespace arqon::sim {
namespace {

// Conversations with system prompts at ten a second, answers of 1 to 400 tokens.
TwinOptions busy_twin(int replicas, double seconds) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].replicas = replicas;
  options.fleet.noise = true;
  options.fleet.pools[0].engine.speculative_decoding_k = 2;
  options.classes[0].ttft_ms = 300;
  Rng rng(3);
  workload::Trace trace;
  for (double t = 0; t < seconds; t += rng.exponential() / 10) {
    workload::Request request = request_at(t, 1 + static_cast<std::uint32_t>(rng.below(3000)),
                                           1 + static_cast<std::uint32_t>(rng.below(400)));
    request.session = 1 + static_cast<std::uint32_t>(rng.below(500));
    request.system_tokens = 512;
    request.acceptance = 0.5F;
    trace.push_back(request);
  }
  set_trace(options, std::move(trace));
  return options;
}

TEST(TwinAllocation, none_in_the_loop_after_warm_up) {
  for (const int replicas : {1, 4}) {
    const auto twin = make_twin(busy_twin(replicas, 2000));
    twin->wait_until(time_at(1000));
    const std::size_t before = allocations;
    twin->wait_until(time_at(2000));
    EXPECT_EQ(allocations, before) << replicas << " replicas";
  }
}

TEST(TwinAllocation, a_live_request_takes_less_than_600_bytes) {
  TwinOptions options = small_twin();
  workload::Trace trace;
  constexpr int kLive = 20000;
  for (int i = 0; i < kLive; ++i) trace.push_back(request_at(i * 1e-5, 1000, 500));
  set_trace(options, std::move(trace));
  const auto twin = make_twin(std::move(options));
  const std::size_t before = bytes_now;
  bytes_most = before;
  twin->wait_until(time_at(0.3));
  EXPECT_GT(twin->observe().waiting, 0.99 * kLive);
  EXPECT_LT(static_cast<double>(bytes_most - before) / kLive, 600);
}

}  // namespace
}  // namespace arqon::sim
