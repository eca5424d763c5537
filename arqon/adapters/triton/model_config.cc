#include "arqon/adapters/triton/model_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace arqon::adapters::triton {
namespace {

using wire::Array;
using wire::Object;
using wire::Value;

constexpr std::array<KnobInfo, 6> kKnobs{{
    {Knob::kPreferredBatchSize, "preferred_batch_size", "dynamic_batching.preferred_batch_size",
     "reload", 1, 65536, true, "requests",
     "one preferred size, at most max_batch_size; a list that is empty reads as max_batch_size, "
     "which is what the server makes of it"},
    {Knob::kMaxWait, "max_wait_ms", "dynamic_batching.max_queue_delay_microseconds", "reload", 0,
     60'000, false, "ms",
     "how long a batch below the preferred size waits; stored in microseconds"},
    {Knob::kBatchSize, "batch_size", "max_batch_size", "reload", 1, 65536, true, "requests",
     "at most what the model's file says; never below the preferred size"},
    {Knob::kInstances, "instances", "instance_group[0].count", "live", 1, 64, true, "copies",
     "in place; each copy takes the model's memory again"},
    {Knob::kMaxQueuedRequests, "max_queued_requests",
     "dynamic_batching.default_queue_policy.max_queue_size", "reload", 1, kUnlimitedQueue, true,
     "requests", "beyond it requests are refused (503); 1000000 = no limit"},
    {Knob::kQueueTimeout, "queue_timeout_ms",
     "dynamic_batching.default_queue_policy.default_timeout_microseconds", "reload", 0.001,
     kUnlimitedTimeout_ms, false, "ms",
     "requests that wait longer are refused or put last (timeout_action); 3600000 = no timeout"},
}};

Value* member(Value& object, std::string_view key) {
  Object* members = object.as_object();
  if (members == nullptr) return nullptr;
  const auto it =
      std::find_if(members->begin(), members->end(), [&](const auto& m) { return m.first == key; });
  return it == members->end() ? nullptr : &it->second;
}

// The member, made when it is not there. `object` is an object.
Value& member_or(Value& object, std::string_view key, Value fresh) {
  if (Value* there = member(object, key)) return *there;
  Object& members = *object.as_object();
  members.emplace_back(std::string(key), std::move(fresh));
  return members.back().second;
}

void erase(Value& object, std::string_view key) {
  if (Object* members = object.as_object()) {
    std::erase_if(*members, [&](const auto& m) { return m.first == key; });
  }
}

// A whole number >= 0 at `key`, `fallback` when there is none; nothing when it is something else.
std::optional<std::int64_t> count_at(const Value& object, std::string_view key,
                                     std::int64_t fallback) {
  const Value* value = object.find(key);
  if (value == nullptr) return fallback;
  const std::int64_t* number = value->as_int();
  if (number == nullptr || *number < 0) return std::nullopt;
  return *number;
}

bool is_list(const Value& config, std::string_view key, bool filled) {
  const Value* value = config.find(key);
  const Array* list = value == nullptr ? nullptr : value->as_array();
  return list != nullptr && (!filled || !list->empty());
}

bool is_text(const Value& config, std::string_view key) {
  const Value* value = config.find(key);
  const std::string* text = value == nullptr ? nullptr : value->as_string();
  return text != nullptr && !text->empty();
}

tl::unexpected<Error> incomplete(std::string_view what) {
  return fail(ErrorCode::kRefused,
              fmt::format("the server's answer is not a whole model config: {}; nothing was sent, "
                          "because what a config leaves out is lost",
                          what));
}

tl::unexpected<Error> absent(std::string why) {
  return fail(ErrorCode::kUnavailable, std::move(why));
}

Result<const Value*> batcher(const Value& config) {
  const Value* dynamic = config.find("dynamic_batching");
  if (dynamic == nullptr) {
    return absent(config.find("sequence_batching") != nullptr
                      ? "the model uses the sequence batcher, which has no such setting"
                      : "the model has no dynamic batcher: add `dynamic_batching { }` to its "
                        "config.pbtxt and load it again");
  }
  return dynamic;
}

Result<double> read_preferred(const Value& config) {
  const auto dynamic = batcher(config);
  if (!dynamic) return tl::unexpected(dynamic.error());
  const Value* list = (*dynamic)->find("preferred_batch_size");
  const Array* sizes = list == nullptr ? nullptr : list->as_array();
  if (sizes == nullptr || sizes->empty()) return config.find("max_batch_size")->number();
  if (sizes->size() > 1) {
    return absent(
        fmt::format("the model has {} preferred sizes and this knob sets one: keep one "
                    "in its config.pbtxt, or leave the knob out",
                    sizes->size()));
  }
  return sizes->front().number();
}

const Value* policy_of(const Value& dynamic) { return dynamic.find("default_queue_policy"); }

Result<double> read_policy(const Value& config, std::string_view key, double per_unit,
                           double none) {
  const auto dynamic = batcher(config);
  if (!dynamic) return tl::unexpected(dynamic.error());
  const Value* policy = policy_of(**dynamic);
  const std::int64_t stored = policy == nullptr ? 0 : count_at(*policy, key, 0).value_or(0);
  return stored == 0 ? none : static_cast<double>(stored) / per_unit;
}

Result<double> read_instances(const Value& config) {
  const Value* groups = config.find("instance_group");
  const Array* list = groups == nullptr ? nullptr : groups->as_array();
  const std::size_t count = list == nullptr ? 0 : list->size();
  if (count != 1) {
    return absent(
        fmt::format("the model has {} instance groups and this knob sets the count of "
                    "one",
                    count));
  }
  return static_cast<double>(count_at(list->front(), "count", 1).value_or(1));
}

void write_policy(Value& config, std::string_view key, std::int64_t value) {
  Value& dynamic = *member(config, "dynamic_batching");
  Value& policy = member_or(dynamic, "default_queue_policy", Object{});
  // All four keys, as the server shows them afterwards.
  member_or(policy, "timeout_action", "REJECT");
  member_or(policy, "default_timeout_microseconds", 0);
  member_or(policy, "allow_timeout_override", false);
  member_or(policy, "max_queue_size", 0);
  *member(policy, key) = value;
}

std::int64_t microseconds(double ms) { return std::llround(ms * 1000); }

std::int64_t stored_limit(double value, double none, double per_unit) {
  return value >= none ? 0 : std::max<std::int64_t>(1, std::llround(value * per_unit));
}

// Types at the places we read later, so that reading needs no further errors.
Status check_batcher(const Value& config) {
  const Value* dynamic = config.find("dynamic_batching");
  if (dynamic == nullptr) return {};
  if (dynamic->as_object() == nullptr) return incomplete("dynamic_batching is no object");
  if (!count_at(*dynamic, "max_queue_delay_microseconds", 0)) {
    return incomplete("max_queue_delay_microseconds is no whole number");
  }
  if (const Value* sizes = dynamic->find("preferred_batch_size")) {
    const Array* list = sizes->as_array();
    if (list == nullptr || !std::all_of(list->begin(), list->end(), [](const Value& size) {
          return size.as_int() != nullptr && *size.as_int() >= 1;
        })) {
      return incomplete("preferred_batch_size is no list of sizes");
    }
  }
  if (const Value* policy = policy_of(*dynamic)) {
    if (policy->as_object() == nullptr || !count_at(*policy, "max_queue_size", 0) ||
        !count_at(*policy, "default_timeout_microseconds", 0)) {
      return incomplete("default_queue_policy makes no sense");
    }
  }
  return {};
}

Status check_groups(const Value& config) {
  const Value* groups = config.find("instance_group");
  if (groups == nullptr) return {};
  const Array* list = groups->as_array();
  if (list == nullptr) return incomplete("instance_group is no list");
  for (const Value& group : *list) {
    if (group.as_object() == nullptr || !count_at(group, "count", 1)) {
      return incomplete("instance_group holds no counts");
    }
  }
  return {};
}

void sort_keys(Value& value) {
  if (Object* members = value.as_object()) {
    std::sort(members->begin(), members->end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [key, inner] : *members) sort_keys(inner);
  } else if (Array* list = value.as_array()) {
    for (Value& inner : *list) sort_keys(inner);
  }
}

void mask_policy(Value& config, std::string_view key) {
  Value* dynamic = member(config, "dynamic_batching");
  Value* policy = dynamic == nullptr ? nullptr : member(*dynamic, "default_queue_policy");
  if (policy == nullptr) return;
  erase(*policy, key);
  // What is left when nobody ever set a policy, or we were the first to.
  const auto is_default = [](const auto& m) {
    if (m.first == "timeout_action") return m.second == Value("REJECT");
    if (m.first == "allow_timeout_override") return m.second == Value(false);
    return m.second == Value(0);
  };
  const Object* rest = policy->as_object();
  if (rest != nullptr && std::all_of(rest->begin(), rest->end(), is_default)) {
    erase(*dynamic, "default_queue_policy");
  }
}

void mask(Value& config, Knob knob) {
  Value* dynamic = member(config, "dynamic_batching");
  switch (knob) {
    case Knob::kPreferredBatchSize:
      if (dynamic != nullptr) erase(*dynamic, "preferred_batch_size");
      return;
    case Knob::kMaxWait:
      if (dynamic != nullptr) erase(*dynamic, "max_queue_delay_microseconds");
      return;
    case Knob::kBatchSize:
      return erase(config, "max_batch_size");
    case Knob::kMaxQueuedRequests:
      return mask_policy(config, "max_queue_size");
    case Knob::kQueueTimeout:
      return mask_policy(config, "default_timeout_microseconds");
    case Knob::kInstances: {
      Value* groups = member(config, "instance_group");
      Array* list = groups == nullptr ? nullptr : groups->as_array();
      if (list != nullptr) {
        for (Value& group : *list) erase(group, "count");
      }
      return;
    }
  }
}

}  // namespace

