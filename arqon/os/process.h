// Child processes with deadlines, and the monotonic clock. POSIX.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/time.h"

namespace arqon::os {

struct ProcessResult {
  int exit_code = 0;  // 128 + signal when it was killed
  std::string out, err;
};

struct RunOptions {
  std::vector<std::pair<std::string, std::string>> environment;  // added to ours
  std::string input;                                             // its stdin
  Duration timeout = std::chrono::seconds(30);
  std::size_t bytes_max = 1u << 20;  // kept of each of stdout and stderr; the rest is dropped
};

// Runs a program (argv[0] is looked up in PATH; no shell) in a process group of its own and waits
// until it ends. What it leaves in the background runs on, but its output is not waited for: a
// restart command must send the output of its service elsewhere. kUsage for an empty argv;
// kUnavailable when it cannot be started, or outlives the timeout (the whole group is then killed).
Result<ProcessResult> run(const std::vector<std::string>& argv, const RunOptions& options = {});

// Time of the system since boot, suspend counted (CLOCK_BOOTTIME), so that a lease does not
// outlive a sleep. wait_until sleeps; a signal or wake() from another thread ends it early.
class SystemClock final : public Clock {
 public:
  SystemClock();
  ~SystemClock() override;
  SystemClock(const SystemClock&) = delete;
  SystemClock& operator=(const SystemClock&) = delete;
  TimePoint now() const override;
  void wait_until(TimePoint t) override;
  void wake();  // also from a signal handler

 private:
  int wake_fd_ = -1;
};

}  // namespace arqon::os
