// Whether to believe the twin: its rolling error, window by window, on what it claims to know.
//
// Four signals: TPOT p50, throughput, queue, and use of the KV cache (a wrong number of blocks
// cannot be seen in any latency until the cache is full; in its use it shows at once). Errors are
// logarithms of model / seen; the queue's is the difference over the requests in the engine. Two
// ways to lose belief: the mean size of a signal's error reaches `error_max`, or its mean, sign
// included, is above `bias_min` beyond doubt (more than `doubt` standard errors): a twin that is
// wrong by a little in the same direction every time is wrong.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "arqon/serving/forecast.h"

namespace arqon::calibrate {

struct TrustOptions {
  double half_life_s = 120;  // of the weight of a window
  double error_max = 0.10;
  double bias_min = 0.03;
  double doubt = 4;
  std::size_t windows_min = 4;  // before that there is no belief
};

struct Verdict {
  bool believe = false;
  double error = 0;    // of the worst signal: mean size, as a share
  std::string signal;  // the worst one: "tpot", "throughput", "queue", "kv_use"
  std::string reason;  // one sentence for people
};

class Trust {
 public:
  explicit Trust(const TrustOptions& options = {}) : options_(options) {}

  // The twin's word on a window that ended at `t_s`, and what was seen. Times rise; a NaN or a
  // value that says nothing (no request ended, KV use below 2 %) leaves its signal alone.
  void add(double t_s, const serving::Forecast& model, const serving::Forecast& seen);
  Verdict verdict() const;
  std::size_t windows() const { return windows_; }

 private:
  static constexpr std::size_t kSignals = 4;
  struct Signal {
    double weight = 0, weight_squares = 0, sum = 0, squares = 0, sizes = 0;
    std::size_t n = 0;
    void add(double error, double keep);
  };
  TrustOptions options_;
  std::array<Signal, kSignals> signals_;
  std::size_t windows_ = 0;
  double last_s_ = 0;
};

}  // namespace arqon::calibrate
