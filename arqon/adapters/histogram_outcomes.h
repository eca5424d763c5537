// Good and bad requests out of an engine's cumulative histograms, for engines that tell no single
// request's times. A histogram only bounds how many requests broke a limit: with the limit on one
// of its bucket bounds the count is exact, inside a bucket it lies between two numbers. Here a
// request is bad only when it must be; what may be either is counted as `unsure`, and while there
// is any, an update says that nothing may be concluded. docs/reference/engines/histograms.md has
// the rules.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/serving/engine.h"
#include "arqon/wire/prometheus.h"

namespace arqon::adapters {

// Names of series; of each list the first that is there is taken (engines rename). Histograms are
// in seconds, one sample per request.
struct HistogramSources {
  // A scrape without any series that begins with one of these is not this engine's.
  std::vector<std::string> prefixes;
  std::vector<std::string> ttft, tpot, e2e;
  // The engine records all three when the request ends; otherwise ttft at the first token.
  bool ttft_at_end = false;
  std::vector<std::string> failed;  // counters, all added up: aborted, rejected, errors
  std::vector<std::string> prompt_tokens, output_tokens;  // counters
  std::vector<std::string> started;                       // gauges that differ after every start
  std::vector<std::string> running, waiting, kv_use;      // gauges
  std::string rank_label;   // gauges of one rank repeat per worker; ranks add up (kv_use: mean)
  std::string bucket_help;  // how this engine's bucket bounds are set, for notes
};

struct HistogramRules {
  // Judge a limit inside a bucket as if it were the bucket's upper end, instead of refusing.
  bool next_bound = false;
  // Limits that the document's owner leaves unjudged: "ttft_ms", "tpot_ms", "max_gap_ms", "e2e_ms".
  std::vector<std::string> not_judged;
};

// How a limit lies among the bounds of its histogram.
struct LimitPlace {
  double below_s = 0;  // largest bound <= limit, 0 when there is none
  double above_s = 0;  // smallest bound >= limit, may be infinite
  bool exact() const { return below_s == above_s; }
};
LimitPlace place_of(double limit_ms, const wire::Buckets& buckets);

// One class, one engine; one thread.
class HistogramOutcomes {
 public:
  // kInvalidConfig when a limit of the class cannot be judged from these sources at all.
  static Result<HistogramOutcomes> create(const std::vector<serving::Slo>& classes,
                                          HistogramSources sources, HistogramRules rules);

  // Takes up a scrape; the first one is the base that counts begin from. False when nothing may be
  // concluded from it: it made no sense (counters as before), or requests are unsure (why()).
  bool update(const wire::Exposition& scrape);

  // The engine is being restarted by our own hand: its counters begin again, ours go on.
  void expect_restart() { expecting_restart_ = true; }

  const serving::ClassCounters& counters() const { return counters_; }
  std::uint64_t epoch() const { return epoch_; }    // from 1; rises when the engine began again
  std::uint64_t unsure() const { return unsure_; }  // good or bad, in this epoch
  std::uint64_t ended() const { return ended_; }    // in this epoch, failed ones too
  double running() const { return running_; }
  double waiting() const { return waiting_; }
  double kv_use() const { return kv_use_; }
  const std::string& why() const { return why_; }
  // One sentence per limit that lies inside a bucket of this scrape, with what to do about it.
  std::vector<std::string> notes(const wire::Exposition& scrape) const;

 private:
  struct Totals {
    wire::Buckets ttft, tpot, e2e;
    double failed = 0, prompt_tokens = 0, output_tokens = 0, started = 0;
  };
  HistogramOutcomes(serving::Slo slo, HistogramSources sources, HistogramRules rules);
  std::optional<Totals> totals(const wire::Exposition& scrape) const;
  void begin_again();
  void count(const Totals& now);
  void count_bad(const Totals& now, double tokenless);

  serving::Slo slo_;
  HistogramSources sources_;
  HistogramRules rules_;
  std::optional<Totals> last_;
  serving::ClassCounters counters_;
  std::uint64_t epoch_ = 1, unsure_ = 0, ended_ = 0, tokenless_ = 0;
  bool expecting_restart_ = false;
  double open_late_ = 0;  // late at their first token, perhaps still running
  double running_ = 0, waiting_ = 0, kv_use_ = 0;
  std::string why_;
};

}  // namespace arqon::adapters
