#include "arqon/adapters/vllm/replica.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "arqon/wire/json.h"

namespace arqon::adapters::vllm {
namespace {

constexpr Duration kAskTimeout = std::chrono::seconds(2);
constexpr Duration kHealthTimeout = std::chrono::seconds(1);
constexpr Duration kNew = std::chrono::milliseconds(450);
// An engine that runs requests steps every few ms; so long without taking a command up is a fault.
constexpr Duration kAckDeadline = std::chrono::seconds(2);
// An idle engine may be about to step: a moment's patience makes most acknowledgements immediate.
constexpr Duration kIdlePatience = std::chrono::milliseconds(30);
constexpr Duration kAckPoll = std::chrono::milliseconds(1);
// What an apply() without a tuner that renews is worth.
constexpr Duration kLeaseLeast = std::chrono::seconds(5);
constexpr Duration kLeaseGiven = std::chrono::seconds(10);
// The plugin takes a deadline further ahead for garbage.
constexpr Duration kLeaseMost = std::chrono::minutes(59);

std::string install_hint(const std::string& why, const std::string& name) {
  return fmt::format(
      "{}: install the plugin (pip install arqonhpo-vllm) and start the engine with "
      "ARQONHPO_VLLM_NAME={} and --scheduler-cls arqonhpo_vllm.Scheduler",
      why, name);
}

std::string shared_name(const std::string& name, std::string_view suffix) {
  return fmt::format("arqonhpo-vllm-{}.{}", name, suffix);
}

Result<wire::Value> get_json(const Http& http, const std::string& url) {
  const auto text = get_text(http, url, kAskTimeout);
  if (!text) return tl::unexpected(text.error());
  auto value = wire::parse_json(*text);
  if (!value) return fail(ErrorCode::kUnavailable, wire::to_string(value.error(), url));
  return std::move(*value);
}

const std::string* text_at(const wire::Value* object, std::string_view key) {
  const wire::Value* value = object == nullptr ? nullptr : object->find(key);
  return value == nullptr ? nullptr : value->as_string();
}

}  // namespace

Result<Served> ask_who(const Http& http, const std::string& url) {
  const auto version = get_json(http, url + "/version");
  if (!version) return tl::unexpected(version.error());
  const std::string* number = text_at(&*version, "version");
  const auto models = get_json(http, url + "/v1/models");
  if (!models) return tl::unexpected(models.error());
  const wire::Value* list = models->find("data");
  const wire::Array* all = list == nullptr ? nullptr : list->as_array();
  const wire::Value* first = all == nullptr || all->empty() ? nullptr : &all->front();
  const std::string* model = text_at(first, "root");
  if (model == nullptr) model = text_at(first, "id");
  if (number == nullptr || model == nullptr) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{} answers, but not as a vLLM does: /version and /v1/models name no "
                            "version and model",
                            url));
  }
  const wire::Value* length = first->find("max_model_len");
  return Served{*number, *model,
                length == nullptr || length->as_int() == nullptr ? 0 : *length->as_int()};
}

Replica::Replica(ReplicaOptions options, const Classes& classes)
    : options_(std::move(options)),
      telemetry_(options_.http, options_.target.url, classes),
      watch_(options_.stuck) {}

Result<std::unique_ptr<Replica>> Replica::attach(ReplicaOptions options, const Classes& classes) {
  auto served = ask_who(options.http, options.target.url);
  if (!served) return tl::unexpected(served.error().with_context("no vLLM to attach to"));
  std::unique_ptr<Replica> out(new Replica(std::move(options), classes));
  out->served_ = std::move(*served);
  out->identity_ = {"vllm " + out->served_.version, out->served_.model, ""};
  out->find_plugin();
  if (!out->telemetry_.exact()) {
    const auto judged = out->telemetry_.use_histograms();
    if (!judged) return tl::unexpected(judged.error().with_context(out->no_plugin_));
  }
  out->look();
  if (!out->telemetry_.metrics()) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: {}", out->options_.target.url, out->telemetry_.trouble()));
  }
  return out;
}

