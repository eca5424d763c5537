// The command line a vLLM was started with, read strictly: a flag that is not understood would make
// every answer about another engine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "arqon/sim/fleet.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::advise {

// A flag that the twin has a knob for.
struct Flag {
  std::string_view name;    // "--max-num-seqs"
  std::string_view former;  // another spelling, or ""
  std::optional<std::int64_t> sim::EngineSpec::*option;
};
// max-num-seqs, max-num-batched-tokens, long-prefill-token-threshold, block-size,
// num-gpu-blocks-override.
const std::vector<Flag>& integer_flags();

struct EngineFlags {
  std::string model;  // as named: positional, or --model
  int tp = 1;
  std::string dtype = "bf16";  // "fp8" with --quantization fp8
  sim::EngineSpec engine;
  std::int64_t max_model_len = 0;  // 0 = the model's own
};

// Words as a shell would split them (quotes, backslashes, line ends); assignments before the
// command, "vllm serve", "python -m vllm.entrypoints.openai.api_server" or nothing in front.
// Refuses, naming the nearest known one: unknown flags, values of a wrong type, a flag given twice,
// and what the twin does not model (pipeline and data parallelism, LoRA, KV in fp8, other
// quantisation, speculation).
tl::expected<EngineFlags, wire::Diagnostics> parse_vllm_flags(std::string_view text);

// "llama-3.1-8b" for "meta-llama/Llama-3.1-8B-Instruct": the model of the twin whose name, its
// punctuation aside, begins the last part of the path; "" when none does.
std::string twin_model_of(std::string_view served);

}  // namespace arqon::advise
