// Where a long run stands: a bar with ETA on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "apps/arqonhpo/console.h"

namespace arqon::app {

// Draws on stderr from construction to finish(). On a terminal the bar is redrawn a few times a
// second; elsewhere a line is printed each tenth of the way, and every five seconds in between.
// update() from any one thread at a time.
class Progress {
 public:
  // quiet: draw nothing.
  Progress(const Console& console, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(double fraction, const std::string& what);
  // Wipes the bar; nothing is drawn afterwards.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  void tick(std::stop_token token);
  void draw_bar();
  void maybe_line(bool moved);
  std::string eta() const;

  const Console& console_;
  const bool quiet_;
  const Clock::time_point begin_ = Clock::now();
  std::mutex mutex_;
  std::condition_variable_any wake_;
  double fraction_ = 0;
  std::string what_ = "starting";
  double line_fraction_ = 0;
  Clock::time_point line_at_ = begin_;
  bool done_ = false;
  std::jthread ticker_;
};

}  // namespace arqon::app
