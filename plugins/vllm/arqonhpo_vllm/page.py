"""The page: blocks that the tuner writes and the report that this process writes."""

import os
import re
import struct

from .layout import (BLOCK_WORDS, FIRST_REPORT, PAGE_BYTES, PAGE_MAGIC, REPORT_WORDS, WORD,
                     Setting, check_of)
from .shared_file import SharedFile

SHARED_MEMORY = "/dev/shm"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_BLOCK = struct.Struct(f"<{BLOCK_WORDS}q")


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

    _STEP = struct.Struct("<10q")  # words 19-28
    _COST = struct.Struct("<4q")  # words 33-36

    def __init__(self, page: Page, slot: int) -> None:
        self._page = page
        self._first = FIRST_REPORT + slot * REPORT_WORDS
        self._byte = self._first * WORD
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

    def write(self, step: tuple[int, ...], cost: tuple[int, ...], finished: int, peak: int) -> None:
        """`step`: words 19-28, `cost`: words 33-36."""
        words, first, byte = self._page.words, self._first, self._byte
        seq = self._seq + 2
        words[first] = seq - 1
        self._STEP.pack_into(words, byte + 152, *step)
        self._COST.pack_into(words, byte + 264, *cost)
        words[first + 42] = finished
        words[first + 44] = peak
        words[first] = seq
        self._seq = seq
