// The audit of a state folder, open to be written: records are chained as they are appended, and
// reach the disk in groups. Format and promises: docs/formats/audit.md.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "arqon/audit/checkpoint.h"
#include "arqon/audit/digest.h"
#include "arqon/audit/record.h"
#include "arqon/audit/verify.h"
#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/os/disk.h"

namespace arqon::audit {

struct LogOptions {
  std::filesystem::path folder;
  // 64 bytes that nobody can guess, for the id and the key of a chain that begins.
  std::string entropy;
  // Written by a thread of its own. False: by whoever waits, one thread in all (simulation).
  bool threaded = true;
  Duration patience = std::chrono::milliseconds(200);  // of wait(), on the machine's clock
  std::uint64_t segment_bytes = kSegmentBytesMax - (1u << 20);
  std::filesystem::path witness;                             // file for checkpoints; empty = none
  std::function<void(std::string_view line)> on_checkpoint;  // from the writing thread
  std::int64_t mono_ns = 0, wall_ns = 0;                     // of the first records
};

// What open() found.
struct Found {
  std::uint64_t records = 0;   // of the chain before
  std::uint64_t cut_bytes = 0;  // of a torn tail, kept in `cut_file`
  std::string cut_file;
};

// Thread-safe: appended to by one, waited for by others.
class Log {
 public:
  // Verifies what is there, cuts a torn tail off and begins a segment; all on the disk when it
  // returns. kConflict when the chain is damaged where it had been acknowledged: nothing is written
  // then. kUnavailable when the disk says no.
  static Result<std::unique_ptr<Log>> open(os::Disk& disk, LogOptions options);
  // Writes what is pending, unless it has failed.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  const Found& found() const { return found_; }
  const Hash& chain() const { return chain_; }
  std::string tape_file() const;  // name of the current one

  // Chains the record; returns its number. One longer than kLineBytesMax is cut and says so.
  // kUnavailable when the log has failed or the disk is too far behind.
  Result<std::uint64_t> append(const Record& record);
  // A line of the observation log, without its end. Never fails: see tape_dropped().
  void observe(std::string_view line);
  // Returns when the record is on the disk; kUnavailable when it is not there within the patience,
  // or at once while an earlier one is not, or for ever after a failure.
  Status wait(std::uint64_t seq) { return wait(seq, options_.patience); }
  Status wait(std::uint64_t seq, Duration patience);
  Status write(const Record& record);  // append and wait
  // Gets what is pending under way to the disk.
  void flush();
  // May a write to the engine be begun?
  bool healthy() const;
  std::uint64_t durable() const;
  std::uint64_t records() const;
  // Lines of the tape that found no room: from the first of them on it is not kept.
  std::uint64_t tape_dropped() const;
  // Checkpoints that the witness could not take.
  std::uint64_t witness_failures() const;
  // Writes what is pending and a last checkpoint.
  Status close();

 private:
  // What goes into one segment's files.
  struct Chunk {
    std::uint64_t segment = 0;
    std::string lines, tape;
  };
  struct Group {
    std::vector<Chunk> chunks;
    std::uint64_t first = 0, last = 0;  // its records; 0 = it has none
    Hash head{};                        // of the last
    std::int64_t mono_ns = 0, wall_ns = 0;
  };

  Log(os::Disk& disk, LogOptions options, SigningKey key);
  Status begin();
  Status adopt(std::uint64_t segments);
  Status settle_end(std::uint64_t segment, std::uint64_t good);
  void begin_segment(const Record& like);
  void chain_record(const Record& record);
  Chunk& chunk();
  void run(const std::stop_token& token);
  Status commit();
  Status put(const Group& group);
  Status put(const Chunk& chunk, bool sync);
  Status open_segment(std::uint64_t number);
  void checkpoint(const Group& group, bool now);

  os::Disk& disk_;
  LogOptions options_;
  SigningKey key_;
  Found found_;
  Hash chain_{};

  mutable std::mutex mutex_;
  std::condition_variable_any work_;
  std::condition_variable settled_;
  // Guarded by mutex_.
  Sha256 sha_, tape_sha_;
  Hash head_{};
  std::uint64_t next_seq_ = 1, durable_ = 0;
  std::uint64_t segment_ = 0, segment_bytes_ = 0, tape_bytes_ = 0;
  std::size_t pending_bytes_ = 0;
  std::uint64_t dropped_ = 0, witness_failures_ = 0;
  Group pending_;
  bool wanted_ = false;   // somebody waits for the disk
  bool stalled_ = false;  // a wait was in vain, and the disk has not caught up since
  std::optional<Error> failed_;

  // Of the writing thread.
  std::uint64_t open_segment_ = 0;
  std::unique_ptr<os::DiskFile> lines_, tape_, checkpoints_, witness_;
  bool tape_unsynced_ = false;
  std::uint64_t checkpointed_ = 0;
  std::int64_t checkpoint_ns_ = 0;
  Group last_;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace arqon::audit
