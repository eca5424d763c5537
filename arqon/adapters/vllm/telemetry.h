// What became of the requests of one vLLM: exact records of the ring where the plugin writes it,
// histograms of /metrics where it does not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "arqon/adapters/histogram_outcomes.h"
#include "arqon/adapters/vllm/metrics.h"
#include "arqon/adapters/vllm/ring.h"
#include "arqon/adapters/vllm/target.h"
#include "arqon/net/http.h"
#include "arqon/serving/engine.h"
#include "arqon/serving/request_outcome.h"

namespace arqon::adapters::vllm {

// How requests reach an engine; tests put a recorded engine here.
using Http = std::function<Result<net::Response>(const net::Request&)>;

// GET of `url`; kUnavailable for any status but 200.
Result<std::string> get_text(const Http& http, const std::string& url, Duration timeout);

// A record as the rules for outcomes see it.
serving::RequestOutcome outcome_of(const Record& record);

// Whose requests are counted and how.
struct Classes {
  std::vector<serving::Slo> slos;
  Target target;
};

// One thread.
class Telemetry {
 public:
  Telemetry(Http http, std::string url, const Classes& classes);

  // Once, before the first reading: outcomes come from this ring ...
  Status open_ring(const std::filesystem::path& path);
  // ... or from histograms. kInvalidConfig when they cannot judge the document's limits.
  Status use_histograms();
  // Takes up what is new since the last reading. A failed reading takes nothing up: it comes with
  // the next good one.
  void read();
  // As read(), but leaves a reading that ended less than this ago as it is.
  void read_unless_newer(const Clock& clock, Duration age);
  // Counters begin again: the engine restarted.
  void begin_anew();

  // The last reading was whole and made sense; false before the first.
  bool fresh() const { return trouble_.empty(); }
  const std::string& trouble() const { return trouble_; }
  const std::optional<Metrics>& metrics() const { return metrics_; }
  // In the order of the document's classes.
  const std::vector<serving::ClassCounters>& counters() const { return counters_; }
  bool exact() const { return ring_.has_value(); }
  // Rises whenever the API process is seen to have begun again.
  std::uint64_t api_starts() const { return api_starts_; }
  std::uint64_t lost() const { return lost_; }
  // Records seen.
  std::uint64_t records() const { return records_; }

 private:
  void read_ring();
  std::string read_metrics_text();
  std::string reopen_ring();
  void take(const Record& record);
  void take_metrics(const Metrics& now);
  void count_rejected(double more);

  Http http_;
  std::string url_;
  Classes classes_;
  std::filesystem::path ring_path_;
  std::optional<Ring> ring_;
  std::optional<HistogramOutcomes> histograms_;
  std::optional<Metrics> metrics_;
  std::optional<TimePoint> read_at_;
  std::string trouble_ = "not read yet";
  std::vector<serving::ClassCounters> counters_;
  double rejected_left_ = 0;
  std::uint64_t api_starts_ = 0, lost_ = 0, records_ = 0;
};

}  // namespace arqon::adapters::vllm
