"""The page: blocks that the tuner writes and the report that this process writes."""

import os
import re
import struct

from .layout import (BLOCK_WORDS, FIRST_REPORT, PAGE_BYTES, PAGE_MAGIC, R_FINISHED, R_PAGE_NS,
                     R_PEAK, R_REASONS, REPORT_WORDS, WORD, Setting, check_of)
from .shared_file import SharedFile

SHARED_MEMORY = "/dev/shm"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_BLOCK = struct.Struct(f"<{BLOCK_WORDS}q")
_STEP = struct.Struct("<10q")  # reasons ... tokens of the last step
_COST = struct.Struct("<4q")  # time on the page ... torn reads


def engine_name() -> str:
    """ARQONHPO_VLLM_NAME, part of file names. Raises ValueError when it is not fit for one."""
    name = os.environ.get("ARQONHPO_VLLM_NAME") or "default"
    if not _NAME.fullmatch(name):
        raise ValueError(f"ARQONHPO_VLLM_NAME={name!r}: up to 64 letters, digits, '.', '_' or '-'")
    return name


class Page(SharedFile):
    def __init__(self, name: str, folder: str = SHARED_MEMORY) -> None:
        path = os.path.join(folder, f"arqonhpo-vllm-{name}.page")
        super().__init__(path, PAGE_BYTES, PAGE_MAGIC, PAGE_BYTES)

    def read_block(self, first: int) -> tuple[int, Setting] | None:
        """(seq, setting) of a block, None when it is being written or its check is wrong."""
        block = _BLOCK.unpack_from(self.words, first * WORD)
        seq, epoch, mask, values = block[0], block[1], block[2], block[3:19]
        if seq & 1 or self.words[first] != seq or check_of(epoch, mask, values) != block[19]:
            return None
        return seq, Setting(epoch, mask, values)


class Report:
    """The 48 words of one rank. One writer; a reader sees an odd sequence while it writes."""

    def __init__(self, page: Page, slot: int) -> None:
        self._page = page
        self._first = FIRST_REPORT + slot * REPORT_WORDS
        self._step_byte = (self._first + R_REASONS) * WORD
        self._cost_byte = (self._first + R_PAGE_NS) * WORD
        self._settled: tuple[tuple[int, int], ...] = ()
        self._seq = 0

    def settle(self, settled: dict[int, int]) -> None:
        """Words that change seldom: written at once, and again into a page made anew."""
        self._settled = tuple(settled.items())
        words, first = self._page.words, self._first
        self._seq = ((words[first] & 0xFFFFFFFF) | 1) + 2  # odd, another than any reader saw
        words[first] = self._seq
        for word, value in self._settled:
            words[first + word] = value
        self._seq += 1
        words[first] = self._seq

    def write(self, reasons: int, steps: int, now: int, running: int, waiting: int, skipped: int,
              free: int, blocks: int, preemptions: int, tokens: int, page_ns: int,
              schedule_ns: int, errors: int, torn: int, finished: int, peak: int) -> None:
        """The words that change at every step; this is on the engine's path."""
        words, first = self._page.words, self._first
        self._seq = seq = self._seq + 2
        words[first] = seq - 1
        _STEP.pack_into(words, self._step_byte, reasons, steps, now, running, waiting, skipped,
                        free, blocks, preemptions, tokens)
        _COST.pack_into(words, self._cost_byte, page_ns, schedule_ns, errors, torn)
        words[first + R_FINISHED] = finished
        words[first + R_PEAK] = peak
        words[first] = seq
