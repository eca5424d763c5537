#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <utility>

#include "arqon/adapters/target_reader.h"
#include "arqon/adapters/triton/engine.h"
#include "arqon/adapters/triton/triton.h"
#include "arqon/space/space.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::adapters::triton {
namespace {

using wire::Value;

constexpr Duration kReloadCost = std::chrono::seconds(2);  // Python backend: 1.4 s
constexpr Duration kInPlaceCost = std::chrono::milliseconds(500);
constexpr std::string_view kSummaryFlag = "--metrics-config summary_latencies=true";
constexpr std::string_view kTraceFlags =
    "--trace-config triton,file=FILE --trace-config rate=1 --trace-config level=TIMESTAMPS "
    "--trace-config triton,log-frequency=50";

struct Target {
  Addresses addresses;
  std::string model;
  std::string latency;
  Options options;
};

Result<Target> read_target(const Value& value) {
  TargetReader reader(value, {"url", "grpc", "metrics", "model", "latency", "trace_file",
                              "load_timeout_s", "stall_s", "dollars_per_hour"});
  Target target;
  target.addresses.http = reader.url("url");
  const Addresses guess = guess_addresses(target.addresses.http);
  target.addresses.grpc = reader.url("grpc", guess.grpc);
  target.addresses.metrics = reader.url("metrics", guess.metrics);
  target.model = reader.text("model");
  target.latency = reader.text("latency", "auto");
  const std::vector<std::string> ways = {"auto", "trace", "summary", "none"};
  if (std::ranges::find(ways, target.latency) == ways.end()) {
    reader.complain(*reader.find("latency"), "latency", "one of auto, trace, summary, none");
  }
  target.options.trace_file = reader.text("trace_file", "");
  target.options.load_timeout = from_seconds(reader.number("load_timeout_s", 60, 1, 3600));
  target.options.stall = from_seconds(reader.number("stall_s", 10, 1, 3600));
  target.options.dollars_per_hour = reader.number("dollars_per_hour", 0, 0, 1e6);
  if (const Status status = reader.status(); !status) return tl::unexpected(status.error());
  return target;
}

// ---- Which latencies the server gives

struct Source {
  Latency latency = Latency::kNone;
  std::string file;
  std::string why_no_trace;
};

Source find_source(const Server& server, const Target& target, const wire::Exposition& metrics) {
  Source source;
  const auto setting = server.trace_setting();
  source.file = !target.options.trace_file.empty() ? target.options.trace_file
                : setting                          ? setting->file
                                                   : "";
  const auto folder = std::filesystem::path(source.file).parent_path();
  std::error_code none;
  if (!setting) {
    source.why_no_trace = setting.error().message;
  } else if (!setting->timestamps || setting->rate != 1 || source.file.empty()) {
    source.why_no_trace = "the server does not trace every request";
  } else if (setting->log_frequency < 1) {
    source.why_no_trace = "log-frequency is 0: the trace is written when the server ends";
  } else if (!folder.empty() && !std::filesystem::is_directory(folder, none)) {
    source.why_no_trace = fmt::format(
        "{} cannot be seen from here: name the file as it is here in "
        "target.trace_file",
        source.file);
  }
  if (source.why_no_trace.empty()) {
    source.latency = Latency::kTrace;
  } else if (!read_summary(metrics, server.model()).empty()) {
    source.latency = Latency::kSummary;
  }
  return source;
}

Result<Source> choose_source(const Server& server, const Target& target, const serving::Slo& slo,
                             const wire::Exposition& metrics) {
  Source source = find_source(server, target, metrics);
  const bool summary = !read_summary(metrics, server.model()).empty();
  if (target.latency == "trace" && source.latency != Latency::kTrace) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("target.latency \"trace\": {}; start the server with {}",
                            source.why_no_trace, kTraceFlags));
  }
  if (target.latency == "summary") {
    if (!summary) {
      return fail(ErrorCode::kInvalidConfig,
                  fmt::format("target.latency \"summary\": the metrics hold no summaries; start "
                              "the server with {}",
                              kSummaryFlag));
    }
    source.latency = Latency::kSummary;
  }
  if (target.latency == "none") source.latency = Latency::kNone;
  if (source.latency == Latency::kNone && slo.e2e_ms != serving::kNoLimit) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("class \"{}\" limits e2e_ms, and this server tells no request's time "
                            "({}): start it with {} (exact), or with {} (bounds)",
                            slo.name, source.why_no_trace, kTraceFlags, kSummaryFlag));
  }
  return source;
}

