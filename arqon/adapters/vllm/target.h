// The `target` object of a document, as the vLLM adapter reads it:
//   {"engine": "vllm", "url": "http://127.0.0.1:8000", "name": "default", "state": FOLDER,
//    "replicas": [{"url": ..., "name": ..., "restart": [...]}, ...],      instead of url and name
//    "restart": [WORD, ...], "router": {...}, "classes": {CLASS: {"prompt_tokens_max": N}},
//    "container": false, and the keys of scraped_keys() (scraped_engine.h)}
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "arqon/adapters/scraped_engine.h"
#include "arqon/base/result.h"
#include "arqon/serving/outcome.h"
#include "arqon/wire/json.h"

namespace arqon::adapters::vllm {

struct ReplicaTarget {
  std::string url;                   // without a trailing slash
  std::string name = "default";      // ARQONHPO_VLLM_NAME in that engine's environment
  std::string state;                 // folder of its confirmed set; empty: as the engine has it
  std::vector<std::string> restart;  // the user's command; empty: none
};

struct Target {
  std::vector<ReplicaTarget> replicas;  // never empty
  // Largest prompt of each class of the document, in its order; the class that takes the rest has
  // kAnyPrompt.
  static constexpr std::int64_t kAnyPrompt = std::numeric_limits<std::int64_t>::max();
  std::vector<std::int64_t> prompt_tokens_max;
  ScrapedTarget scraped;   // patience, price, how histograms are judged without the plugin
  bool container = false;  // the engine's process ids are not ours
  const wire::Value* router = nullptr;  // points into the document's value; null when absent
};

// kInvalidConfig with every mistake, each with its place.
Result<Target> read_target(const wire::Value& target, const std::vector<serving::Slo>& classes);

// The class of a prompt: the one with the smallest bound that it fits under.
std::size_t class_of(const Target& target, std::int64_t prompt_tokens);

}  // namespace arqon::adapters::vllm
