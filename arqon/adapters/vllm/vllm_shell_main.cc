// Drives one adapter from a test: a JSON object per line in, one out. Nothing here decides
// anything; it hands on what the adapter said.
//
//   {"do": "attach", "target": {...}, "knobs": [...], "classes": [...]}
//   {"do": "apply", "setting": [...], "replica": -1}      {"do": "observe", "replica": -1}
//   {"do": "walk", "settings": [[...], ...], "pause_s": 0.5}     apply, apply, ... with
//   observations
//   {"do": "health"}   {"do": "confirm"}   {"do": "renew", "seconds": 5}   {"do": "requalify"}
//   {"do": "probe", "url": URL}
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "arqon/adapters/vllm/engine.h"
#include "arqon/adapters/vllm/vllm.h"
#include "arqon/os/process.h"
#include "arqon/wire/json.h"

namespace arqon::adapters::vllm {
namespace {

using wire::Array;
using wire::Object;
using wire::Value;

// A starved machine may need so long where 50 ms are usual.
constexpr Duration kReachDeadline = std::chrono::seconds(8);

std::string text(const Value& value, std::string_view key, std::string fallback = "") {
  const Value* found = value.find(key);
  return found != nullptr && found->as_string() != nullptr ? *found->as_string() : fallback;
}

double number(const Value& value, std::string_view key, double fallback) {
  const Value* found = value.find(key);
  return found != nullptr && found->is_number() ? found->number() : fallback;
}

Array items(const Value& value, std::string_view key) {
  const Value* found = value.find(key);
  return found != nullptr && found->as_array() != nullptr ? *found->as_array() : Array{};
}

Object failed(const Error& error) {
  return {{"error", std::string(to_string(error.code))}, {"message", error.message}};
}

Object said(const Status& status) { return status ? Object{{"ok", true}} : failed(status.error()); }

Array array_of(const Config& values) {
  Array out;
  for (const double v : values) out.emplace_back(v);
  return out;
}

Config config_of(const Array& values) {
  Config out;
  for (const Value& v : values) out.push_back(v.number());
  return out;
}

class Shell {
 public:
  Object answer(const Value& order) {
    const std::string what = text(order, "do");
    if (what == "attach") return attach(order);
    if (what == "probe") return probe_at(text(order, "url"));
    if (engine_ == nullptr) return {{"error", "usage"}, {"message", "attach first"}};
    const serving::Scope scope{static_cast<int>(number(order, "replica", -1))};
    if (what == "apply") return apply(config_of(items(order, "setting")), scope);
    if (what == "walk") return walk(order);
    if (what == "observe") return observe(scope);
    if (what == "health") {
      return {{"health", std::string(serving::to_string(engine_->health()))},
              {"why", engine_->why()}};
    }
    if (what == "confirm") return said(engine_->confirm());
    if (what == "renew") return said(engine_->renew(from_seconds(number(order, "seconds", 10))));
    if (what == "requalify") return said(engine_->requalify());
    return {{"error", "usage"}, {"message", "unknown order " + what}};
  }

 private:
  Object attach(const Value& order) {
    document_ = *order.find("target");
    AttachRequest request{.target = document_, .knobs = {}, .classes = {}, .clock = clock_};
    for (const Value& knob : items(order, "knobs")) {
      Parameter p{.name = text(knob, "name"), .type = ParamType::kInt};
      p.min = number(knob, "min", 0), p.max = number(knob, "max", 1);
      p.step = number(knob, "step", 0);
      request.knobs.push_back(std::move(p));
    }
    for (const Value& one : items(order, "classes")) {
      serving::Slo slo{.name = text(one, "name")};
      slo.ttft_ms = number(one, "ttft_ms", slo.ttft_ms);
      slo.e2e_ms = number(one, "e2e_ms", slo.e2e_ms);
      request.classes.push_back(slo);
    }
    engine_.reset();
    auto engine = VllmEngine::attach(request, real_world());
    if (!engine) return failed(engine.error());
    engine_ = std::move(*engine);
    const serving::Capabilities& c = engine_->capabilities();
    Array knobs;
    for (const Parameter& p : c.knobs) {
      knobs.emplace_back(Object{{"name", p.name}, {"min", p.min}, {"max", p.max}});
    }
    return {{"engine", c.identity.engine},
            {"model", c.identity.model},
            {"hardware", c.identity.hardware},
            {"knobs", knobs},
            {"boot", array_of(c.boot)}};
  }

