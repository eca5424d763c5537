#include "arqon/documents/internal/calibration.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <string>

#include "arqon/documents/calibration.h"
#include "arqon/documents/internal/keys.h"

namespace arqon::documents::internal {
namespace {

constexpr std::size_t kFileBytesMax = 1u << 20;

struct Scalar {
  string_view name;
  double sim::Calibration::*value;
  Range range;
};
constexpr Range kScale{.min = 0.1, .max = 10};
constexpr std::array<Scalar, 8> kScalars = {{
    {"host_ms", &sim::Calibration::host_ms, {.min = 0, .max = 100}},
    {"host_ms_per_sequence", &sim::Calibration::host_ms_per_sequence, {.min = 0, .max = 1}},
    {"front_end_ms", &sim::Calibration::front_end_ms, {.min = 0.1, .max = 10000}},
    {"linear_memory", &sim::Calibration::linear_memory, kScale},
    {"linear_compute", &sim::Calibration::linear_compute, kScale},
    {"linear_scale", &sim::Calibration::linear_scale, kScale},
    {"decode_kv", &sim::Calibration::decode_kv, kScale},
    {"other_memory_gb", &sim::Calibration::other_memory_gb, {.min = 0, .max = 1000}},
}};

// "calibration.json" beside the scenario.
std::optional<std::string> read_named(const Node& node, const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    node.fail("names a calibration that cannot be read",
              "`arqonhpo calibrate` writes one; a relative path starts beside the scenario");
    return std::nullopt;
  }
  std::string text;
  text.resize(kFileBytesMax + 1);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kFileBytesMax) {
    node.fail("names a file that is larger than 1 MiB: no calibration");
    return std::nullopt;
  }
  return text;
}

}  // namespace

void read_scalars(const Node& node, sim::Calibration& out) {
  const Section section(node, kCalibrationScalars);
  for (const Scalar& scalar : kScalars) {
    assign(out.*scalar.value, section.get(scalar.name).number(scalar.range));
  }
  assign(out.host_overlap, section.get("host_overlap").number(kFraction));
}

wire::Object scalars_object(const sim::Calibration& calibration) {
  const sim::Calibration plain;
  wire::Object out;
  for (const Scalar& scalar : kScalars) {
    const double value = calibration.*scalar.value;
    if (value != plain.*scalar.value) out.emplace_back(scalar.name, wire::compact_number(value));
  }
  if (calibration.host_overlap) {
    out.emplace_back("host_overlap", wire::compact_number(*calibration.host_overlap));
  }
  return out;
}

void read_pool_calibration(const Node& node, const std::filesystem::path& folder,
                           sim::PoolSpec& pool) {
  if (!node) return;
  if (node.value().as_string() == nullptr) {
    read_scalars(node, pool.calibration);
    return;
  }
  const std::filesystem::path path = folder / *node.value().as_string();
  const auto text = read_named(node, path);
  if (!text) return;
  const auto document = parse_calibration(*text);
  if (!document) {
    node.fail(fmt::format("names a broken calibration: {}",
                          wire::to_string(document.error().front(), path.string())));
    return;
  }
  pool.calibration = document->fit.calibration;
  if (!pool.engine.kv_cache_blocks) pool.engine.kv_cache_blocks = document->kv_cache_blocks;
  if (!pool.engine.block_size) pool.engine.block_size = document->block_size;
}

}  // namespace arqon::documents::internal
