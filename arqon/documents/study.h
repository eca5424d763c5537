// A study's documents: configuration, guardrails, results and settings as typed values <-> wire.
// Format: docs/formats/study.md. Every parse collects all errors in document order, each with its
// path, line, column, value and nearest known name; nothing of a document with an error is kept.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "arqon/guard/guardrails.h"
#include "arqon/solver/study.h"
#include "arqon/space/space.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::documents {

struct StudyDocument {
  solver::StudyConfig config;
  std::optional<guard::Guardrails> guardrails;  // only where the document has them
};

// The configuration: only "bounds" is required.
tl::expected<StudyDocument, wire::Diagnostics> parse_study(std::string_view text);
// Guardrails as a document of their own, by position or by name of the space's parameters.
tl::expected<guard::Guardrails, wire::Diagnostics> parse_guardrails(std::string_view text,
                                                                    const Space& space);
// What a caller gets who states no guardrails: the space's own bounds, 0.1 of the range as the
// largest step, one update per second.
guard::Guardrails default_guardrails(const Space& space);

// Results: one object or an array of them. `params` must lie in the space, `applied` may lie off
// the grid. `value` and `metrics` follow the study: see docs/formats/study.md.
tl::expected<std::vector<solver::Trial>, wire::Diagnostics> parse_results(
    std::string_view text, const solver::StudyConfig& config);
// One setting such as {"batch_size": 8, "max_wait_ms": 50}; on the grid.
tl::expected<Config, wire::Diagnostics> parse_params(std::string_view text, const Space& space);

// The effective document with every default filled in; parse_study reads it back.
std::string to_json(const StudyDocument& study);
// One line: {"batch_size":8,"max_wait_ms":50.0}. A float always shows that it is one, so that a
// reader's type does not change with the value. `config` must have the space's length.
std::string params_to_json(const Space& space, const Config& config);
// parse_results reads these back.
std::string to_json(const Space& space, const solver::Trial& trial);
std::string to_json(const Space& space, std::span<const solver::Trial> trials);

}  // namespace arqon::documents
