#include "arqon/solver/strategies/sobol/sobol.h"

#include <utility>

#include "arqon/base/assert.h"
#include "arqon/solver/model_free.h"
#include "arqon/solver/sampling.h"

namespace arqon::solver {
namespace {

constexpr std::size_t kBits = 32;

// Primitive polynomial of degree `degree` with inner coefficients `a`, and the initial numbers m.
struct Primitive {
  unsigned degree;
  unsigned a;
  std::array<std::uint32_t, 7> m;
};

// Dimensions 2 to 21 of new-joe-kuo-6; dimension 1 is van der Corput's sequence.
constexpr std::array<Primitive, kSobolDimensions - 1> kJoeKuo = {{
    {1, 0, {1}},
    {2, 1, {1, 3}},
    {3, 1, {1, 3, 1}},
    {3, 2, {1, 1, 1}},
    {4, 1, {1, 1, 3, 3}},
    {4, 4, {1, 3, 5, 13}},
    {5, 2, {1, 1, 5, 5, 17}},
    {5, 4, {1, 1, 5, 5, 5}},
    {5, 7, {1, 1, 7, 11, 19}},
    {5, 11, {1, 1, 5, 1, 1}},
    {5, 13, {1, 1, 1, 3, 11}},
    {5, 14, {1, 3, 5, 5, 31}},
    {6, 1, {1, 3, 3, 9, 7, 49}},
    {6, 13, {1, 1, 1, 15, 21, 21}},
    {6, 16, {1, 3, 1, 13, 27, 49}},
    {6, 19, {1, 1, 1, 15, 7, 5}},
    {6, 22, {1, 3, 1, 15, 13, 25}},
    {6, 25, {1, 1, 5, 5, 19, 61}},
    {7, 1, {1, 3, 7, 11, 23, 15, 103}},
    {7, 4, {1, 3, 7, 13, 13, 15, 69}},
}};

std::array<std::uint32_t, kBits> direction_numbers(std::size_t dimension) {
  std::array<std::uint32_t, kBits> v{};
  if (dimension == 0) {
    for (std::size_t i = 0; i < kBits; ++i) v[i] = 1U << (kBits - 1 - i);
    return v;
  }
  const Primitive& p = kJoeKuo[dimension - 1];
  for (std::size_t i = 0; i < p.degree; ++i) v[i] = p.m[i] << (kBits - 1 - i);
  for (std::size_t i = p.degree; i < kBits; ++i) {
    v[i] = v[i - p.degree] ^ (v[i - p.degree] >> p.degree);
    for (unsigned k = 1; k < p.degree; ++k) {
      if ((p.a >> (p.degree - 1 - k)) & 1U) v[i] ^= v[i - k];
    }
  }
  return v;
}

}  // namespace

SobolSequence::SobolSequence(std::size_t dimensions, Rng shift)
    : dimensions_(dimensions), tail_(shift.stream("tail")) {
  for (std::size_t d = 0; d < dimensions && d < kSobolDimensions; ++d) {
    directions_.push_back(direction_numbers(d));
    shift_.push_back(static_cast<std::uint32_t>(shift.next_u64() >> 32));
  }
}

std::vector<double> SobolSequence::point(std::uint32_t index) const {
  std::vector<double> out(dimensions_);
  const std::uint32_t gray = index ^ (index >> 1);
  for (std::size_t d = 0; d < dimensions_; ++d) {
    if (d >= directions_.size()) {
      Rng own = tail_.stream(index).stream(d);
      out[d] = own.uniform();
      continue;
    }
    std::uint32_t bits = shift_[d];
    for (std::size_t b = 0; b < kBits; ++b) {
      if ((gray >> b) & 1U) bits ^= directions_[d][b];
    }
    out[d] = static_cast<double>(bits) * 0x1.0p-32;
  }
  return out;
}

SobolStrategy::SobolStrategy(const StudyConfig& config)
    : sequence_(config.space.slots(), Rng(config.seed).stream("sobol")) {}

std::vector<Config> SobolStrategy::propose(const View& view, Rng&, std::size_t count) {
  std::vector<Config> out;
  // Handed-out points name the position, so a strategy copied or asked again stays in step. A point
  // that somebody holds already (a finite space) is passed over into a far part of the sequence.
  std::uint64_t index = view.handed_out;
  while (out.size() < count) {
    std::uint64_t attempt = 0;
    Config point = free_point(view, out, [&] {
      const auto at = static_cast<std::uint32_t>(index + (attempt++ << 20));
      return point_from_unit(view.config.space, sequence_.point(at));
    });
    if (point.empty()) break;
    out.push_back(std::move(point));
    ++index;
  }
  return out;
}

Prediction SobolStrategy::predict(const View& view, const Config&) const {
  return sample_prediction(view);
}

std::optional<Config> SobolStrategy::best(const View& view) const { return best_measured(view); }

}  // namespace arqon::solver
