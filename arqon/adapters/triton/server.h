// What this adapter asks of a Triton: HTTP for reading, gRPC for loads (a load over HTTP freezes
// the data connections that share its worker thread for as long as it takes).
// Every answer is bounded in time and size. Seen with Triton 2.51.0 (24.10).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/net/http.h"
#include "arqon/wire/json.h"
#include "arqon/wire/prometheus.h"

namespace arqon::adapters::triton {

// How bytes travel; tests put a Triton of their own here.
struct Transport {
  std::function<Result<net::Response>(const net::Request&)> http;
  // The message of RepositoryModelLoad; as net::grpc_call.
  std::function<Result<std::string>(std::string_view target, std::string_view method,
                                    std::string_view message, Duration timeout)>
      grpc;
};
Transport real_transport();

struct Addresses {
  std::string http, grpc, metrics;  // URLs without a trailing slash
};

// Same host, the two ports above: Triton's habit (8000, 8001, 8002). Empty parts where `http`
// names no port.
Addresses guess_addresses(std::string_view http);

struct TraceSetting {
  bool timestamps = false;
  std::int64_t rate = 0;           // every rate-th request is traced
  std::int64_t log_frequency = 0;  // requests per file; 0 = one file at the server's end
  std::string file;
};

struct ServicePoint {
  int batch = 0;
  double mean_ms = 0;  // of one execution: input, inference and output
  std::uint64_t executions = 0;
};

// One thread. No state but connections.
class Server {
 public:
  Server(Transport transport, Addresses addresses, std::string model)
      : transport_(std::move(transport)),
        addresses_(std::move(addresses)),
        model_(std::move(model)) {}

  const Addresses& addresses() const { return addresses_; }
  const std::string& model() const { return model_; }

  // kUnavailable when nobody answers, kRefused for an answer that is an error or makes no sense.
  Result<std::string> version() const;                // "2.51.0"
  Result<std::vector<std::string>> versions() const;  // of the model, that are served
  Result<std::vector<std::string>> models() const;    // that are ready
  Result<wire::Value> config() const;                 // whole: check_whole passed
  Result<wire::Exposition> metrics() const;
  Result<TraceSetting> trace_setting() const;
  // Mean time by batch size since the model was last loaded.
  Result<std::vector<ServicePoint>> service_curve() const;
  // Both within a second: the server is ready, and the model is.
  Result<bool> server_ready() const;
  Result<bool> model_ready() const;

  // Loads the model with this whole config. kRefused with Triton's words (the old copy serves on).
  Status load(const wire::Value& config, Duration timeout) const;
  // Ok when loads are allowed (--model-control-mode=explicit); changes nothing: it asks for a model
  // that does not exist. kRefused with what to do.
  Status check_control() const;

 private:
  Result<net::Response> get(const std::string& url, Duration timeout) const;
  Result<wire::Value> get_json(std::string_view path) const;
  Result<bool> ready(std::string_view path) const;
  Result<std::string> load_call(std::string_view model, std::string_view config,
                                Duration timeout) const;

  Transport transport_;
  Addresses addresses_;
  std::string model_;
};

// The protobuf message of RepositoryModelLoad.
std::string load_message(std::string_view model, std::string_view config);

}  // namespace arqon::adapters::triton
