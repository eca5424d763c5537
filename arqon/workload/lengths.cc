#include "arqon/workload/lengths.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace arqon::workload {
namespace {

constexpr std::size_t kKnots = 15;
constexpr std::array<double, kKnots> kShares = {0,   0.01, 0.05, 0.1, 0.2,  0.3,  0.4, 0.5,
                                                0.6, 0.7,  0.8,  0.9, 0.95, 0.99, 1};
using Knots = std::array<double, kKnots>;

struct Lognormal {
  double weight, mu, sigma;  // natural log
};
struct Mixture {
  std::array<Lognormal, 2> parts;
  double cap;
};

constexpr Knots kChatIn = {2,    29,   181,  207,  387,  403,  703,  1020,
                           1071, 1130, 1315, 2734, 4083, 4142, 14050};
constexpr Knots kChatOut = {7, 16, 41, 54, 77, 91, 103, 129, 177, 384, 400, 424, 451, 601, 1000};
constexpr Knots kCodeIn = {3,    17,   75,   147,  385,  770,  1075, 1469,
                           1909, 2433, 3192, 5187, 7303, 7436, 7437};
constexpr Knots kCodeOut = {6, 6, 6, 7, 8, 9, 11, 13, 16, 20, 29, 55, 90, 251, 1899};
// Known: p50, p90, p99; the lower half is drawn in between on the same log scale.
constexpr Knots kSummaryIn = {300,  560,  980,  1280, 1740, 2110, 2440, 2730,
                              2970, 3180, 3410, 3702, 3830, 3933, 4000};
constexpr Knots kSummaryOut = {20,  32,  58,  76,  103, 126,  147, 167,
                               192, 223, 272, 372, 640, 3271, 4096};
constexpr Knots kReasonIn = {8,   16,  40,   63,   110,  160,   210,  266,
                             480, 870, 1580, 3294, 7500, 25753, 60000};
constexpr Knots kReasonOut = {20,   60,   130,  200,  330,  470,   620,  807,
                              1120, 1560, 2300, 4165, 6800, 13533, 32768};
constexpr Mixture kLongIn = {{{{0.181, 6.982, 0.250}, {0.819, 9.124, 0.987}}}, 126000};
constexpr Mixture kLongOut = {{{{0.298, 3.807, 1.614}, {0.702, 5.984, 0.421}}}, 4096};

double at_share(const Knots& knots, double u) {
  const auto above = std::upper_bound(kShares.begin() + 1, kShares.end() - 1, u);
  const auto i = static_cast<std::size_t>(above - kShares.begin());
  const double part = (u - kShares[i - 1]) / (kShares[i] - kShares[i - 1]);
  const double low = std::log(knots[i - 1]), high = std::log(knots[i]);
  return std::exp(low + (high - low) * part);
}

double at_share(const Mixture& mixture, double which, double u) {
  const Lognormal& part = which < mixture.parts[0].weight ? mixture.parts[0] : mixture.parts[1];
  return std::min(mixture.cap, std::exp(part.mu + part.sigma * normal_quantile(u)));
}

std::uint32_t whole(double tokens) {
  return static_cast<std::uint32_t>(std::max<long>(1, std::lround(tokens)));
}

}  // namespace

class Profile {
 public:
  enum class Kind : std::uint8_t { kKnots, kMixture, kAgent };
  std::string_view name;
  Kind kind;
  const Knots* in;
  const Knots* out;
};

namespace {

constexpr std::array<Profile, 6> kProfiles = {{
    {"chat", Profile::Kind::kKnots, &kChatIn, &kChatOut},
    {"code", Profile::Kind::kKnots, &kCodeIn, &kCodeOut},
    {"long-context", Profile::Kind::kMixture, nullptr, nullptr},
    {"summarisation", Profile::Kind::kKnots, &kSummaryIn, &kSummaryOut},
    {"reasoning", Profile::Kind::kKnots, &kReasonIn, &kReasonOut},
    {"agent", Profile::Kind::kAgent, nullptr, nullptr},
}};

constexpr std::array<std::string_view, kProfiles.size()> kNames = {
    kProfiles[0].name, kProfiles[1].name, kProfiles[2].name,
    kProfiles[3].name, kProfiles[4].name, kProfiles[5].name};

Lengths agent_lengths(const std::array<double, 4>& u) {
  const double system = 2000 * std::exp(u[0] * std::log(4.0));
  const double turn = std::floor(u[1] * 20);
  const double per_turn = 150 + 450 * u[2];
  const double output = 50 * std::exp(u[3] * std::log(6.0));
  return {whole(system + turn * per_turn), whole(output)};
}

}  // namespace

namespace {

// The four draws of request number `index`, in the open interval: the inverse normal has no value
// at 0.
std::array<double, 4> draws_of(const Rng& stream, std::uint64_t index) {
  std::array<double, 4> u{};
  for (std::size_t i = 0; i < u.size(); ++i) {
    u[i] = (static_cast<double>(stream.at(index * u.size() + i) >> 11) + 0.5) * 0x1.0p-53;
  }
  return u;
}

std::uint32_t between(std::uint32_t low, std::uint32_t high, double u) {
  return low + static_cast<std::uint32_t>(u * (static_cast<double>(high - low) + 1));
}

}  // namespace

std::span<const std::string_view> profile_names() { return kNames; }

const Profile* find_profile(std::string_view name) {
  const auto found = std::find_if(kProfiles.begin(), kProfiles.end(),
                                  [&](const Profile& p) { return p.name == name; });
  return found == kProfiles.end() ? nullptr : &*found;
}

Lengths draw_lengths(const Profile& profile, const Rng& stream, std::uint64_t index) {
  const std::array<double, 4> u = draws_of(stream, index);
  switch (profile.kind) {
    case Profile::Kind::kKnots:
      return {whole(at_share(*profile.in, u[0])), whole(at_share(*profile.out, u[1]))};
    case Profile::Kind::kMixture:
      return {whole(at_share(kLongIn, u[2], u[0])), whole(at_share(kLongOut, u[3], u[1]))};
    case Profile::Kind::kAgent:
      return agent_lengths(u);
  }
  return {};
}

Lengths draw_lengths(const OwnLengths& own, const Rng& stream, std::uint64_t index) {
  const std::array<double, 4> u = draws_of(stream, index);
  return {between(own.prompt_tokens_min, own.prompt_tokens_max, u[0]),
          between(own.output_tokens_min, own.output_tokens_max, u[1])};
}

}  // namespace arqon::workload
