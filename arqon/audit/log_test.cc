#include "arqon/audit/log.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "arqon/testing/hanging_disk.h"
#include "arqon/testing/sim_disk.h"

namespace arqon::audit {
namespace {

using testing::SimDisk;
using Call = SimDisk::Call;
using Fate = SimDisk::Fate;

const std::filesystem::path kFolder = "state/audit";

LogOptions options() {
  LogOptions o;
  o.folder = kFolder;
  o.entropy = std::string(32, 'k') + std::string(32, 'c');
  o.threaded = false;
  return o;
}

Record record(int i) {
  Record r{.epoch = 1, .generation = static_cast<std::uint64_t>(i), .mono_ns = i * 1'000'000};
  r.actor = "tuner";
  r.action = "intent";
  r.before = {256, 0.1};
  r.after = {128, 0.2};
  r.reason = "code: 3.1 % of 900 requests broke a limit \"gap\"\n" + std::to_string(i);
  r.note = wire::Object{{"lane", "experiment"}, {"decision", i}};
  return r;
}

std::unique_ptr<Log> open(SimDisk& disk, LogOptions o = options()) {
  auto log = Log::open(disk, std::move(o));
  EXPECT_TRUE(log.has_value()) << log.error().message;
  return log ? std::move(*log) : nullptr;
}

Verified verified(SimDisk& disk, VerifyOptions o = {}) {
  const auto out = verify(disk, kFolder, o);
  EXPECT_TRUE(out.has_value()) << out.error().message;
  return out.value_or(Verified{});
}

TEST(Record, comes_back_as_it_went_and_is_the_same_text_again) {
  const Record r = record(7);
  const Stamp stamp{12, 10, Sha256().of("x"), 99};
  const std::string text = encode(r, stamp);
  const auto back = decode(text);
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(encode(back->record, back->stamp), text);
  EXPECT_EQ(back->record.after, r.after);
  EXPECT_EQ(back->record.reason, r.reason);
  EXPECT_EQ(back->stamp.seq, 12u);
  Place place;
  ASSERT_TRUE(read_place(text, place));
  EXPECT_EQ(place.group, 10u);
}

TEST(Record, another_order_of_keys_is_no_record) {
  std::string text = encode(record(1), {1, 1, Sha256().of(""), 0});
  text.replace(text.find("\"epoch\""), 7, "\"epocx\"");
  EXPECT_FALSE(decode(text).has_value());
}

TEST(Log, what_is_written_verifies_over_segments_runs_and_the_tape) {
  SimDisk disk;
  LogOptions small = options();
  small.segment_bytes = 2000;
  for (int run = 0; run < 2; ++run) {
    const auto log = open(disk, small);
    for (int i = 0; i < 20; ++i) {
      log->observe("[\"t\"," + std::to_string(i) + "]");
      ASSERT_TRUE(log->write(record(i)).has_value());
    }
    ASSERT_TRUE(log->close().has_value());
  }
  const Verified v = verified(disk);
  EXPECT_FALSE(v.finding) << to_text(*v.finding);
  EXPECT_GT(v.segments, 4u);
  EXPECT_EQ(v.records, 40 + v.segments);
  EXPECT_EQ(v.checkpoints, 2u);
  EXPECT_EQ(v.records_witnessed, v.records);
  EXPECT_GT(v.tape_bytes, 100u);
}

TEST(Log, a_changed_observation_is_found_at_the_record_it_led_to) {
  SimDisk disk;
  {
    const auto log = open(disk);
    log->observe("[\"h\",0]");
    ASSERT_TRUE(log->write(record(1)).has_value());
    log->observe("[\"h\",1]");
    ASSERT_TRUE(log->write(record(2)).has_value());
  }
  (*disk.content(kFolder / "00000001.tape"))[12] ^= 1;
  const Verified v = verified(disk);
  ASSERT_TRUE(v.finding);
  EXPECT_EQ(v.finding->fault, Fault::kTape);
  EXPECT_EQ(v.finding->seq, 3u);
}

// -- faults of the disk

TEST(Log, a_failed_sync_is_never_taken_for_success_later) {
  SimDisk disk;
  auto log = open(disk);
  ASSERT_TRUE(log->write(record(1)).has_value());
  disk.at_call = [](Call call, const auto&) {
    return call == Call::kSync ? Fate::kPartial : Fate::kGood;
  };
  EXPECT_FALSE(log->write(record(2)).has_value());
  disk.at_call = {};  // the disk says yes again, and has dropped what it was given
  EXPECT_FALSE(log->write(record(3)).has_value());
  EXPECT_FALSE(log->healthy());
  EXPECT_EQ(log->durable(), 2u);
  log.reset();
  disk.dead = true;
  disk.lose_power(Rng(1));
  log = open(disk);
  EXPECT_EQ(log->found().records, 2u);
  EXPECT_GT(log->found().cut_bytes, 0u);
  EXPECT_FALSE(verified(disk).finding);
}

// What a failed sync has dropped is still in memory at the next start, and must not be built upon.
TEST(Log, a_failed_sync_then_a_new_start_then_a_power_loss_leaves_a_whole_chain) {
  SimDisk disk;
  auto log = open(disk);
  disk.at_call = [](Call call, const auto&) {
    return call == Call::kSync ? Fate::kPartial : Fate::kGood;
  };
  EXPECT_FALSE(log->write(record(1)).has_value());
  log.reset();
  disk.at_call = {};
  log = open(disk);
  ASSERT_TRUE(log->write(record(2)).has_value());
  const std::uint64_t acknowledged = log->durable();
  log.reset();
  disk.lose_power(Rng(1));
  const Verified v = verified(disk);
  EXPECT_FALSE(v.finding) << to_text(*v.finding);
  EXPECT_GE(v.records, acknowledged);
}

TEST(Log, a_full_disk_ends_it_and_the_next_start_goes_on_from_what_was_acknowledged) {
  SimDisk disk;
  auto log = open(disk);
  ASSERT_TRUE(log->write(record(1)).has_value());
  disk.at_call = [](Call call, const auto&) {
    return call == Call::kAppend ? Fate::kPartial : Fate::kGood;
  };
  const Status full = log->write(record(2));
  ASSERT_FALSE(full.has_value());
  EXPECT_EQ(full.error().code, ErrorCode::kUnavailable);
  log.reset();
  EXPECT_FALSE(Log::open(disk, options()).has_value()) << "the disk is still full";
  disk.at_call = {};
  log = open(disk);
  EXPECT_EQ(log->found().records, 2u);
  EXPECT_TRUE(log->write(record(3)).has_value());
}

// Power loss at every call, with everything that may become of unsynced bytes.
TEST(Log, no_acknowledged_record_is_lost_whenever_the_power_goes) {
  std::uint64_t stops = 0, cuts = 0;
  for (std::uint64_t at = 1;; ++at) {
    bool stopped = false;
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      SimDisk disk;
      std::uint64_t calls = 0, acknowledged = 0;
      disk.at_call = [&](Call, const auto&) {
        if (++calls == at) disk.dead = true;
        return Fate::kGood;
      };
      LogOptions small = options();
      small.segment_bytes = 1500;
      for (int run = 0; run < 2; ++run) {
        auto log = Log::open(disk, small);
        if (!log) continue;
        for (int i = 0; i < 6; ++i) {
          (*log)->observe("[\"h\",0]");
          (void)(*log)->append(record(i));  // a group of two
          if ((*log)->write(record(i))) acknowledged = (*log)->durable();
        }
        (void)(*log)->close();
      }
      stopped = disk.dead;
      disk.at_call = {};
      disk.lose_power(Rng(seed).stream(at));
      const auto log = Log::open(disk, small);
      ASSERT_TRUE(log.has_value()) << at << "/" << seed << ": " << log.error().message;
      EXPECT_GE((*log)->found().records, acknowledged) << at << "/" << seed;
      cuts += (*log)->found().cut_bytes > 0 ? 1u : 0u;
      const Verified v = verified(disk);
      EXPECT_FALSE(v.finding) << at << "/" << seed << ": " << to_text(*v.finding);
    }
    if (!stopped) break;
    ++stops;
  }
  EXPECT_GT(stops, 40u);
  EXPECT_GT(cuts, 20u) << "no tail was torn: the disk of this test is too kind";
}

// F44.
TEST(Log, a_witness_that_cannot_be_written_stops_nothing) {
  SimDisk disk;
  LogOptions o = options();
  o.witness = "elsewhere/witness";
  disk.at_call = [](Call, const std::filesystem::path& file) {
    return file == "elsewhere/witness" ? Fate::kRefuse : Fate::kGood;
  };
  const auto log = open(disk, o);
  ASSERT_TRUE(log->write(record(1)).has_value());
  EXPECT_TRUE(log->close().has_value());
  EXPECT_TRUE(log->healthy());
  EXPECT_GT(log->witness_failures(), 0u);
  EXPECT_FALSE(verified(disk).finding);
}

TEST(Log, a_record_longer_than_a_line_is_cut_and_says_so) {
  SimDisk disk;
  const auto log = open(disk);
  Record r = record(1);
  r.reason = std::string(70'000, '\x01');  // six bytes each as JSON
  r.before = Config(20'000, 0.1);
  ASSERT_TRUE(log->write(r).has_value());
  EXPECT_FALSE(verified(disk).finding);
  EXPECT_NE(disk.content(kFolder / "00000001.log")->find("cut_bytes"), std::string::npos);
}

TEST(Log, damage_of_what_was_acknowledged_stops_the_start_and_changes_nothing) {
  SimDisk disk;
  {
    const auto log = open(disk);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(log->write(record(i)).has_value());
  }
  std::string* bytes = disk.content(kFolder / "00000001.log");
  (*bytes)[bytes->find("\"seq\":3") + 40] ^= 4;
  const std::string before = *bytes;
  const auto log = Log::open(disk, options());
  ASSERT_FALSE(log.has_value());
  EXPECT_EQ(log.error().code, ErrorCode::kConflict);
  EXPECT_NE(log.error().message.find("record 3"), std::string::npos) << log.error().message;
  EXPECT_EQ(*disk.content(kFolder / "00000001.log"), before);
}

TEST(Log, a_stalled_disk_costs_one_patience_and_then_nothing) {
  SimDisk memory;
  arqon::testing::HangingDisk disk(memory);
  LogOptions threaded = options();
  threaded.threaded = true;
  threaded.patience = std::chrono::milliseconds(30);
  auto opened = Log::open(disk, threaded);
  ASSERT_TRUE(opened.has_value());
  Log& log = **opened;
  ASSERT_TRUE(log.write(record(1)).has_value());
  disk.hang(true);
  EXPECT_FALSE(log.write(record(2)).has_value());
  EXPECT_FALSE(log.healthy());
  // A thousand more would take half a minute if each waited.
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(log.write(record(3)).has_value());
  disk.hang(false);
  threaded.patience = std::chrono::seconds(60);
  while (!log.healthy()) std::this_thread::yield();
  EXPECT_TRUE(log.close().has_value());
  EXPECT_EQ(log.durable(), log.records());
  EXPECT_FALSE(verified(memory).finding);
}

TEST(Log, many_threads_append_and_wait_and_the_chain_is_one) {
  SimDisk disk;
  LogOptions threaded = options();
  threaded.threaded = true;
  threaded.patience = std::chrono::seconds(60);
  const auto log = open(disk, threaded);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 100; ++i) ASSERT_TRUE(log->write(record(i)).has_value());
      });
    }
  }
  ASSERT_TRUE(log->close().has_value());
  const Verified v = verified(disk);
  EXPECT_FALSE(v.finding);
  EXPECT_EQ(v.records, 401u);
}

