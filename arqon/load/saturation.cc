#include "arqon/load/saturation.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace arqon::load {
namespace {

constexpr double kLagMsMax = 50;
constexpr std::size_t kLateSeconds = 3;
constexpr std::size_t kWindow = 6;       // blocks
constexpr double kStudent = 3.747;       // one-sided 99 %, four degrees of freedom
constexpr double kGrowthMin = 8;         // requests over a window
constexpr double kGrowthShareMin = 0.5;  // of where it began
constexpr std::size_t kRampEnds = 20;    // answers that show how long one takes

void find_late_client(std::span<const LoadSample> samples, Saturation& out) {
  std::size_t late = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    late = samples[i].sent > 0 && samples[i].lag_ms_mean > kLagMsMax ? late + 1 : 0;
    out.streams_full = out.streams_full || samples[i].streams_full;
    if (late >= kLateSeconds && !out.client()) out.client_from_s = samples[i + 1 - late].t_s;
  }
}

// Until answers have begun to end, what is in flight rises whatever the server does.
double ramp_end_s(std::span<const LoadSample> samples) {
  double ended = 0, e2e_sum = 0;
  for (const LoadSample& sample : samples) {
    ended += static_cast<double>(sample.ended);
    e2e_sum += sample.e2e_s_mean * static_cast<double>(sample.ended);
    if (ended >= static_cast<double>(kRampEnds)) return sample.t_s + 2 * e2e_sum / ended;
  }
  return INFINITY;
}

struct Block {
  double t_s = 0, until_s = 0, requests = 0;
};

std::vector<Block> blocks_of(std::span<const LoadSample> samples, std::size_t length,
                             double LoadSample::* what, double from_s) {
  std::vector<Block> out;
  for (std::size_t i = 0; i + length <= samples.size(); i += length) {
    if (samples[i].t_s < from_s) continue;
    Block block{samples[i].t_s, samples[i + length - 1].t_s, 0};
    for (std::size_t k = 0; k < length; ++k) block.requests += samples[i + k].*what;
    block.requests /= static_cast<double>(length);
    out.push_back(block);
  }
  return out;
}

// Growth over the window by its regression line; 0 when it may be chance.
double sure_growth(std::span<const Block> window) {
  const auto n = static_cast<double>(window.size());
  double mean = 0;
  for (const Block& block : window) mean += block.requests / n;
  double xx = 0, xy = 0, yy = 0;
  for (std::size_t i = 0; i < window.size(); ++i) {
    const double x = static_cast<double>(i) - (n - 1) / 2;
    const double y = window[i].requests - mean;
    xx += x * x;
    xy += x * y;
    yy += y * y;
  }
  const double slope = xy / xx;
  const double residual = std::max(0.0, yy - slope * xy);
  const double error = std::sqrt(residual / (n - 2) / xx);
  return slope > kStudent * error ? slope * (n - 1) : 0;
}

void find_growth(const std::vector<Block>& blocks, Saturation& out) {
  for (std::size_t i = 0; i + kWindow <= blocks.size(); ++i) {
    const std::span<const Block> window(&blocks[i], kWindow);
    const double from = window.front().requests;
    if (sure_growth(window) < std::max(kGrowthMin, kGrowthShareMin * from)) continue;
    if (out.server() && out.server_from_s <= window.front().t_s) return;
    out.server_from_s = window.front().t_s;
    out.backlog_from = from;
    out.backlog_to = from;
    out.server_until_s = blocks.back().until_s;
    const double back = std::max(1.1 * from, from + 2);
    for (std::size_t k = i + 1; k < blocks.size(); ++k) {
      out.backlog_to = std::max(out.backlog_to, blocks[k].requests);
      if (k >= i + kWindow && blocks[k].requests <= back) {
        out.server_until_s = blocks[k].t_s;
        break;
      }
    }
    return;
  }
}

}  // namespace

Saturation find_saturation(std::span<const LoadSample> samples) {
  Saturation out;
  find_late_client(samples, out);
  // Blocks long enough to be nearly independent, short enough that a minute has six of them.
  const std::size_t length = std::clamp<std::size_t>(samples.size() / 20, 1, 5);
  find_growth(blocks_of(samples, length, &LoadSample::waiting, 0), out);
  find_growth(blocks_of(samples, length, &LoadSample::in_flight, ramp_end_s(samples)), out);
  return out;
}

}  // namespace arqon::load
