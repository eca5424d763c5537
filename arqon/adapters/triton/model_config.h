// A Triton model's config as one whole JSON document: the few values we tune, and everything else,
// which must stay exactly as it was. Triton replaces the whole config on a load (what is left out
// is dropped, and a model without its inputs answers nothing), so that only a complete document
// that was read from the server may go back to it. Seen with Triton 2.51.0 (24.10).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/space/parameter.h"
#include "arqon/wire/json.h"

namespace arqon::adapters::triton {

enum class Knob : std::uint8_t {
  kPreferredBatchSize,
  kMaxWait,
  kBatchSize,
  kInstances,
  kMaxQueuedRequests,
  kQueueTimeout
};

// Values at which a limit stands for "none"; Triton writes 0.
constexpr double kUnlimitedQueue = 1e6;         // requests
constexpr double kUnlimitedTimeout_ms = 3.6e6;  // an hour

struct KnobInfo {
  Knob knob;
  std::string_view name;         // ours, without the pool
  std::string_view engine_name;  // key of the config
  std::string_view access;       // live | reload
  double min, max;               // what Triton can express; the model's own capacity comes on top
  bool whole;                    // integers only
  std::string_view unit;
  std::string_view note;
};

// Every knob this adapter moves, in the order of documents and reports.
std::span<const KnobInfo> knob_table();
const KnobInfo& info(Knob knob);
// Null when there is none of that name.
const KnobInfo* find_knob(std::string_view name);

// Complete enough to be sent back: an object of that name with a backend or platform, a whole
// max_batch_size, at least one input and one output, and sensible types at the places we touch.
// kRefused, naming what is missing.
Status check_whole(const wire::Value& config, std::string_view model);

// The value in force in our units. kUnavailable with the reason when this model has no such knob
// (no dynamic batcher, several instance groups, several preferred sizes).
Result<double> read_knob(const wire::Value& config, Knob knob);
// Sets it in a config of which read_knob succeeded.
void write_knob(wire::Value& config, Knob knob, double value);
// What read_knob tells after write_knob(value): rounded to what Triton stores.
double stored_value(Knob knob, double value);

// Preferred size <= max_batch_size, else kInvalidConfig with both numbers.
Status check_constraints(const wire::Value& config);

// Everything but the given knobs, keys in one order: equal texts mean that nothing else changed.
std::string fingerprint(const wire::Value& config, std::span<const Knob> knobs);

}  // namespace arqon::adapters::triton
