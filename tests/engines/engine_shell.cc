// Drives one live engine from a test: a JSON object per line in, one out. Nothing here decides
// anything; it attaches, applies, observes and hands on what the adapter said.
//
//   {"do": "attach", "target": {...}, "knobs": [...], "classes": [...]}
//   {"do": "apply", "setting": [...], "replica": -1}      {"do": "observe", "replica": -1}
//   {"do": "health"}   {"do": "requalify"}   {"do": "probe", "engine": NAME, "url": URL}
//   {"do": "split", ...}   the tuner on a router's shares; see split_tuner.h
#include <iostream>
#include <memory>
#include <string>

#include "arqon/adapters/adapter.h"
#include "arqon/os/process.h"
#include "arqon/wire/json.h"
#include "tests/engines/split_tuner.h"

namespace {

using arqon::Config;
using arqon::Parameter;
using arqon::ParamType;
using arqon::wire::Array;
using arqon::wire::Object;
using arqon::wire::Value;
namespace serving = arqon::serving;

std::string text(const Value& value, std::string_view key, std::string fallback = "") {
  const Value* found = value.find(key);
  return found != nullptr && found->as_string() != nullptr ? *found->as_string() : fallback;
}

double number(const Value& value, std::string_view key, double fallback) {
  const Value* found = value.find(key);
  return found != nullptr && found->is_number() ? found->number() : fallback;
}

Object failed(const arqon::Error& error) {
  return {{"error", std::string(arqon::to_string(error.code))}, {"message", error.message}};
}

Array array_of(const Config& values) {
  Array out;
  for (const double v : values) out.emplace_back(v);
  return out;
}

Parameter knob_of(const Value& value) {
  Parameter p{.name = text(value, "name"), .choices = {}, .default_value = {}, .unit = {}};
  p.type = text(value, "type", "int") == "simplex" ? ParamType::kSimplex : ParamType::kInt;
  p.min = number(value, "min", p.type == ParamType::kSimplex ? 0 : 1);
  p.max = number(value, "max", 1);
  const Value* choices = value.find("choices");
  if (choices != nullptr && choices->as_array() != nullptr) {
    for (const Value& choice : *choices->as_array()) p.choices.push_back(*choice.as_string());
  }
  return p;
}

class Shell {
 public:
  Object answer(const Value& order) {
    const std::string what = text(order, "do");
    if (what == "attach") return attach(order);
    if (what == "probe") return probe(order);
    if (engine_ == nullptr) return {{"error", "usage"}, {"message", "attach first"}};
    if (what == "apply") return apply(order);
    if (what == "observe") return observe(order);
    if (what == "health") {
      return {{"health", std::string(serving::to_string(engine_->health()))}};
    }
    if (what == "requalify") {
      const auto ok = engine_->requalify();
      return ok ? Object{{"ok", true}} : failed(ok.error());
    }
    if (what == "split") return arqon::engines::tune_split(*engine_, clock_, order);
    return {{"error", "usage"}, {"message", "unknown order " + what}};
  }

 private:
  Object attach(const Value& order) {
    const Value* target = order.find("target");
    const auto* adapter = target == nullptr ? nullptr
                                            : arqon::adapters::find(text(*target, "engine"));
    if (adapter == nullptr) return {{"error", "usage"}, {"message", "no such engine"}};
    arqon::adapters::AttachRequest request{
        .target = *target, .knobs = {}, .classes = {}, .clock = clock_};
    for (const Value& knob : *order.find("knobs")->as_array()) {
      request.knobs.push_back(knob_of(knob));
    }
    for (const Value& one : *order.find("classes")->as_array()) {
      serving::Slo slo{.name = text(one, "name")};
      slo.ttft_ms = number(one, "ttft_ms", slo.ttft_ms);
      slo.e2e_ms = number(one, "e2e_ms", slo.e2e_ms);
      request.classes.push_back(slo);
    }
    engine_.reset();
    auto engine = adapter->attach(request);
    if (!engine) return failed(engine.error());
    engine_ = std::move(*engine);
    const serving::Capabilities& c = engine_->capabilities();
    Array knobs;
    for (const Parameter& p : c.knobs) knobs.emplace_back(p.name);
    return {{"engine", c.identity.engine},
            {"model", c.identity.model},
            {"replicas", c.replicas},
            {"knobs", knobs},
            {"boot", array_of(c.boot)}};
  }

  Object apply(const Value& order) {
    Config setting;
    for (const Value& v : *order.find("setting")->as_array()) setting.push_back(v.number());
    const serving::Scope scope{static_cast<int>(number(order, "replica", -1))};
    const auto begin = clock_.now();
    const auto effective = engine_->apply(setting, scope);
    Object out = effective ? Object{{"effective", array_of(*effective)}}
                           : failed(effective.error());
    out.emplace_back("seconds", arqon::to_seconds(clock_.now() - begin));
    return out;
  }

  Object observe(const Value& order) {
    const serving::Scope scope{static_cast<int>(number(order, "replica", -1))};
    const serving::Observation now = engine_->observe(scope);
    Array classes;
    for (const serving::ClassCounters& c : now.classes) {
      Array by;
      for (const auto n : c.bad_by) by.emplace_back(n);
      classes.emplace_back(Object{{"arrived", c.arrived},
                                  {"good", c.good},
                                  {"bad", c.bad},
                                  {"bad_by", by},
                                  {"output_tokens", c.output_tokens},
                                  {"ttft_p50", c.ttft_ms.quantile(0.5)}});
    }
    return {{"at", arqon::to_seconds(now.at)}, {"epoch", now.epoch},
            {"classes", classes},              {"paid", now.paid_dollars},
            {"effective", array_of(now.effective)},
            {"acknowledged", now.acknowledged}, {"fresh", now.fresh},
            {"running", now.running},          {"waiting", now.waiting},
            {"kv_use", now.kv_use}};
  }

  Object probe(const Value& order) {
    const auto* adapter = arqon::adapters::find(text(order, "engine"));
    if (adapter == nullptr) return {{"error", "usage"}, {"message", "no such engine"}};
    const auto found = adapter->probe(text(order, "url"), clock_);
    if (!found) return failed(found.error());
    Array knobs;
    for (const auto& knob : found->knobs) {
      knobs.emplace_back(Object{{"name", knob.name}, {"access", knob.access},
                                {"value", knob.value}, {"why", knob.why}});
    }
    return {{"reachable", found->reachable}, {"engine", found->identity.engine}, {"knobs", knobs}};
  }

  arqon::os::SystemClock clock_;
  std::unique_ptr<serving::Engine> engine_;
};

}  // namespace

int main() {
  Shell shell;
  for (std::string line; std::getline(std::cin, line);) {
    const auto order = arqon::wire::parse_json(line);
    const Object out = order ? shell.answer(*order)
                             : Object{{"error", "usage"}, {"message", order.error().message}};
    std::cout << arqon::wire::write_json(out) << std::endl;
  }
  return 0;
}
