#include "arqon/adapters/vllm/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "arqon/adapters/target_reader.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::adapters::vllm {
namespace {

const std::vector<std::string> kReplicaKeys = {"url", "name", "state", "restart"};

bool is_name(std::string_view name) {
  // It becomes part of a file name.
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, fits) && name[0] != '.';
}

ReplicaTarget read_replica(TargetReader& in) {
  ReplicaTarget out;
  out.url = in.url("url");
  out.name = in.text("name", "default");
  out.state = in.text("state", "");
  out.restart = in.command("restart");
  if (!is_name(out.name)) {
    if (const wire::Value* at = in.find("name")) {
      in.complain(*at, "name",
                  "letters, digits, '-', '_' and '.', at most 64, as in the engine's "
                  "ARQONHPO_VLLM_NAME");
    }
  }
  return out;
}

void read_replicas(TargetReader& in, const wire::Value& list, Target& out,
                   std::vector<std::string>& errors) {
  const wire::Array* items = list.as_array();
  if (items == nullptr || items->empty()) {
    in.complain(list, "replicas", "a list of at least one {\"url\": ..., \"name\": ...}");
    return;
  }
  for (const char* key : {"url", "name", "state", "restart"}) {
    if (const wire::Value* at = in.find(key)) {
      in.complain(*at, key, "belongs into each entry of \"replicas\" when that is given");
    }
  }
  for (std::size_t i = 0; i < items->size(); ++i) {
    TargetReader item((*items)[i], kReplicaKeys);
    out.replicas.push_back(read_replica(item));
    if (const auto status = item.status(); !status) {
      errors.push_back(fmt::format("target.replicas[{}]: {}", i, status.error().message));
    }
  }
  for (std::size_t i = 1; i < out.replicas.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (out.replicas[i].name != out.replicas[j].name) continue;
      in.complain((*items)[i], fmt::format("replicas[{}].name", i),
                  fmt::format("\"{}\" is replicas[{}]'s: each engine needs a page of its own",
                              out.replicas[i].name, j));
    }
  }
}

std::vector<std::string> names_of(const std::vector<serving::Slo>& classes) {
  std::vector<std::string> names;
  for (const serving::Slo& slo : classes) names.push_back(slo.name);
  return names;
}

void read_rule(TargetReader& in, const wire::Member& rule, const std::vector<serving::Slo>& classes,
               Target& out) {
  const std::string path = "classes." + rule.first;
  const auto it = std::ranges::find(classes, rule.first, &serving::Slo::name);
  if (it == classes.end()) {
    in.complain(rule.second, path,
                fmt::format("the document has no such class; did you mean \"{}\"?",
                            wire::nearest_name(rule.first, names_of(classes))));
    return;
  }
  const wire::Value* bound = rule.second.find("prompt_tokens_max");
  const std::int64_t* tokens = bound == nullptr ? nullptr : bound->as_int();
  const wire::Object* object = rule.second.as_object();
  if (object == nullptr || object->size() != (bound == nullptr ? 0U : 1U) ||
      (bound != nullptr && (tokens == nullptr || *tokens < 1))) {
    in.complain(rule.second, path, "{\"prompt_tokens_max\": N} with N >= 1, or {} for the rest");
    return;
  }
  if (tokens != nullptr) {
    out.prompt_tokens_max[static_cast<std::size_t>(it - classes.begin())] = *tokens;
  }
}

void read_classes(TargetReader& in, const wire::Value& target,
                  const std::vector<serving::Slo>& classes, Target& out) {
  out.prompt_tokens_max.assign(classes.size(), Target::kAnyPrompt);
  const wire::Value* rules = in.find("classes");
  const wire::Object* object = rules == nullptr ? nullptr : rules->as_object();
  if (rules != nullptr && object == nullptr) {
    in.complain(*rules, "classes", "an object: {CLASS: {\"prompt_tokens_max\": N}}");
    return;
  }
  for (const wire::Member& rule : object == nullptr ? wire::Object{} : *object) {
    read_rule(in, rule, classes, out);
  }
  if (std::ranges::count(out.prompt_tokens_max, Target::kAnyPrompt) != 1) {
    in.complain(rules == nullptr ? target : *rules, "classes",
                fmt::format("an engine sees no class names, only lengths of prompts: of the {} "
                            "classes exactly one takes the rest, each other one needs "
                            "{{\"prompt_tokens_max\": N}}",
                            classes.size()));
  }
}

}  // namespace

Result<Target> read_target(const wire::Value& target, const std::vector<serving::Slo>& classes) {
  std::vector<std::string> keys = {"url",      "name",   "state",   "restart",
                                   "replicas", "router", "classes", "container"};
  keys.insert(keys.end(), scraped_keys().begin(), scraped_keys().end());
  TargetReader in(target, keys);
  Target out;
  std::vector<std::string> errors;
  if (const wire::Value* list = in.find("replicas")) {
    read_replicas(in, *list, out, errors);
  } else {
    out.replicas.push_back(read_replica(in));
  }
  read_classes(in, target, classes, out);
  out.scraped = read_scraped(in);
  out.container = in.flag("container", false);
  out.router = in.find("router");
  const bool restarts = std::ranges::any_of(
      out.replicas, [](const ReplicaTarget& replica) { return !replica.restart.empty(); });
  if (restarts && out.router == nullptr) {
    in.complain(target, "restart",
                "needs \"router\": without a router in front, a restart loses "
                "the requests in flight");
  }
  if (const auto status = in.status(); !status) {
    errors.insert(errors.begin(), status.error().message);
  }
  if (errors.empty()) return out;
  std::string all;
  for (const std::string& error : errors) all += (all.empty() ? "" : "\n") + error;
  return fail(ErrorCode::kInvalidConfig, all);
}

std::size_t class_of(const Target& target, std::int64_t prompt_tokens) {
  std::size_t best = 0;
  std::int64_t bound = 0;
  for (std::size_t i = 0; i < target.prompt_tokens_max.size(); ++i) {
    const std::int64_t max = target.prompt_tokens_max[i];
    if (prompt_tokens <= max && (bound == 0 || max < bound)) best = i, bound = max;
  }
  return best;
}

}  // namespace arqon::adapters::vllm
