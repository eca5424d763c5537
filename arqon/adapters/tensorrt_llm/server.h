// One trtllm-serve over HTTP.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "arqon/adapters/scraped_engine.h"
#include "arqon/net/http.h"

namespace arqon::adapters::tensorrt_llm {

struct Address {
  std::string url, metrics;
  Duration timeout{};
  // GET /metrics hands out each iteration record once. Only when nobody else reads it may we.
  bool drain_iterations = false;
};

// A value that a restart moves.
struct Setting {
  std::string_view name;         // ours
  std::string_view engine_name;  // of the server's options file
  ParamType type;
  double min, max;
  std::string_view gauge;  // what it was started with; 0 where the runtime does not fill it in
  std::string_view note;
};
const std::vector<Setting>& settings();

class Server {
 public:
  explicit Server(Address address) : address_(std::move(address)) {}
  Result<serving::Identity> identity();
  // Metrics, and what the iteration records add to them where we drain those.
  Result<wire::Exposition> metrics();
  Result<bool> healthy();
  const Address& address() const { return address_; }

 private:
  Address address_;
  net::Client client_;
};

// Gauges of the newest record under the names that newer servers export themselves.
std::vector<wire::Series> from_iterations(const wire::Value& records);

HistogramSources sources();

}  // namespace arqon::adapters::tensorrt_llm
