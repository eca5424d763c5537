// What a trial tells the portfolio's models, and which trials they look at.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "arqon/solver/encoding.h"
#include "arqon/solver/strategies/tpe/judge.h"
#include "arqon/solver/study.h"

namespace arqon::solver {

// How far a constraint was from its bound: positive = broken.
struct Reading {
  double excess = 0;
  double variance = 0;   // of the measurement, where it is known (counts, intervals); else 0
};

struct Record {
  Observation seen;                // where, loss, order
  bool answered = true;            // neither failed nor crashed nor refused
  std::vector<Reading> readings;   // one a side of a constraint; empty when not answered
};

// A count (n, over) is read in probits, a positive value with a positive bound in logarithms (far
// ones flattened), anything else as it is.
Record record_trial(const StudyConfig& config, const Encoding& encoding, const Trial& trial,
                    std::uint64_t order);
// Number of readings that a study's constraints give.
std::size_t reading_count(const StudyConfig& config);

}  // namespace arqon::solver
