#include "arqon/adapters/haproxy/front.h"

#include <fmt/format.h>

#include <cmath>

#include "arqon/wire/diagnostic.h"

namespace arqon::adapters::haproxy {
namespace {

// Lines may be this much behind HAProxy's own count before they are called lost.
constexpr double kLostShare = 0.02;
constexpr std::uint64_t kLostMin = 5;
constexpr Duration kLogWindow = std::chrono::seconds(10);

std::string shape_of(const Backend& backend) {
  std::string shape = backend.algorithm;
  for (const Server& server : backend.servers) {
    shape += fmt::format(" {}={}", server.name, server.address);
  }
  return shape;
}

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

// The log can tell total time always, the first byte where it is marked, gaps and tokens never.
Status check_classes(const std::vector<serving::Slo>& classes) {
  for (const serving::Slo& slo : classes) {
    if (std::isfinite(slo.ttft_ms) || std::isfinite(slo.e2e_ms)) continue;
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("class \"{}\" has no limit that HAProxy's log can judge; give it "
                            "ttft_ms or e2e_ms",
                            slo.name));
  }
  return {};
}

Status check_class_names(const Options& options, const std::vector<serving::Slo>& classes) {
  if (classes.size() > 1 && options.class_by == ClassBy::kNothing && options.log) {
    return fail(ErrorCode::kInvalidConfig,
                "several classes need target.class_by (\"frontend\" or \"header\"), which tells "
                "them apart in HAProxy's log");
  }
  for (const auto& [text, name] : options.class_names) {
    const bool known = std::any_of(classes.begin(), classes.end(),
                                   [&](const serving::Slo& slo) { return slo.name == name; });
    if (known) continue;
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("target.class_names: there is no class \"{}\"", name));
  }
  return {};
}

}  // namespace

Front::Front(Options options, Process process, Backend backend)
    : options_(std::move(options)),
      runtime_(options_.socket, options_.timeout),
      process_(std::move(process)),
      backend_(std::move(backend)),
      version_(process_.version),
      shape_(shape_of(backend_)) {
  for (const Server& server : backend_.servers) names_.push_back(server.name);
  billed_.assign(names_.size(), 0);
}

Status Front::check_names() const {
  if (names_.empty()) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("backend \"{}\" has no server", backend_.name));
  }
  for (const auto& [server, price] : options_.prices) {
    if (place_of(server)) continue;
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("target.prices: backend \"{}\" has no server \"{}\"; it has {}",
                            backend_.name, server, joined(names_)));
  }
  return {};
}

Result<Front> Front::open(Options options, const std::vector<serving::Slo>& classes) {
  if (const Status ok = check_class_names(options, classes); !ok) {
    return tl::unexpected(ok.error());
  }
  const Runtime runtime(options.socket, options.timeout);
  auto process = runtime.process();
  if (!process) return tl::unexpected(process.error());
  auto backend = runtime.backend(options.backend);
  if (!backend) return tl::unexpected(backend.error());
  Front front(std::move(options), std::move(*process), std::move(*backend));
  if (const Status ok = front.check_names(); !ok) return tl::unexpected(ok.error());
  if (!front.options_.log) return front;

  if (const Status ok = check_classes(classes); !ok) return tl::unexpected(ok.error());
  front.needs_first_byte_ =
      std::any_of(classes.begin(), classes.end(),
                  [](const serving::Slo& slo) { return std::isfinite(slo.ttft_ms); });
  auto log = LogReader::open(*front.options_.log,
                             LogRules{.backend = front.backend_.name,
                                      .servers = front.names_,
                                      .classes = classes,
                                      .class_by = front.options_.class_by,
                                      .class_names = front.options_.class_names});
  if (!log) return tl::unexpected(log.error());
  front.log_ = std::make_unique<LogReader>(std::move(*log));
  // Requests that ended before the log was open left no line there.
  auto now = front.runtime_.backend(front.options_.backend);
  if (now) front.backend_ = std::move(*now);
  front.last_finished_ = front.mark_.finished = front.finished();
  return front;
}

std::optional<std::size_t> Front::place_of(std::string_view server) const {
  const auto it = std::find(names_.begin(), names_.end(), server);
  if (it == names_.end()) return std::nullopt;
  return static_cast<std::size_t>(it - names_.begin());
}

bool Front::look(TimePoint now) {
  auto process = runtime_.process();
  if (!process || process->stopping) return false;
  auto backend = runtime_.backend(options_.backend);
  if (!backend) {
    const bool gone = backend.error().code == ErrorCode::kInvalidConfig;
    lost_ = gone ? backend.error().message : lost_;
    return false;
  }
  lost_.clear();
  const bool anew = !process->same_run(process_);
  process_ = std::move(*process);
  backend_ = std::move(*backend);
  if (anew) begin_epoch();
  if (log_ != nullptr) log_->drain(process_.pid);
  charge(now);
  compare_log(now);
  if (finished() != last_finished_ || backend_.open == 0) moved_at_ = now;
  if (!looked_at_) moved_at_ = now;
  last_finished_ = finished();
  looked_at_ = now;
  return true;
}

