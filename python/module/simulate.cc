#include "python/module/simulate.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "arqon/compare/simulate.h"
#include "arqon/documents/results.h"
#include "arqon/documents/scenario.h"
#include "python/module/errors.h"

namespace nb = nanobind;

namespace arqon::python {
namespace {

documents::Scenario parsed(const std::string& document, const std::string& folder) {
  auto scenario =
      documents::parse_scenario(document, std::filesystem::path(folder) / "scenario.json");
  if (!scenario) throw failure(scenario.error(), "scenario");
  if (scenario->live()) {
    throw failure({ErrorCode::kUsage,
                   "the target is a live engine; only \"simulated\" can be "
                   "simulated"});
  }
  return std::move(*scenario);
}

// Values of one member of every row, with the code of their type (struct module, native).
template <typename T, typename Get>
nb::tuple column(const std::vector<sim::RequestRow>& rows, const char* code, Get get) {
  std::vector<T> values;
  values.reserve(rows.size());
  for (const sim::RequestRow& row : rows) values.push_back(static_cast<T>(get(row)));
  return nb::make_tuple(
      code, nb::bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)));
}

nb::dict columns(const std::vector<sim::RequestRow>& rows) {
  nb::dict out;
  using Row = const sim::RequestRow&;
  out["arrival_s"] = column<double>(rows, "d", [](Row r) { return r.arrival_s; });
  out["class"] = column<std::uint16_t>(rows, "H", [](Row r) { return r.request_class; });
  out["prompt_tokens"] = column<std::uint32_t>(rows, "I", [](Row r) { return r.prompt_tokens; });
  out["output_tokens"] = column<std::uint32_t>(rows, "I", [](Row r) { return r.output_tokens; });
  out["ttft_ms"] = column<double>(rows, "d", [](Row r) { return r.ttft_ms; });
  out["tpot_ms"] = column<double>(rows, "d", [](Row r) { return r.tpot_ms; });
  out["max_gap_ms"] = column<double>(rows, "d", [](Row r) { return r.max_gap_ms; });
  out["e2e_ms"] = column<double>(rows, "d", [](Row r) { return r.e2e_ms; });
  out["broke"] = column<std::uint8_t>(rows, "B", [](Row r) { return r.broke; });
  out["replica"] = column<std::int16_t>(rows, "h", [](Row r) { return r.replica; });
  return out;
}

std::vector<std::string> limit_names() {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < serving::kLimits; ++i) {
    out.emplace_back(serving::to_string(static_cast<serving::Limit>(i)));
  }
  return out;
}

// (result as JSON, columns or None, class names, limit names)
nb::tuple simulate(const std::string& document, const std::string& folder, bool requests) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  Result<compare::Simulation> run;
  const documents::Scenario scenario = parsed(document, folder);
  bool interrupted = false;
  {
    const nb::gil_scoped_release without_gil;
    compare::SimulateOptions options;
    options.record_requests = requests;
    options.keep_going = [&](double) {
      const nb::gil_scoped_acquire with_gil;
      interrupted = PyErr_CheckSignals() != 0;
      return !interrupted;
    };
    run = compare::simulate(scenario, options);
  }
  if (interrupted) throw nb::python_error();
  if (!run) throw failure(run.error());
  const double wall_s = std::chrono::duration<double>(Clock::now() - begin).count();
  const std::string json =
      documents::to_json(run->totals, scenario, "python", {.pools = run->pools, .wall_s = wall_s});
  std::vector<std::string> classes;
  for (const serving::Slo& slo : scenario.classes) classes.push_back(slo.name);
  nb::object rows = nb::none();
  if (requests) rows = columns(run->requests);
  return nb::make_tuple(json, rows, classes, limit_names());
}

}  // namespace

void register_simulate(nb::module_& m) {
  m.def("simulate", &simulate, nb::arg("document"), nb::arg("folder"), nb::arg("requests"));
}

}  // namespace arqon::python
