// The knobs of a vLLM: what its report offers, what a document asks for, and the rules between
// them.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/adapters/vllm/metrics.h"
#include "arqon/adapters/vllm/page.h"
#include "arqon/base/result.h"
#include "arqon/serving/engine.h"
#include "arqon/space/space.h"

namespace arqon::adapters::vllm {

// How a knob reaches the engine: a value of the page, or a word of the restart command.
struct KnobKind {
  std::string_view name;         // ours, without the pool
  std::string_view engine_name;  // vLLM's attribute or flag
  std::optional<Slot> slot;      // nothing: restart class
  std::string_view note;
};
const std::vector<KnobKind>& knob_kinds();
const KnobKind* find_kind(std::string_view name);

// What an engine offers of one kind, or why it does not.
struct Offer {
  const KnobKind* kind = nullptr;
  bool available = false;
  std::string why;  // not available: why, and what would change that
  double min = 0, max = 0;
  double value = 0;      // in force
  std::string capacity;  // what bounds it: "max_num_seqs 32"
};

// What is known of one engine.
struct EngineFacts {
  std::optional<Report> rank;  // of rank 0; nothing without the plugin
  std::optional<Report> api;
  std::optional<Metrics> metrics;
  std::string no_plugin;  // why there is no report, and what to do
  bool can_restart = false;
};
std::vector<Offer> offers(const EngineFacts& facts);

// One tuned knob, in the order of the document.
struct Knob {
  Parameter parameter;
  const KnobKind* kind = nullptr;
  double boot_capacity = serving::kNoLimit;
  double boot_value = 0;
};
// kInvalidConfig with every mistake: a knob the engine lacks, bounds beyond what it allows, a value
// in force that the document's domain leaves out. `wanted` empty: every available live knob, pool
// "main".
enum class InForce { kInDomain, kAnything };
Result<std::vector<Knob>> resolve_knobs(const std::vector<Parameter>& wanted,
                                        const std::vector<Offer>& offers,
                                        InForce in_force = InForce::kInDomain);

// The rules between knobs that no single domain shows. kInvalidConfig that names the values.
// `rank`: the present report, for what is not tuned.
Status check_rules(const std::vector<Knob>& knobs, const Config& setting, const Report& rank);

}  // namespace arqon::adapters::vllm
