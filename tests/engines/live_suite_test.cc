// The battery of testing/engine_suite.h over an adapter attached to something real. Started by a
// test of tests/engines (Desk.run_suite in faults.py), which drives the load and causes the faults:
//   ARQON_CONTROL  its address; POST drive, faults, inject/FAULT, heal/FAULT
//   ARQON_ATTACH   {"target": {...}, "knobs": [...], "classes": [...]} and for the rig
//                  "fault_knob", "tolerance" (a list), "patience_s", "deadline_s",
//                  "requests_per_replica", "why_not" (fault -> reason it is left out)
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "arqon/adapters/adapter.h"
#include "arqon/net/http.h"
#include "arqon/os/process.h"
#include "arqon/testing/engine_suite.h"
#include "arqon/wire/json.h"

namespace arqon::testing {
namespace {

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

double number(const wire::Value& object, std::string_view key, double fallback) {
  const wire::Value* value = object.find(key);
  return value == nullptr ? fallback : value->number();
}

std::string text(const wire::Value& object, std::string_view key) {
  const wire::Value* value = object.find(key);
  return value != nullptr && value->as_string() != nullptr ? *value->as_string() : "";
}

Parameter parameter(const wire::Value& from) {
  Parameter out{.name = text(from, "name"),
                .min = number(from, "min", 0),
                .max = number(from, "max", 1),
                .step = number(from, "step", 0)};
  const std::string type = text(from, "type");
  if (type == "int") out.type = ParamType::kInt;
  if (type == "bool") out.type = ParamType::kBool;
  if (type == "simplex") out.type = ParamType::kSimplex;
  if (type == "categorical") out.type = ParamType::kCategorical;
  if (text(from, "scale") == "log") out.scale = Scale::kLog;
  if (const wire::Value* choices = from.find("choices"); choices && choices->as_array()) {
    for (const wire::Value& c : *choices->as_array()) out.choices.push_back(*c.as_string());
  }
  return out;
}

serving::Slo slo(const wire::Value& from) {
  serving::Slo out{.name = text(from, "name")};
  out.ttft_ms = number(from, "ttft_ms", out.ttft_ms);
  out.tpot_ms = number(from, "tpot_ms", out.tpot_ms);
  out.max_gap_ms = number(from, "max_gap_ms", out.max_gap_ms);
  out.e2e_ms = number(from, "e2e_ms", out.e2e_ms);
  return out;
}

class LiveRig final : public Rig {
 public:
  LiveRig(std::string control, wire::Value how)
      : control_(std::move(control)), how_(std::move(how)) {}

  Status attach() {
    const wire::Value* target = how_.find("target");
    if (target == nullptr) return fail(ErrorCode::kUsage, "ARQON_ATTACH names no target");
    const adapters::Adapter* adapter = adapters::find(text(*target, "engine"));
    if (adapter == nullptr) {
      return fail(ErrorCode::kUsage, fmt::format("no adapter \"{}\"", text(*target, "engine")));
    }
    adapters::AttachRequest request{.target = *target, .knobs = {}, .classes = {}, .clock = clock_};
    if (const wire::Value* knobs = how_.find("knobs")) {
      for (const wire::Value& k : *knobs->as_array()) request.knobs.push_back(parameter(k));
    }
    if (const wire::Value* classes = how_.find("classes")) {
      for (const wire::Value& c : *classes->as_array()) request.classes.push_back(slo(c));
    }
    if (request.classes.empty()) request.classes = {{.name = "all"}};
    auto engine = adapter->attach(request);
    if (!engine) return tl::unexpected<Error>(engine.error());
    engine_ = std::move(*engine);
    const Result<std::string> faults = ask("faults", "");
    if (!faults) return tl::unexpected<Error>(faults.error());
    std::istringstream names(*faults);
    for (std::string name; names >> name;) known_.insert(name);
    return {};
  }

  serving::Engine& engine() override { return *engine_; }
  Clock& clock() override { return clock_; }
  std::string_view kind() const override { return "real"; }
  Status drive(int requests) override { return done(ask("drive", fmt::format("{}", requests))); }
  std::set<Fault> supports() const override {
    std::set<Fault> out;
    for (const Fault fault : all_faults()) {
      if (known_.contains(name(fault))) out.insert(fault);
    }
    return out;
  }
  std::string why_not(Fault fault) const override {
    const wire::Value* reasons = how_.find("why_not");
    const std::string why = reasons == nullptr ? "" : text(*reasons, name(fault));
    return why.empty() ? "the real engine cannot be made to do it" : why;
  }
  Status inject(Fault fault) override { return done(ask("inject/" + name(fault), "")); }
  Status heal(Fault fault) override { return done(ask("heal/" + name(fault), "")); }

  std::size_t fault_knob() const override {
    return static_cast<std::size_t>(number(how_, "fault_knob", 0));
  }
  double tolerance(std::size_t knob) const override {
    const wire::Value* values = how_.find("tolerance");
    if (values == nullptr || knob >= values->as_array()->size()) return Rig::tolerance(knob);
    return (*values->as_array())[knob].number();
  }
  int requests_per_replica() const override {
    return static_cast<int>(number(how_, "requests_per_replica", 8));
  }
  Duration deadline() const override { return from_seconds(number(how_, "deadline_s", 5)); }
  Duration patience() const override { return from_seconds(number(how_, "patience_s", 20)); }

 private:
  // "counter reset" is "counter_reset" to the desk.
  static std::string name(Fault fault) {
    std::string out(to_string(fault));
    std::replace(out.begin(), out.end(), ' ', '_');
    return out;
  }
  Result<std::string> ask(const std::string& verb, std::string body) {
    net::Request request{.method = "POST", .url = control_ + "/" + verb};
    request.body = std::move(body);
    request.timeout = std::chrono::minutes(8);  // an engine may be booted meanwhile
    auto answer = client_.send(request);
    if (!answer) return tl::unexpected<Error>(answer.error());
    if (answer->status != 200) return fail(ErrorCode::kInternal, answer->body);
    return std::move(answer->body);
  }
  static Status done(const Result<std::string>& answer) {
    if (!answer) return tl::unexpected<Error>(answer.error());
    return {};
  }

  std::string control_;
  wire::Value how_;
  os::SystemClock clock_;
  net::Client client_;
  std::unique_ptr<serving::Engine> engine_;
  std::set<std::string> known_;
};

// One attachment for all checks: each goes back to where it began.
Result<std::shared_ptr<Rig>> make_rig() {
  static Result<std::shared_ptr<Rig>> rig = []() -> Result<std::shared_ptr<Rig>> {
    const std::string control = from_environment("ARQON_CONTROL");
    const std::string attach = from_environment("ARQON_ATTACH");
    if (control.empty() || attach.empty()) {
      return fail(ErrorCode::kUnavailable, "ARQON_CONTROL and ARQON_ATTACH are not set");
    }
    auto how = wire::parse_json(attach);
    if (!how) return fail(ErrorCode::kUsage, "ARQON_ATTACH is not JSON");
    auto made = std::make_shared<LiveRig>(control, std::move(*how));
    if (Status attached = made->attach(); !attached) {
      return fail(ErrorCode::kInternal, "attach: " + attached.error().message);
    }
    return made;
  }();
  return rig;
}

ARQON_ENGINE_SUITE(Live, make_rig);

}  // namespace
}  // namespace arqon::testing
