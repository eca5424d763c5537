#include "arqon/control/reflex.h"

#include <fmt/format.h>

#include <algorithm>

#include "arqon/control/glide.h"

namespace arqon::control {
namespace {

constexpr double kAlpha = 1e-3;
constexpr Duration kPauseFirst = std::chrono::seconds(30);
constexpr Duration kPauseMax = std::chrono::hours(2);

}  // namespace

Reflex::Reflex(Space space, std::vector<guard::Limits> limits, std::vector<Protective> protective,
               const Config& baseline)
    : space_(std::move(space)),
      limits_(std::move(limits)),
      protective_(std::move(protective)),
      proven_{baseline},
      low_(baseline),
      high_(baseline),
      pause_(kPauseFirst) {
  protective_.resize(space_.size());
}

void Reflex::prove(const Config& setting) {
  refute(setting);  // the newest proof counts, and counts once
  proven_.push_back(setting);
  if (proven_.size() > kProvenMax) proven_.erase(proven_.begin());
  span_proven();
}

void Reflex::refute(const Config& setting) {
  std::erase(proven_, setting);
  if (!proven_.empty()) span_proven();
}

void Reflex::reset(const Config& confirmed) {
  proven_ = {confirmed};
  span_proven();
}

void Reflex::span_proven() {
  low_ = high_ = proven_.front();
  for (const Config& setting : proven_) {
    for (std::size_t i = 0; i < setting.size(); ++i) {
      low_[i] = std::min(low_[i], setting[i]);
      high_[i] = std::max(high_[i], setting[i]);
    }
  }
}

std::optional<ReflexMove> Reflex::move(const Config& in_force, const Evidence& evidence,
                                       TimePoint now) {
  if (now < quiet_until_) return std::nullopt;
  const auto breach = evidence.breach(1.0, kAlpha);
  if (!breach) return std::nullopt;
  for (std::size_t k = 0; k < space_.size(); ++k) {
    const Parameter& p = space_[k];
    const int direction = protective_[k][static_cast<std::size_t>(breach->limit)];
    if (direction == 0 || (p.type != ParamType::kInt && p.type != ParamType::kFloat)) continue;
    const std::size_t slot = space_.offset(k);
    Config target = in_force;
    target[slot] = direction > 0 ? high_[slot] : low_[slot];
    if (target[slot] == in_force[slot] || (target[slot] > in_force[slot]) != (direction > 0)) {
      continue;
    }
    target = glide_step(space_, limits_, in_force, target);
    return ReflexMove{target, k,
                      fmt::format("{} limit broken by {} of {} requests in {:.0f} s; the envelope "
                                  "allows {} .. {}",
                                  serving::to_string(breach->limit), breach->tally.bad,
                                  breach->tally.n, breach->seconds, low_[slot], high_[slot])};
  }
  return std::nullopt;
}

void Reflex::helped(bool yes, TimePoint now) {
  pause_ = yes ? kPauseFirst : std::min(kPauseMax, pause_ * 4);
  quiet_until_ = now + pause_;
}

}  // namespace arqon::control
