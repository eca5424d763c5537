#include "arqon/compare/baselines.h"

#include <fmt/format.h>

#include <vector>

#include "arqon/os/file.h"
#include "arqon/sim/twin.h"
#include "arqon/wire/json.h"

namespace arqon::compare {
namespace {

constexpr std::size_t kBytesMax = 16u << 20;

std::string key_of(const documents::Scenario& scenario, std::uint64_t seed) {
  return fmt::format("{}/{}/{}", documents::scenario_hash(scenario), sim::kTwinSemantics, seed);
}

wire::Value to_value(const Config& config) {
  wire::Array array;
  for (const double x : config) array.emplace_back(x);
  return array;
}

std::optional<Config> config_from(const wire::Value* value) {
  const wire::Array* array = value == nullptr ? nullptr : value->as_array();
  if (array == nullptr) return std::nullopt;
  Config config;
  for (const wire::Value& x : *array) {
    if (!x.is_number()) return std::nullopt;
    config.push_back(x.number());
  }
  return config;
}

std::optional<Baselines> baselines_from(const wire::Value& value) {
  const auto yesterday = config_from(value.find("yesterday"));
  const auto hindsight = config_from(value.find("hindsight"));
  const wire::Value* oracle = value.find("oracle");
  const wire::Array* parts = oracle == nullptr ? nullptr : oracle->as_array();
  if (!yesterday || !hindsight || parts == nullptr) return std::nullopt;
  Baselines out{*yesterday, *hindsight, {}};
  for (const wire::Value& part : *parts) {
    const auto config = config_from(&part);
    if (!config) return std::nullopt;
    out.oracle.push_back(*config);
  }
  return out;
}

// A row of another space or another number of segments is no row.
bool fits(const documents::Scenario& scenario, const Baselines& b) {
  if (b.oracle.size() + 1 != segment_bounds(scenario).size()) return false;
  bool inside = scenario.knobs.contains(b.yesterday) && scenario.knobs.contains(b.hindsight);
  for (const Config& config : b.oracle) inside = inside && scenario.knobs.contains(config);
  return inside;
}

}  // namespace

Result<BaselineFile> BaselineFile::load(const std::filesystem::path& path) {
  BaselineFile file;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return file;
  const auto text = os::read_file(path, kBytesMax);
  if (!text) return tl::unexpected(text.error());
  const auto value = wire::parse_json(*text, {.bytes_max = kBytesMax});
  if (!value) {
    return fail(ErrorCode::kInvalidConfig, wire::to_string(value.error(), path.string()));
  }
  const wire::Value* rows = value->find("rows");
  const wire::Object* object = rows == nullptr ? nullptr : rows->as_object();
  if (object == nullptr) {
    return fail(ErrorCode::kInvalidConfig, fmt::format("{}: no \"rows\"", path.string()));
  }
  for (const auto& [key, row] : *object) {
    const auto baselines = baselines_from(row);
    const wire::Value* name = row.find("scenario");
    if (!baselines || name == nullptr || name->as_string() == nullptr) {
      return fail(ErrorCode::kInvalidConfig,
                  fmt::format("{}:{}: row {} is malformed; make bench-live writes it anew",
                              path.string(), row.line, key));
    }
    file.rows_[key] = {*name->as_string(), *baselines};
  }
  return file;
}

std::optional<Baselines> BaselineFile::find(const documents::Scenario& scenario,
                                            std::uint64_t seed) const {
  const auto found = rows_.find(key_of(scenario, seed));
  if (found == rows_.end() || !fits(scenario, found->second.baselines)) return std::nullopt;
  return found->second.baselines;
}

void BaselineFile::put(const documents::Scenario& scenario, std::uint64_t seed,
                       const Baselines& baselines) {
  rows_[key_of(scenario, seed)] = {scenario.name, baselines};
}

Status BaselineFile::save(const std::filesystem::path& path) const {
  wire::Object rows;
  for (const auto& [key, row] : rows_) {
    wire::Array oracle;
    for (const Config& part : row.baselines.oracle) oracle.push_back(to_value(part));
    rows.emplace_back(key, wire::Object{{"scenario", row.scenario},
                                        {"yesterday", to_value(row.baselines.yesterday)},
                                        {"hindsight", to_value(row.baselines.hindsight)},
                                        {"oracle", std::move(oracle)}});
  }
  const wire::Object document{{"schema", 1}, {"rows", std::move(rows)}};
  return os::write_file(path, wire::write_json(document, 1) + "\n");
}

}  // namespace arqon::compare
