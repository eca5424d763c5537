// One llama.cpp server over HTTP: what it reports, and a reload where it runs in router mode.
// Checked against b11434 (v0.6.0-dev) and the server inside xllamacpp 2026.10.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/net/http.h"

namespace arqon::adapters::llamacpp {

// GET /slots.
struct Slots {
  int count = 0;
  int busy = 0;
  std::int64_t context = 0;  // tokens a slot can hold; the same for all
  bool speculative = false;
  double kv_use = 0;  // tokens held by busy slots, as a fraction of what all slots can hold
};
Result<Slots> parse_slots(std::string_view json);

// GET /metrics; counters since the server began.
struct Metrics {
  double processing = 0, deferred = 0;
  double decodes = 0;            // calls of llama_decode
  double busy_slots_mean = 0;    // per decode, over the whole life
  double tokens_predicted = 0;
  double drafted = 0, accepted = 0;
};
Result<Metrics> parse_metrics(std::string_view text);
// Mean of busy slots per decode between two readings of one life; 0 when nothing was decoded.
double busy_slots_between(const Metrics& from, const Metrics& to);

// GET /props.
struct Props {
  std::string build, model;
  bool operator==(const Props&) const = default;
};
Result<Props> parse_props(std::string_view json);

// One thread. Every call ends within the timeout; kUnavailable when the answer makes no sense.
class Server {
 public:
  // `model`: its name in router mode, empty for a server of one model.
  Server(std::string url, std::string model, Duration timeout);

  Result<Slots> slots();
  Result<Metrics> metrics();
  Result<Props> props();
  bool healthy();
  // Router mode: reads the preset again and loads the model. `timeout` of each of the two calls.
  Status reload(Duration timeout);
  const std::string& url() const { return url_; }

 private:
  Result<std::string> get(std::string_view path, Duration timeout);
  std::string query() const { return model_.empty() ? "" : "?model=" + model_; }

  std::string url_, model_;
  Duration timeout_;
  net::Client client_;
};

}  // namespace arqon::adapters::llamacpp