std::span<const KnobInfo> knob_table() { return kKnobs; }

const KnobInfo& info(Knob knob) { return kKnobs[static_cast<std::size_t>(knob)]; }

const KnobInfo* find_knob(std::string_view name) {
  const auto it = std::find_if(kKnobs.begin(), kKnobs.end(),
                               [&](const KnobInfo& knob) { return knob.name == name; });
  return it == kKnobs.end() ? nullptr : &*it;
}

Status check_whole(const Value& config, std::string_view model) {
  if (config.as_object() == nullptr) return incomplete("it is no object");
  const Value* name = config.find("name");
  if (name == nullptr || name->as_string() == nullptr || *name->as_string() != model) {
    return incomplete(fmt::format("`name` is not \"{}\"", model));
  }
  if (!is_text(config, "backend") && !is_text(config, "platform")) {
    return incomplete("it names no backend and no platform");
  }
  const Value* size = config.find("max_batch_size");
  if (size == nullptr || size->as_int() == nullptr || *size->as_int() < 0) {
    return incomplete("max_batch_size is no whole number");
  }
  if (!is_list(config, "input", true)) return incomplete("`input` is empty");
  if (!is_list(config, "output", true)) return incomplete("`output` is empty");
  if (const Status batching = check_batcher(config); !batching) return batching;
  return check_groups(config);
}

