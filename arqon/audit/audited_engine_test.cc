#include "arqon/audit/audited_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "arqon/audit/tape.h"
#include "arqon/control/loop_test_fixture.h"
#include "arqon/os/process.h"
#include "arqon/testing/hanging_disk.h"
#include "arqon/testing/sim_disk.h"

namespace arqon::audit {
namespace {

using arqon::testing::FakeEngine;
using arqon::testing::SimDisk;

const std::filesystem::path kFolder = "audit";

struct Bench {
  SimDisk disk;
  FakeEngine engine{control::one_knob(), control::one_class(), control::valley};
  std::unique_ptr<Log> log;
  std::unique_ptr<AuditedEngine> audited;

  Bench() {
    LogOptions o;
    o.folder = kFolder;
    o.entropy = std::string(64, 'e');
    o.threaded = false;
    log = std::move(*Log::open(disk, o));
    audited = std::make_unique<AuditedEngine>(engine, engine, *log, [] { return 0; });
    (void)audited->observe();
  }
  void break_disk() {
    disk.at_call = [](SimDisk::Call call, const auto&) {
      const bool writes = call == SimDisk::Call::kAppend || call == SimDisk::Call::kSync;
      return writes ? SimDisk::Fate::kRefuse : SimDisk::Fate::kGood;
    };
  }
  std::vector<Record> records() {
    std::vector<Record> out;
    VerifyOptions o;
    o.on_line = [&](std::uint64_t, std::string_view json, std::string_view) {
      out.push_back(decode(json)->record);
    };
    const auto verified = verify(disk, kFolder, o);
    EXPECT_TRUE(verified && !verified->finding);
    return out;
  }
};

TEST(AuditedEngine, a_write_is_on_the_disk_with_its_reason_before_the_engine_sees_it) {
  Bench b;
  ASSERT_TRUE(b.audited->confirm().has_value());
  bool recorded = false;
  b.engine.clamp = [&](Config&) {
    SimDisk copy = b.disk;  // as if the power went now
    copy.lose_power(Rng(3));
    const std::string* lines = copy.content(kFolder / "00000001.log");
    recorded = lines != nullptr && lines->find("\"intent\"") != std::string::npos &&
               lines->find("half the budget") != std::string::npos;
  };
  b.audited->explain({7, {8192}, "experiment", "half the budget"});
  ASSERT_TRUE(b.audited->apply({4096}, {}).has_value());
  EXPECT_TRUE(recorded);
  b.log->flush();
  const auto records = b.records();
  const Record& outcome = records.back();
  EXPECT_EQ(outcome.action, "outcome");
  EXPECT_EQ(outcome.after, Config{4096});
}

TEST(AuditedEngine, without_a_record_nothing_is_written_but_the_confirmed_set) {
  Bench b;
  ASSERT_TRUE(b.audited->confirm().has_value());
  ASSERT_TRUE(b.audited->apply({4096}, {}).has_value());
  b.break_disk();
  const int before = b.engine.applies;
  const auto refused = b.audited->apply({2048}, {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  EXPECT_EQ(b.engine.applies, before);
  EXPECT_FALSE(b.audited->confirm().has_value());
  EXPECT_EQ(b.engine.confirms, 1) << "what was not recorded is not confirmed";
  EXPECT_TRUE(b.audited->apply({8192}, {}).has_value()) << "the way back needs no disk";
  EXPECT_EQ(b.engine.observe().effective, Config{8192});
}

// F28: a minute of a disk that hangs. Nothing is written to the engine but the way back, and the
// loop waits for the disk once, not once a write.
TEST(AuditedEngine, a_disk_that_hangs_a_minute_stops_all_writes_and_costs_one_patience) {
  SimDisk memory;
  arqon::testing::HangingDisk disk(memory);
  FakeEngine engine(control::one_knob(), control::one_class(), control::valley);
  LogOptions o;
  o.folder = kFolder;
  o.entropy = std::string(64, 'e');
  o.patience = std::chrono::milliseconds(100);
  auto log = std::move(*Log::open(disk, o));
  AuditedEngine audited(engine, engine, *log, [] { return 0; });
  auto options = control::options(2048);
  options.frozen = [&] { return !log->healthy(); };
  auto loop = control::Loop::create(audited, engine, options);
  ASSERT_TRUE(loop.has_value());
  double at = 0;
  while (engine.applies == 0 && at < 600) ASSERT_TRUE(loop->run_until(time_at(++at)).has_value());
  ASSERT_GT(engine.applies, 0);
  disk.hang(true);
  Config last = engine.observe().effective;
  const os::SystemClock clock;
  std::vector<double> seconds;
  for (int tick = 0; tick < 60; ++tick) {
    const TimePoint begin = clock.now();
    ASSERT_TRUE(loop->run_until(time_at(++at)).has_value());
    seconds.push_back(to_seconds(clock.now() - begin));
    const Config now = engine.observe().effective;
    EXPECT_TRUE(now == last || now == engine.confirmed) << "a write without a record";
    last = now;
  }
  const auto slow =
      std::count_if(seconds.begin(), seconds.end(), [](double s) { return s > 0.05; });
  EXPECT_LE(slow, 2) << "one wait, and one for whoever else was busy on this machine";
  disk.hang(false);
  ASSERT_TRUE(log->close().has_value());
}

// -- the tape

struct Recorded {
  std::string tape;
  control::RunRecord record;
  std::uint64_t waits = 0;
};

Recorded recorded_run(double seconds) {
  Bench b;
  TapedClock clock(b.engine, *b.log);
  auto loop = control::Loop::create(*b.audited, clock, control::options(2048));
  EXPECT_TRUE(loop.has_value());
  b.log->flush();
  const std::size_t first = b.disk.content(kFolder / "00000001.tape")->size();
  EXPECT_TRUE(loop->run_until(time_at(seconds)).has_value());
  b.log->flush();
  EXPECT_TRUE(b.log->healthy());
  return {b.disk.content(kFolder / "00000001.tape")->substr(first), loop->record()};
}

control::RunRecord played(Player& player, double seconds) {
  const FakeEngine engine(control::one_knob(), control::one_class(), control::valley);
  const auto caps = read_capabilities(wire::Value(capabilities_object(engine.capabilities())));
  EXPECT_TRUE(caps.has_value());
  PlayedEngine played_engine(player, *caps);
  struct Ending final : Clock {
    explicit Ending(Player& p) : clock(p), player(p) {}
    TimePoint now() const override {
      const TimePoint t = clock.now();
      stop = stop || player.over();
      return t;
    }
    void wait_until(TimePoint t) override { clock.wait_until(t); }
    PlayedClock clock;
    Player& player;
    mutable std::atomic<bool> stop{false};
  } clock(player);
  auto options = control::options(2048);
  options.stop = &clock.stop;
  auto loop = control::Loop::create(played_engine, clock, options);
  EXPECT_TRUE(loop->run_until(time_at(seconds)).has_value());
  return loop->record();
}

std::vector<std::string> reasons(const control::RunRecord& record) {
  std::vector<std::string> out;
  for (const auto& d : record.decisions) out.push_back(d.action + d.reason);
  return out;
}

TEST(Tape, a_run_played_again_decides_the_same) {
  const Recorded run = recorded_run(600);
  ASSERT_GE(control::count(run.record, "confirm"), 1u);
  Player player(run.tape);
  const control::RunRecord again = played(player, 600);
  EXPECT_EQ(player.difference(), "");
  EXPECT_TRUE(player.at_end());
  EXPECT_EQ(reasons(again), reasons(run.record));
  EXPECT_EQ(again.changes.size(), run.record.changes.size());
}

TEST(Tape, the_first_line_that_leads_elsewhere_is_named) {
  Recorded run = recorded_run(600);
  // Another value in force at the start: every knob's way begins elsewhere.
  const std::size_t at = run.tape.find("[8192.0]");
  ASSERT_NE(at, std::string::npos);
  run.tape.replace(at, 8, "[4096.0]");
  Player player(run.tape);
  (void)played(player, 600);
  EXPECT_NE(player.difference().find("line "), std::string::npos) << player.difference();
}

TEST(Tape, a_tape_cut_anywhere_ends_the_loop) {
  const Recorded run = recorded_run(120);
  for (std::size_t kept = 0; kept < run.tape.size(); kept += 997) {
    Player player(std::string_view(run.tape).substr(0, kept));
    (void)played(player, 120);
    EXPECT_TRUE(player.over());
    EXPECT_EQ(player.difference(), "") << kept;
  }
}

TEST(Tape, capabilities_come_back_as_they_went) {
  serving::Capabilities caps;
  caps.knobs = control::one_knob();
  caps.knobs.push_back({.name = "main.split", .type = ParamType::kSimplex, .choices = {"a", "b"}});
  caps.boot = Space(caps.knobs).default_config();
  caps.classes = {{.name = "chat", .ttft_ms = 800}};
  caps.settle = {Duration(5), Duration(6)};
  const auto back = read_capabilities(wire::Value(capabilities_object(caps)));
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(wire::write_json(wire::Value(capabilities_object(*back))),
            wire::write_json(wire::Value(capabilities_object(caps))));
  EXPECT_EQ(back->classes[0].e2e_ms, serving::kNoLimit);
}

}  // namespace
}  // namespace arqon::audit
