"""Real engines for the tests of this folder: started once, shared, watched, always stopped.

A test asks for a fixture (vllm, triton, llamacpp, haproxy) and calls it; the servers come from
tools/engines. Not installed means skipped, with the reason. Environment:
  ARQON_ENGINES        folder of tools/engines (build/engines)
  ARQON_BUILD          build tree whose programs the tests run (build/release)
  ARQON_TEST_PORTS     LOW-HIGH to take ports from (27000-27999)
  ARQON_TEST_LOGS      folder of the servers' logs (build/test-results/engines)
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(Path(__file__).resolve().parent)]

from engines_lib import commands, install, models, servers  # noqa: E402

LOGS = Path(os.environ.get("ARQON_TEST_LOGS") or ROOT / "build/test-results/engines")
BUILD = Path(os.environ.get("ARQON_BUILD") or ROOT / "build/release")
DIR = Path(os.environ.get("ARQON_ENGINES") or ROOT / "build/engines").absolute()
DEADLINE_S = 600  # of one test, fixtures' boots included; @pytest.mark.deadline(seconds) for others


class Ports:
    """Every port is handed out once, so a server that is gone for a moment keeps its own."""

    def __init__(self) -> None:
        low, _, high = (os.environ.get("ARQON_TEST_PORTS") or "27000-27999").partition("-")
        self._next, self._high = int(low), int(high)
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            port = servers.free_port(self._next, self._high)
            self._next = port + 1
            return port


PORTS = Ports()
# A tied server ends with the thread that started it, so one thread starts all and stays.
STARTER = ThreadPoolExecutor(max_workers=1)


def need(engine: str) -> None:
    """Skips the test, with the reason, when this engine is not installed."""
    if not install.installed(DIR, install.ENGINES[engine]):
        reason = install.why_skipped(DIR, install.ENGINES[engine])
        pytest.skip(f"{engine}: {reason or f'not installed; tools/engines install {engine}'}")


def program(name: str) -> Path:
    """A built program by its name below the build tree, e.g. "apps/arqonhpo/arqonhpo"."""
    path = BUILD / name
    if not path.exists():
        pytest.fail(f"{path} is not built; `make test-engines` builds it")
    return path


@dataclass
class Running:
    """One server and how to start it again."""

    name: str
    command: servers.Command
    server: servers.Server
    starts: int = 1
    details: dict[str, str] = field(default_factory=dict)  # more addresses and paths

    @property
    def url(self) -> str:
        return self.command.url

    @property
    def log(self) -> Path:
        return Path(self.server.log)

    def start_again(self, command: servers.Command | None = None) -> None:
        """After a kill or stop, as it was or with another command on the same ports."""
        if self.server.alive():
            self.server.stop()
        self.command = command or self.command
        self.starts += 1
        self.server = start(self.name, self.command, self.starts)

    def server_kill(self) -> None:
        """Of the server as it is then; it has another process after each start."""
        self.server.kill()

    def well(self) -> bool:
        return self.server.alive() and servers.answers(self.command.ready)


def start(name: str, command: servers.Command, number: int = 1) -> servers.Server:
    log = LOGS / f"{name}-{number}.log"
    return STARTER.submit(servers.start, command, log, tied=True).result()


class Pool:
    """Servers of one engine by name; all of them stop with the session."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.running: dict[str, Running] = {}

    def take(self, name: str, make: Callable[[], tuple[servers.Command, dict[str, str]]],
             same: Callable[[Running], bool]) -> Running:
        """The running one of that name when it is `same` and well, or a new one in its place."""
        need(self.engine)
        old = self.running.get(name)
        if old and same(old) and old.well():
            return old
        if old:
            old.server.stop()
        command, details = make()
        server = start(f"{self.engine}-{name}", command, old.starts + 1 if old else 1)
        self.running[name] = Running(f"{self.engine}-{name}", command, server,
                                     old.starts + 1 if old else 1, details)
        return self.running[name]

    def stop(self) -> None:
        for running in self.running.values():
            running.server.stop()


class Vllm(Pool):
    """vllm(flags=[...], env={...}, model="mid", pythonpath=[...]) -> Running

    One server at a time: it takes 2.6 GiB and both cores. Asked for the same again, it hands out
    the running one (20 s saved), so a test leaves knobs as it found them or asks for `fresh`.
    """

    def __init__(self) -> None:
        super().__init__("vllm")
        self.asked: tuple[object, ...] = ()

    def __call__(self, flags: list[str] | None = None, env: dict[str, str] | None = None,
                 model: str = "mid", pythonpath: list[Path] | None = None,
                 fresh: bool = False) -> Running:
        asked = (tuple(flags or []), tuple(sorted((env or {}).items())), model,
                 tuple(pythonpath or []))
        paths = [str(path) for path in pythonpath or []]
        extra = {"PYTHONPATH": ":".join(paths)} if paths else {}

        def make() -> tuple[servers.Command, dict[str, str]]:
            self.asked = asked
            return commands.vllm(DIR, PORTS(), model, flags, {**extra, **(env or {})}), {}

        return self.take("one", make, lambda _: not fresh and self.asked == asked)


