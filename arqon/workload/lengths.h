// How long prompts and answers are: built-in profiles fitted on public traces.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "arqon/base/rng.h"
#include "arqon/workload/spec.h"

namespace arqon::workload {

struct Lengths {
  std::uint32_t prompt_tokens = 1;
  std::uint32_t output_tokens = 1;
};

// A kind of request. Inputs and outputs are independent, as in the traces (|Spearman| < 0.1).
//   chat, code     quantile knots of Azure 2023 conversation and code
//   long-context   lognormal mixtures of Mooncake conversation
//   summarisation  knots of arXiv summarisation     reasoning   knots of ServeGen deepseek-r1
//   agent          assumed: system prompt of 2-8 k tokens, up to 20 turns that pile up
class Profile;

std::span<const std::string_view> profile_names();
// Null when unknown.
const Profile* find_profile(std::string_view name);
// Request number `index` of the stream; a pure function, so a change of one request's profile
// shifts no other's draws.
Lengths draw_lengths(const Profile& profile, const Rng& stream, std::uint64_t index);
Lengths draw_lengths(const OwnLengths& own, const Rng& stream, std::uint64_t index);

}  // namespace arqon::workload
