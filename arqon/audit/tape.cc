#include "arqon/audit/tape.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace arqon::audit {
namespace {

using wire::Array;
using wire::Object;
using wire::Value;

constexpr wire::JsonLimits kLimits{.bytes_max = 4u << 20, .string_bytes_max = 1u << 20};
constexpr std::array kCodes{
    ErrorCode::kInternal,     ErrorCode::kUsage,      ErrorCode::kInvalidConfig,
    ErrorCode::kRefused,      ErrorCode::kInconclusive, ErrorCode::kRolledBack,
    ErrorCode::kConflict,     ErrorCode::kUnavailable,  ErrorCode::kInterrupted};

constexpr std::int64_t kReplicasMax = 4096;

// What a line of each kind says, for a reader of differences.
constexpr std::array<std::pair<std::string_view, std::string_view>, 13> kKinds{
    {{"t", "read the clock"},
     {"w", "waited"},
     {"o", "observed"},
     {"h", "asked for the engine's health"},
     {"a", "wrote to the engine"},
     {"c", "confirmed"},
     {"l", "renewed its lease"},
     {"q", "looked at the engine anew"},
     {"f", "asked whether it was frozen"},
     {"p", "asked whether it was paused"},
     {"k", "asked whether to go back"},
     {"y", "asked for an answer"},
     {"run", "began"}}};

std::string line_of(Array array) { return wire::write_json(Value(std::move(array))); }

Array numbers(const Config& config) {
  Array out;
  for (const double v : config) out.emplace_back(v);
  return out;
}

void add_error(Array& line, const Error& error) {
  line.emplace_back(to_string(error.code));
  line.emplace_back(error.message);
}

double number(const Value& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.number();
}
std::int64_t whole(const Value& value) {
  const std::int64_t* out = value.as_int();
  return out == nullptr ? 0 : *out;
}
std::uint64_t count(const Value& value) { return static_cast<std::uint64_t>(whole(value)); }
bool flag(const Value& value) {
  const bool* out = value.as_bool();
  return out != nullptr && *out;
}
std::string text(const Value& value) {
  const std::string* out = value.as_string();
  return out == nullptr ? std::string() : *out;
}
Config config(const Value& value) {
  Config out;
  const Array* array = value.as_array();
  for (const Value& v : array == nullptr ? Array{} : *array) out.push_back(number(v));
  return out;
}

Error error_of(const Value& code, const Value& message) {
  const std::string name = text(code);
  const auto* found = std::find_if(kCodes.begin(), kCodes.end(),
                                   [&](ErrorCode c) { return to_string(c) == name; });
  return {found == kCodes.end() ? ErrorCode::kInternal : *found, text(message)};
}

Array class_line(const serving::ClassCounters& c) {
  Array bad_by;
  for (const std::uint64_t n : c.bad_by) bad_by.emplace_back(n);
  return {c.arrived, c.good, c.bad, std::move(bad_by), c.prompt_tokens, c.output_tokens,
          c.good_tokens};
}

serving::ClassCounters read_class(const Value& value) {
  serving::ClassCounters c;
  const Array* a = value.as_array();
  if (a == nullptr || a->size() != 7) return c;
  c.arrived = count((*a)[0]);
  c.good = count((*a)[1]);
  c.bad = count((*a)[2]);
  const Array* bad_by = (*a)[3].as_array();
  for (std::size_t i = 0; bad_by != nullptr && i < std::min(bad_by->size(), c.bad_by.size()); ++i) {
    c.bad_by[i] = count((*bad_by)[i]);
  }
  c.prompt_tokens = count((*a)[4]);
  c.output_tokens = count((*a)[5]);
  c.good_tokens = count((*a)[6]);
  return c;
}

}  // namespace

// -- lines

std::string clock_line(TimePoint now) {
  return fmt::format("[\"t\",{}]", now.time_since_epoch().count());
}
std::string wait_line(TimePoint until) {
  return fmt::format("[\"w\",{}]", until.time_since_epoch().count());
}
std::string health_line(serving::Health health) {
  return fmt::format("[\"h\",{}]", static_cast<int>(health));
}
std::string flag_line(std::string_view kind, bool yes) {
  return fmt::format("[\"{}\",{}]", kind, yes);
}
std::string answer_line(std::uint64_t decision, int answer) {
  return fmt::format("[\"y\",{},{}]", decision, answer);
}

