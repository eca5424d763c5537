#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "arqon/adapters/triton/counters.h"
#include "arqon/adapters/triton/model_config.h"
#include "arqon/adapters/triton/triton.h"

namespace arqon::adapters::triton {
namespace {

using wire::Value;

constexpr std::string_view kModels = "/v2/models/";

std::string value_text(Knob knob, double value) {
  if (knob == Knob::kMaxQueuedRequests && value >= kUnlimitedQueue) return "no limit";
  if (knob == Knob::kQueueTimeout && value >= kUnlimitedTimeout_ms) return "no timeout";
  return wire::shortest(value);
}

void add_knobs(Probe& probe, const Value& config, const Status& control) {
  for (const KnobInfo& knob : knob_table()) {
    KnobReport report{.name = std::string(knob.name),
                      .engine_name = std::string(knob.engine_name),
                      .access = std::string(knob.access),
                      .value = {},
                      .why = std::string(knob.note)};
    if (const auto value = read_knob(config, knob.knob)) {
      report.value = value_text(knob.knob, *value);
      if (!control) report.why = control.error().message;
    } else {
      report.access = "absent";
      report.why = value.error().message;
    }
    if (!control && report.access != "absent") report.access = "restart";
    probe.knobs.push_back(std::move(report));
  }
  for (const std::string_view name : {"max_tokens", "kv_cache_size", "speculative_decoding_k"}) {
    probe.knobs.push_back({.name = std::string(name),
                           .engine_name = {},
                           .access = "absent",
                           .value = {},
                           .why = "the model's own affair: Triton has no such setting"});
  }
}

void add_latency(Probe& probe, const Server& server, const wire::Exposition& metrics) {
  const auto trace = server.trace_setting();
  const bool summary = !read_summary(metrics, server.model()).empty();
  if (trace && trace->timestamps && trace->rate == 1 && trace->log_frequency > 0) {
    probe.notes.push_back(
        fmt::format("latency: exact, from {}.* (trace of every request)", trace->file));
    return;
  }
  probe.notes.push_back(summary
                            ? "latency: bounds only, from quantiles of the last 60 s (a change is "
                              "judged a minute later)"
                            : "latency: none of single requests; an e2e_ms limit cannot be judged");
  probe.next.push_back(
      "for exact latencies restart the server with --trace-config triton,file=FILE --trace-config "
      "rate=1 --trace-config level=TIMESTAMPS --trace-config triton,log-frequency=50");
}

void add_telemetry(Probe& probe, const Server& server) {
  const auto metrics = server.metrics();
  if (!metrics) {
    probe.notes.push_back("metrics: " + metrics.error().message);
    probe.next.push_back("make the metrics port reachable (--metrics-port, --allow-metrics=true)");
    return;
  }
  const auto counters = read_counters(*metrics, server.model());
  if (!counters) {
    probe.notes.push_back(counters.error().message);
    return;
  }
  probe.notes.push_back(
      fmt::format("served {:.0f}, failed {:.0f}, waiting {:.0f}; mean batch {:.2f}",
                  counters->success, counters->failure, counters->pending,
                  counters->executions > 0 ? counters->inferences / counters->executions : 0));
  add_latency(probe, server, *metrics);
}

void add_curve(Probe& probe, const Server& server) {
  const auto curve = server.service_curve();
  if (!curve || curve->empty()) {
    probe.notes.push_back("service curve: nothing executed since the model was loaded");
    return;
  }
  std::string text;
  for (const ServicePoint& point : *curve) {
    text += fmt::format("{}{}: {:.1f}", text.empty() ? "" : ", ", point.batch, point.mean_ms);
  }
  probe.notes.push_back("service curve since the last load, mean ms by batch size: " + text);
}

// NAME of http://HOST:PORT/v2/models/NAME, cut off the URL; empty when there is none.
std::string cut_model(std::string& url) {
  while (!url.empty() && url.back() == '/') url.pop_back();
  const std::size_t at = url.find(kModels);
  if (at == std::string::npos) return {};
  std::string model = url.substr(at + kModels.size());
  url.resize(at);
  return model;
}

Result<std::string> find_model(const Server& server, std::string_view url, Probe& probe) {
  const auto models = server.models();
  if (!models) return tl::unexpected(models.error());
  if (models->size() == 1) return models->front();
  std::string all;
  for (const std::string& name : *models) all += (all.empty() ? "" : ", ") + name;
  probe.notes.push_back(models->empty() ? "no model is loaded" : "models: " + all);
  if (!models->empty()) {
    probe.next.push_back(
        fmt::format("arqonhpo doctor triton {}{}{}", url, kModels, models->front()));
  }
  return std::string();
}

}  // namespace

Result<Probe> probe_over(std::string_view url, Transport transport) {
  std::string base(url);
  std::string model = cut_model(base);
  if (!base.starts_with("http://") && !base.starts_with("https://")) {
    return fail(ErrorCode::kUsage, fmt::format("\"{}\" is no http:// URL", url));
  }
  const Addresses addresses = guess_addresses(base);
  Probe probe;
  const Server any(transport, addresses, {});
  const auto version = any.version();
  if (!version) {
    probe.notes.push_back(version.error().message);
    probe.next.push_back("start Triton, or give its HTTP port (8000 unless --http-port says else)");
    return probe;
  }
  probe.reachable = true;
  probe.identity.engine = "triton " + *version;
  if (model.empty()) {
    const auto found = find_model(any, base, probe);
    if (!found) probe.notes.push_back(found.error().message);
    model = found.value_or("");
    if (model.empty()) return probe;
  }
  const Server server(std::move(transport), addresses, model);
  const auto config = server.config();
  if (!config) {
    probe.notes.push_back(config.error().message);
    return probe;
  }
  probe.identity.model = model;
  const Status control = server.check_control();
  add_knobs(probe, *config, control);
  if (!control) probe.next.push_back(control.error().message);
  add_telemetry(probe, server);
  add_curve(probe, server);
  probe.notes.push_back(
      "a reload holds the model twice for a moment; an override lasts until the server or the "
      "model's file changes");
  probe.next.push_back(fmt::format(
      R"(in the scenario: "target": {{"engine": "triton", "url": "{}", "grpc": "{}", "metrics": "{}", "model": "{}"}})",
      addresses.http, addresses.grpc, addresses.metrics, model));
  return probe;
}

Result<Probe> probe(std::string_view url, Clock& /*clock*/) {
  return probe_over(url, real_transport());
}

}  // namespace arqon::adapters::triton
