#include "apps/arqonhpo/desk.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "arqon/os/file.h"
#include "arqon/report/words.h"
#include "arqon/serving/engine.h"

namespace arqon::app {
namespace {

namespace fs = std::filesystem;
using control::Answer;

// The loop looks once a second; two looks, and some for an engine that answers slowly.
constexpr auto kPatience = std::chrono::milliseconds(3000);
constexpr int kPollMs = 200;
constexpr wire::JsonLimits kRequestLimits{.bytes_max = 4096, .depth_max = 4, .values_max = 16};
constexpr std::array<std::string_view, 7> kVerbs{"status",  "pause",  "resume",  "freeze",
                                                 "approve", "reject", "rollback"};

std::string known_verbs() { return fmt::format("{}", fmt::join(kVerbs, ", ")); }

double good_share(const control::WindowRecord& w) {
  double good = 0, all = 0;
  for (const control::ClassWindow& c : w.classes) {
    good += static_cast<double>(c.good);
    all += static_cast<double>(c.good + c.bad);
  }
  return all > 0 ? good / all : 1;
}

bool freeze_file(const fs::path& folder) {
  std::error_code error;
  return fs::exists(folder / "freeze", error);
}

wire::Value window_value(const std::optional<control::WindowRecord>& w) {
  if (!w) return {};
  std::uint64_t requests = 0;
  for (const control::ClassWindow& c : w->classes) requests += c.good + c.bad;
  return wire::Object{{"t_s", wire::compact_number(w->t_s)},
                      {"seconds", wire::compact_number(w->seconds)},
                      {"requests", requests},
                      {"good_share", wire::compact_number(good_share(*w))},
                      {"running", wire::compact_number(w->running)},
                      {"waiting", wire::compact_number(w->waiting)},
                      {"state", w->state}};
}

}  // namespace

wire::Object setting_object(const Space& knobs, const Config& setting) {
  wire::Object out;
  if (setting.size() != knobs.slots()) return out;
  for (std::size_t k = 0; k < knobs.size(); ++k) {
    wire::Array slots;
    for (std::size_t s = 0; s < knobs[k].slots(); ++s) {
      slots.emplace_back(wire::compact_number(setting[knobs.offset(k) + s]));
    }
    out.emplace_back(knobs[k].name, slots.size() == 1 ? slots.front() : wire::Value(slots));
  }
  return out;
}

Result<std::unique_ptr<Desk>> Desk::open(const fs::path& folder, DeskFacts facts) {
  auto listener = os::UnixListener::open(folder / "control.sock");
  if (!listener) return tl::unexpected(listener.error());
  return std::unique_ptr<Desk>(new Desk(folder, std::move(facts), std::move(*listener)));
}

Desk::Desk(fs::path folder, DeskFacts facts, os::UnixListener listener)
    : folder_(std::move(folder)),
      facts_(std::move(facts)),
      listener_(std::move(listener)),
      thread_([this](const std::stop_token& token) { serve(token); }) {}

Desk::~Desk() {
  thread_.request_stop();
  thread_.join();
  save_status(/*alive=*/false);
}

bool Desk::frozen() { return freeze_file(folder_); }

bool Desk::paused() {
  const std::lock_guard lock(mutex_);
  return paused_;
}

bool Desk::take_rollback() {
  const std::lock_guard lock(mutex_);
  return std::exchange(rollback_, false);
}

Answer Desk::answer(std::uint64_t decision) {
  const std::lock_guard lock(mutex_);
  const auto found = answers_.find(decision);
  if (found == answers_.end()) return Answer::kNone;
  const Answer answer = found->second;
  answers_.erase(found);
  return answer;
}

void Desk::report(const control::LoopStatus& status) {
  const std::lock_guard lock(mutex_);
  status_ = status;
  ++ticks_;
  ticked_.notify_all();
}

void Desk::window(const control::WindowRecord& window) {
  const std::lock_guard lock(mutex_);
  window_ = window;
}

bool Desk::await_tick(std::unique_lock<std::mutex>& lock) {
  // The look that is under way may have passed this verb by.
  const std::uint64_t wanted = ticks_ + 2;
  return ticked_.wait_for(lock, kPatience, [&] { return ticks_ >= wanted; });
}

Desk::Outcome Desk::freeze() {
  if (Status done = os::write_file(folder_ / "freeze", "frozen by a person\n"); !done) {
    return {"", done.error()};
  }
  std::unique_lock lock(mutex_);
  await_tick(lock);
  return {"frozen: nothing is written but reverts, until `resume`", {}};
}

Desk::Outcome Desk::resume() {
  std::error_code error;
  const bool was_frozen = fs::remove(folder_ / "freeze", error);
  if (error) {
    return {"", Error{ErrorCode::kUnavailable,
                      fmt::format("cannot remove {}: {}", (folder_ / "freeze").string(),
                                  error.message())}};
  }
  std::unique_lock lock(mutex_);
  const bool was_paused = std::exchange(paused_, false);
  await_tick(lock);
  if (!was_frozen && !was_paused) return {"nothing was paused or frozen", {}};
  return {was_frozen ? "resumed: no longer frozen" : "resumed", {}};
}

Desk::Outcome Desk::pause() {
  std::unique_lock lock(mutex_);
  paused_ = true;
  await_tick(lock);
  const bool open = status_.phase != "steady";
  return {open ? fmt::format("paused: nothing new is begun; what is open ({}) goes on to its end",
                             status_.phase)
               : "paused: nothing new is begun",
          {}};
}

Desk::Outcome Desk::roll_back() {
  std::unique_lock lock(mutex_);
  const Config before = status_.in_force;
  rollback_ = true;
  paused_ = true;
  const bool seen = await_tick(lock) && !rollback_;
  if (!seen) {
    return {
        "asked to go back; the loop takes it up as soon as the engine answers; paused until "
        "`resume`",
        {}};
  }
  const std::string moved = report::setting_difference(facts_.knobs, before, status_.in_force);
  if (moved.empty()) {
    return {fmt::format("nothing to take back: {} is what was found or confirmed first; paused "
                        "until `resume`",
                        report::setting_text(facts_.knobs, status_.in_force)),
            {}};
  }
  return {fmt::format("rolled back: {}; paused until `resume`", moved), {}};
}

Desk::Outcome Desk::decide(const wire::Value& request, Answer answer) {
  std::unique_lock lock(mutex_);
  if (status_.phase != "awaiting approval") {
    return {"", Error{ErrorCode::kConflict,
                      fmt::format("nothing awaits approval (now: {})",
                                  status_.phase.empty() ? "starting" : status_.phase)}};
  }
  const wire::Value* number = request.find("decision");
  const std::int64_t* named = number == nullptr ? nullptr : number->as_int();
  const auto waiting = static_cast<std::int64_t>(status_.decision);
  if (named != nullptr && *named != waiting) {
    return {"", Error{ErrorCode::kConflict, fmt::format("decision {} is not the one that awaits "
                                                        "approval; that is {}",
                                                        *named, waiting)}};
  }
  const std::string what =
      report::setting_difference(facts_.knobs, status_.in_force, status_.proposed);
  answers_[status_.decision] = answer;
  const bool seen = await_tick(lock) && !answers_.contains(static_cast<std::uint64_t>(waiting));
  return {fmt::format("decision {} {}: {}{}", waiting,
                      answer == Answer::kApproved ? "approved" : "rejected", what,
                      seen ? "" : " (the loop takes it up at its next look)"),
          {}};
}

Desk::Outcome Desk::act(const std::string& verb, const wire::Value& request) {
  if (verb == "status") return {};
  if (verb == "freeze") return freeze();
  if (verb == "resume") return resume();
  if (verb == "pause") return pause();
  if (verb == "rollback") return roll_back();
  if (verb == "approve") return decide(request, Answer::kApproved);
  if (verb == "reject") return decide(request, Answer::kRejected);
  return {"", Error{ErrorCode::kUsage, fmt::format("unknown verb; known: {}", known_verbs())}};
}

std::string Desk::answer_line(std::string_view line) {
  const auto request = wire::parse_json(line, kRequestLimits);
  const wire::Value* verb = request ? request->find("verb") : nullptr;
  Outcome outcome;
  if (verb == nullptr || verb->as_string() == nullptr) {
    outcome.error = Error{ErrorCode::kUsage,
                          "send one JSON object in one line, such as "
                          "{\"verb\": \"status\"}"};
  } else {
    outcome = act(*verb->as_string(), *request);
  }
  wire::Object out{{"schema", 1}, {"ok", !outcome.error.has_value()}};
  if (outcome.error) {
    out.emplace_back("code", to_string(outcome.error->code));
    out.emplace_back("error", outcome.error->message);
  } else if (!outcome.did.empty()) {
    out.emplace_back("did", outcome.did);
  }
  const std::lock_guard lock(mutex_);
  out.emplace_back("status", status_object());
  return wire::write_json(std::move(out)) + "\n";
}

wire::Object Desk::status_object() const {
  wire::Object out{
      {"scenario", facts_.scenario},
      {"engine", facts_.engine},
      {"mode", facts_.mode},
      {"pid", static_cast<std::int64_t>(getpid())},
      {"t_s", wire::compact_number(status_.t_s)},
      {"phase", status_.phase.empty() ? "starting" : status_.phase},
      {"health", serving::to_string(status_.health)},
      {"paused", paused_ || status_.paused},
      {"frozen", freeze_file(folder_)},
      {"in_force", setting_object(facts_.knobs, status_.in_force)},
      {"confirmed", setting_object(facts_.knobs, status_.confirmed)},
      {"decision", status_.decision},
      {"proposed", setting_object(facts_.knobs, status_.proposed)},
      {"difference", report::setting_difference(facts_.knobs, status_.in_force, status_.proposed)},
      {"why", status_.why},
      {"hold", status_.hold},
      {"window", window_value(window_)}};
  return out;
}

void Desk::save_status(bool alive) {
  wire::Object out{{"schema", 1}, {"alive", alive}};
  {
    const std::lock_guard lock(mutex_);
    if (alive && saved_ticks_ == ticks_) return;
    saved_ticks_ = ticks_;
    out.emplace_back("status", status_object());
  }
  // A status that cannot be written is no reason to stop tuning: the socket still tells.
  (void)os::write_file(folder_ / "status.json", wire::write_json(std::move(out), 1) + "\n");
}

void Desk::serve(const std::stop_token& token) {
  while (!token.stop_requested()) {
    pollfd p{listener_.fd(), POLLIN, 0};
    if (poll(&p, 1, kPollMs) > 0) {
      listener_.serve([this](std::string_view line) { return answer_line(line); });
    }
    save_status(/*alive=*/true);
  }
}

}  // namespace arqon::app
