"""The way back without us, on a real HAProxy: the tuner killed in each phase of a change, with and
without a restart of HAProxy, and the confirmed set stands within the deadline.

Two servers stand behind the proxy: one answers at once, one too late, so that the tuner moves
weight. Their boot weights are even; a person had set them otherwise before the tuner came.
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

import pytest
from conftest import PORTS, Running, program
from load import until

LEASE_S = 10
# Lease, one look of the agent, one write, and a machine that does other things too.
DEADLINE_S = LEASE_S + 4
FOUND = (154, 102)  # set by a person; HAProxy boots with 100 and 100
# As docs/howto/haproxy.md has it.
LOG_FORMAT = ("arqon1 %pid %Ts.%ms %ft %b %s %ST %B %ts %TR/%Tw/%Tc/%Tr/%Ta "
              "%[var(txn.arqon_from)]/%[var(txn.arqon_first)] %sq/%bq %rc %HM "
              "%{+Q}[capture.req.hdr(0),json]")


def config(servers: list[str], log_port: int) -> Callable[[int, int, Path], str]:
    """A proxy that says what it sees, with a server s1, s2, ... for each address."""
    lines = "\n".join(f"  server s{i} {address} weight 100 check inter 1000 fall 9"
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
"""

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
def traffic(url: str, streams: int = 6) -> Iterator[None]:
    """Requests as fast as they are answered, paced to about a hundred a second in all."""
    done = threading.Event()
    host = url.removeprefix("http://")

    def stream() -> None:
        while not done.wait(0.05):
            try:
                connection = http.client.HTTPConnection(host, timeout=5)
                connection.request("POST", "/", b"{}")
                connection.getresponse().read()
                connection.close()
            except OSError:
                continue

    threads = [threading.Thread(target=stream, daemon=True) for _ in range(streams)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def runtime(proxy: Running, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(proxy.details["socket"])
        s.sendall((command + "\n").encode())
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


def weights(proxy: Running) -> tuple[int, ...]:
    """In force now; nothing while HAProxy is away."""
    try:
        return tuple(int(runtime(proxy, f"get weight be/{name}").split()[0])
                     for name in ("s1", "s2"))
    except (OSError, ValueError, IndexError):
        return ()


def shares(values: tuple[float, ...]) -> list[float]:
    return [value / sum(values) for value in values]


class Stack:
    """One HAProxy, one tuner, its state folder."""

    def __init__(self, folder: Path, proxy: Running, log_port: int) -> None:
        self.folder, self.proxy = folder, proxy
        self.state = folder / ".arqonhpo/way-back"
        for name, weight in zip(("s1", "s2"), FOUND, strict=True):
            runtime(proxy, f"set server be/{name} weight {weight}")
        document = {
            "schema": 1, "name": "way-back",
            "target": {"engine": "haproxy", "socket": proxy.details["socket"], "backend": "be",
                       "log": {"udp": log_port}, "settle_s": 1},
            "classes": {"web": {"e2e_ms": 60, "ttft_ms": 60}},
            "guardrails": {"max_updates_per_second": 1},
            "window": {"requests_min": 100, "seconds_min": 2, "seconds_max": 30},
        }
        path = folder / "live.json"
        path.write_text(json.dumps(document))
        self.log = open(folder / "tuner.log", "w")
        self.tuner = subprocess.Popen(
            [program("apps/arqonhpo/arqonhpo"), "tune", path, "--seconds", "600"], cwd=folder,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def status(self) -> dict:
        answer = ask(self.state / "control.sock", {"verb": "status"})
        return answer.get("status", {})

    def agent(self) -> dict:
        return ask(self.state / "agent.sock", {"do": "status"})

    def confirmed(self) -> list[float]:
        path = self.state / "confirmed.json"
        return json.loads(path.read_text())["values"] if path.exists() else []

    def confirmations(self) -> int:
        path = self.state / "decisions.jsonl"
        return path.read_text().count('"action":"confirm"') if path.exists() else 0

    def stands(self) -> bool:
        now, wanted = weights(self.proxy), self.confirmed()
        return (bool(now) and bool(wanted) and
                all(abs(a - b) < 0.006 for a, b in zip(shares(now), wanted, strict=True)))

    def end(self) -> None:
        self.tuner.kill()
        self.tuner.wait()
        self.log.close()
        if pid := self.agent().get("pid"):
            os.kill(pid, signal.SIGTERM)
            until(lambda: not self.agent(), 10, "the end of the agent")


def ask(path: Path, request: dict) -> dict:
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(str(path))
            s.sendall((json.dumps(request) + "\n").encode())
            return json.loads(b"".join(iter(lambda: s.recv(65536), b"")))
    except (OSError, ValueError):
        return {}


@pytest.fixture
def stack(haproxy, tmp_path: Path) -> Iterator[Callable[[], Stack]]:
    with server(0) as quick, server(0.12) as late:
        stacks: list[Stack] = []

        def make() -> Stack:
            log_port = PORTS()
            proxy = haproxy({}, config=config([quick, late], log_port))
            until(lambda: "UP" in runtime(proxy, "show stat"), 10, "servers up")
            stacks.append(Stack(tmp_path, proxy, log_port))
            return stacks[-1]

        try:
            yield make
        finally:
            for one in stacks:
                one.end()


@pytest.mark.deadline(180)
@pytest.mark.parametrize(("phase", "restart"), [
    *((phase, restart) for phase in ("glide", "settle", "measure") for restart in (False, True)),
    # It takes a minute to get there: here HAProxy restarts after the tuner's death.
    ("confirmed", False)])
def test_the_confirmed_set_stands_when_the_tuner_is_killed(stack, phase: str,
                                                           restart: bool) -> None:
    one: Stack = stack()
    with traffic(one.proxy.url):
        if phase == "confirmed":
            until(lambda: one.confirmations() > 0, 120, phase)
        else:
            until(lambda: one.status().get("phase") == phase or
                  (phase == "glide" and weights(one.proxy) not in ((), FOUND)), 120, phase)
        one.tuner.kill()
        one.tuner.wait()
        if restart:
            one.proxy.start_again()
            until(lambda: bool(weights(one.proxy)), 10, "HAProxy again")
        killed = time.monotonic()
        until(lambda: one.stands() and not one.agent().get("open", True), DEADLINE_S + 10,
              f"the confirmed set {one.confirmed()}, found {weights(one.proxy)}")
        assert time.monotonic() - killed < DEADLINE_S
        if phase == "confirmed":
            one.proxy.start_again()
            until(one.stands, DEADLINE_S, "the confirmed set in a HAProxy without a tuner")
        if one.confirmations() == 0:
            assert all(abs(a - b) < 0.006 for a, b in
                       zip(shares(weights(one.proxy)), shares(FOUND), strict=True))
        assert shares(weights(one.proxy)) != shares((100, 100)), "never the values of the boot"
