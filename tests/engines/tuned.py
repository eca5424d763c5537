"""`arqonhpo tune` on a live engine, as a process: what it says, what it decided, how it is killed.

Also the cheap things that stand around it: servers that answer at once or too late, paced traffic
that counts its losses, HAProxy's runtime socket and the configuration with the log line.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from conftest import PORTS, Running, program
from load import until

LEASE_S = 10
# Lease, one look of the agent, one write, and a machine that does other things too.
DEADLINE_S = LEASE_S + 4
PHASES = ("glide", "settle", "measure", "widen")
# As docs/howto/haproxy.md has it.
LOG_FORMAT = ("arqon1 %pid %Ts.%ms %ft %b %s %ST %B %ts %TR/%Tw/%Tc/%Tr/%Ta "
              "%[var(txn.arqon_from)]/%[var(txn.arqon_first)] %sq/%bq %rc %HM "
              "%{+Q}[capture.req.hdr(0),json]")


# ---- Talking to sockets --------------------------------------------------------------------------

def exchange(path: Path | str, line: str) -> str:
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(str(path))
        s.sendall((line + "\n").encode())
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


def ask(path: Path, request: dict) -> dict:
    """What a desk or an agent answers; nothing when nobody does."""
    try:
        return json.loads(exchange(path, json.dumps(request)))
    except (OSError, ValueError):
        return {}


# ---- The tuner -----------------------------------------------------------------------------------

class Tuner:
    """One `arqonhpo tune` on a document, with the folder it runs in and the agent it started."""

    def __init__(self, folder: Path, document: dict[str, Any], *options: object) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.document = {"schema": 1, "name": "live", **document}
        self.state = folder / ".arqonhpo" / self.document["name"]
        self._path = folder / "live.json"
        self._path.write_text(json.dumps(self.document))
        self._log = open(folder / "tuner.log", "a")  # noqa: SIM115: as long as the process
        self._options = options
        self.start()

    def start(self) -> None:
        (self.state / "decisions.jsonl").unlink(missing_ok=True)  # of a run before
        self.process = subprocess.Popen(
            [program("apps/arqonhpo/arqonhpo"), "tune", self._path, "--seconds", "600",
             *map(str, self._options)],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)

    def alive(self) -> bool:
        return self.process.poll() is None

    def said(self) -> str:
        return (self.folder / "tuner.log").read_text()

    def status(self) -> dict[str, Any]:
        return ask(self.state / "control.sock", {"verb": "status"}).get("status", {})

    def phase(self) -> str:
        return self.status().get("phase", "")

    def agent(self) -> dict[str, Any]:
        return ask(self.state / "agent.sock", {"do": "status"})

    def confirmed(self) -> list[float]:
        """What the agent would put back."""
        path = self.state / "confirmed.json"
        return json.loads(path.read_text())["values"] if path.exists() else []

    def records(self, kind: str) -> list[dict[str, Any]]:
        """`decision` or `change`, in order. A line that is being written is not there yet."""
        path = self.state / "decisions.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        out = []
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record["record"] == kind:
                out.append(record)
        return out

    def actions(self) -> list[str]:
        return [record["action"] for record in self.records("decision")]

    def wait_for(self, condition: Callable[[], bool], seconds: float, what: str) -> float:
        """As until(); an end of the tuner meanwhile is told with what it said."""
        def holds() -> bool:
            assert self.alive(), f"the tuner ended while waiting for {what}: {self.said()[-2000:]}"
            return condition()

        try:
            return until(holds, seconds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.status()}; {self.said()[-1500:]}") from None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """The tuner, and the agent that outlives it."""
        self.kill()
        self._log.close()
        if pid := self.agent().get("pid"):
            os.kill(pid, signal.SIGTERM)
            try:
                until(lambda: not Path(f"/proc/{pid}").exists(), 10, "the end of the agent")
            except AssertionError:
                os.kill(pid, signal.SIGKILL)


def near(values: list[float], wanted: list[float], tolerance: float = 0.006) -> bool:
    return bool(values) and len(values) == len(wanted) and all(
        abs(a - b) <= tolerance for a, b in zip(values, wanted, strict=True))


# ---- What stands behind and before HAProxy -------------------------------------------------------

def routed(servers: list[str], log_port: int, weight: int = 100,
           more: str = "") -> Callable[[int, int, Path], str]:
    """A proxy that says what it sees, with a server s1, s2, ... for each address."""
    lines = "\n".join(f"  server s{i} {address} weight {weight} check inter 1000 fall 9"
                      for i, address in enumerate(servers, 1))

    def text(front: int, metrics: int, path: Path) -> str:
        return f"""global
  stats socket unix@{path} mode 600 level admin
  log 127.0.0.1:{log_port} len 4096 format raw local0 info
  nbthread 1