Result<double> read_knob(const Value& config, Knob knob) {
  switch (knob) {
    case Knob::kPreferredBatchSize:
      return read_preferred(config);
    case Knob::kMaxWait: {
      const auto dynamic = batcher(config);
      if (!dynamic) return tl::unexpected(dynamic.error());
      return static_cast<double>(
                 count_at(**dynamic, "max_queue_delay_microseconds", 0).value_or(0)) /
             1000;
    }
    case Knob::kBatchSize: {
      const double size = config.find("max_batch_size")->number();
      if (size >= 1) return size;
      return absent("the model does not batch: its config.pbtxt says max_batch_size 0");
    }
    case Knob::kInstances:
      return read_instances(config);
    case Knob::kMaxQueuedRequests:
      return read_policy(config, "max_queue_size", 1, kUnlimitedQueue);
    case Knob::kQueueTimeout:
      return read_policy(config, "default_timeout_microseconds", 1000, kUnlimitedTimeout_ms);
  }
  return absent("no such knob");
}

void write_knob(Value& config, Knob knob, double value) {
  Value* dynamic = member(config, "dynamic_batching");
  const std::int64_t whole = std::llround(value);
  switch (knob) {
    case Knob::kPreferredBatchSize:
      member_or(*dynamic, "preferred_batch_size", Array{}) = Array{Value(whole)};
      return;
    case Knob::kMaxWait:
      member_or(*dynamic, "max_queue_delay_microseconds", 0) = Value(microseconds(value));
      return;
    case Knob::kBatchSize:
      *member(config, "max_batch_size") = Value(whole);
      return;
    case Knob::kInstances:
      member_or(member(config, "instance_group")->as_array()->front(), "count", 0) = Value(whole);
      return;
    case Knob::kMaxQueuedRequests:
      return write_policy(config, "max_queue_size", stored_limit(value, kUnlimitedQueue, 1));
    case Knob::kQueueTimeout:
      return write_policy(config, "default_timeout_microseconds",
                          stored_limit(value, kUnlimitedTimeout_ms, 1000));
  }
}

double stored_value(Knob knob, double value) {
  switch (knob) {
    case Knob::kMaxWait:
      return static_cast<double>(microseconds(value)) / 1000;
    case Knob::kQueueTimeout: {
      const std::int64_t stored = stored_limit(value, kUnlimitedTimeout_ms, 1000);
      return stored == 0 ? kUnlimitedTimeout_ms : static_cast<double>(stored) / 1000;
    }
    case Knob::kMaxQueuedRequests:
      return std::min(std::round(value), kUnlimitedQueue);
    case Knob::kPreferredBatchSize:
    case Knob::kBatchSize:
    case Knob::kInstances:
      return std::round(value);
  }
  return value;
}

Status check_constraints(const Value& config) {
  const Result<double> preferred = read_knob(config, Knob::kPreferredBatchSize);
  const double largest = config.find("max_batch_size")->number();
  if (preferred && *preferred > largest) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("preferred_batch_size {} is above batch_size {}: Triton refuses a "
                            "preferred size that no batch can reach; nothing was sent",
                            *preferred, largest));
  }
  return {};
}

std::string fingerprint(const Value& config, std::span<const Knob> knobs) {
  Value rest = config;
  for (const Knob knob : knobs) mask(rest, knob);
  sort_keys(rest);
  return wire::write_json(rest);
}

}  // namespace arqon::adapters::triton