void Front::begin_epoch() {
  ++epoch_;
  begin_counting();
  mark_.finished = 0;
  last_finished_ = 0;
}

void Front::begin_counting() {
  billed_.assign(names_.size(), 0);
  if (log_ != nullptr) log_->reset();
}

void Front::charge(TimePoint now) {
  const double seconds = looked_at_ ? std::max(0.0, to_seconds(now - *looked_at_)) : 0;
  for (const auto& [name, price] : options_.prices) {
    const auto place = place_of(name);
    const Server* server = backend_.find(name);
    if (!place || server == nullptr) continue;
    if (!server->in_maintenance()) paid_ += price.per_second * seconds;
    if (log_ == nullptr) continue;
    std::uint64_t requests = 0;
    for (const auto& c : log_->of_server(*place)) requests += c.arrived;
    paid_ += price.per_request * static_cast<double>(requests - billed_[*place]);
    billed_[*place] = requests;
  }
}

// HAProxy counts what ended by itself: lines that do not come are noticed.
void Front::compare_log(TimePoint now) {
  if (log_ == nullptr) return;
  const LogCounts& counts = log_->counts();
  const std::uint64_t ended = finished() - std::min(finished(), mark_.finished);
  const std::uint64_t lines = counts.lines - mark_.lines;
  const auto allowed =
      kLostMin + static_cast<std::uint64_t>(kLostShare * static_cast<double>(ended));
  std::string trouble;
  if (ended > lines + allowed) {
    trouble = fmt::format("{} requests ended and {} log lines came ({} could not be read)", ended,
                          lines, counts.broken - mark_.broken);
  } else if (needs_first_byte_ && counts.unmarked > mark_.unmarked) {
    trouble = fmt::format("{} answers without the mark of their first byte, which ttft_ms needs",
                          counts.unmarked - mark_.unmarked);
  }
  if (!trouble.empty()) {
    log_trouble_ = std::move(trouble);
    trouble_until_ = now + kLogWindow;
  } else if (now >= trouble_until_) {
    log_trouble_.clear();
  }
  if (now < mark_.at + kLogWindow) return;
  mark_ = Mark{.at = now,
               .finished = finished(),
               .lines = counts.lines,
               .unmarked = counts.unmarked,
               .broken = counts.broken};
}

std::string Front::stranger() const {
  if (!lost_.empty()) return lost_;
  if (process_.version != version_) {
    return fmt::format("HAProxy is {} now and was {}", process_.version, version_);
  }
  if (const std::string shape = shape_of(backend_); shape != shape_) {
    return fmt::format("backend \"{}\" is \"{}\" now and was \"{}\"", backend_.name,
                       wire::shortened(shape, 200), wire::shortened(shape_, 200));
  }
  return {};
}

Status Front::accept() {
  if (!lost_.empty()) return fail(ErrorCode::kUnavailable, lost_);
  std::vector<std::string> names;
  for (const Server& server : backend_.servers) names.push_back(server.name);
  if (names != names_) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("backend \"{}\" has the servers {} now and had {}: attach anew",
                            backend_.name, joined(names), joined(names_)));
  }
  version_ = process_.version;
  shape_ = shape_of(backend_);
  return {};
}

bool Front::stuck(TimePoint now) const {
  return looked_at_ && backend_.open > 0 && now >= moved_at_ + options_.stall;
}

Status Front::set_state(std::size_t server, Runtime::State state) {
  if (server >= names_.size()) {
    return fail(ErrorCode::kUsage, fmt::format("there is no server {}", server));
  }
  return runtime_.set_state(backend_.name, names_[server], state);
}

Status Front::drain(std::size_t server) {
  const auto now = runtime_.backend(options_.backend);
  if (!now) return tl::unexpected(now.error());
  if (server >= names_.size() || now->find(names_[server]) == nullptr) {
    return fail(ErrorCode::kRefused, "HAProxy does not have this server any more");
  }
  if (now->find(names_[server])->drained()) return {};
  const bool another = std::any_of(now->servers.begin(), now->servers.end(), [&](const Server& s) {
    return s.name != names_[server] && s.up() && s.weight > 0;
  });
  if (!another) {
    return fail(ErrorCode::kRefused,
                fmt::format("{} is the last server of backend \"{}\" that takes requests; draining "
                            "it would stop the service",
                            names_[server], backend_.name));
  }
  return set_state(server, Runtime::State::kDrain);
}

Result<bool> Front::is_idle(std::size_t server) {
  const auto now = runtime_.backend(options_.backend);
  if (!now) return tl::unexpected(now.error());
  const Server* s = server < names_.size() ? now->find(names_[server]) : nullptr;
  if (s == nullptr) return fail(ErrorCode::kRefused, "HAProxy does not have this server any more");
  return s->open == 0 && s->queued == 0;
}

Status Front::ready(std::size_t server) { return set_state(server, Runtime::State::kReady); }

}  // namespace arqon::adapters::haproxy
