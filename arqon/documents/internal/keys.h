// Every key and every word that our documents know, in one place: the readers use these tables, and
// a test holds docs/formats to them. Models and GPUs are those of the twin (sim/model_data.h),
// length profiles those of the workloads (workload/lengths.h).
#pragma once

#include <array>
#include <string_view>

namespace arqon::documents::internal {

using std::string_view;

// -- shared by studies and scenarios
inline constexpr std::array kParameterKeys = std::to_array<string_view>(
    {"min", "max", "scale", "type", "step", "choices", "default", "unit", "class"});
inline constexpr std::array kKnobKeys = std::to_array<string_view>(
    {"min", "max", "scale", "type", "step", "choices", "default", "unit", "class", "protective"});
inline constexpr std::array kGuardrailKeys = std::to_array<string_view>(
    {"bounds", "max_delta", "max_updates_per_second", "reflex_updates_per_second"});

// In the order of the enums they stand for.
inline constexpr std::array kScales = std::to_array<string_view>({"Linear", "Log", "Periodic"});
inline constexpr std::array kTypes =
    std::to_array<string_view>({"float", "int", "categorical", "bool", "simplex"});
inline constexpr std::array kChangeClasses =
    std::to_array<string_view>({"live", "reload", "restart", "request", "forbidden"});
inline constexpr std::array kDirections = std::to_array<string_view>({"maximize", "minimize"});

// -- study
inline constexpr std::array kStudyKeys =
    std::to_array<string_view>({"schema", "seed", "budget", "direction", "objective", "constraints",
                                "bounds", "probe_ratio", "strategy", "guardrails"});
inline constexpr std::array kObjectiveKeys = std::to_array<string_view>({"metric", "direction"});
inline constexpr std::array kConstraintKeys = std::to_array<string_view>({"metric", "min", "max"});
inline constexpr std::array kStrategies =
    std::to_array<string_view>({"auto", "portfolio", "tpe", "random", "sobol"});

// -- results of a study
inline constexpr std::array kTrialKeys =
    std::to_array<string_view>({"params", "applied", "value", "metrics", "context", "status",
                                "cost", "t_s", "generation", "eval_id"});
inline constexpr std::array kMetricKeys =
    std::to_array<string_view>({"value", "n", "over", "lo", "hi"});
inline constexpr std::array kStatuses =
    std::to_array<string_view>({"ok", "failed", "crashed", "refused"});

// -- scenario
inline constexpr std::array kScenarioKeys = std::to_array<string_view>(
    {"schema", "name", "seed", "duration_s", "measure", "gain_expected", "target", "mode", "budget",
     "fleet", "workload", "classes", "knobs", "guardrails", "window", "agent"});
inline constexpr std::array kAgentKeys = std::to_array<string_view>({"socket", "spawn"});
inline constexpr std::array kTargetKeys = std::to_array<string_view>({"engine"});
inline constexpr std::array kTargetEngines = std::to_array<string_view>({"simulated"});
inline constexpr std::array kMeasures =
    std::to_array<string_view>({"bad_share", "cost", "good_tokens", "latency"});
inline constexpr std::array kModes =
    std::to_array<string_view>({"observe", "recommend", "approve", "auto"});
inline constexpr std::array kWindowKeys =
    std::to_array<string_view>({"requests_min", "seconds_min", "seconds_max"});

inline constexpr std::array kClassKeys = std::to_array<string_view>(
    {"ttft_ms", "tpot_ms", "max_gap_ms", "e2e_ms", "quality", "attainment"});
inline constexpr std::array kTtftKeys = std::to_array<string_view>({"base", "per_prompt_token"});
inline constexpr std::array kProtectiveKeys =
    std::to_array<string_view>({"ttft", "tpot", "gap", "e2e"});
inline constexpr std::array kProtectiveWays = std::to_array<string_view>({"down", "up"});

// -- scenario: fleet
inline constexpr std::array kFleetKeys =
    std::to_array<string_view>({"pools", "router", "noise", "restart_load_s"});
inline constexpr std::array kPoolKeys = std::to_array<string_view>(
    {"name", "model", "gpu", "tp", "dtype", "replicas", "price_per_gpu_hour", "quality", "engine"});
inline constexpr std::array kRouterKeys =
    std::to_array<string_view>({"policy", "state_age_ms", "weights"});
inline constexpr std::array kEngineKeys = std::to_array<string_view>(
    {"scheduler", "batch_size", "prefill_token_budget", "long_prefill_threshold",
     "queued_token_limit", "speculative_decoding_k", "max_tokens", "max_wait_ms", "block_size",
     "gpu_memory_utilization", "kv_cache_blocks", "async_scheduling"});
inline constexpr std::array kDtypes = std::to_array<string_view>({"bf16", "fp8"});
inline constexpr std::array kPolicies =
    std::to_array<string_view>({"least_request", "round_robin", "random", "weighted"});
inline constexpr std::array kSchedulers = std::to_array<string_view>({"vllm-v1"});

// The knobs of a pool: what may follow "pool." in an address, and what an engine option may be.
struct PoolKnob {
  string_view name;
  bool whole;  // counts things: type int
  double min;
  double max;
  bool restart;  // takes effect after a restart only
};
inline constexpr std::array kPoolKnobs = std::to_array<PoolKnob>({
    {"batch_size", true, 1, 65536, false},
    {"prefill_token_budget", true, 1, 1048576, false},
    {"long_prefill_threshold", true, 0, 1048576, false},
    {"queued_token_limit", true, 0, 1e15, false},
    {"speculative_decoding_k", true, 0, 64, false},
    {"max_tokens", true, 0, 1073741824, false},
    {"max_wait_ms", false, 0, 1e6, false},
    {"block_size", true, 1, 1024, true},
    {"gpu_memory_utilization", false, 0.01, 1, true},
    {"kv_cache_blocks", true, 0, 1073741824, true},
});
inline constexpr string_view kRouterWeights = "router.weights";

// -- scenario: workload
inline constexpr std::array kWorkloadKeys =
    std::to_array<string_view>({"source", "acceptance", "priority", "lengths", "segments"});
inline constexpr std::array kSourceKinds =
    std::to_array<string_view>({"generator", "trace", "closed_loop"});
inline constexpr std::array kGeneratorKeys =
    std::to_array<string_view>({"generator", "rate_per_s", "cv"});
inline constexpr std::array kTraceKeys =
    std::to_array<string_view>({"trace", "path", "scale", "class"});
inline constexpr std::array kClosedLoopSourceKeys = std::to_array<string_view>({"closed_loop"});
inline constexpr std::array kClosedLoopKeys = std::to_array<string_view>(
    {"concurrency", "input_tokens", "output_tokens", "requests_per_slot", "length_jitter"});
inline constexpr std::array kGenerators =
    std::to_array<string_view>({"azure-conv", "azure-code", "poisson", "gamma"});
inline constexpr std::array kTraceFormats =
    std::to_array<string_view>({"azure", "mooncake", "csv"});
inline constexpr std::array kPriorities = std::to_array<string_view>({"online", "backfill"});
inline constexpr std::array kAcceptanceKeys =
    std::to_array<string_view>({"conditional", "draft_ms", "quality_sigma"});
inline constexpr std::array kDraftKeys = std::to_array<string_view>({"base", "per_k"});
inline constexpr std::array kLengthsKeys =
    std::to_array<string_view>({"prompt_tokens", "output_tokens"});
inline constexpr std::array kSegmentKeys =
    std::to_array<string_view>({"at_s", "name", "mix", "rate", "acceptance"});
inline constexpr std::array kSegmentAcceptanceKeys = std::to_array<string_view>({"conditional"});

// -- results of a run
inline constexpr std::array kChangeStates =
    std::to_array<string_view>({"applied", "refused", "reverted", "confirmed"});
inline constexpr std::array kChangeColumns = std::to_array<string_view>(
    {"t_s", "decision", "address", "from", "to", "lane", "state", "reason"});

}  // namespace arqon::documents::internal
