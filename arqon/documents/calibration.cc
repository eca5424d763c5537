#include "arqon/documents/calibration.h"

#include "arqon/documents/internal/calibration.h"
#include "arqon/documents/internal/keys.h"
#include "arqon/documents/internal/reader.h"

namespace arqon::documents {
namespace {

using internal::assign;
using internal::Node;
using internal::Section;

constexpr internal::Range kShare{.min = 0, .max = 1e6};

// Members that only tell people where a calibration came from: kept, so that a document survives
// being read and written.
void read_evidence(const Section& root, calibrate::Fit& fit) {
  if (const auto index = root.get("source").one_of(internal::kCalibrationSources)) {
    fit.source = internal::kCalibrationSources[*index];
  }
  assign(fit.windows, root.get("windows").integer());
  assign(fit.left_out, root.get("left_out").integer());
  assign(fit.kv_tokens, root.get("kv_tokens").number(internal::kNotNegative));
  const Section errors(root.get("errors"), internal::kCalibrationErrors);
  assign(fit.gap_error, errors.get("gap").number(kShare));
  assign(fit.throughput_error, errors.get("throughput").number(kShare));
  assign(fit.gap_error_before, errors.get("gap_before").number(kShare));
  assign(fit.throughput_error_before, errors.get("throughput_before").number(kShare));
  const Node evidence = root.get("evidence");
  if (!evidence) return;
  for (const auto& [name, node] : evidence.members(64)) {
    const Section section(node, internal::kCalibrationEvidence);
    calibrate::Scalar scalar;
    scalar.name = name;
    assign(scalar.value, section.need("value").number());
    assign(scalar.prior, section.get("prior").number());
    assign(scalar.low, section.get("low").number());
    assign(scalar.high, section.get("high").number());
    fit.scalars.push_back(std::move(scalar));
  }
}

}  // namespace

std::string to_json(const CalibrationDocument& document) {
  const auto number = [](double x) { return wire::compact_number(x); };
  const calibrate::Fit& fit = document.fit;
  wire::Object evidence;
  for (const calibrate::Scalar& s : fit.scalars) {
    evidence.emplace_back(s.name, wire::Object{{"value", number(s.value)},
                                               {"low", number(s.low)},
                                               {"high", number(s.high)},
                                               {"prior", number(s.prior)}});
  }
  wire::Object out{{"schema", 1}};
  if (!document.engine.empty()) out.emplace_back("engine", document.engine);
  out.emplace_back("model", document.model);
  out.emplace_back("gpu", document.gpu);
  out.emplace_back("tp", document.tp);
  out.emplace_back("dtype", document.dtype);
  out.emplace_back("source", fit.source);
  out.emplace_back("windows", static_cast<std::int64_t>(fit.windows));
  out.emplace_back("left_out", static_cast<std::int64_t>(fit.left_out));
  out.emplace_back("scalars", internal::scalars_object(fit.calibration));
  out.emplace_back("evidence", std::move(evidence));
  out.emplace_back("errors",
                   wire::Object{{"gap", number(fit.gap_error)},
                                {"throughput", number(fit.throughput_error)},
                                {"gap_before", number(fit.gap_error_before)},
                                {"throughput_before", number(fit.throughput_error_before)}});
  if (fit.kv_tokens > 0) out.emplace_back("kv_tokens", number(fit.kv_tokens));
  if (document.kv_cache_blocks) out.emplace_back("kv_cache_blocks", *document.kv_cache_blocks);
  if (document.block_size) out.emplace_back("block_size", *document.block_size);
  return wire::write_json(out, 2);
}

tl::expected<CalibrationDocument, wire::Diagnostics> parse_calibration(std::string_view text) {
  return internal::parse_document<CalibrationDocument>(text, [](const Node& node) {
    const Section root(node, internal::kCalibrationKeys);
    CalibrationDocument out;
    root.need("schema").integer({.min = 1, .max = 1});
    assign(out.engine, root.get("engine").text());
    assign(out.model, root.get("model").text());
    assign(out.gpu, root.get("gpu").text());
    assign(out.dtype, root.get("dtype").text());
    assign(out.tp, root.get("tp").integer({.min = 1, .max = 8}));
    internal::read_scalars(root.need("scalars"), out.fit.calibration);
    read_evidence(root, out.fit);
    assign(out.kv_cache_blocks, root.get("kv_cache_blocks").integer(internal::kCountFromOne));
    assign(out.block_size, root.get("block_size").integer({.min = 1, .max = 1024}));
    return out;
  });
}

}  // namespace arqon::documents
