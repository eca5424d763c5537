#include "arqon/adapters/haproxy/weights.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "arqon/adapters/haproxy/runtime.h"

namespace arqon::adapters::haproxy {

std::vector<int> to_weights(std::span<const double> shares) {
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  std::vector<int> weights(shares.size(), 0);
  if (!(sum > 0)) return weights;
  std::vector<std::pair<double, std::size_t>> rest;
  int left = kWeightMax;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const double exact = shares[i] / sum * kWeightMax;
    weights[i] = static_cast<int>(exact);
    left -= weights[i];
    rest.emplace_back(exact - weights[i], i);
  }
  std::stable_sort(rest.begin(), rest.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  for (std::size_t k = 0; left > 0; ++k, --left) ++weights[rest[k % rest.size()].second];
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (shares[i] > 0 && weights[i] == 0) {
      --*std::max_element(weights.begin(), weights.end());
      weights[i] = 1;
    }
  }
  return weights;
}

std::vector<double> to_shares(std::span<const int> weights) {
  const int sum = std::accumulate(weights.begin(), weights.end(), 0);
  std::vector<double> shares(weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    shares[i] = sum > 0 ? static_cast<double>(weights[i]) / sum
                        : 1.0 / static_cast<double>(weights.size());
  }
  return shares;
}

void ShareCheck::begin(std::vector<std::uint64_t> sent, std::vector<double> expected) {
  open_ = true;
  from_ = std::move(sent);
  expected_ = std::move(expected);
  seen_.clear();
}

void ShareCheck::look(std::span<const std::uint64_t> sent) {
  if (!open_ || sent.size() != from_.size()) return;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < sent.size(); ++i) {
    if (sent[i] < from_[i]) return;  // another process's counters: the caller begins again
    total += sent[i] - from_[i];
  }
  if (total < kRequests) return;
  bool follows = true;
  seen_.assign(sent.size(), 0);
  for (std::size_t i = 0; i < sent.size(); ++i) {
    seen_[i] = static_cast<double>(sent[i] - from_[i]) / static_cast<double>(total);
    follows = follows && std::abs(seen_[i] - expected_[i]) <= kTolerance;
  }
  open_ = !follows;
  from_.assign(sent.begin(), sent.end());
}

}  // namespace arqon::adapters::haproxy
