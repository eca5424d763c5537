// Log-linear histogram: fixed memory, 1.6 % relative error, mergeable, subtractable.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace arqon::stats {

// Counts of non-negative values (any unit). Values below 2^-10 share the first bucket, values above
// 2^30 the last. 32 linear buckets per power of two: a reported value is within 1/64 of the true
// one. Buckets are allocated at the first record. Not thread-safe.
class Histogram {
 public:
  void record(double value, std::uint64_t count = 1);
  std::uint64_t count() const { return count_; }
  double mean() const { return count_ == 0 ? 0.0 : sum_ / static_cast<double>(count_); }
  double sum() const { return sum_; }
  // Nearest-rank quantile, q in [0, 1]; 0 when empty.
  double quantile(double q) const;

  Histogram& operator+=(const Histogram& other);
  // What was recorded since `earlier`, a former state of this same histogram.
  Histogram since(const Histogram& earlier) const;

 private:
  static constexpr int kSubBuckets = 32;
  static constexpr int kExponentMin = -10;
  static constexpr int kExponentMax = 30;
  static constexpr std::size_t kBuckets =
      static_cast<std::size_t>(kExponentMax - kExponentMin) * kSubBuckets;
  static std::size_t bucket_of(double value);
  static double middle_of(std::size_t bucket);

  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

}  // namespace arqon::stats
