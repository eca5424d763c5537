// What moves the traffic of a workload beside its source: clients that try again, the wave of the
// day, flash crowds, and conversations.
#include "arqon/documents/internal/keys.h"
#include "arqon/documents/internal/scenario_parts.h"

namespace arqon::documents::internal {
namespace {

// [least, greatest].
void read_ends(const Node& node, const Range& range, double& low, double& high) {
  if (!node) return;
  const wire::Array* array = node.value().as_array();
  if (array == nullptr || array->size() != 2) {
    node.fail("must be a list [least, greatest]");
    return;
  }
  const std::vector<Node> ends = node.items(2);
  assign(low, ends[0].number(range));
  assign(high, ends[1].number(range));
  if (low > high) node.fail("the least is above the greatest");
}

workload::Diurnal read_diurnal(const Node& node) {
  const Section section(node, kDiurnalKeys);
  workload::Diurnal out;
  assign(out.period_s, section.get("period_s").number({.min = 60, .max = 604800}));
  assign(out.swing, section.get("swing").number({.min = 1, .max = 100}));
  assign(out.peak_at_s, section.get("peak_at_s").number({.min = 0, .max = 604800}));
  assign(out.lunch_dip, section.get("lunch_dip").number({.min = 0, .max = 0.4}));
  assign(out.weekend, section.get("weekend").number({.min = 0, .max = 10}));
  return out;
}

workload::Spikes read_spikes(const Node& node) {
  const Section section(node, kSpikesKeys);
  workload::Spikes out;
  assign(out.per_hour, section.get("per_hour").number({.min = 0, .max = 13}));
  read_ends(section.get("factor"), {.min = 0, .max = 1000}, out.factor_min, out.factor_max);
  read_ends(section.get("seconds"), {.min = 0, .max = 86400, .above_min = true}, out.seconds_min,
            out.seconds_max);
  return out;
}

workload::Sessions read_sessions(const Node& node) {
  const Section section(node, kSessionsKeys);
  workload::Sessions out;
  if (const auto i = section.get("kind").one_of(kSessionKinds)) out.kind = kSessionKinds[*i];
  assign(out.system_prompts, section.get("system_prompts").integer({.min = 1, .max = 100000}));
  assign(out.system_tokens, section.get("system_tokens").integer({.min = 0, .max = 100000}));
  assign(out.zipf, section.get("zipf").number({.min = 0, .max = 5}));
  return out;
}

}  // namespace

void read_traffic(const Section& section, workload::Spec& spec) {
  const Node retries = section.get("retries"), diurnal = section.get("diurnal");
  const Node spikes = section.get("spikes"), sessions = section.get("sessions");
  assign(spec.retries, retries.integer({.min = 0, .max = 16}));
  if (diurnal) spec.diurnal = read_diurnal(diurnal);
  if (spikes) spec.spikes = read_spikes(spikes);
  if (sessions) spec.sessions = read_sessions(sessions);
  const bool loop = std::holds_alternative<workload::ClosedLoopSource>(spec.source);
  for (const Node& node : {diurnal, spikes}) {
    if (node && loop) node.fail_key("a closed loop has no rate");
  }
  if (sessions && !std::holds_alternative<workload::GeneratorSource>(spec.source)) {
    sessions.fail_key("is for generators: this source brings its own lengths");
  }
}

void append_traffic(const workload::Spec& spec, wire::Object& out) {
  const auto number = [](double v) { return wire::compact_number(v); };
  out.emplace_back("retries", spec.retries);
  if (const auto& d = spec.diurnal) {
    out.emplace_back("diurnal", wire::Object{{"period_s", number(d->period_s)},
                                             {"swing", number(d->swing)},
                                             {"peak_at_s", number(d->peak_at_s)},
                                             {"lunch_dip", number(d->lunch_dip)},
                                             {"weekend", number(d->weekend)}});
  }
  if (const auto& s = spec.spikes) {
    out.emplace_back(
        "spikes",
        wire::Object{{"per_hour", number(s->per_hour)},
                     {"factor", wire::Array{number(s->factor_min), number(s->factor_max)}},
                     {"seconds", wire::Array{number(s->seconds_min), number(s->seconds_max)}}});
  }
  if (const auto& s = spec.sessions) {
    out.emplace_back("sessions", wire::Object{{"kind", s->kind},
                                              {"system_prompts", s->system_prompts},
                                              {"system_tokens", s->system_tokens},
                                              {"zipf", number(s->zipf)}});
  }
}

}  // namespace arqon::documents::internal