Status check_classes(const std::vector<serving::Slo>& classes) {
  if (classes.size() != 1) {
    return fail(
        ErrorCode::kInvalidConfig,
        fmt::format("Triton cannot tell {} classes of requests apart: keep one", classes.size()));
  }
  const serving::Slo& slo = classes.front();
  if (slo.ttft_ms != serving::kNoLimit || slo.tpot_ms != serving::kNoLimit ||
      slo.max_gap_ms != serving::kNoLimit || slo.ttft_ms_per_prompt_token != 0) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("class \"{}\": Triton measures whole requests, no tokens: the limit it "
                            "can be held to is e2e_ms",
                            slo.name));
  }
  return {};
}

// ---- Which knobs

// A full queue's refusals are in no counter of Triton: without the trace nobody would see them, and
// a tuner would find that refusing is fast.
Status check_refusals(const Value& config, const std::vector<Knob>& knobs, Latency latency) {
  if (latency == Latency::kTrace) return {};
  const bool tuned = std::ranges::find(knobs, Knob::kMaxQueuedRequests) != knobs.end();
  const auto limit = read_knob(config, Knob::kMaxQueuedRequests);
  if (!tuned && (!limit || *limit >= kUnlimitedQueue)) return {};
  return fail(
      ErrorCode::kInvalidConfig,
      fmt::format("{}: Triton counts no request that a full queue refuses, only its trace "
                  "shows them: start the server with {}",
                  tuned ? "max_queued_requests" : "the model limits max_queue_size", kTraceFlags));
}

std::string offered(const Value& config) {
  std::string names;
  for (const KnobInfo& knob : knob_table()) {
    if (!read_knob(config, knob.knob)) continue;
    names += (names.empty() ? "" : ", ") + std::string(knob.name);
  }
  return names.empty() ? "none" : names;
}

double capacity(const Value& config, Knob knob) {
  const bool sized = knob == Knob::kPreferredBatchSize || knob == Knob::kBatchSize;
  return sized ? config.find("max_batch_size")->number() : info(knob).max;
}

Result<Knob> find_asked(const Value& config, const Parameter& asked) {
  const std::size_t dot = asked.name.find('.');
  const std::string_view name =
      std::string_view(asked.name).substr(dot == std::string::npos ? 0 : dot + 1);
  const KnobInfo* knob = find_knob(name);
  if (knob == nullptr) {
    std::vector<std::string> names;
    for (const KnobInfo& known : knob_table()) names.emplace_back(known.name);
    std::string near = wire::nearest_name(name, names);
    if (name == "max_queue_delay_microseconds") near = "max_wait_ms";
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("Triton has no knob \"{}\"{}; this model offers {}", asked.name,
                            near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near),
                            offered(config)));
  }
  if (const auto value = read_knob(config, knob->knob); !value) {
    return fail(ErrorCode::kInvalidConfig, fmt::format("{}: {}; this model offers {}", asked.name,
                                                       value.error().message, offered(config)));
  }
  return knob->knob;
}

Status check_bounds(const Value& config, Knob knob, const Parameter& asked) {
  const KnobInfo& known = info(knob);
  const double largest = capacity(config, knob);
  if (asked.type != ParamType::kInt && (known.whole || asked.type != ParamType::kFloat)) {
    return fail(ErrorCode::kInvalidConfig, fmt::format("{}: its type is {}", asked.name,
                                                       known.whole ? "int" : "float or int"));
  }
  if (asked.min < known.min || asked.max > largest) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("{}: bounds [{}, {}] go beyond [{}, {}], {}", asked.name, asked.min,
                            asked.max, known.min, largest,
                            largest < known.max ? "which is the model's max_batch_size"
                                                : "which is all that Triton takes"));
  }
  const double now = read_knob(config, knob).value();
  if (!Space({asked}).contains(Config{now})) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("{}: the value in force, {}, is outside the bounds [{}, {}] or off "
                            "their grid: widen them, or set another value in the model's "
                            "config.pbtxt",
                            asked.name, now, asked.min, asked.max));
  }
  return {};
}