void Replica::find_plugin() {
  const std::string& name = options_.target.name;
  auto steering = Steering::open({.page = options_.shared_memory / shared_name(name, "page"),
                                  .state = options_.target.state,
                                  .container = options_.container});
  if (!steering) {
    no_plugin_ = install_hint(steering.error().message, name);
    return;
  }
  if (steering->identity().vllm != served_.version) {
    no_plugin_ =
        install_hint(fmt::format("the page of {} is of a vLLM {}, but {} is a vLLM {}", name,
                                 steering->identity().vllm, options_.target.url, served_.version),
                     name);
    return;
  }
  steering_.emplace(std::move(*steering));
  identity_ = steering_->identity().identity;
  start_ns_ = steering_->start_ns();
  epoch_ = static_cast<std::uint64_t>(start_ns_);
  const auto ring = options_.shared_memory / shared_name(name, "ring");
  if (steering_->api()) (void)telemetry_.open_ring(ring);
}

void Replica::look() {
  if (steering_) steering_->read();
  telemetry_.read_unless_newer(*options_.clock, Duration::zero());
  conclude();
}

void Replica::glance() {
  if (steering_) steering_->read();
  telemetry_.read_unless_newer(*options_.clock, kNew);
  conclude();
}

void Replica::glance_at_page() {
  if (steering_) steering_->read();
}

void Replica::conclude() {
  notice_restart();
  watch_.update(current_look());
}

// Counters begin again with the engine, and what was seen of the old one says nothing of this one.
void Replica::notice_restart() {
  const bool api_again = telemetry_.api_starts() != api_starts_;
  api_starts_ = telemetry_.api_starts();
  if (steering_) {
    if (steering_->start_ns() == start_ns_) return;
    start_ns_ = steering_->start_ns();
    epoch_ = std::max(epoch_ + 1, static_cast<std::uint64_t>(start_ns_));
  } else {
    if (!api_again) return;
    ++epoch_;
    const auto served = ask_who(options_.http, options_.target.url);
    served_another_ = served && *served != served_;
  }
  telemetry_.begin_anew();
  watch_.forget();
}

Look Replica::current_look() const {
  Look look{.now = now()};
  if (steering_) look.scheduler = steering_->scheduler();
  if (telemetry_.fresh() && telemetry_.metrics()) {
    const Metrics& m = *telemetry_.metrics();
    look.api = Look::Api{.running = m.running,
                         .waiting = m.waiting,
                         .kv_use = m.kv_use,
                         .finished = m.finished + static_cast<double>(telemetry_.records()),
                         .tokens = m.prompt_tokens + m.generation_tokens};
  }
  return look;
}

EngineFacts Replica::facts() const {
  EngineFacts facts;
  if (steering_) facts.rank = steering_->rank();
  if (steering_) facts.api = steering_->api();
  facts.metrics = telemetry_.metrics();
  facts.no_plugin = no_plugin_;
  facts.can_restart = !options_.target.restart.empty();
  return facts;
}

// --- Readings -----------------------------------------------------------------------------------
double Replica::running() const {
  if (steering_) return static_cast<double>(steering_->scheduler().running);
  return telemetry_.metrics()->running;
}
double Replica::waiting() const {
  if (steering_) return static_cast<double>(steering_->scheduler().waiting);
  return telemetry_.metrics()->waiting;
}
double Replica::kv_use() const {
  return steering_ ? steering_->kv_use() : telemetry_.metrics()->kv_use;
}
bool Replica::fresh() const {
  return telemetry_.fresh() && watch_.trouble().empty() &&
         (!steering_ || (steering_->readable() && steering_->alive()));
}

serving::Health Replica::say(serving::Health health, std::string why) {
  why_ = std::move(why);
  return health;
}

serving::Health Replica::health() {
  using serving::Health;
  glance();
  net::Request request;
  request.url = options_.target.url + "/health";
  request.timeout = kHealthTimeout;
  const auto answer = options_.http(request);
  if (!answer) return say(Health::kDown, answer.error().message);
  // 503: the engine is dead and its API process about to follow.
  if (answer->status >= 500) {
    return say(Health::kDown, fmt::format("/health says {}", answer->status));
  }
  if (answer->status != 200) {
    return say(Health::kDegraded, fmt::format("/health says {}", answer->status));
  }
  if (steering_ && !steering_->alive()) {
    return say(Health::kUnqualified,
               fmt::format("process {} has gone and what answers now does not report on the page",
                           steering_->rank().pid));
  }
  if (steering_ && !steering_->changed().empty()) {
    return say(Health::kUnqualified, steering_->changed());
  }
  if (served_another_) return say(Health::kUnqualified, "another model or version answers");
  if (steering_ && !steering_->readable()) return say(Health::kDegraded, steering_->trouble());
  if (!watch_.trouble().empty()) return say(Health::kDegraded, watch_.trouble());
  // /health answers even when nothing else does.
  if (!telemetry_.fresh()) return say(Health::kDegraded, telemetry_.trouble());
  return say(Health::kOk, "");
}

