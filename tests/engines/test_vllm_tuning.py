"""What goes wrong on a real vLLM while `arqonhpo tune --mode auto` moves it: no verdict on what was
not seen, no write to an engine that is another one, and afterwards it goes on.

No setting keeps the limit of these requests, so that an experiment is open whenever a test wants
one. HTTP passes through a proxy that spoils it; the page does not.
"""

import json
import os
import signal
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import vllm_plugin as rig
from conftest import Running, program
from faults import FaultProxy
from load import until

NAME = "test-tuning"
PAGE = Path(f"/dev/shm/arqonhpo-vllm-{NAME}.page")
COMMAND, CONFIRMED, BLOCK_WORDS = 32, 64, 20
FLAGS = ["--scheduler-cls", "arqonhpo_vllm.Scheduler"]
FOUND = {"main.batch_size": 32, "main.prefill_token_budget": 2048}
# What a loop may say of a time in which it could not see.
BLIND = {"hold", "resume"}


def document(url: str, state: Path) -> dict:
    return {"schema": 1, "name": "faults", "mode": "auto",
            "target": {"engine": "vllm", "url": url, "name": NAME, "stuck_s": 2,
                       "state": str(state / NAME)},
            "classes": {"all": {"max_gap_ms": 1, "attainment": 0.9}},
            "knobs": {"main.batch_size": {"min": 2, "max": 32, "scale": "Log"},
                      "main.prefill_token_budget": {"min": 128, "max": 2048, "scale": "Log"}},
            "guardrails": {"max_delta": {"main.batch_size": 30,
                                         "main.prefill_token_budget": 1920},
                           "max_updates_per_second": 1},
            "window": {"requests_min": 40, "seconds_min": 5, "seconds_max": 60}}


def words(first: int, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f"<{count}q", PAGE.read_bytes(), 8 * first)


def written() -> tuple[int, ...]:
    """What the tuner asks of the engine; its lease is no write."""
    return words(COMMAND, BLOCK_WORDS) + words(CONFIRMED, BLOCK_WORDS)


class Rig:
    """One server, started by the first test."""

    def __init__(self, vllm, site: Path, folder: Path) -> None:
        self.state = folder / "state"
        self.server: Running = vllm(flags=FLAGS, pythonpath=[site], model="tiny", env={
            "ARQONHPO_VLLM_NAME": NAME, "ARQONHPO_VLLM_STATE": str(self.state)})
        self.command = self.server.command
        self.proxy = FaultProxy(self.server.url, slow_s=5)

    @property
    def port(self) -> int:
        return int(self.server.url.rsplit(":", 1)[1])

    def core_pid(self) -> int:
        return json.loads((self.state / NAME / "identity.json").read_text())["pid"]

    def restart(self, *flags: str) -> None:
        self.server.start_again(replace(self.command, argv=[*self.command.argv, *flags]))

    def effective(self) -> dict[str, int]:
        cap, budget = words(128 + 3, 2)  # the first report's effective values
        return {"main.batch_size": cap, "main.prefill_token_budget": budget}


