// Triton's own trace of requests: exact times of each, in files FILE.0, FILE.1, ... of
// `log-frequency` requests each. Enabled by --trace-config triton,file=FILE --trace-config rate=1
// --trace-config level=TIMESTAMPS --trace-config triton,log-frequency=N. Seen with Triton 2.51.0.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"

namespace arqon::adapters::triton {

// One traced request. Times from the moment the front end began to read it (or the core took it,
// where the front end says nothing) to the moment its answer was complete.
struct TracedRequest {
  std::uint64_t begin_ns = 0;  // the server's monotonic clock
  std::uint64_t end_ns = 0;
  bool served = false;  // false: it was not computed (refused by a full queue, timed out)
  double e2e_ms() const { return static_cast<double>(end_ns - begin_ns) * 1e-6; }
};

// The requests of `model` in one file's text. kInvalidConfig for text that is not such a list (a
// file still being written).
Result<std::vector<TracedRequest>> parse_trace(std::string_view text, std::string_view model);

// Follows the files of one server. One thread. Files are looked at one per number: files of an
// earlier server that lie in the same place are passed over until they are written again; a server
// that restarts numbers from 0.
class TraceLog {
 public:
  TraceLog(std::filesystem::path file, std::string model)
      : file_(std::move(file)), model_(std::move(model)) {}

  // Passes over what is there already: only what is written from now on counts.
  void skip_existing();
  // Requests of the files that became complete since the last call, at most kFilesPerPoll of them.
  std::vector<TracedRequest> poll();
  // Files that were complete and yet made no sense, so far.
  std::uint64_t unreadable() const { return unreadable_; }

 private:
  static constexpr int kFilesPerPoll = 1024;
  bool began_again() const;
  bool stale(std::filesystem::file_time_type written) const;
  std::filesystem::path numbered(std::uint64_t number) const;
  // The requests of one file when all of it is newer than what was seen.
  std::optional<std::vector<TracedRequest>> take(std::uint64_t number);

  std::filesystem::path file_;
  std::string model_;
  std::uint64_t next_ = 0;
  // Of the newest file that was taken or passed over; the file clock's zero is no early time.
  std::filesystem::file_time_type last_write_ = std::filesystem::file_time_type::min();
  std::uint64_t unreadable_ = 0;
};

}  // namespace arqon::adapters::triton
