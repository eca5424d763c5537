"""The attributes of vLLM that are set, with their ranges and boot values."""

from typing import Any

from .envelope import Limits, Range, queue_ranges, scheduler_ranges
from .layout import (API_VALUES, BATCH_SIZE, KV_HEADROOM, LONG_PREFILL, QUEUED_REQUESTS,
                     QUEUED_TOKENS, R_BLOCK_SIZE, R_BLOCKS, R_K_LIVE, R_MAX_K, R_MAX_LEN,
                     R_MAX_SEQS, R_MAX_TOKENS, RESERVE_FULL, SCHEDULER_VALUES, SPECULATIVE_K,
                     TOKEN_BUDGET, VALUES, Setting, mask_of)


def _clamped(ranges: tuple[Range, ...], setting: Setting, first: int,
             boot: tuple[Any, ...]) -> tuple[list[Any], bool]:
    """Values `first`...: clamped where given, else boot values; and whether any was clamped."""
    wanted = list(boot)
    clamped = False
    for i, allowed in enumerate(ranges):
        if setting.mask >> (first + i) & 1:
            given = setting.values[first + i]
            wanted[i] = allowed.clamp(given)
            clamped = clamped or wanted[i] != given
    return wanted, clamped


def _set(config: Any, name: str, value: int | None) -> None:
    """Plainly: vLLM's configuration would check all of itself at every assignment, for 1 ms."""
    object.__setattr__(config, name, value)


def _least_budget(scheduler: Any) -> int:
    """Without chunks a whole prompt (or image) must fit into a step, with Mamba's aligned states a
    whole block: less would keep a request in the queue for ever, and all behind it."""
    config = scheduler.scheduler_config
    if not config.enable_chunked_prefill or getattr(config, "disable_chunked_mm_input", False):
        return config.max_num_batched_tokens
    aligned = getattr(scheduler, "need_mamba_block_aligned_split", False)
    return scheduler.block_size if aligned else 0


class SchedulerKnobs:
    """Values 0-5, on one scheduler. Nothing is set before all is computed."""

    elsewhere = mask_of(API_VALUES)

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._config = scheduler.scheduler_config
        self._cache = scheduler.kv_cache_manager
        table = scheduler.dynamic_sd_lookup
        self._boot_table = None if table is None else list(table)
        self.limits = Limits(
            scheduler.max_num_running_reqs, self._config.max_num_batched_tokens,
            scheduler.max_model_len, scheduler.num_spec_tokens, scheduler.block_size,
            self._cache.block_pool.num_gpu_blocks, scheduler.max_num_scheduled_tokens,
            _least_budget(scheduler))
        self._ranges = scheduler_ranges(self.limits)
        self.supported = mask_of(SCHEDULER_VALUES)
        if not self._boot_table:
            self.supported &= ~mask_of((SPECULATIVE_K,))
            self._ranges = self._ranges[:SPECULATIVE_K]
        self._boot = self.effective()[:len(SCHEDULER_VALUES)]

    def put(self, setting: Setting) -> bool:
        wanted, clamped = _clamped(self._ranges, setting, 0, self._boot)
        scheduler = self._scheduler
        scheduler.max_num_active_reqs = wanted[BATCH_SIZE]
        scheduler.max_num_scheduled_tokens = wanted[TOKEN_BUDGET]
        _set(self._config, "long_prefill_token_threshold", wanted[LONG_PREFILL])
        self._cache.watermark_blocks = wanted[KV_HEADROOM]
        scheduler.scheduler_reserve_full_isl = bool(wanted[RESERVE_FULL])
        if self._boot_table:
            given = setting.mask >> SPECULATIVE_K & 1
            scheduler.dynamic_sd_lookup[:] = (
                [wanted[SPECULATIVE_K]] * len(self._boot_table) if given else self._boot_table)
        return clamped

    def effective(self) -> tuple[int, ...]:
        """What is really set, read back; 16 values. K: the largest entry of the table."""
        scheduler = self._scheduler
        table = scheduler.dynamic_sd_lookup
        values = (scheduler.max_num_active_reqs, scheduler.max_num_scheduled_tokens,
                  self._config.long_prefill_token_threshold, self._cache.watermark_blocks,
                  int(scheduler.scheduler_reserve_full_isl),
                  max(table) if table else self.limits.num_speculative_tokens)
        return values + (0,) * (VALUES - len(values))

    def limits_for_report(self) -> dict[int, int]:
        limits = self.limits
        return {R_BLOCKS: limits.blocks, R_MAX_SEQS: limits.max_num_seqs,
                R_MAX_TOKENS: limits.max_num_batched_tokens, R_MAX_LEN: limits.max_model_len,
                R_MAX_K: limits.num_speculative_tokens, R_BLOCK_SIZE: limits.block_size,
                R_K_LIVE: int(bool(self._boot_table))}


class QueueKnobs:
    """Values 6 and 7: limits that the API process reads at each request. 0 is no limit."""

    supported = mask_of(API_VALUES)
    elsewhere = mask_of(SCHEDULER_VALUES)

    def __init__(self, scheduler_config: Any) -> None:
        self._config = scheduler_config
        self._ranges = queue_ranges()
        self._boot = (scheduler_config.max_num_queued_reqs, scheduler_config.max_num_queued_tokens)

    def put(self, setting: Setting) -> bool:
        wanted, clamped = _clamped(self._ranges, setting, QUEUED_REQUESTS, self._boot)
        for i, name in enumerate(("max_num_queued_reqs", "max_num_queued_tokens")):
            given = setting.mask >> (QUEUED_REQUESTS + i) & 1
            _set(self._config, name, (wanted[i] or None) if given else self._boot[i])
        return clamped

    def effective(self) -> tuple[int, ...]:
        values = [0] * VALUES
        values[QUEUED_REQUESTS] = self._config.max_num_queued_reqs or 0
        values[QUEUED_TOKENS] = self._config.max_num_queued_tokens or 0
        return tuple(values)
