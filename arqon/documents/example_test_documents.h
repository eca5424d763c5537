// Valid documents that hold every key there is, for tests.
#pragma once

#include <string_view>

namespace arqon::documents {

inline constexpr std::string_view kEveryKeyStudy = R"({
  "schema": 1, "seed": 9, "budget": 50, "probe_ratio": 0.3, "strategy": "sobol",
  "objective": {"metric": "dollars_per_million_good_tokens", "direction": "minimize"},
  "constraints": [{"metric": "attainment.chat", "min": 0.99}, {"metric": "gap_ms", "max": 200}],
  "bounds": {
    "budget": {"min": 256, "max": 8192, "scale": "lOG", "type": "int", "step": 64, "default": 8192,
               "unit": "tokens", "class": "live"},
    "wait": {"min": 0.5, "max": 8.0, "step": 0.25},
    "phase": {"min": 0, "max": 24, "scale": "periodic"},
    "policy": {"type": "categorical", "choices": ["fcfs", "sjf", "edf"], "default": "sjf"},
    "chunked": {"type": "bool", "default": true, "class": "restart"},
    "split": {"type": "simplex", "choices": ["small", "large"],
              "default": {"small": 0.25, "large": 0.75}}},
  "guardrails": {"max_delta": {"budget": 1024}, "bounds": {"wait": [1, 4]},
                 "max_updates_per_second": 0.2, "reflex_updates_per_second": 4}})";

inline constexpr std::string_view kEveryKeyScenario =
    R"({"schema": 1, "name": "every.key_1", "seed": 7,
  "duration_s": 600, "measure": "cost", "gain_expected": false, "target": {"engine": "simulated"},
  "mode": "approve", "budget": 40,
  "fleet": {"pools": [
    {"name": "main", "model": "llama-3.1-70b", "gpu": "h100-sxm-80g", "tp": 4, "dtype": "fp8",
     "replicas": 2, "replicas_max": 3, "prefill_replicas": 1,
     "price_per_gpu_hour": 1.5, "price_per_million_tokens": 0.5, "quality": 0.9,
     "engine": {"scheduler": "vllm-v1", "batch_size": 256, "prefill_token_budget": 2048,
                "long_prefill_threshold": 512, "queued_token_limit": 100000,
                "speculative_decoding_k": 1, "max_tokens": 4096, "max_wait_ms": 2.5,
                "block_size": 32, "gpu_memory_utilization": 0.9, "kv_cache_blocks": 20000,
                "async_scheduling": false, "deadline_shed": 2, "prefix_caching": false,
                "watermark": 0.01, "speculation_by_batch": [{"batch_max": 8, "k": 2}]}},
    {"name": "small", "model": "llama-3.1-8b", "gpu": "a100-sxm-80g",
     "quality": 0.5, "engine": {"scheduler": "triton", "preferred_batch_sizes": [4, 8]}}],
   "router": {"policy": "weighted", "state_age_ms": 100, "weights": [1, 1, 1, 2],
              "pool_weights": [3, 1]},
   "events": [{"at_s": 10, "event": "throttle", "replica": "main/1", "speed": 0.5},
              {"at_s": 20, "event": "fail", "replica": "small"}],
   "kv_transfer": {"gb_per_s": 25, "latency_ms": 3},
   "noise": false, "sampled_speculation": true, "restart_load_s": 90, "wake_s": 4},
  "workload": [
    {"source": {"generator": "gamma", "rate_per_s": 2, "cv": 3},
     "acceptance": {"conditional": 0.5, "row": "cnn-eagle", "draft_ms": {"base": 0.1, "per_k": 0.2},
                    "quality_sigma": 0.3},
     "retries": 2, "sessions": {"kind": "agent", "system_prompts": 3, "system_tokens": 2048,
                                "zipf": 1.1},
     "diurnal": {"period_s": 3600, "swing": 4, "peak_at_s": 600, "lunch_dip": 0.1, "weekend": 0.5},
     "spikes": {"per_hour": 2, "factor": [2, 4], "seconds": [30, 90]},
     "segments": [{"at_s": 0, "mix": {"chat": 1}},
                  {"at_s": 300, "mix": {"chat": 1, "code": 3}, "rate": 0.5, "acceptance": 0.7},
                  {"at_s": 400, "acceptance": {"conditional": 0.2}, "name": "edits"}],
     "lengths": {"code": {"prompt_tokens": [10, 20], "output_tokens": [5, 6]}}},
    {"source": {"trace": "csv", "path": "data/x.csv", "scale": 0.5, "class": "code"},
     "priority": "backfill", "segments": [{"at_s": 0, "rate": 2}]}],
  "classes": {"chat": {"ttft_ms": {"base": 300, "per_prompt_token": 0.1}, "tpot_ms": 50,
                       "quality": 0.8, "lesser_share": 0.1, "attainment": 0.99},
              "code": {"ttft_ms": 800, "max_gap_ms": 200, "e2e_ms": 60000}},
  "knobs": {
    "main.prefill_token_budget": {"min": 256, "max": 8192, "scale": "log", "type": "int",
      "step": 64, "default": 8192, "unit": "tokens", "class": "live",
      "protective": {"gap": "down", "tpot": "down", "ttft": "up"}},
    "main/1.batch_size": {"min": 8, "max": 1024, "type": "int"},
    "main.gpu_memory_utilization": {"min": 0.5, "max": 0.95},
    "main.replicas": {"min": 1, "max": 3, "type": "int"},
    "main.prefill_replicas": {"min": 0, "max": 2, "type": "int"},
    "router.pool_weights": {"type": "simplex", "choices": ["main", "small"],
                            "default": {"main": 0.75, "small": 0.25}},
    "router.weights": {"type": "simplex", "choices": ["m0", "m1", "m2", "s0"],
                       "default": {"m0": 0.25, "m1": 0.25, "m2": 0.25, "s0": 0.25}}},
  "guardrails": {"bounds": {"main.prefill_token_budget": [512, 8192]},
                 "max_delta": {"main.prefill_token_budget": 2048},
                 "max_updates_per_second": 0.2, "reflex_updates_per_second": 2},
  "window": {"requests_min": 100, "seconds_min": 10, "seconds_max": 60}})";

