// Stored settings of yesterday, hindsight and oracle, so that a comparison need not search again.
// Keyed by the scenario's hash, the twin's semantics number and the seed: a change of either voids
// a row. Format: docs/formats/baselines.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "arqon/base/result.h"
#include "arqon/compare/search.h"
#include "arqon/documents/scenario.h"

namespace arqon::compare {

class BaselineFile {
 public:
  // An absent file is an empty one; a malformed one is kInvalidConfig.
  static Result<BaselineFile> load(const std::filesystem::path& path);

  std::optional<Baselines> find(const documents::Scenario& scenario, std::uint64_t seed) const;
  void put(const documents::Scenario& scenario, std::uint64_t seed, const Baselines& baselines);
  // Atomic. Rows of other scenarios and semantics numbers are kept.
  Status save(const std::filesystem::path& path) const;

 private:
  struct Row {
    std::string scenario;  // name, for people
    Baselines baselines;
  };
  std::map<std::string, Row> rows_;  // by key
};

}  // namespace arqon::compare