std::string observation_line(serving::Scope scope, const serving::Observation& o) {
  Array classes;
  for (const serving::ClassCounters& c : o.classes) classes.emplace_back(class_line(c));
  return line_of({"o", scope.replica,
                  Array{o.at.time_since_epoch().count(), o.epoch, o.paid_dollars,
                        numbers(o.effective), o.acknowledged, o.fresh, o.running, o.waiting,
                        o.kv_use, std::move(classes)}});
}

std::string apply_line(const Config& asked, serving::Scope scope, const Result<Config>& effective) {
  Array line{"a", scope.replica, numbers(asked)};
  if (effective) {
    line.emplace_back(numbers(*effective));
  } else {
    add_error(line, effective.error());
  }
  return line_of(std::move(line));
}

std::string status_line(std::string_view kind, const Status& status) {
  Array line{kind};
  if (!status) add_error(line, status.error());
  return line_of(std::move(line));
}

std::string renew_line(Duration lease, const Status& status) {
  Array line{"l", lease.count()};
  if (!status) add_error(line, status.error());
  return line_of(std::move(line));
}

// -- capabilities

namespace {

Object parameter_object(const Parameter& p) {
  return {{"name", p.name},
          {"type", static_cast<int>(p.type)},
          {"scale", static_cast<int>(p.scale)},
          {"min", p.min},
          {"max", p.max},
          {"step", p.step},
          {"choices", Array(p.choices.begin(), p.choices.end())},
          {"default", p.default_value ? Value(numbers(*p.default_value)) : Value()},
          {"unit", p.unit},
          {"class", static_cast<int>(p.change_class)}};
}

Object slo_object(const serving::Slo& s) {
  return {{"name", s.name},
          {"ttft_ms", s.ttft_ms},
          {"ttft_ms_per_prompt_token", s.ttft_ms_per_prompt_token},
          {"tpot_ms", s.tpot_ms},
          {"max_gap_ms", s.max_gap_ms},
          {"e2e_ms", s.e2e_ms},
          {"attainment", s.attainment}};
}

// A member, or a null that every reader above takes for "nothing".
const Value& member(const Value& object, std::string_view key) {
  static const Value nothing;
  const Value* found = object.find(key);
  return found == nullptr ? nothing : *found;
}

Result<Parameter> read_parameter(const Value& value) {
  Parameter p;
  p.name = text(member(value, "name"));
  const std::int64_t type = whole(member(value, "type")), scale = whole(member(value, "scale"));
  const std::int64_t change = whole(member(value, "class"));
  if (p.name.empty() || type < 0 || type > 4 || scale < 0 || scale > 2 || change < 0 ||
      change > 4) {
    return fail(ErrorCode::kInvalidConfig, "the tape's capabilities: a knob makes no sense");
  }
  p.type = static_cast<ParamType>(type);
  p.scale = static_cast<Scale>(scale);
  p.change_class = static_cast<ChangeClass>(change);
  p.min = number(member(value, "min"));
  p.max = number(member(value, "max"));
  p.step = number(member(value, "step"));
  const Array* choices = member(value, "choices").as_array();
  for (const Value& c : choices == nullptr ? Array{} : *choices) p.choices.push_back(text(c));
  if (!member(value, "default").is_null()) p.default_value = config(member(value, "default"));
  p.unit = text(member(value, "unit"));
  const bool sound = std::isfinite(p.min) && std::isfinite(p.max) && p.min <= p.max &&
                     p.step >= 0 && (!p.default_value || p.default_value->size() == p.slots());
  if (!sound) return fail(ErrorCode::kInvalidConfig, "the tape's capabilities: " + p.name);
  return p;
}

serving::Slo read_slo(const Value& value) {
  const auto limit = [&](std::string_view key) {
    const Value& v = member(value, key);
    return v.is_null() ? serving::kNoLimit : v.number();
  };
  serving::Slo s;
  s.name = text(member(value, "name"));
  s.ttft_ms = limit("ttft_ms");
  s.ttft_ms_per_prompt_token = number(member(value, "ttft_ms_per_prompt_token"));
  s.tpot_ms = limit("tpot_ms");
  s.max_gap_ms = limit("max_gap_ms");
  s.e2e_ms = limit("e2e_ms");
  s.attainment = number(member(value, "attainment"));
  return s;
}

}  // namespace

