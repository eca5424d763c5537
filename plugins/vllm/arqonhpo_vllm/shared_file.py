"""A file in shared memory that either side may make, and that may vanish or be spoilt."""

import mmap
import os
import stat
import struct
import time

from .layout import LAYOUT


class SharedFile:
    """Maps `path`; while it is not attached `words` is private memory: readers need not ask.

    Only a regular file of this user that nobody else may open is taken: /dev/shm is writable by
    everyone. A file that is damaged twice in a row is replaced; one being made by the other side
    is whole at the second look.
    """

    def __init__(self, path: str, size: int, magic: int, third_word: int) -> None:
        self.path = path
        self._size = size
        self._header = (magic, LAYOUT, third_word)
        self._blank = bytes(size)
        self._found: tuple[int, int] | None = None
        self._damaged = 0
        self.attached = False
        self.words = memoryview(bytearray(size)).cast("q")

    def attach(self) -> str:
        """Maps the file, made when absent. Empty when done, else why not; never raises."""
        why = ""
        for _ in range(3):
            try:
                why = self._open()
            except FileNotFoundError:
                why = self._make()
            except OSError as error:
                return f"{self.path}: {error.strerror or error}"
            if self.attached or why:
                return why
        return f"{self.path} comes and goes"

    def intact(self) -> bool:
        """The path still names the mapped file, whole and with its header."""
        try:
            status = os.stat(self.path, follow_symlinks=False)
        except OSError:
            return False
        return (self.attached and (status.st_dev, status.st_ino) == self._found
                and status.st_size == self._size and tuple(self.words[:3]) == self._header)

    def detach(self) -> None:
        """Back to private memory. The mapping goes when its last view does."""
        self.attached = False
        self._found = None
        self.words = memoryview(bytearray(self._size)).cast("q")

    def _open(self) -> str:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(self.path, flags)
        try:
            status = os.fstat(descriptor)
            why = self._refusal(status)
            if why:
                return why
            if status.st_size != self._size:
                return self._replace_damaged(status)
            words = memoryview(mmap.mmap(descriptor, self._size)).cast("q")
            if words[0] == 0:  # made by the other side, header not written yet: both write the same
                words[1], words[2], words[0] = LAYOUT, self._header[2], self._header[0]
            if words[0] == self._header[0] and words[1] != LAYOUT:
                return f"{self.path} has layout {words[1]}, this plugin knows {LAYOUT}"
            if tuple(words[:3]) != self._header:
                return self._replace_damaged(status)
            self._keep(words, status, descriptor)
        finally:
            os.close(descriptor)
        return ""

    def _keep(self, words: memoryview, status: os.stat_result, descriptor: int) -> None:
        """Takes the mapping over; a subclass may want the open file as well."""
        del descriptor
        self.words = words
        self._found = (status.st_dev, status.st_ino)
        self._damaged = 0
        self.attached = True

    def _refusal(self, status: os.stat_result) -> str:
        if not stat.S_ISREG(status.st_mode):
            return f"{self.path} is not a regular file"
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            return f"{self.path} is not owned by this user alone (mode 0600); remove it"
        return ""

    def _replace_damaged(self, status: os.stat_result) -> str:
        self._damaged += 1
        if self._damaged < 2:
            return f"{self.path} is damaged or being made; looked at again"
        self._damaged = 0
        now = os.stat(self.path, follow_symlinks=False)
        if (now.st_dev, now.st_ino) == (status.st_dev, status.st_ino):
            os.unlink(self.path)
        return ""

    def _make(self) -> str:
        """A whole file appears under its name at once, or another process was first."""
        temporary = f"{self.path}.{os.getpid()}.{time.monotonic_ns()}"
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o600)
            try:
                header = struct.pack("<3q", *self._header)
                os.ftruncate(descriptor, self._size)
                os.pwrite(descriptor, header + self._blank[len(header):], 0)
                os.link(temporary, self.path)
            finally:
                os.close(descriptor)
                os.unlink(temporary)
        except FileExistsError:
            return ""
        except OSError as error:
            return f"{self.path} cannot be made: {error.strerror or error}"
        return ""