// --- Writing ------------------------------------------------------------------------------------
Steering::InForce Replica::in_force() const {
  return steering_ ? steering_->in_force(now()) : Steering::InForce{};
}

Result<Values> Replica::command(const std::vector<Change>& changes) {
  if (!steering_) return fail(ErrorCode::kRefused, no_plugin_);
  const Values before = in_force().values;
  // The plugin reads the deadline after the command: it must stand before.
  if (steering_->lease() < now() + kLeaseLeast) steering_->renew(now() + kLeaseGiven);
  steering_->command(changes);
  return wait_for_ack(changes, before);
}

Result<Values> Replica::wait_for_ack(const std::vector<Change>& changes, const Values& before) {
  const TimePoint begin = now();
  const std::int64_t steps = steering_->scheduler().steps;
  for (;;) {
    steering_->read();
    const Steering::Ack ack = steering_->ack();
    if (ack == Steering::Ack::kRestarted) {
      return fail(ErrorCode::kUnavailable, "the engine restarted while the change was on its way");
    }
    if (ack == Steering::Ack::kYes) break;
    const Look::Scheduler s = steering_->scheduler();
    const bool idle = s.running + s.waiting == 0;
    if (idle && now() - begin >= kIdlePatience) return in_force().values;
    if (now() - begin >= kAckDeadline) return not_acknowledged(steps);
    options_.clock->wait_until(now() + kAckPoll);
  }
  const Values after = in_force().values;
  const auto moved = [&](const Change& c) { return after[c.first] != before[c.first]; };
  const auto wished = [&](const Change& c) { return c.second != before[c.first]; };
  if (std::ranges::any_of(changes, wished) && std::ranges::none_of(changes, moved) &&
      !steering_->rank().has(kClamped)) {
    return fail(ErrorCode::kConflict, "the engine acknowledged the change and nothing changed");
  }
  return after;
}

Result<Values> Replica::not_acknowledged(std::int64_t steps_before) {
  watch_.update(current_look());
  const Look::Scheduler s = steering_->scheduler();
  if (s.steps != steps_before) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("the engine made {} steps and did not take the change up",
                            s.steps - steps_before));
  }
  return fail(ErrorCode::kUnavailable,
              fmt::format("{} requests run, {} wait, and the engine made no step for {:.1f} s: it "
                          "hangs",
                          s.running, s.waiting, to_seconds(now() - s.last_step)));
}

Status Replica::confirm(const std::vector<Slot>& tuned) {
  if (!steering_) return {};
  glance();
  if (!steering_->alive() || !steering_->readable() || !watch_.trouble().empty()) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: what is in force is not known", options_.target.url));
  }
  if (const std::string changed = steering_->changed(); !changed.empty()) {
    return fail(ErrorCode::kRefused, changed);
  }
  return steering_->confirm(tuned, now());
}

void Replica::renew(Duration lease) {
  if (steering_) steering_->renew(now() + std::min(lease, kLeaseMost));
}

Status Replica::requalify() {
  glance();
  if (!steering_) {
    const auto served = ask_who(options_.http, options_.target.url);
    if (!served) return tl::unexpected(served.error());
    served_ = *served;
    identity_ = {"vllm " + served_.version, served_.model, ""};
    served_another_ = false;
    return {};
  }
  if (!steering_->alive()) {
    return fail(ErrorCode::kUnavailable, install_hint("no engine reports", options_.target.name));
  }
  if (auto qualified = steering_->qualify(); !qualified) return qualified;
  identity_ = steering_->identity().identity;
  return {};
}

}  // namespace arqon::adapters::vllm
