#include "arqon/adapters/generic/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace arqon::adapters::generic {
namespace {

using wire::Value;
using Errors = std::vector<std::string>;

constexpr std::array<std::string_view, 10> kReadings = {
    "ttft",          "tpot",          "e2e",     "requests", "failed",
    "prompt_tokens", "output_tokens", "running", "waiting",  "kv_use"};

void keep(const TargetReader& reader, Errors& errors) {
  if (const Status status = reader.status(); !status) errors.push_back(status.error().message);
}

void read_domain(TargetReader& reader, const Value& value, Knob& out) {
  const std::string type = reader.text("type", "int");
  Parameter& domain = out.domain;
  if (type == "choice") {
    domain.type = ParamType::kCategorical;
    domain.choices = reader.command("choices");
    if (domain.choices.size() < 2) reader.complain(value, "choices", "at least two words");
    domain.max = static_cast<double>(std::max<std::size_t>(domain.choices.size(), 1) - 1);
  } else {
    domain.type = type == "float" ? ParamType::kFloat : ParamType::kInt;
    for (const char* key : {"min", "max"}) {
      if (reader.find(key) == nullptr) reader.complain(value, key, "is missing");
    }
    domain.min = reader.number("min", 0, -1e15, 1e15);
    domain.max = reader.number("max", 1, domain.min, 1e15);
    domain.step = reader.number("step", 0, 0, 1e15);
    domain.scale = domain.min > 0 && domain.max / domain.min >= 8 ? Scale::kLog : Scale::kLinear;
    if (type != "int" && type != "float") {
      reader.complain(*reader.find("type"), "type", "one of int, float, choice");
    }
  }
  domain.unit = reader.text("unit", "");
  const std::string how = reader.text("class", "live");
  domain.change_class = how == "restart"  ? ChangeClass::kRestart
                        : how == "reload" ? ChangeClass::kReload
                                          : ChangeClass::kLive;
  if (how != "live" && how != "reload" && how != "restart") {
    reader.complain(*reader.find("class"), "class", "one of live, reload, restart");
  }
}

void read_read(TargetReader& reader, const Value& value, const std::string& path, Knob& out,
               Errors& errors) {
  const Value* read = reader.find("read");
  if (read == nullptr) {
    reader.complain(value, "read",
                    "is missing: say how the value in force is read, or \"none\" with \"value\": "
                    "what it is now");
    return;
  }
  const std::string* none = read->as_string();
  out.read_back = none == nullptr;
  if (out.read_back) {
    out.read = read_call(*read, path + ".read", true, errors);
    return;
  }
  if (*none != "none") reader.complain(*read, "read", "a call, or \"none\"");
  const Value* now = reader.find("value");
  const std::string* word = now == nullptr ? nullptr : now->as_string();
  const auto it = word == nullptr
                      ? out.domain.choices.end()
                      : std::find(out.domain.choices.begin(), out.domain.choices.end(), *word);
  if (now != nullptr && now->is_number()) {
    out.value = now->number();
  } else if (it != out.domain.choices.end()) {
    out.value = static_cast<double>(it - out.domain.choices.begin());
  } else {
    reader.complain(now == nullptr ? value : *now, "value", "what is in force now");
  }
}

Knob read_knob(const std::string& name, const Value& value, Errors& errors) {
  const std::string path = "target.knobs." + name;
  TargetReader reader(value,
                      {"type", "min", "max", "step", "choices", "unit", "class", "write", "read",
                       "value", "deadline_s", "settle_s", "note"},
                      path);
  Knob out;
  out.name = name;
  if (value.as_object() == nullptr) {
    keep(reader, errors);
    return out;
  }
  read_domain(reader, value, out);
  read_read(reader, value, path, out, errors);
  if (const Value* write = reader.find("write")) {
    out.write = read_call(*write, path + ".write", false, errors);
    if (!out.write.has_place_for("value")) reader.complain(*write, "write", "has no {value} in it");
  } else {
    reader.complain(value, "write", "is missing: a command or an HTTP call with {value}");
  }
  out.deadline = from_seconds(reader.number("deadline_s", 5, 0.05, 7200));
  out.settle = from_seconds(reader.number("settle_s", 10, 0.1, 7200));
  out.note = reader.text("note", "");
  keep(reader, errors);
  return out;
}

void read_knobs(TargetReader& reader, Target& out, Errors& errors) {
  const Value* knobs = reader.find("knobs");
  if (knobs == nullptr) return;
  if (knobs->as_object() == nullptr) {
    reader.complain(*knobs, "knobs", "an object: {NAME: {...}}");
    return;
  }
  for (const auto& [name, value] : *knobs->as_object()) {
    if (name.empty() || name.find('.') != std::string::npos) {
      reader.complain(value, "knobs." + name, "a name without a dot");
    }
    out.knobs.push_back(read_knob(name, value, errors));
  }
}

void read_readings(TargetReader& reader, Target& out, Errors& errors) {
  const Value* readings = reader.find("readings");
  if (readings == nullptr) return;
  std::vector<std::string> keys(kReadings.begin(), kReadings.end());
  keys.emplace_back("started");
  TargetReader inner(*readings, keys, "target.readings");
  for (const auto& [key, value] :
       readings->as_object() == nullptr ? wire::Object{} : *readings->as_object()) {
    ReadingSource source{.key = key};
    if (const std::string* series = value.as_string()) {
      source.series = *series;
    } else {
      TargetReader query(value, {"promql"}, "target.readings." + key);
      source.promql = query.text("promql");
      keep(query, errors);
    }
    const bool promql = !source.promql.empty();
    if (promql && out.prometheus.empty()) {
      inner.complain(value, key, "PromQL needs target.prometheus, the server that answers it");
    }
    if (!promql && out.metrics.empty()) {
      inner.complain(value, key, "a series needs target.metrics, where it is scraped");
    }
    out.readings.push_back(std::move(source));
  }
  keep(inner, errors);
}

}  // namespace

Result<Target> read_target(const Value& target) {
  std::vector<std::string> keys = {"name",  "model",      "identity", "health",
                                   "knobs", "prometheus", "readings", "metrics"};
  keys.insert(keys.end(), scraped_keys().begin(), scraped_keys().end());
  TargetReader reader(target, std::move(keys));
  Target out;
  Errors errors;
  out.name = reader.text("name", "generic");
  out.model = reader.text("model", "");
  out.metrics = reader.url("metrics", "");
  out.prometheus = reader.url("prometheus", "");
  if (const Value* identity = reader.find("identity")) {
    out.has_identity = true;
    out.identity = read_call(*identity, "target.identity", true, errors);
  }
  if (const Value* health = reader.find("health")) {
    out.has_health = true;
    out.health = read_call(*health, "target.health", true, errors);
  }
  read_knobs(reader, out, errors);
  read_readings(reader, out, errors);
  const bool counts = std::any_of(out.readings.begin(), out.readings.end(), [](const auto& r) {
    return r.key == "e2e" || r.key == "requests";
  });
  if (!counts) {
    const Value* readings = reader.find("readings");
    reader.complain(readings == nullptr ? target : *readings, "readings",
                    "nothing counts requests that ended; give e2e or requests");
  }
  out.scraped = read_scraped(reader);
  if (const Status status = reader.status(); !status) {
    errors.insert(errors.begin(), status.error().message);
  }
  if (errors.empty()) return out;
  return fail(ErrorCode::kInvalidConfig, fmt::to_string(fmt::join(errors, "\n")));
}

}  // namespace arqon::adapters::generic
