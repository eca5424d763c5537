"""The range of each value, fixed when the engine was started."""

from typing import NamedTuple

_FIFTH = 5
_MAX_QUEUE = (1 << 31) - 1


class Range(NamedTuple):
    """Allowed: `low` to `high`, and `off` (a value below `low` that switches the thing off)."""

    low: int
    high: int
    off: int | None = None

    def clamp(self, value: int) -> int:
        if self.off is not None and value <= self.off:
            return self.off
        return min(max(value, self.low), self.high)


class Limits(NamedTuple):
    """What the engine was started with."""

    max_num_seqs: int
    max_num_batched_tokens: int
    max_model_len: int
    num_speculative_tokens: int
    block_size: int
    blocks: int
    boot_token_budget: int
    least_token_budget: int  # a smaller one would keep some request out for ever


def scheduler_ranges(limits: Limits) -> tuple[Range, ...]:
    """Ranges of values 0-5. A budget below one step of every running request would starve decodes;
    with drafting, vLLM's own budget leaves room for drafts, so that is the top. Where the least one
    is above the top the budget stays where it is."""
    drafting = limits.num_speculative_tokens > 0
    top = limits.boot_token_budget if drafting else limits.max_num_batched_tokens
    floor = (1 + limits.num_speculative_tokens) * limits.max_num_seqs
    floor = min(max(floor, limits.least_token_budget), top)
    block = min(limits.block_size, limits.max_model_len)
    return (Range(1, limits.max_num_seqs),
            Range(floor, top),
            Range(block, limits.max_model_len, off=0),
            Range(0, limits.blocks // _FIFTH),
            Range(0, 1),
            Range(0, limits.num_speculative_tokens))


def queue_ranges() -> tuple[Range, ...]:
    """Ranges of values 6 and 7; 0 is no limit."""
    return (Range(1, _MAX_QUEUE, off=0), Range(1, _MAX_QUEUE, off=0))