defaults
  mode http
  log global
  option redispatch
  option http-server-close
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout queue 60s
frontend in
  bind 127.0.0.1:{front}
  capture request header x-class len 32
  http-request set-var(txn.arqon_from) date(0,ms)
  http-response wait-for-body time 60s at-least 1
  http-response set-var(txn.arqon_first) date(0,ms)
  log-format "{LOG_FORMAT}"
  default_backend be
frontend metrics
  no log
  bind 127.0.0.1:{metrics}
  http-request use-service prometheus-exporter if {{ path /metrics }}
backend be
  balance roundrobin
  option httpchk GET /health
{lines}
{more}"""

    return text


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A proxy that is killed resets its connections."""


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    late_s = 0.0

    def do_GET(self) -> None:  # noqa: N802
        self.answer()

    def do_POST(self) -> None:  # noqa: N802
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        threading.Event().wait(self.late_s)
        self.answer()

    def answer(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def server(late_s: float) -> Iterator[str]:
    """HOST:PORT of something that answers so late."""
    handler = type("Handler", (Answers,), {"late_s": late_s})
    http_server = QuietServer(("127.0.0.1", PORTS()), handler)
    thread = threading.Thread(target=http_server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{http_server.server_port}"
    finally:
        http_server.shutdown()
        http_server.server_close()


@contextmanager
def traffic(url: str, streams: int = 6, pause_s: float = 0.05, path: str = "/",
            body: bytes = b"{}") -> Iterator[None]:
    """POST requests as fast as they are answered, each stream with a pause between two. What is
    lost is nobody's business here: proxies are killed under it."""
    done = threading.Event()
    host = url.removeprefix("http://")

    def stream() -> None:
        while not done.wait(pause_s):
            try:
                connection = http.client.HTTPConnection(host, timeout=5)
                connection.request("POST", path, body, {"Content-Type": "application/json"})
                connection.getresponse().read()
                connection.close()
            except (OSError, http.client.HTTPException):
                continue

    threads = [threading.Thread(target=stream, daemon=True) for _ in range(streams)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join(10)


def runtime(proxy: Running, command: str) -> str:
    return exchange(proxy.details["socket"], command)


def weights(proxy: Running, names: tuple[str, ...] = ("s1", "s2")) -> tuple[int, ...]:
    """In force now; nothing while HAProxy is away."""
    try:
        return tuple(int(runtime(proxy, f"get weight be/{name}").split()[0]) for name in names)
    except (OSError, ValueError, IndexError):
        return ()


def maxconns(proxy: Running, backends: tuple[str, ...]) -> tuple[int, ...]:
    """Limits of one-server backends; nothing while HAProxy is away."""
    try:
        rows = [row.split(",") for row in runtime(proxy, "show stat").splitlines()]
        found = {row[0]: int(row[6]) for row in rows
                 if len(row) > 6 and row[1] not in ("FRONTEND", "BACKEND") and row[6].isdigit()}
        return tuple(found[name] for name in backends)
    except (OSError, KeyError):
        return ()


def shares(values: tuple[float, ...]) -> list[float]:
    return [value / sum(values) for value in values] if values else []


def await_up(proxy: Running, servers: int) -> None:
    def up() -> bool:
        rows = [row.split(",") for row in runtime(proxy, "show stat").splitlines()]
        return sum(len(row) > 17 and row[0] == "be" and row[1] != "BACKEND" and row[17] == "UP"
                   for row in rows) == servers

    until(up, 15, f"{servers} servers up")


def quiet(seconds: float) -> None:
    """Time that has to pass for something not to happen."""
    threading.Event().wait(seconds)


def now() -> float:
    return time.monotonic()