// What is tuned when the document names nothing: what is set already, around its value.
std::vector<Parameter> everything(const Value& config) {
  std::vector<Parameter> all;
  for (const Knob knob : {Knob::kPreferredBatchSize, Knob::kMaxWait}) {
    const auto now = read_knob(config, knob);
    if (!now) continue;
    Parameter p;
    p.name = "main." + std::string(info(knob).name);
    p.type = info(knob).whole ? ParamType::kInt : ParamType::kFloat;
    p.scale = knob == Knob::kPreferredBatchSize ? Scale::kLog : Scale::kLinear;
    p.min = info(knob).min;
    p.max = knob == Knob::kMaxWait ? std::max(100.0, *now) : capacity(config, knob);
    all.push_back(p);
  }
  return all;
}

void add_knob(Found& found, const Value& config, Knob knob, Parameter asked, Latency latency) {
  const KnobInfo& known = info(knob);
  const bool live = known.access == "live";
  const bool sized = knob == Knob::kPreferredBatchSize || knob == Knob::kBatchSize;
  asked.change_class = live ? ChangeClass::kLive : ChangeClass::kReload;
  asked.unit = std::string(known.unit);
  found.knobs.push_back(knob);
  found.capabilities.knobs.push_back(std::move(asked));
  found.capabilities.boot.push_back(read_knob(config, knob).value());
  found.capabilities.settle.push_back(settle_of(latency));
  found.capabilities.facts.push_back(
      {.boot_capacity = sized ? capacity(config, knob) : serving::kNoLimit,
       .readback = true,
       .apply_cost = live ? kInPlaceCost : kReloadCost,
       .note = fmt::format("{}: {}", known.engine_name, known.note)});
}

Result<Found> find_knobs(const AttachRequest& request, const Value& config, Latency latency) {
  Found found;
  const std::vector<Parameter> asked = request.knobs.empty() ? everything(config) : request.knobs;
  if (asked.empty()) {
    const auto why = read_knob(config, Knob::kPreferredBatchSize);
    return fail(ErrorCode::kInvalidConfig, why ? "nothing to tune" : why.error().message);
  }
  for (const Parameter& parameter : asked) {
    const auto knob = find_asked(config, parameter);
    if (!knob) return tl::unexpected(knob.error());
    if (std::ranges::find(found.knobs, *knob) != found.knobs.end()) {
      return fail(ErrorCode::kInvalidConfig, parameter.name + " is named twice");
    }
    if (const Status fits = check_bounds(config, *knob, parameter); !fits) {
      return tl::unexpected(fits.error());
    }
    add_knob(found, config, *knob, parameter, latency);
  }
  if (const Status seen = check_refusals(config, found.knobs, latency); !seen) {
    return tl::unexpected(seen.error());
  }
  return found;
}

}  // namespace

Result<std::unique_ptr<serving::Engine>> attach_over(const AttachRequest& request,
                                                     Transport transport) {
  auto target = read_target(request.target);
  if (!target) return tl::unexpected(target.error());
  if (const Status one = check_classes(request.classes); !one) return tl::unexpected(one.error());
  const Server server(std::move(transport), target->addresses, target->model);
  const auto version = server.version();
  if (!version) return tl::unexpected(version.error());
  const auto config = server.config();
  if (!config) return tl::unexpected(config.error());
  const auto versions = server.versions();
  if (!versions) return tl::unexpected(versions.error());
  if (const Status control = server.check_control(); !control) {
    return tl::unexpected(control.error());
  }
  const auto metrics = server.metrics();
  if (!metrics) return tl::unexpected(metrics.error());
  if (const auto counters = read_counters(*metrics, target->model); !counters) {
    return tl::unexpected(counters.error());
  }
  auto source = choose_source(server, *target, request.classes.front(), *metrics);
  if (!source) return tl::unexpected(source.error());
  if (request.actuator_only) source->latency = Latency::kNone;  // the traces are the tuner's
  auto found = find_knobs(request, *config, source->latency);
  if (!found) return tl::unexpected(found.error());
  found->capabilities.engine = "triton " + *version;
  found->capabilities.identity = {
      .engine = "triton " + *version, .model = target->model, .hardware = {}};
  found->capabilities.classes = request.classes;
  found->versions = *versions;
  target->options.latency = source->latency;
  target->options.trace_file = source->file;
  return std::make_unique<LiveTriton>(server, target->options, std::move(*found), *config,
                                      request.clock);
}

Result<std::unique_ptr<serving::Engine>> attach(const AttachRequest& request) {
  return attach_over(request, real_transport());
}

}  // namespace arqon::adapters::triton
