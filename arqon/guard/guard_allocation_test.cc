// The hot path's promise, counted: nothing is allocated after create().
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <vector>

#include "arqon/guard/safety_executor.h"

namespace {
std::size_t allocations = 0;
}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void* operator new[](std::size_t size) { return operator new(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace arqon::guard {
namespace {

TEST(GuardAllocation, the_counter_counts) {
  const std::size_t before = allocations;
  const auto value = std::make_unique<int>(1);
  EXPECT_EQ(*value, 1);
  EXPECT_GT(allocations, before);
}

TEST(GuardAllocation, nothing_is_allocated_after_create) {
  std::vector<Parameter> knobs(16, Parameter{.name = "k", .type = ParamType::kInt, .max = 100});
  const Space space(knobs);
  auto executor =
      SafetyExecutor::create(space, {.limits = std::vector<Limits>(16, Limits{0, 100, 10}),
                                     .max_updates_per_second = 1e9,
                                     .reflex_updates_per_second = 1e9});
  ASSERT_TRUE(executor.has_value());
  std::vector<double> setting(16, 50), far(16, 90), low(16, 0), high(16, 100);
  std::vector<double> hostile(16, std::numeric_limits<double>::quiet_NaN());
  ConfigReader reader(executor->cell());
  Snapshot snapshot;
  std::uint64_t permitted = 0;

  const std::size_t before = allocations;
  executor->set_baseline(setting, time_at(0));
  executor->set_envelope(low, high);
  for (int i = 1; i <= 1000; ++i) {
    const TimePoint now = time_at(i);
    setting[3] = 50 + i % 10;
    permitted += executor->propose(setting, Lane::kExperiment, now).permitted ? 1U : 0U;
    permitted += executor->propose(far, Lane::kExperiment, now, true).permitted ? 1U : 0U;
    permitted += executor->propose(hostile, Lane::kReflex, now).permitted ? 1U : 0U;
    permitted += executor->propose({}, Lane::kReflex, now).permitted ? 1U : 0U;
    permitted += reader.current().size == 16 ? 1U : 0U;
    executor->cell().read(snapshot);
    if (i % 2 == 0) executor->confirm(now);
    executor->revert(now);
    executor->freeze();
    executor->unfreeze();
    executor->enter_safe_mode();
    executor->leave_safe_mode();
    permitted += executor->next_allowed(Lane::kReflex, now) >= now ? 1U : 0U;
  }
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(permitted, 3000U);
}

}  // namespace
}  // namespace arqon::guard
