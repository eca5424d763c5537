#include "arqon/workload/sessions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace arqon::workload {
namespace {

constexpr std::uint32_t kPromptMax = 126000;
// Chance that another turn follows the first, and any later one.
constexpr double kSecondTurn = 0.31, kLaterTurn = 0.5;
// Gap between two turns, lognormal. Within an hour one sees the shorter of them: with this median
// the gaps seen have the trace's 123 s.
constexpr double kGapMedianS = 150, kGapSigma = 0.953;
// First turns are shorter than the trace's requests as a whole; with this factor turns and first
// turns together have the trace's mean length and hit curve.
constexpr double kFirstTurnScale = 0.9;
// New tokens of a turn by share of turns; log-linear in between.
constexpr std::array<double, 7> kShares = {0, 0.1, 0.5, 0.75, 0.9, 0.99, 1};
constexpr std::array<double, 7> kNewTokens = {1, 8, 23, 425, 4256, 20000, 60000};
// Agents.
constexpr std::uint32_t kAgentTurnsMin = 5, kAgentTurnsMax = 20;
constexpr double kAgentNewMin = 150, kAgentNewMax = 600;
constexpr double kAgentGapMinS = 1, kAgentGapMaxS = 10;
constexpr double kSecondsPerToken = 0.02;  // an agent goes on when it has its answer

enum Draw : std::size_t { kPrompt, kNew, kGoOn, kGap, kDraws };

double new_tokens(double u) {
  std::size_t i = 1;
  while (i + 1 < kShares.size() && u > kShares[i]) ++i;
  const double part = (u - kShares[i - 1]) / (kShares[i] - kShares[i - 1]);
  const double low = std::log(kNewTokens[i - 1]), high = std::log(kNewTokens[i]);
  return std::exp(low + (high - low) * part);
}

}  // namespace

Status check_sessions(const Sessions& s) {
  if (s.kind != "conversation" && s.kind != "agent") {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("unknown kind of sessions \"{}\"; known: conversation, agent", s.kind));
  }
  if (s.system_prompts < 1 || s.system_prompts > 100000 || s.system_tokens < 0 ||
      s.system_tokens > 100000 || !(s.zipf >= 0 && s.zipf <= 5)) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("sessions: system_prompts must lie in [1, 100000], system_tokens in "
                            "[0, 100000], zipf in [0, 5] (got {}, {}, {})",
                            s.system_prompts, s.system_tokens, s.zipf));
  }
  return {};
}

SessionBook::SessionBook(const Sessions& sessions, const Rng& rng)
    : sessions_(sessions), agents_(sessions.kind == "agent"), rng_(rng) {
  double sum = 0;
  for (int r = 1; r <= sessions_.system_prompts; ++r) {
    sum += std::pow(r, -sessions_.zipf);
    popularity_.push_back(sum);
  }
}

void SessionBook::join(Request& request, std::uint64_t index) {
  std::vector<double> u(kDraws);
  for (std::size_t i = 0; i < u.size(); ++i) {
    u[i] = (static_cast<double>(rng_.at(index * kDraws + i) >> 11) + 0.5) * 0x1.0p-53;
  }
  Session session;
  if (!open_.empty() && open_.top().due <= request.arrival) {
    session = open_.top();
    open_.pop();
    const double added =
        agents_ ? kAgentNewMin + (kAgentNewMax - kAgentNewMin) * u[kNew] : new_tokens(u[kNew]);
    request.prompt_tokens = session.length + static_cast<std::uint32_t>(std::lround(added));
    request.prompt_tokens = std::clamp(request.prompt_tokens, 1u, kPromptMax);
  } else {
    begin(session, request, u);
  }
  ++session.turns;
  session.length = request.prompt_tokens + request.output_tokens;
  request.session = session.id;
  request.system_prompt = session.system_prompt;
  request.system_tokens = static_cast<std::uint32_t>(sessions_.system_tokens);
  if (session.length >= kPromptMax || !goes_on(session, u[kGoOn])) return;
  session.due = request.arrival + from_seconds(gap_s(request, u[kGap]));
  open_.push(session);
}

void SessionBook::begin(Session& session, Request& request, const std::vector<double>& u) {
  session.id = next_id_++;
  const double at = u[kPrompt] * popularity_.back();
  const auto found = std::upper_bound(popularity_.begin(), popularity_.end(), at);
  session.system_prompt = static_cast<std::uint32_t>(
      std::min<std::ptrdiff_t>(found - popularity_.begin(), sessions_.system_prompts - 1));
  const double own = agents_ ? kAgentNewMin + (kAgentNewMax - kAgentNewMin) * u[kNew]
                             : kFirstTurnScale * request.prompt_tokens - sessions_.system_tokens;
  const double prompt = sessions_.system_tokens + std::max(1.0, own);
  request.prompt_tokens = static_cast<std::uint32_t>(std::lround(prompt));
}

bool SessionBook::goes_on(const Session& session, double draw) const {
  if (!agents_) return draw < (session.turns == 1 ? kSecondTurn : kLaterTurn);
  // Uniform between the fewest and the most turns.
  if (session.turns < kAgentTurnsMin) return true;
  const double left = kAgentTurnsMax - session.turns + 1;
  return session.turns < kAgentTurnsMax && draw < (left - 1) / left;
}

double SessionBook::gap_s(const Request& request, double draw) const {
  if (!agents_) return kGapMedianS * std::exp(kGapSigma * normal_quantile(draw));
  return kAgentGapMinS + (kAgentGapMaxS - kAgentGapMinS) * draw +
         kSecondsPerToken * request.output_tokens;
}

}  // namespace arqon::workload
