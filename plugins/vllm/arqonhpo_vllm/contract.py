"""What the plugin needs of vLLM, and the releases whose scheduler was read for it.

tools/vllm_attributes looks the same table up in the source packages of the latest releases.
"""

from typing import NamedTuple

SCHEDULER_FILE = "vllm/v1/core/sched/scheduler.py"
_CONFIG_FILE = "vllm/config/scheduler.py"
_CACHE_FILE = "vllm/v1/core/kv_cache_manager.py"
_POOL_FILE = "vllm/v1/core/block_pool.py"
_OUTPUT_FILE = "vllm/v1/core/sched/output.py"
_STATS_FILE = "vllm/v1/metrics/stats.py"
_LOGGERS_FILE = "vllm/v1/metrics/loggers.py"


class Need(NamedTuple):
    """`path` from the scheduler object, "" when it is looked up in the source only."""

    path: str
    types: tuple[str, ...]  # names of the types it may have
    file: str
    owner: str  # class that defines it
    name: str


def _need(path: str, types: str, file: str, owner: str) -> Need:
    return Need(path, tuple(types.split()), file, owner, path.rsplit(".", 1)[-1])


# Without one of these the stock scheduler runs.
SCHEDULER_NEEDS = (
    _need("max_num_running_reqs", "int", SCHEDULER_FILE, "Scheduler"),
    _need("max_num_active_reqs", "int", SCHEDULER_FILE, "Scheduler"),
    _need("max_num_scheduled_tokens", "int", SCHEDULER_FILE, "Scheduler"),
    _need("max_model_len", "int", SCHEDULER_FILE, "Scheduler"),
    _need("num_spec_tokens", "int", SCHEDULER_FILE, "Scheduler"),
    _need("block_size", "int", SCHEDULER_FILE, "Scheduler"),
    _need("scheduler_reserve_full_isl", "bool", SCHEDULER_FILE, "Scheduler"),
    _need("dynamic_sd_lookup", "list NoneType", SCHEDULER_FILE, "Scheduler"),
    _need("running", "list", SCHEDULER_FILE, "Scheduler"),
    _need("get_request_counts", "method", SCHEDULER_FILE, "Scheduler"),
    _need("scheduler_config.max_num_batched_tokens", "int", _CONFIG_FILE, "SchedulerConfig"),
    _need("scheduler_config.enable_chunked_prefill", "bool", _CONFIG_FILE, "SchedulerConfig"),
    _need("scheduler_config.long_prefill_token_threshold", "int", _CONFIG_FILE, "SchedulerConfig"),
    _need("kv_cache_manager.watermark_blocks", "int", _CACHE_FILE, "KVCacheManager"),
    _need("kv_cache_manager.block_pool.num_gpu_blocks", "int", _POOL_FILE, "BlockPool"),
    _need("kv_cache_manager.block_pool.get_num_free_blocks", "method", _POOL_FILE, "BlockPool"),
)
OUTPUT_NEEDS = tuple(
    Need("", (), _OUTPUT_FILE, "SchedulerOutput", name)
    for name in ("preempted_req_ids", "finished_req_ids", "total_num_scheduled_tokens"))
# Without one of these the ring or the admission limits are missing; the scheduler is unaffected.
API_NEEDS = (
    Need("", (), _CONFIG_FILE, "SchedulerConfig", "max_num_queued_reqs"),
    Need("", (), _CONFIG_FILE, "SchedulerConfig", "max_num_queued_tokens"),
    Need("", (), _STATS_FILE, "IterationStats", "update_from_output"),
    Need("", (), _STATS_FILE, "IterationStats", "update_from_finished_request"),
    Need("", (), _STATS_FILE, "RequestStateStats", "first_token_latency"),
    Need("", (), _LOGGERS_FILE, "AggregateStatLoggerBase", "__init__"),
)

# Release -> the hash of Scheduler.schedule in it (checks.source_hash). Only these are tuned: each
# was read for where it takes the limits and what it asserts of them. 0.32.0 was also run.
SCHEDULE_HASHES: dict[str, frozenset[str]] = {
    "0.31.0": frozenset({"0edfea423ca97270"}),
    "0.32.0": frozenset({"9ba0a4e5e57745c0"}),
    "0.33.0": frozenset({"c14d1b25e51ba444"}),
}
