// The tuned space: an ordered list of parameters and the dense vectors that live in it.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "arqon/space/parameter.h"

namespace arqon {

// One setting: the slots of every parameter in document order, in native units.
using Config = std::vector<double>;

// Immutable after construction; safe to read from any thread.
class Space {
 public:
  // Domains must be valid already (documents checks them and names the place).
  explicit Space(std::vector<Parameter> parameters);

  std::size_t size() const { return parameters_.size(); }
  const Parameter& operator[](std::size_t i) const { return parameters_[i]; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  std::optional<std::size_t> find(std::string_view name) const;

  // First slot of parameter i in a Config, and the length of a Config.
  std::size_t offset(std::size_t i) const { return offsets_[i]; }
  std::size_t slots() const { return offsets_.back(); }

  // True when `config` has slots() finite values, inside bounds and on the grid.
  bool contains(std::span<const double> config) const;
  // Index of the first parameter that breaks its domain, or nothing.
  std::optional<std::size_t> first_violation(std::span<const double> config) const;
  // Nearest value in the domain (finite input): clamp, wrap if periodic, round to the grid,
  // normalise a simplex.
  Config snap(std::span<const double> config) const;

  // Unit-cube coordinates, one per slot: linear or in ln; a category is its index / (n - 1).
  std::vector<double> encode(std::span<const double> config) const;
  // Inverse of encode, snapped.
  Config decode(std::span<const double> unit) const;

  // Defaults where declared, the middle of the scale elsewhere; snapped.
  Config default_config() const;

 private:
  std::vector<Parameter> parameters_;
  std::vector<std::size_t> offsets_;
};

}  // namespace arqon