Object capabilities_object(const serving::Capabilities& c) {
  Array knobs, settle, classes;
  for (const Parameter& p : c.knobs) knobs.emplace_back(parameter_object(p));
  for (const Duration d : c.settle) settle.emplace_back(d.count());
  for (const serving::Slo& s : c.classes) classes.emplace_back(slo_object(s));
  return {{"engine", c.engine},
          {"identity", Array{c.identity.engine, c.identity.model, c.identity.hardware}},
          {"knobs", std::move(knobs)},
          {"settle_ns", std::move(settle)},
          {"boot", numbers(c.boot)},
          {"replicas", c.replicas},
          {"classes", std::move(classes)},
          {"keeps_confirmed", c.keeps_confirmed}};
}

Result<serving::Capabilities> read_capabilities(const Value& value) {
  serving::Capabilities c;
  c.engine = text(member(value, "engine"));
  if (const Array* id = member(value, "identity").as_array(); id != nullptr && id->size() == 3) {
    c.identity = {text((*id)[0]), text((*id)[1]), text((*id)[2])};
  }
  const Array* knobs = member(value, "knobs").as_array();
  const Array* classes = member(value, "classes").as_array();
  const Array* settle = member(value, "settle_ns").as_array();
  if (knobs == nullptr || classes == nullptr || settle == nullptr) {
    return fail(ErrorCode::kInvalidConfig, "the tape does not say what could be tuned");
  }
  for (const Value& k : *knobs) {
    auto knob = read_parameter(k);
    if (!knob) return tl::unexpected(knob.error());
    c.knobs.push_back(std::move(*knob));
  }
  for (const Value& d : *settle) c.settle.push_back(Duration(whole(d)));
  for (const Value& s : *classes) c.classes.push_back(read_slo(s));
  c.boot = config(member(value, "boot"));
  const std::int64_t replicas = whole(member(value, "replicas"));
  c.replicas = static_cast<int>(std::clamp<std::int64_t>(replicas, 1, kReplicasMax));
  c.keeps_confirmed = flag(member(value, "keeps_confirmed"));
  if (c.boot.size() != Space(c.knobs).slots()) {
    return fail(ErrorCode::kInvalidConfig, "the tape's capabilities: values at attach");
  }
  return c;
}

// -- playing

void Player::differ(const std::string& what) {
  if (!over_) difference_ = fmt::format("line {}: {}", line_, what);
  over_ = true;
}

const Array* Player::next(std::string_view kind, const std::string& asked) {
  if (over_) return nullptr;
  const std::size_t end = text_.find('\n');
  if (end == std::string_view::npos) {
    over_ = true;
    return nullptr;
  }
  ++line_;
  auto value = wire::parse_json(text_.substr(0, end), kLimits);
  text_.remove_prefix(end + 1);
  const Array* line = value ? value->as_array() : nullptr;
  if (line == nullptr || line->empty()) {
    differ("it is not a line of a tape");
    return nullptr;
  }
  const std::string found = text(line->front());
  if (found != kind) {
    const auto* words = std::find_if(kKinds.begin(), kKinds.end(),
                                     [&](const auto& row) { return row.first == found; });
    differ(fmt::format("the run {}, now the loop {}",
                       words == kKinds.end() ? "did something unknown" : words->second, asked));
    return nullptr;
  }
  value_ = std::move(*value);
  return value_.as_array();
}

TimePoint PlayedClock::now() const {
  const Array* line = player_.next("t", "reads the clock");
  if (line != nullptr && line->size() == 2) last_ = TimePoint(Duration(whole((*line)[1])));
  return last_;
}

