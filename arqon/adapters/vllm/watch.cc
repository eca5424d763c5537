#include "arqon/adapters/vllm/watch.h"

#include <fmt/format.h>

#include <initializer_list>

namespace arqon::adapters::vllm {
namespace {

// So many steps without a sign from the API process are no coincidence.
constexpr std::int64_t kSilentSteps = 10;
// Requests may wait long for a rare big free range; with this much free they need not.
constexpr double kFreeEnough = 0.25;
// Stalled admission is told from slow requests by waiting longer than for a missing step.
constexpr int kAdmissionPatience = 3;

bool admission_moved(const Look& before, const Look& now) {
  return !before.scheduler || !now.scheduler ||
         before.scheduler->finished != now.scheduler->finished ||
         before.scheduler->running != now.scheduler->running;
}

// The scheduler has nothing to do and the API process still has requests open.
bool disagree(const Look& look) {
  return look.scheduler && look.scheduler->running + look.scheduler->waiting == 0 && look.api &&
         look.api->running + look.api->waiting > 0;
}

}  // namespace

void Watch::forget() {
  trouble_.clear();
  disagree_since_.reset();
  api_moved_.reset();
  admission_moved_.reset();
}

void Watch::update(const Look& look) {
  const bool nothing_to_tell = look.scheduler && look.scheduler->steps == steps_;
  if (look.api && (!api_moved_ || api_moved_->api != look.api || nothing_to_tell)) {
    api_moved_ = look;
  }
  if (look.scheduler) steps_ = look.scheduler->steps;
  if (look.api && !disagree_since_ && disagree(look)) disagree_since_ = look.now;
  if (!disagree(look)) disagree_since_.reset();
  if (!admission_moved_ || admission_moved(*admission_moved_, look)) admission_moved_ = look;
  trouble_.clear();
  for (const auto& check : {&Watch::no_step, &Watch::silent_api, &Watch::lost_answers,
                            &Watch::no_admission, &Watch::frozen}) {
    if (trouble_.empty()) trouble_ = (this->*check)(look);
  }
}

std::string Watch::no_step(const Look& look) const {
  if (!look.scheduler || look.scheduler->running + look.scheduler->waiting == 0) return "";
  const Duration since = look.now - look.scheduler->last_step;
  if (since < patience_) return "";
  return fmt::format("stuck: {} running and {} waiting requests, and no step for {:.1f} s",
                     look.scheduler->running, look.scheduler->waiting, to_seconds(since));
}

std::string Watch::silent_api(const Look& look) const {
  if (!look.scheduler || !look.api || !api_moved_ || !api_moved_->scheduler) return "";
  const std::int64_t steps = look.scheduler->steps - api_moved_->scheduler->steps;
  const Duration since = look.now - api_moved_->now;
  if (steps < kSilentSteps || since < patience_) return "";
  return fmt::format(
      "the scheduler made {} steps and the API process told nothing of them for "
      "{:.1f} s: requests hang though /health says 200",
      steps, to_seconds(since));
}

std::string Watch::lost_answers(const Look& look) const {
  if (!disagree_since_ || look.now - *disagree_since_ < patience_) return "";
  return fmt::format(
      "the scheduler has been idle for {:.1f} s while the API process counts {} open "
      "requests: their answers got lost between the two, though /health says 200",
      to_seconds(look.now - *disagree_since_), look.api->running + look.api->waiting);
}

std::string Watch::no_admission(const Look& look) const {
  if (!look.scheduler || !admission_moved_) return "";
  const Look::Scheduler& s = *look.scheduler;
  const Duration since = look.now - admission_moved_->now;
  if (s.waiting == 0 || s.running >= s.cap || s.blocks_free < kFreeEnough ||
      since < kAdmissionPatience * patience_) {
    return "";
  }
  return fmt::format(
      "{} requests wait, {} of at most {} run, {:.0f} % of the KV blocks are free, "
      "and nothing was admitted or finished for {:.1f} s (as in vLLM #53130): "
      "raise the cap",
      s.waiting, s.running, s.cap, 100 * s.blocks_free, to_seconds(since));
}

std::string Watch::frozen(const Look& look) const {
  if (look.scheduler || !look.api || !api_moved_ || look.api->running < 1) return "";
  const Duration since = look.now - api_moved_->now;
  if (since < patience_) return "";
  return fmt::format("{} requests run and no figure of /metrics has moved for {:.1f} s",
                     look.api->running, to_seconds(since));
}

}  // namespace arqon::adapters::vllm
