// arqonhpo._core: the guard and the evidence. Settings come as JSON texts, times in seconds on any
// monotonic axis of the caller's.
#include "python/module/guard.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "arqon/documents/study.h"
#include "arqon/guard/explain.h"
#include "arqon/guard/safety_executor.h"
#include "arqon/guard/violation_text.h"
#include "arqon/stats/trial.h"
#include "python/module/errors.h"

namespace nb = nanobind;

namespace arqon::python {
namespace {

// permitted, generation, kind of the violation, the violation in words
using Answer = std::tuple<bool, std::uint64_t, std::string, std::string>;

class CoreGuard {
 public:
  CoreGuard(const std::string& config, const std::string& found, double now_s)
      : CoreGuard(study_of(config)) {
    const guard::Violation bad = executor_.set_baseline(read(found), point(now_s));
    if (bad.kind != guard::ViolationKind::kNone) {
      throw Failure{ErrorCode::kInvalidConfig, "found: " + guard::describe(bad, space_), {}};
    }
  }

  Answer propose(const std::string& params, const std::string& lane, double now_s, bool glide,
                 const std::string& by) {
    const auto config = documents::parse_params(params, space_);
    if (!config) throw failure(config.error(), "params");
    return answer(executor_.propose({*config, lane_of(lane), point(now_s), glide, owner_of(by)}));
  }
  void confirm(double now_s) { executor_.confirm(point(now_s)); }
  Answer revert(double now_s, bool failed) {
    using Why = guard::SafetyExecutor::Why;
    return answer(executor_.revert(point(now_s), failed ? Why::kFailed : Why::kNotNamed));
  }
  void set_envelope(const std::string& low, const std::string& high, bool proven) {
    const auto proof =
        proven ? guard::EnvelopeProof::kEndsAndMiddle : guard::EnvelopeProof::kPartly;
    const guard::Violation bad = executor_.set_envelope(read(low), read(high), proof);
    if (bad.kind != guard::ViolationKind::kNone) {
      throw Failure{ErrorCode::kRefused, "envelope: " + guard::describe(bad, space_), {}};
    }
  }
  void freeze() { executor_.freeze(); }
  void unfreeze() { executor_.unfreeze(); }
  void safe_mode(bool on) { on ? executor_.enter_safe_mode() : executor_.leave_safe_mode(); }
  bool frozen() const { return executor_.frozen(); }
  bool unproven() const { return executor_.unproven(); }
  std::string in_force() const { return text(executor_.in_force()); }
  std::string confirmed() const { return text(executor_.confirmed()); }
  double wait_s(const std::string& lane, double now_s) const {
    const TimePoint now = point(now_s);
    return to_seconds(executor_.next_allowed(lane_of(lane), now) - now);
  }
  std::vector<std::string> explain() const { return guard::explain(space_, guardrails_); }

 private:
  explicit CoreGuard(documents::StudyDocument study)
      : space_(std::move(study.config.space)),
        guardrails_(study.guardrails.value_or(documents::default_guardrails(space_))),
        executor_(make(space_, guardrails_)) {}

  static documents::StudyDocument study_of(const std::string& config) {
    auto study = documents::parse_study(config);
    if (!study) throw failure(study.error(), "config");
    return std::move(*study);
  }
  static guard::SafetyExecutor make(const Space& space, const guard::Guardrails& guardrails) {
    auto made = guard::SafetyExecutor::create(space, guardrails);
    if (!made) throw failure(made.error());
    return std::move(*made);
  }
  static TimePoint point(double seconds) {
    // Nine digits of a century fit; what does not is a bug of the caller's clock.
    if (!(std::abs(seconds) < 4e9)) {
      throw Failure{ErrorCode::kUsage, "now_s must be seconds of a monotonic clock", {}};
    }
    return time_at(seconds);
  }
  static guard::Lane lane_of(const std::string& lane) {
    if (lane == "experiment") return guard::Lane::kExperiment;
    if (lane == "reflex") return guard::Lane::kReflex;
    throw Failure{ErrorCode::kUsage, "lane must be \"experiment\" or \"reflex\"", {}};
  }
  static guard::Owner owner_of(const std::string& by) {
    using guard::Owner;
    for (const Owner owner : {Owner::kAnyone, Owner::kSolver, Owner::kReflex, Owner::kPlanner,
                              Owner::kHuman}) {
      if (by == guard::to_string(owner)) return owner;
    }
    throw Failure{ErrorCode::kUsage, "by must be anyone, solver, reflex, planner or human", {}};
  }
  Config read(const std::string& params) const {
    const auto config = documents::parse_params(params, space_);
    if (!config) throw failure(config.error(), "params");
    return *config;
  }
  std::string text(std::span<const double> setting) const {
    return documents::params_to_json(space_, Config(setting.begin(), setting.end()));
  }
  Answer answer(const guard::Verdict& verdict) const {
    return {verdict.permitted, verdict.generation,
            std::string(guard::to_string(verdict.violation.kind)),
            guard::describe(verdict.violation, space_)};
  }