  Object apply(const Config& setting, serving::Scope scope) {
    const TimePoint begin = clock_.now();
    const auto effective = engine_->apply(setting, scope);
    Object out =
        effective ? Object{{"effective", array_of(*effective)}} : failed(effective.error());
    out.emplace_back("seconds", to_seconds(clock_.now() - begin));
    return out;
  }

  // Each change, and what was seen of it while it stood: most running after the acknowledgement,
  // and how soon the cap was reached (-1: not).
  Object walk(const Value& order) {
    Array out;
    const Duration pause = from_seconds(number(order, "pause_s", 0.5));
    for (const Value& one : items(order, "settings")) {
      const Config setting = config_of(*one.as_array());
      (void)engine_->renew(std::chrono::seconds(60));
      // A machine that has no time for the engine makes it look hung: asked again, as the loop
      // does.
      Object change = apply(setting, serving::Scope{});
      int tries = 1;
      for (; tries < 5 && Value(change).find("error") != nullptr; ++tries) {
        change = apply(setting, serving::Scope{});
      }
      change.emplace_back("tries", tries);
      const TimePoint begin = clock_.now();
      const double before = engine_->replica(0).running();
      const std::int64_t steps = engine_->replica(0).steering()->scheduler().steps;
      std::int64_t reached_steps = -1;
      double most = 0, reached_s = -1;
      const auto waits = [&] {
        const Duration past = clock_.now() - begin;
        return past < pause || (reached_s < 0 && setting[0] > before && past < kReachDeadline);
      };
      while (waits()) {
        clock_.wait_until(clock_.now() + std::chrono::milliseconds(20));
        engine_->look();
        const double running = engine_->replica(0).running();
        most = std::max(most, running);
        // The load offers no more when nothing waits.
        if (reached_s >= 0 || (running < setting[0] && engine_->replica(0).waiting() > 0)) continue;
        reached_s = to_seconds(clock_.now() - begin);
        reached_steps = engine_->replica(0).steering()->scheduler().steps - steps;
      }
      change.emplace_back("running_before", before);
      change.emplace_back("running_max", most);
      change.emplace_back("running_last", engine_->replica(0).running());
      change.emplace_back("reached_s", reached_s);
      change.emplace_back("reached_steps", reached_steps);
      out.emplace_back(std::move(change));
    }
    return {{"changes", out}};
  }

  Object observe(serving::Scope scope) {
    const serving::Observation now = engine_->observe(scope);
    Array classes;
    for (const serving::ClassCounters& c : now.classes) {
      classes.emplace_back(Object{{"arrived", c.arrived},
                                  {"good", c.good},
                                  {"bad", c.bad},
                                  {"prompt_tokens", c.prompt_tokens},
                                  {"output_tokens", c.output_tokens},
                                  {"ttft_ms_p50", c.ttft_ms.quantile(0.5)},
                                  {"gap_ms_p50", c.gap_ms.quantile(0.5)}});
    }
    const Telemetry& telemetry = engine_->replica(0).telemetry();
    return {{"at", to_seconds(now.at)},
            {"epoch", now.epoch},
            {"classes", classes},
            {"effective", array_of(now.effective)},
            {"acknowledged", now.acknowledged},
            {"fresh", now.fresh},
            {"trouble", telemetry.trouble()},
            {"ring_lost", telemetry.lost()},
            {"running", now.running},
            {"waiting", now.waiting},
            {"kv_use", now.kv_use}};
  }

  Object probe_at(const std::string& url) {
    const auto found = probe(url, clock_);
    if (!found) return failed(found.error());
    Array knobs, notes, next;
    for (const KnobReport& knob : found->knobs) {
      knobs.emplace_back(Object{
          {"name", knob.name}, {"access", knob.access}, {"value", knob.value}, {"why", knob.why}});
    }
    for (const std::string& note : found->notes) notes.emplace_back(note);
    for (const std::string& step : found->next) next.emplace_back(step);
    return {{"reachable", found->reachable},
            {"engine", found->identity.engine},
            {"knobs", knobs},
            {"notes", notes},
            {"next", next}};
  }

  os::SystemClock clock_;
  Value document_;
  std::unique_ptr<VllmEngine> engine_;
};

}  // namespace
}  // namespace arqon::adapters::vllm

int main() {
  arqon::adapters::vllm::Shell shell;
  for (std::string line; std::getline(std::cin, line);) {
    const auto order = arqon::wire::parse_json(line);
    const arqon::wire::Object out =
        order ? shell.answer(*order)
              : arqon::wire::Object{{"error", "usage"}, {"message", order.error().message}};
    std::cout << arqon::wire::write_json(out) << std::endl;
  }
  return 0;
}
