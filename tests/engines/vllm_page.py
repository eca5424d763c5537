"""A page between the tuner and a real vLLM, to cause what the engine itself never does.

The adapter is given the name of the relay; commands, the lease and the confirmed set go on to the
engine's page, its reports come back. Layout: docs/formats/vllm-page.md.
"""

import os
import sys
import threading
import time
from pathlib import Path

import vllm_plugin as rig

sys.path.insert(0, str(rig.PLUGIN / "tests"))
from tuner import COMMAND, CONFIRMED, FIRST_REPORT, LEASE, MAGIC, Tuner  # noqa: E402

BLOCK, REPORT, REPORTS = 20, 48, 8
EPOCH, VALUES, REASONS = 1, 3, 19  # words of a report
CLAMPED = 1


def signed(word: int) -> int:
    word &= (1 << 64) - 1
    return word - (1 << 64) if word >> 63 else word


class PageRelay:
    """Modes: pass; no_effect (says yes and does nothing); clamp (half of the first value)."""

    def __init__(self, engine: str, name: str) -> None:
        self.mode = "pass"
        self._page = Path(f"/dev/shm/arqonhpo-vllm-{name}.page")
        self._ring = self._page.with_suffix(".ring")
        for path in (self._page, self._ring):
            path.unlink(missing_ok=True)
        self._engine = Tuner(f"/dev/shm/arqonhpo-vllm-{engine}.page").words
        self._tuner = Tuner(str(self._page)).words
        # One ring, under both names.
        os.link(f"/dev/shm/arqonhpo-vllm-{engine}.ring", self._ring)
        self._asked = 0  # epoch of a command that the relay answers itself, until the engine does
        self._kept: list[int] = []  # the values it answers with
        self._reports()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._relay, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        for path in (self._page, self._ring):
            path.unlink(missing_ok=True)

    def _relay(self) -> None:
        while not self._over.is_set():
            self._engine[3], self._engine[LEASE] = self._tuner[3], self._tuner[LEASE]
            self._forward(CONFIRMED)
            self._forward(COMMAND)
            self._reports()
            time.sleep(0.0005)

    def _forward(self, first: int) -> None:
        block = list(self._tuner[first:first + BLOCK])
        if block[0] & 1 or block[0] == self._engine[first] or list(
                self._tuner[first:first + BLOCK]) != block:
            return
        if first == COMMAND and self.mode != "pass" and block[1] != self._asked:
            effective = list(self._engine[FIRST_REPORT + VALUES:FIRST_REPORT + VALUES + 16])
            if self.mode == "clamp":
                block[3] //= 2
                block[19] = signed((block[1] + block[2] + sum(block[3:19])) ^ MAGIC)
                effective = [block[3 + i] if block[2] >> i & 1 else value
                             for i, value in enumerate(effective)]
            self._asked, self._kept = block[1], effective
        if first == COMMAND and self.mode == "no_effect":
            return
        self._write(self._engine, first, block)

    def _reports(self) -> None:
        for slot in range(REPORTS):
            first = FIRST_REPORT + slot * REPORT
            report = list(self._engine[first:first + REPORT])
            if report[0] & 1 or self._engine[first] != report[0]:
                continue
            if slot == 0 and self._asked > report[EPOCH]:
                report[EPOCH] = self._asked
                report[VALUES:VALUES + 16] = self._kept
            if slot == 0 and self.mode == "clamp":
                report[REASONS] |= CLAMPED
            if report[1:] != list(self._tuner[first + 1:first + REPORT]):
                report[0] = (self._tuner[first] | 1) + 1
                self._write(self._tuner, first, report)

    @staticmethod
    def _write(to: memoryview, first: int, words: list[int]) -> None:
        """Under the sequence lock; ends with the sequence that was given."""
        to[first] = words[0] - 1
        for i, word in enumerate(words[1:], 1):
            to[first + i] = word
        to[first] = words[0]
