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
    {"preset", "bounds", "max_delta", "max_ratio", "max_rise", "travel", "flips", "dwell_s", "jump",
     "owner", "max_updates_per_second", "reflex_updates_per_second", "window_s", "constraints",
     "cool_down_s", "failures_per_hour", "unproven_share", "unproven_domains", "spare_replicas"});
// The guardrails that have a number per parameter, beside max_delta.
inline constexpr std::array kPerKnobNumbers =
    std::to_array<string_view>({"max_ratio", "max_rise", "travel", "flips", "dwell_s"});
inline constexpr std::array kPresets =
    std::to_array<string_view>({"conservative", "balanced", "aggressive"});
inline constexpr std::array kJumps = std::to_array<string_view>({"up", "down"});
inline constexpr std::array kOwners =
    std::to_array<string_view>({"anyone", "solver", "reflex", "planner", "human"});

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
    {"ttft_ms", "tpot_ms", "max_gap_ms", "e2e_ms", "quality", "lesser_share", "attainment"});
inline constexpr std::array kTtftKeys = std::to_array<string_view>({"base", "per_prompt_token"});
inline constexpr std::array kProtectiveKeys =
    std::to_array<string_view>({"ttft", "tpot", "gap", "e2e"});
inline constexpr std::array kProtectiveWays = std::to_array<string_view>({"down", "up"});

// -- scenario: fleet
inline constexpr std::array kFleetKeys =
    std::to_array<string_view>({"pools", "router", "events", "kv_transfer", "noise",
                                "sampled_speculation", "restart_load_s", "wake_s"});
inline constexpr std::array kPoolKeys = std::to_array<string_view>(
    {"name", "model", "gpu", "tp", "dtype", "replicas", "replicas_max", "prefill_replicas",
     "price_per_gpu_hour", "price_per_million_tokens", "quality", "engine",
     "calibration"});
inline constexpr std::array kOwnModelKeys = std::to_array<string_view>(
    {"name", "layers", "hidden", "query_heads", "kv_heads", "head_dim", "mlp_width", "vocabulary",
     "experts", "experts_active"});
inline constexpr std::array kOwnGpuKeys = std::to_array<string_view>(
    {"name", "like", "memory_gb", "bandwidth_gb_per_s", "matmul_tflops", "batch_size",
     "prefill_token_budget"});
inline constexpr std::array kCalibrationScalars = std::to_array<string_view>(
    {"host_ms", "host_ms_per_sequence", "host_overlap", "front_end_ms", "linear_memory",
     "linear_compute", "linear_scale", "decode_kv", "other_memory_gb"});
inline constexpr std::array kRouterKeys = std::to_array<string_view>(
    {"policy", "state_age_ms", "weights", "pool_weights", "spill_depth", "cascade"});
inline constexpr std::array kCascadeKeys = std::to_array<string_view>(
    {"small", "large", "threshold", "separation", "hard_share", "caught", "false_alarms"});
inline constexpr std::array kKvTransferKeys =
    std::to_array<string_view>({"gb_per_s", "latency_ms"});
inline constexpr std::array kEventKeys =
    std::to_array<string_view>({"at_s", "event", "replica", "speed"});
// In the order of sim::FleetEventKind.
inline constexpr std::array kEvents = std::to_array<string_view>(
    {"throttle", "fail", "recover", "stop", "start", "sleep", "wake"});
inline constexpr std::array kEngineKeys = std::to_array<string_view>(
    {"scheduler", "batch_size", "prefill_token_budget", "long_prefill_threshold",
     "queued_token_limit", "speculative_decoding_k", "max_tokens", "max_wait_ms", "block_size",
     "gpu_memory_utilization", "kv_cache_blocks", "async_scheduling", "deadline_shed",
     "prefix_caching", "watermark", "preferred_batch_sizes", "speculation_by_batch"});
inline constexpr std::array kSpeculationStepKeys = std::to_array<string_view>({"batch_max", "k"});
inline constexpr std::array kDtypes = std::to_array<string_view>({"bf16", "fp8"});
inline constexpr std::array kPolicies =
    std::to_array<string_view>(
        {"least_request", "round_robin", "random", "weighted", "prefix_affine"});
