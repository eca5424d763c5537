// arqonhpo._core: the solver and the twin behind JSON texts. The package's Python half turns dicts
// into texts and back, so that both ways in pass through one parser.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arqon/documents/study.h"
#include "arqon/solver/solver.h"
#include "python/module/errors.h"
#include "python/module/guard.h"
#include "python/module/simulate.h"

namespace nb = nanobind;

namespace arqon::python {
namespace {

class CoreSolver {
 public:
  explicit CoreSolver(const std::string& config) : solver_(make(config)) {}

  std::vector<std::string> ask(std::size_t count) {
    std::vector<std::string> out;
    for (const Config& params : solver_.ask(count)) out.push_back(text(params));
    return out;
  }
  std::optional<std::string> ask_one() {
    const std::optional<Config> params = solver_.ask_one();
    return params ? std::optional(text(*params)) : std::nullopt;
  }
  void tell(const std::string& results) {
    auto trials = documents::parse_results(results, solver_.config());
    if (!trials) throw failure(trials.error(), "results");
    if (Status ok = solver_.tell(std::move(*trials)); !ok) throw failure(ok.error());
  }
  nb::object best() const {
    const std::optional<solver::Recommendation> best = solver_.best();
    if (!best) return nb::none();
    return nb::make_tuple(text(best->params), prediction(best->prediction));
  }
  nb::tuple predict(const std::string& params) const {
    const auto config = documents::parse_params(params, solver_.config().space);
    if (!config) throw failure(config.error(), "params");
    return prediction(solver_.predict(*config));
  }
  std::string history() const {
    return documents::to_json(solver_.config().space, solver_.history());
  }
  std::size_t history_size() const { return solver_.history().size(); }

 private:
  static solver::Solver make(const std::string& config) {
    auto study = documents::parse_study(config);
    if (!study) throw failure(study.error(), "config");
    auto made = solver::Solver::create(std::move(study->config));
    if (!made) throw failure(made.error());
    return std::move(*made);
  }
  std::string text(const Config& params) const {
    return documents::params_to_json(solver_.config().space, params);
  }
  static nb::tuple prediction(const solver::Prediction& p) {
    return nb::make_tuple(p.objective, p.objective_sd, p.feasible_probability);
  }

  solver::Solver solver_;
};

}  // namespace
}  // namespace arqon::python

NB_MODULE(_core, m) {
  using arqon::python::CoreSolver;
  arqon::python::register_errors();
  arqon::python::register_simulate(m);
  arqon::python::register_guard(m);
  nb::class_<CoreSolver>(m, "CoreSolver")
      .def(nb::init<const std::string&>(), nb::arg("config"))
      .def("ask", &CoreSolver::ask, nb::arg("count"))
      .def("ask_one", &CoreSolver::ask_one)
      .def("tell", &CoreSolver::tell, nb::arg("results"))
      .def("best", &CoreSolver::best)
      .def("predict", &CoreSolver::predict, nb::arg("params"))
      .def("history", &CoreSolver::history)
      .def("history_size", &CoreSolver::history_size);
}
