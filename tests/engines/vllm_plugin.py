"""The plugin inside a real vLLM: installing it, streaming load, a tuner process to kill."""

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "plugins/vllm"
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
REQUEST_LIMIT_S = 120


def install_plugin(python: Path, folder: Path) -> Path:
    """Builds the wheel with the engine's own Python and unpacks it: a folder for PYTHONPATH, entry
    point included, so that nothing is changed in the engine's environment."""
    source, wheels, site = folder / "source", folder / "wheels", folder / "site"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(PLUGIN, source, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    wheels.mkdir()
    subprocess.run([python, "-c", BUILD, wheels], cwd=source, check=True, timeout=120,
                   capture_output=True)
    (wheel,) = wheels.glob("arqonhpo_vllm-*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    return site


@dataclass
class Load:
    """Closed-loop streams against /v1/completions. `lost`: why each lost request was lost.

    Unlike load.py it reads each answer in one piece: 48 streams beside the engine on two cores,
    and here the engine's own report is the clock.
    """

    port: int
    streams: int = 32
    prompt: int = 8
    output: int = 8
    long_share: float = 0.0  # of prompts with 300 tokens
    seed: int = 1
    done: int = 0
    refused: int = 0  # 503: an admission limit
    lost: list[str] = field(default_factory=list)

    async def _one(self, rng: random.Random) -> None:
        count = 300 if rng.random() < self.long_share else self.prompt
        body = {"model": "m", "prompt": [rng.randrange(3, 300) for _ in range(count)],
                "max_tokens": self.output, "ignore_eos": True, "temperature": 0, "stream": True,
                "stream_options": {"include_usage": True}}
        answer = await ask(self.port, body)
        # A stream is refused before its head (503) or, when another request came between, in it.
        if b" 503 " in answer[:20] or b'"code": 503' in answer:
            self.refused += 1
            await asyncio.sleep(0.05)  # as a client that was refused backs off
        elif (answer.startswith(b"HTTP/1.1 200") and b"data: [DONE]" in answer
              and b'"completion_tokens":%d' % self.output in answer):
            self.done += 1
        else:
            self.lost.append(answer[-300:].decode(errors="replace") or "no answer")

    async def _stream(self, number: int, stop) -> None:
        rng = random.Random(self.seed * 1000 + number)
        while not stop():
            try:
                await self._one(rng)
            except (OSError, TimeoutError) as error:
                self.lost.append(repr(error))
                await asyncio.sleep(0.1)

    async def run(self, stop) -> None:
        """Until `stop()`; then what is under way still ends."""
        await asyncio.gather(*(self._stream(i, stop) for i in range(self.streams)))

    async def run_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        await self.run(lambda: time.monotonic() > end)


async def ask(port: int, body: dict) -> bytes:
    """The whole answer, head included."""
    data = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                     b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data)
                     + data)
        return await asyncio.wait_for(reader.read(), REQUEST_LIMIT_S)
    finally:
        writer.close()


def complete(port: int, prompt: list[int], output: int) -> str:
    """One greedy answer, alone."""
    body = {"model": "m", "prompt": prompt, "max_tokens": output, "ignore_eos": True,
            "temperature": 0}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/completions",
                                     json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=REQUEST_LIMIT_S) as answer:
        return json.load(answer)["choices"][0]["text"]


def metric(port: int, name: str) -> float:
    """Sum over labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines
               if line.startswith((name + "{", name + " ")))


def until(condition, seconds: float, pause: float = 0.001):
    """The first true answer; an assertion error when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        time.sleep(pause)
    raise AssertionError(f"not within {seconds} s")


def forget_name(name: str, state: Path) -> None:
    """As if no engine of this name had ever run."""
    for kind in ("page", "ring"):
        Path(f"/dev/shm/arqonhpo-vllm-{name}.{kind}").unlink(missing_ok=True)
    shutil.rmtree(state / name, ignore_errors=True)


class DoomedTuner:
    """A tuner in a process of its own that stops in the middle of a change and is killed there."""

    def __init__(self, page: str, state: Path, identity: dict, phase: str, lease: float) -> None:
        order = {"page": page, "state": str(state), "identity": identity, "phase": phase,
                 "lease": lease}
        self._process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(order)], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(PLUGIN / "tests")})
        answer = self._process.stdout.readline().split()
        assert answer and answer[0] == "there", f"the tuner process failed in {phase}"
        self.deadline = int(answer[1])  # CLOCK_BOOTTIME ns

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


PHASES = ("lease", "command torn", "command", "acknowledged", "confirmed on disk",
          "confirmed torn")


def die_in(order: dict) -> None:
    """Goes as far as `phase` of a change from the confirmed set (cap 9) to cap 3, and waits."""
    from tuner import Tuner, write_confirmed
    tuner = Tuner(order["page"])
    phase = order["phase"]
    reached = PHASES.index(phase)
    tuner.lease(order["lease"])
    tuner.epoch = max(tuner.epoch, tuner.report()["epoch"])
    epoch = 0
    if reached >= 1:
        epoch = tuner.command(tear="odd" if phase == "command torn" else "", batch_size=3)
    if reached >= 3:
        until(lambda: tuner.report()["epoch"] == epoch, 10)
    if reached >= 4:
        write_confirmed(order["state"], order["identity"], epoch, batch_size=3)
    if reached >= 5:
        tuner.confirm(epoch, tear="odd", batch_size=3)
    print("there", tuner.words[4], flush=True)
    time.sleep(60)


if __name__ == "__main__":
    die_in(json.loads(sys.argv[1]))
