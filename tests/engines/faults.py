"""Misfortunes for real engines: a proxy that spoils answers, and a desk that test programs call.

FaultProxy stands between an adapter and an engine's HTTP. By path it passes on, hangs, answers
garbage or half, is slow, refuses, or says 200 without a token; so "hang with health 200" is
{"/health": "pass", "*": "hang"}. SocketProxy does the like for HAProxy's runtime socket.

Desk lets a C++ test program do things to servers that pytest has started: POST /VERB with a body.
It knows drive, inject/FAULT and heal/FAULT (the names of testing/engine_suite.h, "_" for " "), and
what else a test adds. run() starts a program with ARQON_CONTROL set to the desk's address.
"""

import contextlib
import http.client
import http.server
import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from conftest import LOGS, Running, program
from load import Target, closed

# Bytes that are neither Prometheus text nor JSON, some of them almost.
GARBAGE = (b"\x00\xffvllm:num_requests_running{ NaN -Inf\n{\"half\": [1, 2,\n"
           b"# TYPE x counter\nx -1e999 y\n")
CHECKS_WITHOUT_FAULT = 7  # of the battery; every rig runs these
NO_TOKENS = {"id": "none", "object": "text_completion", "choices": [],
             "usage": {"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": 1}}


class FaultProxy:
    """HTTP on `url`, passed on to `upstream` as `rules` say: path prefix -> mode, "*" for the rest.

    Modes: pass, hang, garbage, half (a proper answer that ends within a line), cut (the connection
    breaks halfway), slow, refuse (503), drop (no answer), no_tokens, edit (the answer of a GET as
    `edit` changes it).
    """

    def __init__(self, upstream: str, slow_s: float = 5,
                 edit: Callable[[bytes], bytes] = lambda body: body) -> None:
        self.upstream, self.slow_s, self.edit = upstream, slow_s, edit
        self.rules: dict[str, str] = {}
        self._changed = threading.Event()  # ends what hangs
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                proxy._answer(self, self.rfile.read(length))

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any

            def log_message(self, *_args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def set(self, rules: dict[str, str]) -> None:
        """The rules from now on; connections that hang under the old ones are dropped."""
        self.rules = rules
        hanging, self._changed = self._changed, threading.Event()
        hanging.set()

    def heal(self) -> None:
        self.set({})

    def close(self) -> None:
        self.heal()
        self._server.shutdown()
        self._server.server_close()

    def _mode(self, path: str) -> str:
        fits = [prefix for prefix in self.rules if prefix != "*" and path.startswith(prefix)]
        return self.rules[max(fits, key=len)] if fits else self.rules.get("*", "pass")

    def _answer(self, handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        mode, changed = self._mode(handler.path), self._changed
        if mode in ("hang", "drop"):
            if mode == "hang":
                changed.wait(600)
            handler.close_connection = True
        elif mode == "refuse":
            send(handler, 503, b"no\n")
        elif mode == "garbage":
            send(handler, 200, GARBAGE)
        elif mode == "no_tokens":
            stream = f"data: {json.dumps(NO_TOKENS)}\n\ndata: [DONE]\n\n".encode()
            asked = json.loads(body or b"{}").get("stream", False)
            send(handler, 200, stream if asked else json.dumps(NO_TOKENS).encode())
        else:
            if mode == "slow":
                changed.wait(self.slow_s)
            try:
                self._pass_on(handler, body, mode)
            except (OSError, http.client.HTTPException):
                handler.close_connection = True  # the engine is gone: so are we

    def _pass_on(self, handler: http.server.BaseHTTPRequestHandler, body: bytes,
                 mode: str) -> None:
        parts = urlsplit(self.upstream)
        upstream = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        headers = {name: value for name, value in handler.headers.items()
                   if name.lower() not in ("host", "connection")}
        upstream.request(handler.command, handler.path, body or None, headers)
        response = upstream.getresponse()
        handler.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                handler.send_header(name, value)
        length = response.getheader("Content-Length")
        half = b""
        if mode in ("half", "cut"):
            data = response.read()
            half = data[:len(data) // 2].rstrip()
            length = str(len(half) if mode == "half" else len(data))
        if mode == "edit" and handler.command == "GET":
            half = self.edit(response.read())
            length = str(len(half))
        if length is not None:
            handler.send_header("Content-Length", length)
        handler.send_header("Connection", "close")
        handler.close_connection = True
        handler.end_headers()
        if half:
            handler.wfile.write(half)
        else:
            while data := response.read1(65536):
                handler.wfile.write(data)
        upstream.close()


def send(handler: http.server.BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


class Relay:
    """TCP on `port`, passed on to `upstream` as it is then; a change drops open connections."""

    def __init__(self, upstream: int) -> None:
        self._upstream, self._open = upstream, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def to(self, upstream: int) -> None:
        self._upstream = upstream
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open = []

    def close(self) -> None:
        self._listener.close()
        self.to(0)

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return  # closed
            try:
                engine = socket.create_connection(("127.0.0.1", self._upstream), 5)
            except OSError:
                caller.close()
                continue
            engine.settimeout(None)
            self._open += [caller, engine]
            for a, b in ((caller, engine), (engine, caller)):
                threading.Thread(target=self._pass_on, args=(a, b), daemon=True).start()

    @staticmethod
    def _pass_on(a: socket.socket, b: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)


class SocketProxy:
    """HAProxy's runtime socket on another path. Modes: pass; hang; slow (half a second each);
    garbage and half for what is shown; refuse, no_effect (says yes, does not pass on) and clamp (to
    half) for `set` commands.
    """

    def __init__(self, path: Path, upstream: str) -> None:
        self.path, self.upstream, self.mode, self.writes = path, upstream, "pass", 0
        self._changed = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def set(self, mode: str) -> None:
        self.mode = mode
        hanging, self._changed = self._changed, threading.Event()
        hanging.set()

    def close(self) -> None:
        self.set("pass")
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._answer, args=(caller,), daemon=True).start()

    def _answer(self, caller: socket.socket) -> None:
        with caller:
            caller.settimeout(5)
            try:
                command = b""
                while not command.endswith(b"\n") and (part := caller.recv(65536)):
                    command += part
                if self.mode == "hang":
                    self._changed.wait(600)
                else:
                    if self.mode == "slow":
                        self._changed.wait(0.5)
                    caller.sendall(self._reply(command, self.mode))
            except OSError:
                return  # the caller has gone, or HAProxy has

    def _reply(self, command: bytes, mode: str) -> bytes:
        if command.startswith(b"set "):
            if mode == "refuse":
                return b"Permission denied\n\n"
            if mode == "no_effect":
                return b"\n"
            if mode == "clamp":
                command = re.sub(rb"(\d+)\n$", lambda m: b"%d\n" % (int(m[1]) // 2), command)
            self.writes += 1
        answer = self._ask(command)
        if command.startswith(b"show") and mode == "garbage":
            return GARBAGE
        return answer[:len(answer) // 2].rstrip() if mode == "half" else answer

    def _ask(self, command: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.settimeout(5)
            engine.connect(self.upstream)
            engine.sendall(command)
            answer = b""
            while part := engine.recv(65536):
                answer += part
            return answer


def left_out(text: str) -> set[str]:
    """The faults that a run of the battery has left out."""
    return {fault.replace(" ", "_") for fault in re.findall(r'skipped: fault "([^"]+)"', text)}


Verb = Callable[[str], str | None]


class Desk:
    """What a test program may ask for while it runs. Verbs run one at a time."""

    def __init__(self, target: Target | None = None, streams: int = 4) -> None:
        self.verbs: dict[str, Verb] = {"faults": lambda _: " ".join(sorted(self.faults))}
        self.faults: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {}
        if target:
            self.verbs["drive"] = lambda count: self._drive(target, streams, int(count))
        lock = threading.Lock()
        desk = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length).decode()
                try:
                    with lock:
                        answer = desk._do(self.path.strip("/"), body)
                    send(self, 200, (answer or "done").encode())
                except Exception as error:  # the program has to hear of it, whatever it is
                    send(self, 500, f"{self.path}: {error!r}".encode())

            def log_message(self, *_args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fault(self, name: str, inject: Callable[[], object],
              heal: Callable[[], object] = lambda: None) -> None:
        """A fault by its name in testing/engine_suite.h, "_" for " "; both calls return when it is
        so."""
        self.faults[name] = (inject, heal)

    def server_faults(self, running: Running, proxies: list[FaultProxy],
                      telemetry: str = "/metrics", health: str = "/health") -> None:
        """What every engine behind proxies can suffer: down, restarted, hanging, senseless."""
        def rules(new: dict[str, str]) -> Callable[[], None]:
            return lambda: [proxy.set(new) for proxy in proxies] and None

        self.fault("counter_reset", running.start_again)
        self.fault("down", running.server_kill, running.start_again)
        self.fault("hang", rules({health: "pass", "*": "hang"}), rules({}))
        self.fault("garbage", rules({telemetry: "garbage"}), rules({}))
        self.fault("half_written", rules({telemetry: "half"}), rules({}))

    def _do(self, path: str, body: str) -> str | None:
        verb, _, name = path.partition("/")
        if verb in ("inject", "heal"):
            self.faults[name][verb == "heal"]()
            return None
        return self.verbs[path](body)

    def _drive(self, target: Target, streams: int, count: int) -> str:
        report = closed(target, min(streams, count), requests=count)
        if report.lost:
            raise AssertionError(report.summary())
        return report.summary()

    def run(self, name: str, arguments: list[str], environment: dict[str, str],
            seconds: float) -> str:
        """Runs a built test program; returns what it printed, fails the test when it fails."""
        path = program(name)
        log = LOGS / f"{Path(name).name}-{len(list(LOGS.glob('*.log')))}.log"
        env = {**os.environ, **environment, "ARQON_CONTROL": self.url}
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            code = subprocess.run([path, *arguments], env=env, stdin=subprocess.DEVNULL,
                                  stdout=out, stderr=subprocess.STDOUT, timeout=seconds,
                                  check=False).returncode
        text = log.read_text(errors="replace")
        print(text)
        assert code == 0, text[-6000:]
        return text

    def run_suite(self, request: dict, seconds: float = 240) -> str:
        """The battery over an adapter attached to something real.

        `request`: {"target": {...}, "knobs": [...], "classes": [...]} as attach wants it, and
        optionally "fault_knob" (index), "tolerance" (per knob), "patience_s", "deadline_s".
        """
        text = self.run("tests/engines/live_suite_test", [],
                        {"ARQON_ATTACH": json.dumps(request)}, seconds)
        passed = re.search(r"\[  PASSED  \] (\d+) test", text)
        assert passed and int(passed[1]) >= CHECKS_WITHOUT_FAULT, "hardly a check ran"
        return text