class Triton(Pool):
    """triton(flags=[...]) -> Running with details grpc, metrics (URLs) and repository (path)

    The model repository is a copy of its own; control mode explicit, model "sleeper".
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("triton")
        self.folder = folder

    def __call__(self, name: str = "one", flags: list[str] | None = None) -> Running:
        def make() -> tuple[servers.Command, dict[str, str]]:
            http, grpc, metrics = PORTS(), PORTS(), PORTS()
            repository = self.folder / f"{name}-{http}"
            models.write_triton(repository)
            command = commands.triton(DIR, repository, http, grpc, metrics, flags=flags)
            return command, {"grpc": f"http://127.0.0.1:{grpc}",
                             "metrics": f"http://127.0.0.1:{metrics}/metrics",
                             "repository": str(repository), "flags": repr(flags)}

        return self.take(name, make, lambda old: old.details["flags"] == repr(flags))


class Llamacpp(Pool):
    """llamacpp(name, model="small", slots=4, context=4096) -> Running; two by two other names"""

    def __init__(self) -> None:
        super().__init__("llamacpp")

    def command(self, port: int, model: str = "small", slots: int = 4,
                context: int = 4096) -> servers.Command:
        return commands.llamacpp(DIR, port, model, slots, context)

    def __call__(self, name: str = "one", model: str = "small", slots: int = 4,
                 context: int = 4096) -> Running:
        def make() -> tuple[servers.Command, dict[str, str]]:
            port = PORTS()
            return self.command(port, model, slots, context), {"port": str(port)}

        def same(old: Running) -> bool:
            return old.command == self.command(int(old.details["port"]), model, slots, context)

        return self.take(name, make, same)


class Haproxy(Pool):
    """haproxy(backends={"be": ["127.0.0.1:27001"]}, ...) -> Running

    details: socket (path of the runtime socket), metrics (URL), config (path). `config` may be a
    function of (frontend port, metrics port, socket path) that gives another configuration; `log`
    is where syslog datagrams go. A proxy in front of a new set of servers is a new one.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("haproxy")
        self.folder = folder

    def __call__(self, backends: dict[str, list[str]], name: str = "one", log: str = "",
                 maxconn: int = 64, config: Callable[[int, int, Path], str] | None = None,
                 flags: list[str] | None = None) -> Running:
        def make() -> tuple[servers.Command, dict[str, str]]:
            front, metrics = PORTS(), PORTS()
            path = self.folder / f"{name}-{front}.cfg"
            socket = path.with_suffix(".sock")
            text = (config(front, metrics, socket) if config else
                    commands.haproxy_config(front, metrics, socket, backends, log, maxconn))
            path.write_text(text)
            command = commands.haproxy(DIR, path, f"http://127.0.0.1:{front}",
                                       f"http://127.0.0.1:{metrics}/metrics", flags)
            return command, {"socket": str(socket), "config": str(path),
                             "metrics": f"http://127.0.0.1:{metrics}/metrics"}

        return self.take(name, make, lambda _: False)


def kept(pool: Pool) -> Iterator[Pool]:
    try:
        yield pool
    finally:
        pool.stop()


@pytest.fixture(scope="session")
def vllm() -> Iterator[Pool]:
    yield from kept(Vllm())


@pytest.fixture(scope="session")
def vllm_plugin_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for vllm(pythonpath=[...]) with the wheel arqonhpo-vllm unpacked in it."""
    need("vllm")
    import vllm_plugin
    python = DIR / "vllm/venv/bin/python"
    return vllm_plugin.install_plugin(python, tmp_path_factory.mktemp("vllm_plugin") / "wheel")


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    yield from kept(Triton(tmp_path_factory.mktemp("triton")))


@pytest.fixture(scope="session")
def llamacpp() -> Iterator[Pool]:
    yield from kept(Llamacpp())


@pytest.fixture(scope="session")
def haproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    yield from kept(Haproxy(tmp_path_factory.mktemp("hap")))


@pytest.fixture
def port() -> Ports:
    return PORTS


# ---- Deadlines ---------------------------------------------------------------------------------

def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "deadline(seconds): the test fails when it takes longer")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    marker = item.get_closest_marker("deadline")
    seconds = marker.args[0] if marker else DEADLINE_S

    def late(_number: int, _frame: object) -> None:
        raise TimeoutError(f"{item.name} did not end within {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
