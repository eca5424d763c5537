"""Starts, watches and ends servers, each in a session of its own, with deadlines everywhere.

A server may be many processes (vLLM: three) and may leave shared memory behind when it is killed;
both are found through its session, so nothing of anybody else is touched.
"""

import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

# What engines put into /dev/shm and forget when they are killed. Pages of other programs that they
# only map (a tuner's) are not theirs.
SHARED_MEMORY = re.compile(r"/dev/shm/(psm_\w+|sem\.mp-\w+|triton_python_backend_shm_region_\w+)")
LOG_TAIL = 2000


class ServerError(Exception):
    """A server did not start or did not become ready; the message holds the end of its log."""


def free_port(low: int, high: int) -> int:
    """A port of [low, high] that nobody listens on now."""
    for port in range(low, high + 1):
        with socket.socket() as probe:
            # A port whose last connection lingers is free; one with a listener is not.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise ServerError(f"no free port from {low} to {high}")


def stat_fields(pid: int) -> list[str]:
    """/proc/PID/stat after the name; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def begun(pid: int) -> int:
    """Clock ticks after boot at which it was started; a process id alone may be somebody else's."""
    fields = stat_fields(pid)
    return int(fields[19]) if fields else 0


def session(leader: int, since: int) -> list[int]:
    """Living processes of the session that `leader` made, itself included; zombies are not."""
    out = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        fields = stat_fields(int(entry))
        if fields and fields[0] != "Z" and int(fields[3]) == leader and int(fields[19]) >= since:
            out.append(int(entry))
    return out


def shared_memory(pids: Iterable[int]) -> set[str]:
    """Files in /dev/shm that these processes have mapped or open and that are an engine's."""
    found: set[str] = set()
    for pid in pids:
        try:
            found.update(match.group(0) for match in
                         SHARED_MEMORY.finditer(Path(f"/proc/{pid}/maps").read_text()))
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                match = SHARED_MEMORY.match(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
                found.update([match.group(0)] if match else [])
        except OSError:
            continue  # it ended while we looked
    return found


def send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def answers(url: str, timeout: float = 2) -> bool:
    """Whether GET answers 2xx in time."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            return 200 <= response.status < 300
    except (OSError, urllib.error.URLError, ValueError):
        return False


_children: dict[int, subprocess.Popen] = {}


def reap(pid: int) -> None:
    """A child of ours that ended would stay a zombie."""
    if pid in _children and _children[pid].poll() is not None:
        del _children[pid]


def log_tail(path: Path) -> str:
    try:
        return path.read_bytes()[-LOG_TAIL:].decode(errors="replace")
    except OSError:
        return ""


@dataclass
class Command:
    """How a server is started and when it is ready."""

    engine: str
    argv: list[str]
    url: str                                 # where it answers
    ready: str                               # this URL answers 2xx when it is ready
    env: dict[str, str] = field(default_factory=dict)      # added to ours
    unset: list[str] = field(default_factory=list)         # taken from ours
    cwd: str = "."
    boot_s: float = 60                       # it is given up after so long
    grace_s: float = 10                      # from SIGTERM to SIGKILL


@dataclass
class Server:
    """A started server; a plain value that can be written down and taken up by another process."""

    engine: str
    pid: int
    since: int
    url: str
    log: str
    grace_s: float
    memory: list[str] = field(default_factory=list)

    def pids(self) -> list[int]:
        return session(self.pid, self.since)

    def alive(self) -> bool:
        return bool(self.pids())

    def note_memory(self) -> None:
        self.memory = sorted({*self.memory, *shared_memory(self.pids())})

    def suspend(self) -> None:
        send(self.pids(), signal.SIGSTOP)

    def resume(self) -> None:
        send(self.pids(), signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM, patience, SIGKILL for what is left, and its shared memory is gone."""
        self.note_memory()
        self.resume()
        # Only the leader is asked: a child that ends by itself looks like a crash to its parent.
        leader = [self.pid] if self.pid in self.pids() else self.pids()
        send(leader, signal.SIGTERM)
        self._await_end(self.grace_s)
        self.kill()

    def kill(self) -> None:
        """As a crash ends it, for all its processes at once; then only its memory is cleaned up."""
        self.note_memory()
        send(self.pids(), signal.SIGKILL)
        self._await_end(10)
        for name in self.memory:
            Path(name).unlink(missing_ok=True)
        self.memory = []

    def _await_end(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            reap(self.pid)
            if not self.alive():
                return
            time.sleep(0.05)


def end_with_parent() -> None:
    """In the child, before it becomes the server: SIGTERM when the thread that made it ends."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def start(command: Command, log: Path, wait: bool = True, tied: bool = False) -> Server:
    """Starts it in a session of its own; with `wait`, returns when it is ready or raises.

    It outlives us unless it is `tied`: then it ends with the thread that called, killed or not.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    env = {key: value for key, value in os.environ.items() if key not in command.unset}
    with log.open("wb") as out:
        process = subprocess.Popen(command.argv, stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT, env={**env, **command.env},
                                   cwd=command.cwd, start_new_session=True,
                                   preexec_fn=end_with_parent if tied else None)
    _children[process.pid] = process
    server = Server(command.engine, process.pid, begun(process.pid), command.url, str(log),
                    command.grace_s)
    if not wait:
        return server
    try:
        await_ready(server, command)
    except BaseException:
        server.kill()
        raise
    return server


def await_ready(server: Server, command: Command,
                is_ready: Callable[[str], bool] = answers) -> None:
    end = time.monotonic() + command.boot_s
    while not is_ready(command.ready):
        reap(server.pid)
        if not server.alive():
            raise ServerError(f"{server.engine} ended at start:\n{log_tail(Path(server.log))}")
        if time.monotonic() > end:
            raise ServerError(f"{server.engine} is not ready after {command.boot_s:.0f} s:\n"
                              f"{log_tail(Path(server.log))}")
        time.sleep(0.05)
    server.note_memory()


# ---- Servers that outlive the command that started them --------------------------------------

def state_path(folder: Path, name: str) -> Path:
    return folder / "run" / f"{name}.json"


def remember(folder: Path, name: str, server: Server) -> None:
    path = state_path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(server), indent=1) + "\n")


def recall(folder: Path) -> dict[str, Server]:
    """By name, also those that have died since."""
    out = {}
    for path in sorted((folder / "run").glob("*.json")):
        try:
            out[path.stem] = Server(**json.loads(path.read_text()))
        except (ValueError, TypeError):
            path.unlink()  # half written by something that was killed
    return out


def forget(folder: Path, name: str) -> None:
    state_path(folder, name).unlink(missing_ok=True)
