"""Where what stands on the page and in the ring (docs/formats/vllm-page.md, layout 1).

Words are little-endian int64; times are CLOCK_BOOTTIME in nanoseconds.
"""

import time
from typing import NamedTuple

WORD = 8
PAGE_MAGIC = 0x314D4C4C56515241  # "ARQVLLM1"
RING_MAGIC = 0x31474E5256515241  # "ARQVRNG1"
LAYOUT = 1
PAGE_BYTES = 4096
PAGE_WORDS = PAGE_BYTES // WORD

# Header of the page.
LEASE = 4

# Blocks: seq, epoch, mask, values[16], check.
COMMAND, CONFIRMED = 32, 64
BLOCK_WORDS = 20
VALUES = 16

# Reports.
FIRST_REPORT, REPORT_WORDS = 128, 48
API_SLOT = 7
MAX_RANKS = 7
(R_SEQ, R_EPOCH, R_SUPPORTED, R_EFFECTIVE) = range(4)
(R_REASONS, R_STEPS, R_LAST_STEP, R_RUNNING, R_WAITING, R_SKIPPED, R_FREE_BLOCKS, R_BLOCKS,
 R_PREEMPTIONS, R_TOKENS, R_PID, R_STARTED, R_VERSION, R_IDENTITY, R_PAGE_NS, R_SCHEDULE_NS,
 R_ERRORS, R_TORN, R_MAX_SEQS, R_MAX_TOKENS, R_MAX_LEN, R_MAX_K, R_BLOCK_SIZE, R_FINISHED,
 R_K_LIVE, R_PEAK) = range(19, 45)

# Reason bits.
CLAMPED, UNSUPPORTED, LAPSED, RESTORED, PLAIN, REMADE = 1, 2, 4, 8, 16, 32

# Values.
VALUE_NAMES = ("batch_size", "prefill_token_budget", "long_prefill_threshold",
               "kv_headroom_blocks", "reserve_full_prompt", "speculative_decoding_k",
               "max_queued_requests", "max_queued_tokens")
(BATCH_SIZE, TOKEN_BUDGET, LONG_PREFILL, KV_HEADROOM, RESERVE_FULL, SPECULATIVE_K,
 QUEUED_REQUESTS, QUEUED_TOKENS) = range(8)
SCHEDULER_VALUES = (BATCH_SIZE, TOKEN_BUDGET, LONG_PREFILL, KV_HEADROOM, RESERVE_FULL,
                    SPECULATIVE_K)
API_VALUES = (QUEUED_REQUESTS, QUEUED_TOKENS)

# Ring.
RING_HEADER_WORDS, RING_RECORDS, RECORD_WORDS = 8, 16384, 16
RING_BYTES = (RING_HEADER_WORDS + RING_RECORDS * RECORD_WORDS) * WORD

_U64 = (1 << 64) - 1


class Setting(NamedTuple):
    """One block: bit i of `mask` says that values[i] is given."""

    epoch: int
    mask: int
    values: tuple[int, ...]


def signed(word: int) -> int:
    """The low 64 bits of `word` as a signed word."""
    word &= _U64
    return word - (1 << 64) if word >> 63 else word


def check_of(epoch: int, mask: int, values: tuple[int, ...]) -> int:
    return signed((epoch + mask + sum(values)) ^ PAGE_MAGIC)


def fnv1a(text: str) -> int:
    """FNV-1a, 64 bits, as a signed word."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & _U64
    return signed(value)


def mask_of(indices: tuple[int, ...]) -> int:
    return sum(1 << i for i in indices)


def boottime() -> int:
    """Nanoseconds since boot, counting suspension; the clock of every time on the page."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