void PlayedClock::wait_until(TimePoint t) {
  const Array* line = player_.next("w", "waits");
  if (line == nullptr || line->size() != 2) return;
  const std::int64_t then = whole((*line)[1]);
  if (then != t.time_since_epoch().count()) {
    player_.differ(fmt::format("the run waited until {} ns, now the loop until {} ns", then,
                               t.time_since_epoch().count()));
  }
}

Result<Config> PlayedEngine::apply(const Config& setting, serving::Scope scope) {
  const Array* line = player_.next("a", "writes to the engine");
  const auto gone = [] { return fail(ErrorCode::kUnavailable, "the tape has ended"); };
  if (line == nullptr || line->size() < 4) return gone();
  const bool same = whole((*line)[1]) == scope.replica && config((*line)[2]) == setting;
  if (!same) {
    player_.differ(fmt::format("the run wrote {} to {}, now the loop writes {} to {}",
                               wire::write_json((*line)[2]), whole((*line)[1]),
                               wire::write_json(Value(numbers(setting))), scope.replica));
    return gone();
  }
  if (line->size() == 5) return tl::unexpected(error_of((*line)[3], (*line)[4]));
  return config((*line)[3]);
}

serving::Observation PlayedEngine::observe(serving::Scope scope) {
  const Array* line = player_.next("o", "observes");
  const Array* o = line == nullptr || line->size() != 3 ? nullptr : (*line)[2].as_array();
  if (o == nullptr || o->size() != 10) {
    // Nothing is concluded from what is not on the tape.
    serving::Observation nothing = last_;
    nothing.classes.resize(capabilities_.classes.size());
    if (nothing.effective.empty()) nothing.effective = capabilities_.boot;
    nothing.fresh = false;
    return nothing;
  }
  if (whole((*line)[1]) != scope.replica) {
    player_.differ(fmt::format("the run observed replica {}, now the loop replica {}",
                               whole((*line)[1]), scope.replica));
  }
  serving::Observation out;
  out.at = TimePoint(Duration(whole((*o)[0])));
  out.epoch = count((*o)[1]);
  out.paid_dollars = number((*o)[2]);
  out.effective = config((*o)[3]);
  out.acknowledged = flag((*o)[4]);
  out.fresh = flag((*o)[5]);
  out.running = number((*o)[6]);
  out.waiting = number((*o)[7]);
  out.kv_use = number((*o)[8]);
  const Array* classes = (*o)[9].as_array();
  for (const Value& c : classes == nullptr ? Array{} : *classes) {
    out.classes.push_back(read_class(c));
  }
  out.classes.resize(capabilities_.classes.size());
  if (out.effective.size() != capabilities_.boot.size()) out.effective = capabilities_.boot;
  if (scope.replica < 0) last_ = out;
  return out;
}

serving::Health PlayedEngine::health() {
  const Array* line = player_.next("h", "asks for the engine's health");
  const std::int64_t h = line == nullptr || line->size() != 2 ? 2 : whole((*line)[1]);
  return h >= 0 && h <= 3 ? static_cast<serving::Health>(h) : serving::Health::kDown;
}

Status PlayedEngine::renew(Duration) {
  const Array* line = player_.next("l", "renews its lease");
  if (line != nullptr && line->size() == 4) return tl::unexpected(error_of((*line)[2], (*line)[3]));
  return {};
}

Status PlayedEngine::played(std::string_view kind, const std::string& asked) {
  const Array* line = player_.next(kind, asked);
  if (line == nullptr) return fail(ErrorCode::kUnavailable, "the tape has ended");
  if (line->size() == 3) return tl::unexpected(error_of((*line)[1], (*line)[2]));
  return {};
}

bool played_flag(Player& player, std::string_view kind, const std::string& asked) {
  const Array* line = player.next(kind, asked);
  return line != nullptr && line->size() == 2 && flag((*line)[1]);
}

int played_answer(Player& player, std::uint64_t decision) {
  const Array* line = player.next("y", "asks for an answer");
  if (line == nullptr || line->size() != 3) return 0;
  if (count((*line)[1]) != decision) player.differ("the answer was to another decision");
  return static_cast<int>(whole((*line)[2]));
}

}  // namespace arqon::audit