inline constexpr std::array kSchedulers =
    std::to_array<string_view>({"vllm-v1", "tensorrt-llm", "triton"});

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
    {"deadline_shed", false, 0, 1000, false},
});
// The attention kernels of vLLM take blocks of 16 tokens and multiples of it.
inline constexpr string_view kBlockRule =
    "must be a multiple of 16, at most 256: the attention kernels of vllm-v1 take no other";
// Counts of replicas: of a pool as a whole, never of one replica.
inline constexpr std::array kCountKnobs =
    std::to_array<string_view>({"replicas", "prefill_replicas"});
inline constexpr string_view kRouterWeights = "router.weights";
inline constexpr string_view kRouterPoolWeights = "router.pool_weights";
inline constexpr string_view kRouterSpillDepth = "router.spill_depth";
inline constexpr string_view kRouterThreshold = "router.cascade_threshold";

// -- scenario: workload
inline constexpr std::array kWorkloadKeys =
    std::to_array<string_view>({"source", "acceptance", "priority", "retries", "diurnal", "spikes",
                                "sessions", "lengths", "segments"});
inline constexpr std::array kDiurnalKeys =
    std::to_array<string_view>({"period_s", "swing", "peak_at_s", "lunch_dip", "weekend"});
inline constexpr std::array kSpikesKeys =
    std::to_array<string_view>({"per_hour", "factor", "seconds"});
inline constexpr std::array kSessionsKeys =
    std::to_array<string_view>({"kind", "system_prompts", "system_tokens", "zipf"});
inline constexpr std::array kSessionKinds =
    std::to_array<string_view>({"conversation", "agent"});
inline constexpr std::array kSourceKinds =
    std::to_array<string_view>({"generator", "trace", "closed_loop"});
inline constexpr std::array kGeneratorKeys =
    std::to_array<string_view>({"generator", "rate_per_s", "cv", "clients", "skew"});
inline constexpr std::array kTraceKeys =
    std::to_array<string_view>({"trace", "path", "scale", "class"});
inline constexpr std::array kClosedLoopSourceKeys = std::to_array<string_view>({"closed_loop"});
inline constexpr std::array kClosedLoopKeys = std::to_array<string_view>(
    {"concurrency", "input_tokens", "output_tokens", "requests_per_slot", "length_jitter"});
inline constexpr std::array kGenerators =
    std::to_array<string_view>({"azure-conv", "azure-code", "poisson", "gamma", "multi-client"});
inline constexpr std::array kTraceFormats =
    std::to_array<string_view>({"azure", "mooncake", "servegen", "csv"});
inline constexpr std::array kPriorities = std::to_array<string_view>({"online", "backfill"});
inline constexpr std::array kAcceptanceKeys =
    std::to_array<string_view>({"conditional", "row", "draft_ms", "quality_sigma"});
inline constexpr std::array kDraftKeys = std::to_array<string_view>({"base", "per_k"});
inline constexpr std::array kLengthsKeys =
    std::to_array<string_view>({"prompt_tokens", "output_tokens"});
inline constexpr std::array kSegmentKeys =
    std::to_array<string_view>({"at_s", "name", "mix", "rate", "acceptance"});
inline constexpr std::array kSegmentAcceptanceKeys = std::to_array<string_view>({"conditional"});

// -- calibration
inline constexpr std::array kCalibrationKeys = std::to_array<string_view>(
    {"schema", "engine", "model", "gpu", "tp", "dtype", "source", "windows", "left_out", "scalars",
     "evidence", "errors", "kv_tokens", "kv_cache_blocks", "block_size"});
inline constexpr std::array kCalibrationSources =
    std::to_array<string_view>({"config", "idle", "running"});
inline constexpr std::array kCalibrationErrors =
    std::to_array<string_view>({"gap", "throughput", "gap_before", "throughput_before"});
inline constexpr std::array kCalibrationEvidence =
    std::to_array<string_view>({"value", "low", "high", "prior"});

// -- results of a run
inline constexpr std::array kChangeStates =
    std::to_array<string_view>({"applied", "refused", "reverted", "confirmed"});
inline constexpr std::array kChangeColumns = std::to_array<string_view>(
    {"t_s", "decision", "address", "from", "to", "lane", "state", "reason"});

}  // namespace arqon::documents::internal
