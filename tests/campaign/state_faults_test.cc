// Rows of the fault table about disk and state, each over the code that ships.
#include <gtest/gtest.h>

#include <tuple>

#include "arqon/agent/journal.h"
#include "tests/campaign/world.h"

namespace arqon::campaign {
namespace {

using testing::SimDisk;
using Call = SimDisk::Call;
using Fate = SimDisk::Fate;

WorldOptions options() { return {.seed = 11, .best = 3000, .requests_min = 60}; }

std::string told(const World& world) {
  std::string out;
  for (const Breach& b : world.breaches()) out += b.rule + ": " + b.what + "\n";
  return out;
}

// The second of the first write, and of the first confirmation, of an undisturbed run.
struct Times {
  double write = 0, confirm = 0;
};
Times undisturbed() {
  World world(options());
  Times times;
  world.each_second = [&] {
    if (times.write == 0 && world.writes > 0) times.write = world.now_s();
    if (times.confirm == 0 && world.writes > 0 && world.in_force() == world.confirmed()) {
      times.confirm = world.now_s();
    }
  };
  world.run_tuner(300);
  EXPECT_GT(times.write, 0);
  EXPECT_GT(times.confirm, times.write);
  return times;
}

// F27: from the moment the disk fails on, nothing but the way back is written, within one period.
TEST(StateFaults, a_disk_that_fails_freezes_within_a_period_and_the_way_back_still_works) {
  const Times times = undisturbed();
  struct Case {
    const char* name;
    Fate (*fate)(Call);
  };
  const Case cases[] = {
      {"full", [](Call c) { return c == Call::kAppend ? Fate::kPartial : Fate::kGood; }},
      {"read-only", [](Call c) { return c == Call::kRead ? Fate::kGood : Fate::kRefuse; }},
      {"input/output error", [](Call) { return Fate::kRefuse; }},
      {"sync fails", [](Call c) { return c == Call::kSync ? Fate::kPartial : Fate::kGood; }}};
  for (const Case& c : cases) {
    World world(options());
    const double fails_at = times.write + 2;  // with something unproven in force
    std::uint64_t writes_after = 0;
    bool back = false;
    world.each_second = [&] {
      if (world.now_s() < fails_at) return;
      world.tuner_disk_fate = c.fate;
      if (world.now_s() >= fails_at + 2 && writes_after == 0) writes_after = world.writes;
      back = back || world.in_force() == world.confirmed();
    };
    world.run_tuner(fails_at + 120);
    EXPECT_TRUE(back) << c.name << ": what was unproven is still in force";
    EXPECT_LE(world.writes, writes_after + 1) << c.name;
    EXPECT_EQ(told(world), "") << c.name;
    // It works again, and has lost what was never written: the next start says so and goes on.
    world.each_second = nullptr;
    world.tuner_disk_fate = nullptr;
    ASSERT_TRUE(world.run_tuner(world.now_s() + 60)) << c.name;
    world.check_chain();
    EXPECT_EQ(told(world), "") << c.name;
  }
}

// F31: the time of day goes where it wants; decisions do not notice.
TEST(StateFaults, steps_of_the_wall_clock_change_no_decision) {
  const auto run = [](std::int64_t jump_ns) {
    World world(options());
    world.each_second = [&] {
      if (world.now_s() > 50) world.wall_jump_ns = jump_ns;
    };
    world.run_tuner(300);
    world.check_chain();
    EXPECT_EQ(told(world), "");
    return std::tuple(world.writes, world.confirms, world.reverts, world.records,
                      world.in_force());
  };
  const auto plain = run(0);
  constexpr std::int64_t kHourNs = 3'600'000'000'000;
  for (const std::int64_t jump : {kHourNs, -kHourNs, 24 * kHourNs, -24 * kHourNs, 1'000'000'000L}) {
    EXPECT_EQ(run(jump), plain) << jump;
  }
}

// F35: an agent that hears nothing keeps what is confirmed and takes back what is not.
TEST(StateFaults, an_agent_cut_off_from_the_tuner_restores_at_the_deadline) {
  const Times times = undisturbed();
  World world(options());
  const double cut_at = times.write + 2;
  double back_at = 0;
  world.each_second = [&] {
    if (world.now_s() < cut_at) return;
    world.net_down = true;
    if (back_at == 0 && world.in_force() == world.confirmed()) back_at = world.now_s();
  };
  world.run_tuner(cut_at + 600);
  // The lease of the last tick before, and a second for the look.
  EXPECT_GT(back_at, 0);
  EXPECT_LE(back_at - cut_at, 10 + 1);
  EXPECT_EQ(world.in_force(), world.confirmed()) << "kept for ever";
  EXPECT_EQ(told(world), "");
}

// F43: a person freezes with a change in flight.
TEST(StateFaults, a_freeze_with_a_change_in_flight_takes_it_back_within_two_looks) {
  const Times times = undisturbed();
  World world(options());
  const double frozen_at = times.write + 1;
  double back_at = 0;
  world.each_second = [&] {
    if (world.now_s() < frozen_at) return;
    world.set_frozen(true);
    if (back_at == 0 && world.in_force() == world.confirmed()) back_at = world.now_s();
  };
  world.run_tuner(frozen_at + 300);
  EXPECT_GT(back_at, 0);
  EXPECT_EQ(world.confirms, 0u) << "nothing is promoted while frozen";
  EXPECT_EQ(told(world), "");
}

// S12: the same seed gives the same chain, to the last hash.
TEST(StateFaults, the_same_run_twice_is_the_same_chain) {
  const auto head = [] {
    World world(options());
    world.run_tuner(200);
    world.check_chain();
    return world.head;
  };
  const std::string first = head();
  EXPECT_EQ(first.size(), 64u);
  EXPECT_EQ(head(), first);
}

// -- the agent's own files (F29)

struct Files {
  std::shared_ptr<SimDisk> disk = std::make_shared<SimDisk>();
  Files() {
    auto journal = agent::Journal::open(disk, "agent");
    EXPECT_TRUE(journal.has_value());
    agent::Confirmed set{{"main.batch_size"}, {48}, {"fake 1", "m", "h"}, "evidence", "now", 3, 1};
    EXPECT_TRUE(journal->intent(3, {48}, -1, "apply").has_value());
    EXPECT_TRUE(journal->confirm(set).has_value());
  }
  Result<agent::Found> look() {
    auto journal = agent::Journal::open(disk, "agent");
    if (!journal) return tl::unexpected(journal.error());
    return journal->found();
  }
};

TEST(StateFaults, every_flipped_bit_of_the_confirmed_set_is_seen_and_the_journal_stands_in) {
  Files files;
  std::string& text = *files.disk->content("agent/confirmed.json");
  const std::string whole = text;
  const std::string journal = *files.disk->content("agent/agent.journal");
  int seen = 0;
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    text = whole;
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
    const auto found = files.look();
    ASSERT_TRUE(found.has_value()) << bit << ": " << found.error().message;
    ASSERT_TRUE(found->confirmed) << bit;
    EXPECT_EQ(found->confirmed->values, Config{48}) << bit;
    EXPECT_EQ(found->confirmed->identity.engine, "fake 1") << bit;
    seen += found->damaged > 0 ? 1 : 0;
    *files.disk->content("agent/agent.journal") = journal;
  }
  // White space between members means nothing.
  EXPECT_GT(seen, static_cast<int>(8 * whole.size() * 8 / 10));
}

TEST(StateFaults, every_flipped_bit_of_the_journal_is_seen) {
  Files files;
  std::string& text = *files.disk->content("agent/agent.journal");
  const std::string whole = text;
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    text = whole;
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
    const auto found = files.look();
    ASSERT_TRUE(found.has_value()) << bit;
    EXPECT_GT(found->damaged, 0u) << bit << " of byte " << bit / 8;
    // What cannot be read counts as a write begun, until something is confirmed after it.
    const bool last_line = bit / 8 >= whole.find('\n');
    EXPECT_EQ(found->open, last_line) << bit;
  }
}

// F45: what the version before has left behind.
TEST(StateFaults, files_of_the_version_before_are_taken_over) {
  const auto disk = std::make_shared<SimDisk>();
  const auto write = [&](const char* name, const std::string& text) {
    auto file = os::open_durably(*disk, name);
    ASSERT_TRUE(file && (*file)->append(text) && (*file)->sync());
  };
  write("agent/confirmed.json",
        R"({"schema":1,"knobs":["main.batch_size"],"values":[48.0],"engine":"fake 1","model":"m",)"
        R"("hardware":"h","evidence":"e","at":"now","generation":3,"epoch":1})");
  write("agent/agent.journal",
        R"({"event":"intent","generation":4,"action":"apply","replica":-1,"values":[32.0]})" "\n");
  const auto journal = agent::Journal::open(disk, "agent");
  ASSERT_TRUE(journal.has_value());
  ASSERT_TRUE(journal->found().confirmed);
  EXPECT_EQ(journal->found().confirmed->values, Config{48});
  EXPECT_TRUE(journal->found().open) << "the change in flight is taken back, not forgotten";
}

}  // namespace
}  // namespace arqon::campaign
