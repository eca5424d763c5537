#include "arqon/guard/config_cell.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace arqon::guard {
namespace {

// A setting whose every slot and time follow from its generation.
std::vector<double> setting_of(std::uint64_t generation, std::size_t slots) {
  std::vector<double> out;
  for (std::size_t i = 0; i < slots; ++i) {
    out.push_back(static_cast<double>(generation * 1000 + i));
  }
  return out;
}

bool whole(const Snapshot& s, std::size_t slots) {
  if (s.generation == 0) return s.size == 0;
  if (s.size != slots) return false;
  if (s.applied_at != TimePoint(Duration(static_cast<std::int64_t>(s.generation)))) return false;
  for (std::size_t i = 0; i < slots; ++i) {
    if (s.values[i] != static_cast<double>(s.generation * 1000 + i)) return false;
  }
  return true;
}

void publish(ConfigCell& cell, std::uint64_t generation, std::size_t slots) {
  cell.publish(setting_of(generation, slots),
               TimePoint(Duration(static_cast<std::int64_t>(generation))));
}

TEST(ConfigCell, is_empty_before_the_first_publication) {
  const ConfigCell cell(16);
  Snapshot snapshot;
  cell.read(snapshot);
  EXPECT_EQ(snapshot.generation, 0U);
  EXPECT_EQ(snapshot.size, 0U);
  EXPECT_TRUE(snapshot.setting().empty());
}

TEST(ConfigCell, returns_what_was_published_with_its_generation_and_time) {
  ConfigCell cell(16);
  for (std::uint64_t generation = 1; generation <= 3; ++generation) {
    publish(cell, generation, 16);
    EXPECT_EQ(cell.generation(), generation);
    Snapshot snapshot;
    cell.read(snapshot);
    EXPECT_EQ(snapshot.generation, generation);
    EXPECT_TRUE(whole(snapshot, 16));
  }
}

TEST(ConfigReader, keeps_its_copy_until_the_generation_moves) {
  ConfigCell cell(4);
  ConfigReader reader(cell);
  EXPECT_EQ(reader.current().generation, 0U);
  publish(cell, 1, 4);
  EXPECT_EQ(reader.current().generation, 1U);
  const Snapshot* first = &reader.current();
  EXPECT_EQ(&reader.current(), first);
  publish(cell, 2, 4);
  EXPECT_TRUE(whole(reader.current(), 4));
  EXPECT_EQ(reader.current().generation, 2U);
}

TEST(ConfigCell, reader_never_sees_a_torn_snapshot) {
  constexpr std::size_t kSlots = 40;
  constexpr std::uint64_t kGenerations = 20000;
  ConfigCell cell(kSlots);
  std::atomic<std::uint64_t> torn{0}, backwards{0};
  std::atomic<int> started{0};
  const auto follow = [&](auto&& next) {
    ++started;
    for (std::uint64_t last = 0; last < kGenerations;) {
      const Snapshot& s = next();
      if (!whole(s, kSlots)) ++torn;
      if (s.generation < last) ++backwards;
      last = s.generation;
    }
  };
  std::thread copying([&] {
    Snapshot mine;
    follow([&]() -> const Snapshot& {
      cell.read(mine);
      return mine;
    });
  });
  std::thread checking([&] {
    ConfigReader reader(cell);
    follow([&]() -> const Snapshot& { return reader.current(); });
  });
  while (started < 2) std::this_thread::yield();
  for (std::uint64_t g = 1; g <= kGenerations; ++g) {
    publish(cell, g, kSlots);
    if (g % 64 == 0) std::this_thread::yield();  // two cores: let the readers in
  }
  copying.join();
  checking.join();
  EXPECT_EQ(torn, 0U);
  EXPECT_EQ(backwards, 0U);
}

}  // namespace
}  // namespace arqon::guard
