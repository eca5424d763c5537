"""The Triton adapter on a real Triton: its battery, reloads under load, faults, a short tuning."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from conftest import Running, program
from faults import FaultProxy, Relay, left_out

HERE = Path(__file__).resolve().parent
TRACE = ["--trace-config", "rate=1", "--trace-config", "level=TIMESTAMPS",
         "--trace-config", "triton,log-frequency=1"]


def trace_flags(folder: Path) -> list[str]:
    return ["--trace-config", f"triton,file={folder / 't.json'}", *TRACE]


def clamped(config: bytes) -> bytes:
    """A model's configuration as a server shows it that takes no batch above 16."""
    document = json.loads(config)
    sizes = document["dynamic_batching"]["preferred_batch_size"]
    document["dynamic_batching"]["preferred_batch_size"] = [min(16, size) for size in sizes]
    return json.dumps(document).encode()


class Control:
    """Does to the server what a test program asks for over a unix socket, one word at a time."""

    def __init__(self, running: Running, other: Running, path: Path) -> None:
        self.door = FaultProxy(running.url, edit=clamped)
        here, elsewhere = (int(urlsplit(r.details["grpc"]).port or 0) for r in (running, other))
        self.grpc = Relay(here)
        hang = {"/v2/health/ready": "pass", "*": "hang"}
        self.verbs: dict[str, Callable[[], object]] = {
            "start": running.start_again, "kill": lambda: running.server.kill(),
            "stop": lambda: running.server.suspend(), "cont": lambda: running.server.resume(),
            "pass": self.door.heal, "hang": lambda: self.door.set(hang),
            "clamp": lambda: self.door.set({"/v2/models/sleeper/config": "edit"}),
            "here": lambda: self.grpc.to(here), "elsewhere": lambda: self.grpc.to(elsewhere)}
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.listener.settimeout(0.2)

    def close(self) -> None:
        self.door.close()
        self.grpc.close()
        self.listener.close()

    def command(self) -> str:
        return shlex.join([sys.executable, str(HERE / "triton/control.py"), str(self.path)])

    def serve_one(self) -> None:
        try:
            caller, _ = self.listener.accept()
        except TimeoutError:
            return
        with caller:
            verb = caller.recv(64).decode()
            try:
                self.verbs[verb]()
                caller.sendall(b"done")
            except Exception as error:  # whatever it is, the test program has to hear of it
                caller.sendall(f"{verb}: {error!r}".encode())


def run_live(triton: Callable[..., Running], folder: Path, tests: str) -> str:
    """Runs these tests of triton_live_test and gives what they printed."""
    running = triton(name="live", flags=trace_flags(folder))
    control = Control(running, triton(name="elsewhere"), folder / "control")
    environment = {**os.environ, "ARQON_TRITON_URL": running.url,
                   "ARQON_TRITON_DOOR": control.door.url,
                   "ARQON_TRITON_GRPC": f"http://127.0.0.1:{control.grpc.port}",
                   "ARQON_TRITON_CONTROL": control.command(),
                   "ARQON_TRITON_REPOSITORY": running.details["repository"]}
    log = folder / "out"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(program("tests/engines/triton/triton_live_test")), f"--gtest_filter={tests}"],
            env=environment, stdout=out, stderr=subprocess.STDOUT)
        while process.poll() is None:
            control.serve_one()
    control.close()
    text = log.read_text(errors="replace")
    print(text)
    assert process.returncode == 0, text[-6000:]
    assert "[  PASSED  ]" in text
    return text


@pytest.mark.deadline(300)
def test_the_battery_holds_on_the_real_server(triton, tmp_path):
    text = run_live(triton, tmp_path, "TritonReal/*")
    assert not re.search(r"no Triton:", text)
    assert left_out(text) == {"idle", "no_tokens"}


@pytest.mark.deadline(300)
def test_reloads_under_load_faults_and_latencies(triton, tmp_path):
    text = run_live(triton, tmp_path, "TritonLive.*")
    reloads = re.search(r"reloads (\d+) requests (\d+) lost (\d+)", text)
    assert reloads and int(reloads[1]) >= 40 and int(reloads[3]) == 0


@pytest.mark.deadline(240)
def test_a_short_tuning_ends_near_the_best_of_a_small_grid(triton):
    running = triton(name="tuned")
    bench = subprocess.run([str(program("bench/bench_triton")), running.url, "sleeper", "--short"],
                           capture_output=True, text=True, timeout=220)
    print(bench.stdout, bench.stderr)
    assert bench.returncode == 0, bench.stdout[-4000:] + bench.stderr
