#include "apps/arqonhpo/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace arqon::app {
namespace {

constexpr int kBarColumns = 28;
constexpr auto kRedraw = std::chrono::milliseconds(200);
constexpr auto kLineEvery = std::chrono::seconds(5);

std::string clock(double seconds) {
  const long s = std::lround(std::max(0.0, seconds));
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

}  // namespace

Progress::Progress(const Console& console, bool quiet) : console_(console), quiet_(quiet) {
  if (!quiet_) ticker_ = std::jthread([this](std::stop_token token) { tick(token); });
}

Progress::~Progress() { finish(); }

void Progress::update(double fraction, const std::string& what) {
  const std::lock_guard lock(mutex_);
  if (quiet_ || done_) return;
  fraction_ = std::clamp(fraction, fraction_, 1.0);
  what_ = what;
  if (!console_.stderr_is_terminal()) maybe_line(true);
}

void Progress::finish() {
  if (quiet_ || done_) return;
  ticker_.request_stop();
  wake_.notify_all();
  if (ticker_.joinable()) ticker_.join();
  const std::lock_guard lock(mutex_);
  done_ = true;
  if (console_.stderr_is_terminal()) console_.talk("\r\x1b[K");
}

void Progress::tick(std::stop_token token) {
  std::unique_lock lock(mutex_);
  while (!token.stop_requested()) {
    wake_.wait_for(lock, token, kRedraw, [] { return false; });
    if (token.stop_requested()) return;
    if (console_.stderr_is_terminal()) {
      draw_bar();
    } else {
      maybe_line(false);
    }
  }
}

std::string Progress::eta() const {
  const double elapsed = std::chrono::duration<double>(Clock::now() - begin_).count();
  if (fraction_ < 0.02) return clock(elapsed) + " elapsed";
  return "ETA " + clock(elapsed * (1 - fraction_) / fraction_);
}

void Progress::draw_bar() {
  const int filled = static_cast<int>(std::lround(fraction_ * kBarColumns));
  const std::string bar(static_cast<std::size_t>(filled), '#');
  std::string line =
      fmt::format("[{:<{}}] {:3.0f}%  {}  {}", bar, kBarColumns, fraction_ * 100, eta(), what_);
  const auto room = static_cast<std::size_t>(std::max(20, console_.width() - 1));
  if (line.size() > room) line.resize(room);
  console_.talk(fmt::format("\r{}\x1b[K", line));
}

void Progress::maybe_line(bool moved) {
  const auto now = Clock::now();
  const bool tenth = moved && std::floor(fraction_ * 10) > std::floor(line_fraction_ * 10);
  if (!tenth && now - line_at_ < kLineEvery) return;
  line_at_ = now;
  line_fraction_ = fraction_;
  console_.talk(fmt::format("{:3.0f}%  {}  {}\n", fraction_ * 100, eta(), what_));
}

}  // namespace arqon::app