TEST(Log, a_cut_tail_and_a_new_history_are_seen_beside_a_checkpoint_kept_elsewhere) {
  SimDisk disk;
  std::vector<Checkpoint> kept;
  LogOptions o = options();
  o.on_checkpoint = [&](std::string_view line) { kept.push_back(*read_checkpoint(line)); };
  {
    const auto log = open(disk, o);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(log->write(record(i)).has_value());
    ASSERT_TRUE(log->close().has_value());
  }
  ASSERT_FALSE(kept.empty());
  std::string* lines = disk.content(kFolder / "00000001.log");
  const std::string whole = *lines;
  lines->resize(lines->rfind('\n', lines->size() - 2) + 1);
  disk.content(kFolder / "checkpoints")->clear();
  EXPECT_FALSE(verified(disk).finding) << "alone, a shorter history could have been so";
  VerifyOptions against;
  against.against = kept;
  const Verified cut = verified(disk, against);
  ASSERT_TRUE(cut.finding);
  EXPECT_EQ(cut.finding->fault, Fault::kCut);
  EXPECT_EQ(cut.finding->seq, 6u);
  *lines = whole;

  // All of it written anew, with the same key and id.
  SimDisk other;
  {
    const auto log = open(other, o);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(log->write(record(i + 1)).has_value());
  }
  const Verified rewritten = verified(other, against);
  ASSERT_TRUE(rewritten.finding);
  EXPECT_EQ(rewritten.finding->fault, Fault::kRewritten);
}

TEST(Checkpoint, one_flipped_bit_anywhere_is_no_checkpoint) {
  const auto key = SigningKey::from_seed(std::string(32, 's'));
  const std::string line = to_line(*sign(*key, Sha256().of("c"), 12, Sha256().of("h"), 1));
  ASSERT_TRUE(read_checkpoint(line).has_value());
  for (std::size_t bit = 0; bit < 8 * line.size(); ++bit) {
    std::string changed = line;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(read_checkpoint(changed).has_value()) << bit;
  }
}

}  // namespace
}  // namespace arqon::audit
