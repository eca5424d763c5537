#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "arqon/adapters/placeholders.h"
#include "arqon/adapters/tensorrt_llm/server.h"
#include "arqon/adapters/tensorrt_llm/tensorrt_llm.h"
#include "arqon/os/process.h"

namespace arqon::adapters::tensorrt_llm {
namespace {

using wire::Value;

constexpr Duration kLookAgain = std::chrono::milliseconds(200);
constexpr Duration kSettle = std::chrono::seconds(30);  // cold caches, first graphs

struct Target {
  Address address;
  ScrapedTarget scraped;
  std::vector<std::string> restart;
  Duration restart_cost{}, restart_timeout{};
  std::vector<double> started_with;  // per setting; < 0 unknown
};

void read_started_with(TargetReader& reader, Target& out) {
  out.started_with.assign(settings().size(), -1);
  const Value* values = reader.find("started_with");
  if (values == nullptr) return;
  const wire::Object* object = values->as_object();
  if (object == nullptr) {
    reader.complain(*values, "started_with", "an object, e.g. {\"max_batch_size\": 64}");
    return;
  }
  for (const auto& [key, value] : *object) {
    const auto it = std::find_if(settings().begin(), settings().end(),
                                 [&](const Setting& s) { return s.engine_name == key; });
    const bool good = it != settings().end() && value.is_number() && value.number() >= it->min &&
                      value.number() <= it->max;
    if (!good) {
      reader.complain(value, "started_with." + key,
                      "one of max_batch_size, batch_wait_timeout_ms, max_num_tokens, with the "
                      "number it was started with");
      continue;
    }
    out.started_with[static_cast<std::size_t>(it - settings().begin())] = value.number();
  }
}

Result<Target> read_target(const Value& value) {
  std::vector<std::string> keys = {"url",       "metrics",           "started_with",   "restart",
                                   "restart_s", "restart_timeout_s", "iteration_stats"};
  keys.insert(keys.end(), scraped_keys().begin(), scraped_keys().end());
  TargetReader reader(value, std::move(keys));
  Target out;
  out.address.url = reader.url("url");
  out.address.metrics = reader.url("metrics", out.address.url + "/prometheus/metrics");
  const std::string records = reader.text("iteration_stats", "leave");
  out.address.drain_iterations = records == "drain";
  if (records != "leave" && records != "drain") {
    reader.complain(*reader.find("iteration_stats"), "iteration_stats",
                    "\"leave\", or \"drain\" when nobody else reads /metrics of this server: it "
                    "hands out each record once");
  }
  out.restart = reader.command("restart");
  out.restart_cost = from_seconds(reader.number("restart_s", 120, 0, 7200));
  out.restart_timeout = from_seconds(reader.number("restart_timeout_s", 900, 1, 14400));
  read_started_with(reader, out);
  out.scraped = read_scraped(reader);
  out.address.timeout = out.scraped.timeout;
  if (const Status status = reader.status(); !status) return tl::unexpected(status.error());
  return out;
}

double told(const Setting& setting, const wire::Exposition& metrics) {
  if (setting.gauge.empty() || !metrics.has(setting.gauge)) return -1;
  const double value = metrics.sum(setting.gauge);
  return value > 0 ? value : -1;  // 0: the runtime does not fill it in
}

bool has_word_for(const std::vector<std::string>& command, std::string_view name) {
  return std::any_of(command.begin(), command.end(),
                     [&](const std::string& word) { return has_place(word, name); });
}

std::vector<Offer> offers_of(const Target& target, const wire::Exposition& metrics) {
  std::vector<Offer> out;
  for (std::size_t i = 0; i < settings().size(); ++i) {
    const Setting& setting = settings()[i];
    Offer offer{.name = std::string(setting.name), .engine_name = std::string(setting.engine_name)};
    const double gauge = told(setting, metrics);
    offer.value = gauge > 0 ? gauge : target.started_with[i];
    offer.domain = {.type = setting.type,
                    .scale = setting.min > 0 ? Scale::kLog : Scale::kLinear,
                    .min = setting.min,
                    .max = setting.max,
                    .change_class = ChangeClass::kRestart};
    offer.facts.readback = gauge > 0;
    offer.facts.apply_cost = target.restart_cost;
    offer.facts.note = fmt::format(
        "{}: {}; by your restart command, which loses the requests in flight unless it drains "
        "them{}",
        setting.engine_name, setting.note,
        gauge > 0 ? "" : "; not read back: what it was started with is taken on trust");
    offer.settle = kSettle;
    if (target.restart.empty()) {
      offer.absent =
          "the server takes no change while it runs: give target.restart, the command "
          "that starts it again";
    } else if (!has_word_for(target.restart, setting.engine_name)) {
      offer.absent = fmt::format("target.restart has no word with {{{}}}", setting.engine_name);
    } else if (offer.value < setting.min) {
      offer.absent = fmt::format(
          "the server does not say what it was started with: give "
          "target.started_with {{\"{}\": ...}}",
          setting.engine_name);
    }
    out.push_back(std::move(offer));
  }
  return out;
}

// Values move by a restart; what the server does not tell is what it was started with.
class RestartSurface final : public Surface {
 public:
  RestartSurface(Server server, Target target, std::vector<std::size_t> chosen, Clock& clock)
      : server_(std::move(server)),
        target_(std::move(target)),
        chosen_(std::move(chosen)),
        clock_(clock) {}

