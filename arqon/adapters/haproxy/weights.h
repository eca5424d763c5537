// Shares as HAProxy's integer weights, and whether the requests follow them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace arqon::adapters::haproxy {

// Integers that sum to 256 in the proportions of `shares` (>= 0, sum 1) by largest remainder; ties
// go to the earlier server. A share above 0 gets at least 1, taken from the largest: a server that
// is meant to be tried must be sent something.
std::vector<int> to_weights(std::span<const double> shares);
// Proportions of weights; equal shares when all are 0.
std::vector<double> to_shares(std::span<const int> weights);

// Whether the requests sent since a change follow its weights, from the servers' own counters.
// HAProxy may give a server whose weight fell nothing at all for some 400 requests, so a write's
// answer alone proves nothing. One thread.
class ShareCheck {
 public:
  static constexpr std::uint64_t kRequests = 50;  // judged in blocks of this many
  static constexpr double kTolerance = 0.06;

  // A change was written; `sent` are the servers' counters at that time.
  void begin(std::vector<std::uint64_t> sent, std::vector<double> expected);
  // Counters now. Requests follow when a whole block does; a block that does not is forgotten.
  void look(std::span<const std::uint64_t> sent);
  void cancel() { open_ = false; }
  // No change waits to be seen in the counters.
  bool settled() const { return !open_; }
  // Shares of the last block that was judged; empty before the first.
  const std::vector<double>& seen() const { return seen_; }

 private:
  bool open_ = false;
  std::vector<std::uint64_t> from_;
  std::vector<double> expected_, seen_;
};

}  // namespace arqon::adapters::haproxy