@pytest.fixture(scope="module", name="engine")
def _engine(vllm, vllm_plugin_site, tmp_path_factory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("tuning")
    rig.forget_name(NAME, folder / "state")
    made = Rig(vllm, vllm_plugin_site, folder)
    yield made
    made.proxy.close()
    rig.forget_name(NAME, made.state)


class Tuner:
    """The program, its status and what it decided."""

    def __init__(self, engine: Rig, folder: Path) -> None:
        self.state, self.engine = folder / "tuner", engine
        (folder / "doc.json").write_text(json.dumps(document(engine.proxy.url, engine.state)))
        self.log = (folder / "tune.log").open("wb")
        self.process = subprocess.Popen(
            [program("apps/arqonhpo/arqonhpo"), "tune", folder / "doc.json", "--seconds", "400",
             "--state", self.state, "--out", folder / "out", "-q"],
            stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def status(self) -> dict:
        try:
            return json.loads((self.state / "status.json").read_text())["status"]
        except (OSError, ValueError, KeyError):
            return {"phase": "starting"}

    def decisions(self) -> list[dict]:
        try:
            lines = (self.state / "decisions.jsonl").read_text().splitlines(keepends=True)
        except OSError:
            return []
        records = [json.loads(line) for line in lines if line.endswith("\n")]
        return [record for record in records if record["record"] == "decision"]

    def wait(self, *phases: str, seconds: float = 60) -> None:
        def there() -> bool:
            assert self.process.poll() is None, Path(self.log.name).read_text()
            return self.status()["phase"] in phases

        until(there, seconds, f"{phases}, but {self.status()}, {self.decisions()[-3:]}")

    def wait_trusted(self, count: int, seconds: float = 60) -> list[dict]:
        """Decisions after the first `count`, once it believes what it sees again."""
        until(lambda: "resume" in [d["action"] for d in self.decisions()[count:]], seconds,
              f"resume, but {self.status()}, {self.decisions()[count:]}")
        return self.decisions()[count:]

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.log.close()
        text = Path(self.log.name).read_text()
        assert self.process.returncode in (0, 130), text


@contextmanager
def tuned(engine: Rig, folder: Path, may_lose: bool = False) -> Iterator[Tuner]:
    """A load, and a tuner in the middle of an experiment."""
    from test_vllm_adapter import load
    with load(engine.port, 8, output=8) as traffic:
        tuner = Tuner(engine, folder)
        try:
            tuner.wait("measure")
            yield tuner
        finally:
            tuner.end()
    assert may_lose or traffic.lost == [], traffic.lost[:3]


def verdicts(decisions: list[dict]) -> list[dict]:
    return [d for d in decisions if d["action"] not in BLIND]


def neither_judged_nor_moved(tuner: Tuner) -> int:
    """Four seconds of a loop that cannot see; how many decisions there were before."""
    count, held = len(tuner.decisions()), written()
    begun = tuner.status()["t_s"]
    until(lambda: tuner.status()["t_s"] > begun + 4, 30, "the loop lives")
    assert verdicts(tuner.decisions()[count:]) == []
    assert written() == held
    return count


def goes_on(tuner: Tuner, count: int) -> None:
    """It sees again. Blind for too long it gives an experiment up; it never judges one."""
    assert all("for too long" in d["reason"] for d in verdicts(tuner.wait_trusted(count)))
    tuner.wait("steady", "measure", "settle")


HUNG = {"/health": "pass", "*": "hang"}


@pytest.mark.parametrize("rules", [
    HUNG, {"/metrics": "slow"}, {"/metrics": "garbage"}],
    ids=["api hung with health 200", "metrics slow", "metrics garbage"])
def test_blind_it_neither_judges_nor_moves_and_then_goes_on(engine, tmp_path, rules) -> None:
    with tuned(engine, tmp_path) as tuner:
        engine.proxy.set(rules)
        try:
            tuner.wait("engine degraded", "stale telemetry", seconds=15)
            count = neither_judged_nor_moved(tuner)
        finally:
            engine.proxy.heal()
        goes_on(tuner, count)


def test_a_stopped_engine_is_neither_judged_nor_moved(engine, tmp_path) -> None:
    with tuned(engine, tmp_path) as tuner:
        os.kill(engine.core_pid(), signal.SIGSTOP)
        try:
            tuner.wait("engine degraded", seconds=15)
            count = neither_judged_nor_moved(tuner)
        finally:
            os.kill(engine.core_pid(), signal.SIGCONT)
        goes_on(tuner, count)


def test_a_deleted_page_comes_back_with_the_confirmed_set_and_is_written_again(
        engine, tmp_path) -> None:
    with tuned(engine, tmp_path) as tuner:
        until(lambda: engine.effective() != FOUND, 60, "the setting under test has its turn")
        count = len(tuner.decisions())
        PAGE.unlink()
        until(lambda: PAGE.exists() and engine.effective() == FOUND, 10, "the confirmed set")
        until(lambda: engine.effective() != FOUND, 90, "a turn on the page made anew")
        assert "confirm" not in [d["action"] for d in tuner.decisions()[count:]]


@pytest.mark.deadline(400)
def test_killed_and_started_with_other_flags_it_is_let_be_until_it_is_the_same(
        engine, tmp_path) -> None:
    with tuned(engine, tmp_path, may_lose=True) as tuner:
        count = len(tuner.decisions())
        os.kill(engine.core_pid(), signal.SIGKILL)
        tuner.wait("engine down", seconds=20)
        until(lambda: verdicts(tuner.decisions()[count:]) != [], 10, "the experiment is given up")
        (given_up,) = verdicts(tuner.decisions()[count:])
        assert given_up["action"] == "revert" and "confirmed setting" not in given_up["reason"]
        held = written()
        engine.restart("--max-num-seqs", "16")
        tuner.wait("engine unqualified", seconds=30)
        rig.complete(engine.port, [5, 6, 7], 8)
        begun = tuner.status()["t_s"]
        until(lambda: tuner.status()["t_s"] > begun + 4, 30, "the loop lives")
        assert written() == held, "something was written to another engine"
        assert engine.effective()["main.batch_size"] == 16  # its own flags
        engine.restart()
        assert [d["action"] for d in verdicts(tuner.wait_trusted(count))] == ["revert"]
        until(lambda: engine.effective() == FOUND, 30, "the confirmed set")
        until(lambda: "experiment" in [d["action"] for d in tuner.decisions()[count:]], 90,
              "the next experiment")