  Result<Reading> read() override {
    const auto identity = server_.identity();
    if (!identity) return tl::unexpected<Error>(identity.error());
    const auto metrics = server_.metrics();
    if (!metrics) return tl::unexpected<Error>(metrics.error());
    Reading out{.identity = *identity};
    for (const std::size_t index : chosen_) {
      const double gauge = told(settings()[index], *metrics);
      out.values.push_back(gauge > 0 ? gauge : target_.started_with[index]);
      out.capacity.push_back(serving::kNoLimit);
    }
    return out;
  }

  Status write(const Config& /*from*/, const Config& to) override {
    Filling filling;
    for (std::size_t i = 0; i < settings().size(); ++i) {
      const auto it = std::find(chosen_.begin(), chosen_.end(), i);
      const double value = it == chosen_.end() ? target_.started_with[i]
                                               : to[static_cast<std::size_t>(it - chosen_.begin())];
      if (value >= 0) filling.emplace_back(settings()[i].engine_name, number_text(value));
    }
    const TimePoint deadline = clock_.now() + target_.restart_timeout;
    const auto ran =
        os::run(filled(target_.restart, filling), {.timeout = target_.restart_timeout});
    if (!ran) return tl::unexpected<Error>(ran.error().with_context("target.restart"));
    if (ran->exit_code != 0) {
      return fail(ErrorCode::kRefused,
                  fmt::format("target.restart ended with {}: {}", ran->exit_code,
                              wire::shortened(ran->err.empty() ? ran->out : ran->err)));
    }
    if (const Status up = wait_until_up(deadline); !up) return up;
    for (std::size_t k = 0; k < chosen_.size(); ++k) target_.started_with[chosen_[k]] = to[k];
    return {};
  }

  Result<wire::Exposition> scrape() override { return server_.metrics(); }
  Result<bool> healthy() override { return server_.healthy(); }

 private:
  Status wait_until_up(TimePoint deadline) {
    while (true) {
      const auto healthy = server_.healthy();
      if (healthy && *healthy && server_.metrics()) return {};
      if (clock_.now() >= deadline) {
        return fail(ErrorCode::kUnavailable,
                    fmt::format("{} does not serve {} s after target.restart",
                                server_.address().url, to_seconds(target_.restart_timeout)));
      }
      clock_.wait_until(clock_.now() + kLookAgain);
    }
  }

  Server server_;
  Target target_;
  std::vector<std::size_t> chosen_;
  Clock& clock_;
};

}  // namespace

Result<std::unique_ptr<serving::Engine>> attach(const AttachRequest& request) {
  auto target = read_target(request.target);
  if (!target) return tl::unexpected<Error>(target.error());
  auto outcomes = HistogramOutcomes::create(request.classes, sources(), target->scraped.rules);
  if (!outcomes) return tl::unexpected<Error>(outcomes.error());
  Server server(target->address);
  const auto identity = server.identity();
  if (!identity) return tl::unexpected<Error>(identity.error());
  const auto metrics = server.metrics();
  const Status counting =
      begin_counting(*outcomes, metrics, target->address.metrics,
                     "set \"return_perf_metrics: true\" and \"enable_iter_perf_stats: true\" in "
                     "the server's options file");
  if (!counting) return tl::unexpected<Error>(counting.error());
  auto chosen = choose("TensorRT-LLM", request.knobs, offers_of(*target, *metrics));
  if (!chosen) return tl::unexpected<Error>(chosen.error());
  serving::Capabilities& capabilities = chosen->capabilities;
  complete(capabilities, identity->engine, request.classes, *outcomes, *metrics);
  const ScrapedOptions options = target->scraped.options;
  for (std::size_t k = 0; k < chosen->offers.size(); ++k) {
    target->started_with[chosen->offers[k]] = capabilities.boot[k];
  }
  auto surface = std::make_unique<RestartSurface>(std::move(server), std::move(*target),
                                                  chosen->offers, request.clock);
  const auto found = surface->read();
  if (!found) return tl::unexpected<Error>(found.error());
  return std::make_unique<ScrapedEngine>(std::move(surface), std::move(capabilities), *found,
                                         std::move(*outcomes), options, request.clock);
}

Result<Probe> probe(std::string_view url, Clock& /*clock*/) {
  Target target;
  target.address = {.url = std::string(url),
                    .metrics = std::string(url) + "/prometheus/metrics",
                    .timeout = std::chrono::seconds(2)};
  target.started_with.assign(settings().size(), -1);
  Server server(target.address);
  Probe out;
  const auto identity = server.identity();
  if (!identity) {
    out.notes.push_back(identity.error().message);
    out.next.push_back("trtllm-serve MODEL --config options.yaml");
    return out;
  }
  out.reachable = true;
  out.identity = *identity;
  const auto metrics = server.metrics();
  for (const Offer& offer : offers_of(target, metrics ? *metrics : wire::Exposition({}))) {
    KnobReport report = report_of(offer);
    report.access = "restart";
    if (offer.value < 0) report.value.clear();
    out.knobs.push_back(std::move(report));
  }
  const auto healthy = server.healthy();
  out.notes.push_back(healthy && *healthy ? "/health answers" : "/health does not answer 200");
  out.notes.push_back(metrics ? "/prometheus/metrics answers" : metrics.error().message);
  out.notes.push_back(
      "/metrics was left alone: it hands out each iteration record once, and "
      "somebody may be reading it");
  if (!metrics) {
    out.next.push_back(
        "set return_perf_metrics: true and enable_iter_perf_stats: true in the "
        "server's options file");
  }
  out.next.push_back(
      "a live cap on running requests: put HAProxy in front, one server per "
      "backend, and tune its maxconn (engine haproxy)");
  return out;
}

}  // namespace arqon::adapters::tensorrt_llm
