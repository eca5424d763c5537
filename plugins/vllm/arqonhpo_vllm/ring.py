"""The ring of finished requests: one writer, the API process that holds the lock."""

import fcntl
import os
import struct

from .layout import (RECORD_WORDS, RING_BYTES, RING_HEADER_WORDS, RING_MAGIC, RING_RECORDS, WORD)
from .page import SHARED_MEMORY
from .shared_file import SharedFile

_FIELDS = struct.Struct(f"<{RECORD_WORDS - 1}q")
_WRITTEN, _PID, _STARTED = 3, 4, 5


class Ring(SharedFile):
    """Indices go on where an earlier writer stopped, so that a reader keeps its place."""

    def __init__(self, name: str, started: int, folder: str = SHARED_MEMORY) -> None:
        path = os.path.join(folder, f"arqonhpo-vllm-{name}.ring")
        super().__init__(path, RING_BYTES, RING_MAGIC, RING_RECORDS)
        self._started = started
        self._lock = -1
        self._next = 0

    def append(self, fields: tuple[int, ...]) -> None:
        """Writes words 1-13 of a record; nothing while another process is the writer."""
        if not self.attached:
            return
        words, index = self.words, self._next
        slot = RING_HEADER_WORDS + index % RING_RECORDS * RECORD_WORDS
        words[slot] = 0  # half written from here
        _FIELDS.pack_into(words, (slot + 1) * WORD, *fields, 0, 0)
        words[slot] = index + 1
        self._next = index + 1
        words[_WRITTEN] = self._next

    def detach(self) -> None:
        super().detach()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _keep(self, words: memoryview, status: os.stat_result, descriptor: int) -> None:
        """Only the first of several API processes writes; the lock goes when its holder does."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        self._lock = os.dup(descriptor)
        super()._keep(words, status, descriptor)
        self._next = max(words[_WRITTEN], 0)
        words[_PID], words[_STARTED] = os.getpid(), self._started
