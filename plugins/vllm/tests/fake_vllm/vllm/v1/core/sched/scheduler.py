"""Scheduler as the plugin sees it. Like the real one it dies when a limit leaves its range."""

from collections import deque
from types import SimpleNamespace


class BlockPool:
    def __init__(self, blocks):
        self.num_gpu_blocks = blocks

    def get_num_free_blocks(self):
        return self.num_gpu_blocks - 1


class Scheduler:
    def __init__(self, vllm_config, block_size=16):
        config = vllm_config.scheduler_config
        self.vllm_config = vllm_config
        self.scheduler_config = config
        self.max_num_running_reqs = config.max_num_seqs
        self.max_num_active_reqs = config.max_num_seqs
        self.max_num_scheduled_tokens = config.max_num_batched_tokens
        self.max_model_len = vllm_config.model_config.max_model_len
        self.num_spec_tokens = vllm_config.num_speculative_tokens
        self.dynamic_sd_lookup = list(config.table) if config.table else None
        self.scheduler_reserve_full_isl = True
        self.block_size = block_size
        self.kv_cache_manager = SimpleNamespace(watermark_blocks=0, block_pool=BlockPool(500))
        self.running = []
        self.waiting = deque()
        self.deferred_waiting = set()
        self.throttled = []

    def get_request_counts(self):
        return len(self.running), len(self.waiting)

    def schedule(self, throttle_prefills=False):
        self.throttled.append(throttle_prefills)
        while self.waiting and len(self.running) < self.max_num_active_reqs:
            self.running.append(self.waiting.popleft())
        assert_inside(self)
        tokens = min(len(self.running), self.max_num_scheduled_tokens)
        return SimpleNamespace(preempted_req_ids=set(), finished_req_ids=set(),
                               total_num_scheduled_tokens=tokens)


def assert_inside(scheduler):
    """The engine dies, starves or refuses outside of these."""
    config = scheduler.scheduler_config
    per_request = 1 + scheduler.num_spec_tokens
    assert 1 <= scheduler.max_num_active_reqs <= config.max_num_seqs
    assert scheduler.max_num_running_reqs == config.max_num_seqs
    assert (per_request * config.max_num_seqs <= scheduler.max_num_scheduled_tokens
            <= config.max_num_batched_tokens)
    threshold = config.long_prefill_token_threshold
    assert threshold == 0 or scheduler.block_size <= threshold <= scheduler.max_model_len
    cache = scheduler.kv_cache_manager
    assert 0 <= cache.watermark_blocks <= cache.block_pool.num_gpu_blocks // 5
    assert scheduler.scheduler_reserve_full_isl in (True, False)
    for entry in scheduler.dynamic_sd_lookup or ():
        assert 0 <= entry <= scheduler.num_spec_tokens
