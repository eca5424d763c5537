#include "arqon/stats/histogram.h"

#include <algorithm>
#include <cmath>

#include "arqon/base/assert.h"

namespace arqon::stats {

std::size_t Histogram::bucket_of(double value) {
  if (!(value >= std::ldexp(1.0, kExponentMin))) return 0;
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);  // in [0.5, 1)
  if (exponent - 1 >= kExponentMax) return kBuckets - 1;
  const auto sub = static_cast<std::size_t>((mantissa - 0.5) * 2 * kSubBuckets);
  return static_cast<std::size_t>(exponent - 1 - kExponentMin) * kSubBuckets + sub;
}

double Histogram::middle_of(std::size_t bucket) {
  const int exponent = static_cast<int>(bucket / kSubBuckets) + kExponentMin;
  const double sub = static_cast<double>(bucket % kSubBuckets);
  return std::ldexp(1.0 + (sub + 0.5) / kSubBuckets, exponent);
}

void Histogram::record(double value, std::uint64_t count) {
  if (count == 0) return;
  if (buckets_.empty()) buckets_.resize(kBuckets);
  buckets_[bucket_of(value)] += count;
  count_ += count;
  sum_ += value * static_cast<double>(count);
}

double Histogram::quantile(double q) const {
  if (count_ == 0) return 0.0;
  const double wanted = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(count_));
  const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(wanted));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return middle_of(i);
  }
  return middle_of(kBuckets - 1);
}

Histogram& Histogram::operator+=(const Histogram& other) {
  if (other.count_ == 0) return *this;
  if (buckets_.empty()) buckets_.resize(kBuckets);
  for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  return *this;
}

Histogram Histogram::since(const Histogram& earlier) const {
  ARQON_ASSERT(count_ >= earlier.count_);
  Histogram out = *this;
  if (earlier.count_ == 0) return out;
  for (std::size_t i = 0; i < kBuckets; ++i) out.buckets_[i] -= earlier.buckets_[i];
  out.count_ -= earlier.count_;
  out.sum_ -= earlier.sum_;
  return out;
}

}  // namespace arqon::stats