inline constexpr std::string_view kClosedLoopScenario = R"({"schema": 1, "name": "loop",
  "fleet": {"pools": [{"name": "main", "model": "llama-3.1-8b", "gpu": "h100-sxm-80g"}]},
  "workload": {"source": {"closed_loop": {"concurrency": 8, "input_tokens": 100,
                                          "output_tokens": 50, "requests_per_slot": 3,
                                          "length_jitter": 0.2}}},
  "classes": {"chat": {"ttft_ms": 500}}})";

// A live engine with everything said of its knobs, and one that leaves much to the engine. Of the
// target, only "engine" is ours to check.
inline constexpr std::string_view kEveryKeyLive = R"({"schema": 1, "name": "live",
  "target": {"engine": "vllm"}, "mode": "recommend", "duration_s": 900,
  "classes": {"chat": {"ttft_ms": 500, "max_gap_ms": 200}},
  "knobs": {
    "main.batch_size": {"min": 4, "max": 64, "type": "int", "step": 4, "default": 16,
                        "unit": "requests", "protective": {"gap": "down", "ttft": "up"}},
    "router.weights": {"type": "simplex", "choices": ["a", "b"], "default": {"a": 0.5, "b": 0.5}}},
  "guardrails": {"bounds": {"main.batch_size": [8, 64]}, "max_delta": {"main.batch_size": 8},
                 "max_updates_per_second": 0.1, "reflex_updates_per_second": 0.5},
  "window": {"requests_min": 50, "seconds_min": 5, "seconds_max": 60},
  "agent": {"socket": "run/agent.sock", "spawn": false}})";

inline constexpr std::string_view kPartlySaidLive = R"({"schema": 1, "name": "part",
  "target": {"engine": "vllm"},
  "classes": {"chat": {"ttft_ms": 500}},
  "knobs": {"main.batch_size": {"max": 64, "protective": {"gap": "down"}},
            "main/1.prefill_token_budget": {"step": 128, "scale": "log"},
            "main.long_prefill_threshold": {}},
  "guardrails": {"bounds": {"main.batch_size": [8, 48]}, "max_delta": {"main.batch_size": 8}}})";

}  // namespace arqon::documents
