#include <fmt/format.h>

#include <algorithm>

#include "arqon/documents/internal/keys.h"
#include "arqon/documents/internal/scenario_parts.h"
#include "arqon/workload/acceptance_rows.h"
#include "arqon/workload/lengths.h"

namespace arqon::documents::internal {
namespace {

constexpr std::size_t kWorkloadsMax = 64;
constexpr std::size_t kMixMax = 64;
constexpr std::size_t kSegmentsMax = 10000;
constexpr double kClosedLoopRequestsMax = 1e7;
constexpr Range kRatePerS{.min = 0, .max = 1e5, .above_min = true};
constexpr Range kFactor{.min = 0, .max = 1000};
constexpr Range kTraceScale{.min = 0, .max = 1000, .above_min = true};
constexpr Range kCv{.min = 0, .max = 100, .above_min = true};
constexpr Range kTokens{.min = 1, .max = 1e7};
constexpr Range kDraftMs{.min = 0, .max = 1000};
constexpr Range kSigma{.min = 0, .max = 5};

bool known(std::string_view name, Names names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

workload::GeneratorSource read_generator(const Node& node) {
  const Section section(node, kGeneratorKeys);
  workload::GeneratorSource out;
  if (const auto i = section.get("generator").one_of(kGenerators)) out.name = kGenerators[*i];
  assign(out.rate_per_s, section.need("rate_per_s").number(kRatePerS));
  const Node cv = section.get("cv");
  assign(out.cv, cv.number(kCv));
  if (cv && out.name != "gamma") cv.fail_key("goes with the generator \"gamma\" only");
  const Node clients = section.get("clients"), skew = section.get("skew");
  assign(out.clients, clients.integer({.min = 1, .max = 10000}));
  assign(out.skew, skew.number({.min = 0, .max = 4}));
  for (const Node& node_of_clients : {clients, skew}) {
    if (node_of_clients && out.name != "multi-client") {
      node_of_clients.fail_key("goes with the generator \"multi-client\" only");
    }
  }
  return out;
}

workload::TraceSource read_trace(const Node& node, const std::vector<std::string>& classes) {
  const Section section(node, kTraceKeys);
  workload::TraceSource out;
  if (const auto i = section.get("trace").one_of(kTraceFormats)) out.format = kTraceFormats[*i];
  assign(out.path, section.need("path").text());
  assign(out.scale, section.get("scale").number(kTraceScale));
  const Node request_class = section.get("class");
  const std::vector<std::string_view> names(classes.begin(), classes.end());
  if (const auto i = request_class.one_of(names)) out.request_class = classes[*i];
  if (!request_class && classes.size() == 1) out.request_class = classes[0];
  if (!request_class && classes.size() > 1) section.need("class");
  return out;
}

workload::ClosedLoopSource read_closed_loop(const Node& node) {
  const Section outer(node, kClosedLoopSourceKeys);
  const Section section(outer.get("closed_loop"), kClosedLoopKeys);
  workload::ClosedLoopSource out;
  assign(out.concurrency, section.get("concurrency").integer({.min = 1, .max = 65536}));
  assign(out.input_tokens, section.get("input_tokens").number(kTokens));
  assign(out.output_tokens, section.get("output_tokens").number(kTokens));
  const Node per_slot = section.get("requests_per_slot");
  assign(out.requests_per_slot, per_slot.integer({.min = 1, .max = kClosedLoopRequestsMax}));
  if (double{1} * out.concurrency * out.requests_per_slot > kClosedLoopRequestsMax) {
    (per_slot ? per_slot : section.get("concurrency"))
        .fail("concurrency times requests_per_slot comes to more than 10 million requests");
  }
  const Node jitter = section.get("length_jitter");
  assign(out.length_jitter, jitter.number(kFraction));
  if (out.length_jitter >= 1) jitter.fail("must be below 1");
  return out;
}

workload::Source read_source(const Node& node, const std::vector<std::string>& classes) {
  if (!node) return workload::GeneratorSource{};
  std::vector<std::string_view> kinds;
  for (const std::string_view kind : kSourceKinds) {
    if (node.value().find(kind) != nullptr) kinds.push_back(kind);
  }
  if (node.value().as_object() == nullptr || kinds.size() != 1) {
    node.fail("must have exactly one of \"generator\", \"trace\" and \"closed_loop\"");
    return workload::GeneratorSource{};
  }
  if (kinds[0] == "trace") return read_trace(node, classes);
  if (kinds[0] == "closed_loop") return read_closed_loop(node);
  return read_generator(node);
}

workload::Acceptance read_acceptance(const Node& node) {
  const Section section(node, kAcceptanceKeys);
  workload::Acceptance out;
  std::vector<string_view> rows;
  for (const workload::AcceptanceRow& row : workload::acceptance_rows()) rows.push_back(row.name);
  if (const auto index = section.get("row").one_of(rows)) {
    const workload::AcceptanceRow& row = workload::acceptance_rows()[*index];
    out.row = row.name;
    out.conditional = row.conditional[0];
    out.quality_sigma = row.quality_sigma;
  }
  assign(out.conditional, section.get("conditional").number(kFraction));
  const Section draft(section.get("draft_ms"), kDraftKeys);
  assign(out.draft_ms_base, draft.get("base").number(kDraftMs));
  assign(out.draft_ms_per_k, draft.get("per_k").number(kDraftMs));
  assign(out.quality_sigma, section.get("quality_sigma").number(kSigma));
  return out;
}

// [least, greatest] tokens.
void read_range(const Node& node, std::uint32_t& low, std::uint32_t& high) {
  if (!node) return;
  const wire::Array* array = node.value().as_array();
  if (array == nullptr || array->size() != 2) {
    node.fail("must be a list [least, greatest]");
    return;
  }
  const std::vector<Node> ends = node.items(2);
  assign(low, ends[0].integer(kTokens));
  assign(high, ends[1].integer(kTokens));
  if (low > high) node.fail("the least is above the greatest");
}

std::vector<workload::OwnLengths> read_lengths(const Node& node,
                                               const std::vector<std::string>& classes) {
  std::vector<workload::OwnLengths> out;
  if (!node) return out;
  const std::vector<std::string_view> names(classes.begin(), classes.end());
  for (const auto& [name, member] : node.members(kMixMax)) {
    if (!known(name, names)) member.fail_key("no class has this name", hint_for(name, names));
    const Section section(member, kLengthsKeys);
    workload::OwnLengths own{.name = name};
    read_range(section.need("prompt_tokens"), own.prompt_tokens_min, own.prompt_tokens_max);
    read_range(section.need("output_tokens"), own.output_tokens_min, own.output_tokens_max);
    out.push_back(std::move(own));
  }
  return out;
}

// The names a mix may use: built-in profiles and those with lengths of their own.
std::vector<std::string_view> profiles_of(const std::vector<workload::OwnLengths>& own) {
  const auto built_in = workload::profile_names();
  std::vector<std::string_view> out(built_in.begin(), built_in.end());
  for (const workload::OwnLengths& lengths : own) out.push_back(lengths.name);
  return out;
}

// A name in a mix is both a length profile and a class.
std::vector<workload::MixShare> read_mix(const Node& node, const std::vector<std::string>& classes,
                                         const std::vector<workload::OwnLengths>& own) {
  std::vector<workload::MixShare> out;
  if (!node) return out;
  const std::vector<std::string_view> names(classes.begin(), classes.end());
  const std::vector<std::string_view> profiles = profiles_of(own);
  double sum = 0;
  for (const auto& [name, member] : node.members(kMixMax)) {
    if (!known(name, names)) {
      member.fail_key("no class has this name", hint_for(name, names));
    } else if (!known(name, profiles)) {
      member.fail_key("no length profile has this name", hint_for(name, profiles));
    }
    const double share = member.number(kFactor).value_or(0);
    sum += share;
    out.push_back({.name = name, .share = share});
  }
  if (node.value().as_object() != nullptr && !(sum > 0)) {
    node.fail("must have a share above 0");
  }
  return out;
}

std::optional<double> read_segment_acceptance(const Node& node) {
  if (!node || node.value().as_object() == nullptr) return node.number(kFraction);
  return Section(node, kSegmentAcceptanceKeys).need("conditional").number(kFraction);
}

workload::Segment read_segment(const Node& node, const std::vector<std::string>& classes,
                               const workload::Spec& spec) {
  const Section section(node, kSegmentKeys);
  workload::Segment out;
  assign(out.at_s, section.need("at_s").number(kNotNegative));
  const Node mix = section.get("mix");
  assign(out.name, section.get("name").text());
  out.mix = read_mix(mix, classes, spec.lengths);
  out.rate = section.get("rate").number(kFactor);
  out.acceptance = read_segment_acceptance(section.get("acceptance"));
  if (mix && !std::holds_alternative<workload::GeneratorSource>(spec.source)) {
    mix.fail_key("is for generators: this source brings its own lengths and class");
  }
  if (section.has("rate") && std::holds_alternative<workload::ClosedLoopSource>(spec.source)) {
    section.get("rate").fail_key("a closed loop has no rate");
  }
  return out;
}

void check_times(const std::vector<workload::Segment>& segments, const std::vector<Node>& nodes,
                 double duration_s) {
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const Node at = nodes[i].child("at_s");
    if (!at || !at.value().is_number()) continue;
    if (i == 0 && segments[i].at_s != 0) {
      at.fail("the first segment must begin at 0");
    } else if (i > 0 && segments[i].at_s <= segments[i - 1].at_s) {
      at.fail("segments must come in the order of time, each later than the one before");
    } else if (segments[i].at_s >= duration_s) {
      at.fail(fmt::format("must be before the end of the run, {} s", wire::shortest(duration_s)));
    }
  }
}

std::vector<workload::Segment> read_segments(const Node& node,
                                             const std::vector<std::string>& classes,
                                             const workload::Spec& spec, double duration_s) {
  std::vector<workload::Segment> out;
  const std::vector<Node> items = node.items(kSegmentsMax);
  if (node && node.value().as_array() != nullptr && node.value().as_array()->empty()) {
    node.fail("must have at least one segment");
  }
  for (const Node& item : items) out.push_back(read_segment(item, classes, spec));
  check_times(out, items, duration_s);
  return out;
}

// A generator must know from the first moment what it sends.
void complete_mix(const Node& node, const std::vector<std::string>& classes, workload::Spec& spec) {
  if (spec.segments.empty()) spec.segments.emplace_back();
  if (!std::holds_alternative<workload::GeneratorSource>(spec.source)) return;
  if (!spec.segments[0].mix.empty()) return;
  if (classes.size() == 1 && known(classes[0], profiles_of(spec.lengths))) {
    spec.segments[0].mix.push_back({.name = classes[0], .share = 1});
    return;
  }
  const Node segments = node.child("segments");
  if (!segments) {
    node.fail("needs a first segment with a mix: which classes does the generator send?");
    return;
  }
  const wire::Array* array = segments.value().as_array();
  if (array == nullptr || array->empty() || array->size() > kSegmentsMax) return;
  if (array->front().as_object() == nullptr) return;
  if (array->front().find("mix") == nullptr) {
    segments.items(kSegmentsMax).front().fail("the first segment of a generator needs a mix");
  }
}

workload::Spec read_workload(const Node& node, const std::vector<std::string>& classes,
                             double duration_s) {
  const Section section(node, kWorkloadKeys);
  workload::Spec out;
  out.source = read_source(section.need("source"), classes);
  out.acceptance = read_acceptance(section.get("acceptance"));
  if (const auto i = section.get("priority").one_of(kPriorities)) out.priority = kPriorities[*i];
  read_traffic(section, out);
  out.lengths = read_lengths(section.get("lengths"), classes);
  out.segments = read_segments(section.get("segments"), classes, out, duration_s);
  if (section.is_object()) complete_mix(node, classes, out);
  return out;
}

wire::Object source_object(const workload::Source& source) {
  if (const auto* g = std::get_if<workload::GeneratorSource>(&source)) {
    wire::Object out{{"generator", g->name}, {"rate_per_s", wire::compact_number(g->rate_per_s)}};
    if (g->name == "gamma") out.emplace_back("cv", wire::compact_number(g->cv));
    if (g->name == "multi-client") {
      out.emplace_back("clients", g->clients);
      out.emplace_back("skew", wire::compact_number(g->skew));
    }
    return out;
  }
  if (const auto* t = std::get_if<workload::TraceSource>(&source)) {
    return {{"trace", t->format},
            {"path", t->path},
            {"scale", wire::compact_number(t->scale)},
            {"class", t->request_class}};
  }
  const auto& c = std::get<workload::ClosedLoopSource>(source);
  return {{"closed_loop", wire::Object{{"concurrency", c.concurrency},
                                       {"input_tokens", wire::compact_number(c.input_tokens)},
                                       {"output_tokens", wire::compact_number(c.output_tokens)},
                                       {"requests_per_slot", c.requests_per_slot},
                                       {"length_jitter", wire::compact_number(c.length_jitter)}}}};
}

wire::Object segment_object(const workload::Segment& segment) {
  wire::Object out{{"at_s", wire::compact_number(segment.at_s)}};
  if (!segment.name.empty()) out.emplace_back("name", segment.name);
  if (!segment.mix.empty()) {
    wire::Object mix;
    for (const auto& [name, share] : segment.mix) {
      mix.emplace_back(name, wire::compact_number(share));
    }
    out.emplace_back("mix", std::move(mix));
  }
  if (segment.rate) out.emplace_back("rate", wire::compact_number(*segment.rate));
  if (segment.acceptance) {
    out.emplace_back("acceptance", wire::compact_number(*segment.acceptance));
  }
  return out;
}

wire::Object workload_object(const workload::Spec& spec) {
  const workload::Acceptance& a = spec.acceptance;
  wire::Array segments;
  for (const workload::Segment& segment : spec.segments) {
    segments.emplace_back(segment_object(segment));
  }
  wire::Object lengths;
  for (const workload::OwnLengths& own : spec.lengths) {
    const auto range = [](std::uint32_t low, std::uint32_t high) {
      return wire::Array{std::int64_t{low}, std::int64_t{high}};
    };
    lengths.emplace_back(
        own.name,
        wire::Object{{"prompt_tokens", range(own.prompt_tokens_min, own.prompt_tokens_max)},
                     {"output_tokens", range(own.output_tokens_min, own.output_tokens_max)}});
  }
  wire::Object acceptance{
      {"conditional", wire::compact_number(a.conditional)},
      {"draft_ms", wire::Object{{"base", wire::compact_number(a.draft_ms_base)},
                                {"per_k", wire::compact_number(a.draft_ms_per_k)}}},
      {"quality_sigma", wire::compact_number(a.quality_sigma)}};
  if (!a.row.empty()) acceptance.emplace_back("row", a.row);
  wire::Object out{{"source", source_object(spec.source)},
                   {"acceptance", std::move(acceptance)},
                   {"priority", spec.priority}};
  append_traffic(spec, out);
  if (!lengths.empty()) out.emplace_back("lengths", std::move(lengths));
  out.emplace_back("segments", std::move(segments));
  return out;
}

}  // namespace

std::vector<workload::Spec> read_workloads(const Node& node,
                                           const std::vector<std::string>& classes,
                                           double duration_s) {
  std::vector<workload::Spec> out;
  if (!node) return out;
  if (node.value().as_array() == nullptr) {
    out.push_back(read_workload(node, classes, duration_s));
    return out;
  }
  if (node.value().as_array()->empty()) node.fail("must be a workload or a list of them");
  const std::vector<Node> items = node.items(kWorkloadsMax);
  for (const Node& item : items) {
    out.push_back(read_workload(item, classes, duration_s));
    const Node loop = item.child("source").child("closed_loop");
    if (loop && items.size() > 1) loop.fail("a closed loop cannot run beside other workloads");
  }
  return out;
}

wire::Value workloads_value(const std::vector<workload::Spec>& workloads) {
  if (workloads.size() == 1) return workload_object(workloads[0]);
  wire::Array out;
  for (const workload::Spec& spec : workloads) out.emplace_back(workload_object(spec));
  return out;
}

}  // namespace arqon::documents::internal