  Space space_;
  guard::Guardrails guardrails_;
  guard::SafetyExecutor executor_;
};

class CoreTrial {
 public:
  CoreTrial(std::size_t classes, double share, double margin, double error_limit, double quantile,
            double alpha, double alpha_promote, std::uint64_t requests_min)
      : classes_(classes),
        trial_(make({.classes = classes,
                     .share = share,
                     .margin = margin,
                     .error_limit = error_limit,
                     .quantile = quantile,
                     .alpha = alpha,
                     .alpha_promote = alpha_promote,
                     .requests_min = requests_min})) {}

  void observe(bool canary, std::size_t class_index, double latency, bool good, bool error) {
    if (class_index >= classes_) throw Failure{ErrorCode::kUsage, "no such class", {}};
    trial_.observe(canary ? stats::Arm::kCanary : stats::Arm::kControl, class_index, latency, good,
                   error);
  }
  void end_block() { trial_.end_block(); }
  // verdict, test, class, log e-value, requests still needed, latency ratio
  std::tuple<std::string, std::string, std::size_t, double, std::optional<std::uint64_t>, double>
  judge() const {
    const stats::Finding f = trial_.judge();
    return {std::string(stats::to_string(f.verdict)), std::string(stats::to_string(f.test)),
            f.class_index, f.log_e, f.requests_needed, f.latency_ratio};
  }
  std::tuple<std::uint64_t, std::uint64_t> counts(bool canary) const {
    const stats::Counts c =
        trial_.counts(canary ? stats::Arm::kCanary : stats::Arm::kControl);
    return {c.n, c.bad};
  }
  std::uint64_t voids() const { return trial_.voids(); }

 private:
  static stats::Trial make(const stats::TrialOptions& options) {
    auto made = stats::Trial::create(options);
    if (!made) throw failure(made.error());
    return std::move(*made);
  }

  std::size_t classes_;
  stats::Trial trial_;
};

}  // namespace

void register_guard(nb::module_& module) {
  nb::class_<CoreGuard>(module, "CoreGuard")
      .def(nb::init<const std::string&, const std::string&, double>(), nb::arg("config"),
           nb::arg("found"), nb::arg("now_s"))
      .def("propose", &CoreGuard::propose, nb::arg("params"), nb::arg("lane"), nb::arg("now_s"),
           nb::arg("continues_glide"), nb::arg("by"))
      .def("confirm", &CoreGuard::confirm, nb::arg("now_s"))
      .def("revert", &CoreGuard::revert, nb::arg("now_s"), nb::arg("failed"))
      .def("set_envelope", &CoreGuard::set_envelope, nb::arg("low"), nb::arg("high"),
           nb::arg("proven"))
      .def("freeze", &CoreGuard::freeze)
      .def("unfreeze", &CoreGuard::unfreeze)
      .def("safe_mode", &CoreGuard::safe_mode, nb::arg("on"))
      .def("frozen", &CoreGuard::frozen)
      .def("unproven", &CoreGuard::unproven)
      .def("in_force", &CoreGuard::in_force)
      .def("confirmed", &CoreGuard::confirmed)
      .def("wait_s", &CoreGuard::wait_s, nb::arg("lane"), nb::arg("now_s"))
      .def("explain", &CoreGuard::explain);
  nb::class_<CoreTrial>(module, "CoreTrial")
      .def(nb::init<std::size_t, double, double, double, double, double, double, std::uint64_t>(),
           nb::arg("classes"), nb::arg("share"), nb::arg("margin"), nb::arg("error_limit"),
           nb::arg("quantile"), nb::arg("alpha"), nb::arg("alpha_promote"),
           nb::arg("requests_min"))
      .def("observe", &CoreTrial::observe, nb::arg("canary"), nb::arg("class_index"),
           nb::arg("latency"), nb::arg("good"), nb::arg("error"))
      .def("end_block", &CoreTrial::end_block)
      .def("judge", &CoreTrial::judge)
      .def("counts", &CoreTrial::counts, nb::arg("canary"))
      .def("voids", &CoreTrial::voids);
}

}  // namespace arqon::python
