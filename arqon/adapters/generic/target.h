// The `target` object of a generic engine, read whole:
//   "name", "model"     identity, free texts
//   "identity": CALL    its answer's text belongs to the identity too: another one stops all writes
//   "health": CALL      well when it succeeds; default: the metrics answer
//   "knobs": {NAME: {
//       "type": "int" | "float" | "choice", "min", "max", "step", "choices": [...], "unit",
//       "class": "live" (default) | "reload" | "restart",
//       "write": CALL with {value} (and {former}), "read": CALL or "none" with "value": in force,
//       "deadline_s": 5 (of each call), "settle_s": 10, "note"}}
//   "metrics": URL      a scrape; "prometheus": URL of a Prometheus server for "promql" readings
//   "readings": {KEY: "SERIES" | {"promql": QUERY}}, keys ttft, tpot, e2e (histograms in seconds;
//       by PromQL a vector with "le"), requests (ended well, where there is no e2e), failed,
//       prompt_tokens, output_tokens (counters), started, running, waiting, kv_use (gauges)
#pragma once

#include <string>
#include <vector>

#include "arqon/adapters/generic/call.h"
#include "arqon/adapters/scraped_engine.h"

namespace arqon::adapters::generic {

struct Knob {
  std::string name;
  Parameter domain;
  Call write, read;
  bool read_back = true;
  double value = 0;  // in force, where it is not read back
  Duration deadline{}, settle{};
  std::string note;
};

struct ReadingSource {
  std::string key;     // "ttft"
  std::string series;  // of the scrape; empty: PromQL
  std::string promql;
};

struct Target {
  std::string name, model, metrics, prometheus;
  Call identity, health;
  bool has_identity = false, has_health = false;
  std::vector<Knob> knobs;
  std::vector<ReadingSource> readings;
  ScrapedTarget scraped;
};

Result<Target> read_target(const wire::Value& target);

}  // namespace arqon::adapters::generic
