"""The vLLM adapter against a real vLLM with the plugin: changes under load, and what goes wrong.

One server of a small random model, speculation by n-grams on. The adapter runs in vllm_shell, a
process of its own that takes orders line by line. Figures are printed; docs/reference/engines/
vllm.md keeps them.
"""

import asyncio
import itertools
import json
import os
import random
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import vllm_plugin as rig
from conftest import Running, program

NAME = "test-adapter"
PAGE = Path(f"/dev/shm/arqonhpo-vllm-{NAME}.page")
SEQS, K = 32, 4
FLAGS = ["--scheduler-cls", "arqonhpo_vllm.Scheduler", "--speculative-config", json.dumps(
    {"method": "ngram", "num_speculative_tokens": K, "prompt_lookup_max": 3,
     "prompt_lookup_min": 1, "num_speculative_tokens_per_batch_size": [[1, SEQS, K]]})]
KNOBS = [{"name": "main.batch_size", "min": 1, "max": SEQS},
         {"name": "main.prefill_token_budget", "min": 160, "max": 2048},
         {"name": "main.speculative_decoding_k", "min": 0, "max": K}]
BOOT = [SEQS, 2048, K]
CHANGES, REQUESTS = 60, 3000
STEPS_TO_CAP = 40  # a report may be ten steps old, and long prompts take a few each
JUDGE_TIMES = bool(os.environ.get("ARQON_JUDGE_TIMES"))  # on a quiet machine


class Shell:
    """The adapter in its own process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([program("arqon/adapters/vllm/vllm_shell")],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, what: str, **order: object) -> dict:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"do": what, **order}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Rig:
    def __init__(self, start, site: Path, state: Path) -> None:
        self.start, self.site, self.state = start, site, state
        self.server: Running = self._take(FLAGS)
        self.shell = Shell()

    def _take(self, flags: list[str]) -> Running:
        return self.start(flags=flags, pythonpath=[self.site], model="tiny", env={
            "ARQONHPO_VLLM_NAME": NAME, "ARQONHPO_VLLM_STATE": str(self.state),
            "VLLM_SERVER_DEV_MODE": "1"})

    @property
    def port(self) -> int:
        return int(self.server.url.rsplit(":", 1)[1])

    def attach(self, knobs: list[dict] = KNOBS, **more: object) -> dict:
        self.shell.close()
        self.shell = Shell()
        target = {"engine": "vllm", "url": self.server.url, "name": NAME, "stuck_s": 3, **more}
        return self.shell("attach", target=target, knobs=knobs, classes=[{"name": "all"}])

    def restart(self) -> None:
        self.server.start_again()

    def core_pid(self) -> int:
        return json.loads((self.state / NAME / "identity.json").read_text())["pid"]

    def ask(self) -> str:
        return rig.complete(self.port, [5, 6, 7], 4)


@contextmanager
def load(port: int, streams: int, **more: object) -> Iterator[rig.Load]:
    """Streaming load while the block runs; afterwards done and lost are complete."""
    running, stopped = rig.Load(port, streams, **more), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(running.run(stopped.is_set)))
    thread.start()
    try:
        yield running
    finally:
        stopped.set()
        thread.join()


@pytest.fixture(scope="module", name="engine")
def _engine(vllm, vllm_plugin_site, tmp_path_factory):
    state = tmp_path_factory.mktemp("state")
    rig.forget_name(NAME, state)
    engine = Rig(vllm, vllm_plugin_site, state)
    yield engine
    engine.shell.close()
    rig.forget_name(NAME, state)


def health(engine: Rig) -> tuple[str, str]:
    found = engine.shell("health")
    return found["health"], found["why"]


def until_health(engine: Rig, wanted: str, seconds: float) -> str:
    """Looks as the loop does, twice a second; why it is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        engine.shell("observe")
        found, why = health(engine)
        if found == wanted:
            return why
        time.sleep(0.5)
    raise AssertionError(f"not {wanted} within {seconds} s but {found}: {why}")


def test_doctor_says_which_knobs_are_live(engine) -> None:
    engine.ask()
    found = engine.shell("probe", url=f"{engine.server.url}#{NAME}")
    assert found["reachable"] and found["engine"] == "vllm 0.32.0"
    access = {knob["name"]: knob["access"] for knob in found["knobs"]}
    assert access["batch_size"] == access["speculative_decoding_k"] == "live"
    assert access["max_queued_requests"] == "live"
    assert access["max_num_seqs"] == "restart"
    values = {knob["name"]: knob["value"] for knob in found["knobs"]}
    assert values["batch_size"] == str(SEQS) and values["prefill_token_budget"] == "2048"
    assert found["next"]


def settings(count: int, seed: int) -> list[list[int]]:
    """Every one differs from the one before in the cap; caps go up as often as down. Small budgets
    only go with falling caps: under one of 160 tokens it is the budget that bounds what runs."""
    rng = random.Random(seed)
    out: list[list[int]] = []
    caps = [2, 4, 8, 16, 32]
    for _ in range(count):
        last = out[-1][0] if out else caps[0]
        cap = rng.choice([c for c in caps if c != last])
        budgets = [512, 1024, 2048] if cap > last else [160, 256, 512, 2048]
        out.append([cap, rng.choice(budgets), rng.randrange(K + 1)])
    return out


def test_live_changes_under_load_lose_nothing(engine) -> None:
    engine.attach()
    engine.shell("apply", setting=BOOT)
    engine.ask()
    assert engine.shell("observe")["effective"] == BOOT
    assert engine.shell("confirm") == {"ok": True}
    before = engine.shell("observe")["classes"][0]["arrived"]
    changes: list[tuple[list[int], dict]] = []
    with load(engine.port, 40, output=6, long_share=0.1) as traffic:
        rig.until(lambda: traffic.done > 50, 60, 0.1)
        while len(changes) < CHANGES or traffic.done < REQUESTS:
            asked = settings(20, seed=len(changes))
            seen = engine.shell("walk", settings=asked, pause_s=0.5)["changes"]
            changes += zip(asked, seen, strict=True)
            assert len(changes) < 10 * CHANGES, f"only {traffic.done} requests"
    assert traffic.lost == [], traffic.lost[:3]
    assert traffic.refused == 0
    for asked, seen in changes:
        assert seen.get("effective") == asked, (asked, seen)
        # What ran already may run on; nothing is admitted above the cap.
        assert seen["running_max"] <= max(asked[0], seen["running_before"]), (asked, seen)
    # Who is admitted in the very step that takes the change up was not waited for: reached at once.
    raised = [seen for (before, _), (asked, seen) in itertools.pairwise(changes)
              if asked[0] > before[0]]
    seconds = [seen["reached_s"] for seen in raised]
    steps = [seen["reached_steps"] for seen in raised]
    again = sum(seen["tries"] - 1 for _, seen in changes)
    acknowledged = sorted(seen["seconds"] for _, seen in changes)
    print(f"\n{len(changes)} changes, {traffic.done} requests, {len(traffic.lost)} lost; "
          f"apply p50 {1e3 * acknowledged[len(acknowledged) // 2]:.0f} ms, "
          f"max {1e3 * acknowledged[-1]:.0f} ms, asked again {again} times; raised cap reached "
          f"{len(raised)} times, max {1e3 * max(seconds):.0f} ms and {max(steps)} steps; load of "
          f"the machine {os.getloadavg()[0]:.1f}")
    assert again <= len(changes) // 20
    # A busy machine may take a second for a step, and no engine admits anybody without one.
    assert all(s >= 0 for s in seconds), seconds
    assert max(seconds) <= 1 or (not JUDGE_TIMES and max(steps) <= STEPS_TO_CAP), (seconds, steps)
    after = engine.shell("observe")
    assert after["ring_lost"] == 0
    assert after["classes"][0]["arrived"] - before == traffic.done
    assert after["classes"][0]["bad"] == 0
    assert engine.shell("apply", setting=BOOT)["effective"] == BOOT


def test_an_idle_engine_takes_a_change_at_its_next_request(engine) -> None:
    engine.attach()
    engine.ask()
    rig.until(lambda: engine.shell("observe")["running"] == 0, 10, 0.05)
    answer = engine.shell("apply", setting=[4, 512, 1])
    assert answer["effective"] == [4, 512, 1] and answer["seconds"] < 1
    seen = engine.shell("observe")
    assert seen["acknowledged"] is False and seen["fresh"] and health(engine)[0] == "ok"
    engine.shell("renew", seconds=60)
    engine.ask()
    seen = engine.shell("observe")
    assert seen["acknowledged"] is True and seen["effective"] == [4, 512, 1]
    assert engine.shell("apply", setting=BOOT)["effective"] == BOOT
    engine.ask()


def test_admission_limits_are_live_and_refusals_are_counted(engine) -> None:
    engine.attach([{"name": "main.max_queued_requests", "min": 0, "max": 1000}])
    with load(engine.port, 24, output=16) as traffic:
        rig.until(lambda: traffic.done > 20, 60, 0.1)
        before = engine.shell("observe")["classes"][0]
        assert engine.shell("apply", setting=[4])["effective"] == [4]
        rig.until(lambda: traffic.refused > 20, 30, 0.1)
        assert engine.shell("apply", setting=[0])["effective"] == [0]
    assert traffic.lost == []
    after = engine.shell("observe")["classes"][0]
    assert after["bad"] - before["bad"] == traffic.refused


def test_a_deleted_page_goes_back_to_what_was_confirmed(engine) -> None:
    engine.attach()
    assert engine.shell("apply", setting=[16, 1024, 2])["effective"] == [16, 1024, 2]
    assert engine.shell("confirm") == {"ok": True}
    with load(engine.port, 8) as traffic:
        rig.until(lambda: traffic.done > 5, 60, 0.1)
        engine.shell("renew", seconds=60)
        assert engine.shell("apply", setting=[4, 512, 1])["effective"] == [4, 512, 1]
        PAGE.unlink()
        rig.until(lambda: engine.shell("observe")["effective"] == [16, 1024, 2], 10, 0.2)
        assert health(engine)[0] == "ok"
        assert engine.shell("apply", setting=[8, 512, 1])["effective"] == [8, 512, 1]
        assert engine.shell("apply", setting=[16, 1024, 2])["effective"] == [16, 1024, 2]
    assert traffic.lost == []


def test_a_stopped_engine_with_health_200_is_stuck_and_comes_back(engine) -> None:
    engine.attach()
    pid = engine.core_pid()
    with load(engine.port, 4, output=300) as traffic:
        rig.until(lambda: engine.shell("observe")["running"] >= 4, 60, 0.1)
        os.kill(pid, signal.SIGSTOP)
        try:
            answer = engine.shell("apply", setting=[4, 512, 1])
            assert answer["error"] == "unavailable" and "hangs" in answer["message"], answer
            assert 2 <= answer["seconds"] < 5
            why = until_health(engine, "degraded", 10)
            assert "no step for" in why
            assert engine.shell("observe")["fresh"] is False
            assert engine.shell("confirm")["error"] == "unavailable"
            with urllib.request.urlopen(f"{engine.server.url}/health", timeout=5) as page:
                assert page.status == 200
        finally:
            os.kill(pid, signal.SIGCONT)
        until_health(engine, "ok", 30)
    assert traffic.lost == []
    assert engine.shell("apply", setting=[16, 1024, 2])["effective"] == [16, 1024, 2]


@pytest.mark.deadline(900)
def test_a_killed_engine_is_down_and_comes_back_with_what_was_confirmed(engine) -> None:
    engine.attach()
    engine.shell("apply", setting=[16, 1024, 2])
    engine.ask()
    assert engine.shell("confirm") == {"ok": True}
    assert engine.shell("apply", setting=[4, 512, 1])["effective"] == [4, 512, 1]
    before = engine.shell("observe")
    os.kill(engine.core_pid(), signal.SIGKILL)
    until_health(engine, "down", 30)
    down = engine.shell("observe")
    assert down["fresh"] is False and down["epoch"] == before["epoch"]
    assert engine.shell("apply", setting=[8, 512, 1])["error"] == "unavailable"
    engine.restart()
    until_health(engine, "ok", 30)
    engine.ask()
    seen = engine.shell("observe")
    assert seen["epoch"] > before["epoch"]
    assert seen["effective"] == [16, 1024, 2]  # not the boot values
    engine.shell("renew", seconds=30)
    engine.shell("apply", setting=[8, 512, 1])
    engine.ask()
    assert engine.shell("observe")["effective"] == [8, 512, 1]


def test_an_api_process_that_hangs_with_health_200_is_degraded(engine) -> None:
    """Last: this vLLM does not come back from it."""
    assert "error" not in engine.attach([])
    streams = threading.Thread(target=lambda: broken_load(engine.port), daemon=True)
    streams.start()
    rig.until(lambda: engine.shell("observe")["running"] > 0, 30, 0.1)
    request = urllib.request.Request(f"{engine.server.url}/collective_rpc",
                                     json.dumps({"method": "get_kv_cache_spec"}).encode(),
                                     {"Content-Type": "application/json"}, method="POST")
    try:
        urllib.request.urlopen(request, timeout=2)
    except OSError:
        pass  # it never answers
    why = until_health(engine, "degraded", 30)
    print(f"\n{why}")
    with urllib.request.urlopen(f"{engine.server.url}/health", timeout=5) as page:
        assert page.status == 200
    assert engine.shell("observe")["fresh"] is False
    engine.server.server.kill()


def broken_load(port: int) -> None:
    """Requests of which none will end."""
    async def one(i: int) -> None:
        body = {"model": "m", "prompt": [3 + i] * 8, "max_tokens": 400, "ignore_eos": True,
                "stream": True}
        try:
            await asyncio.wait_for(rig.ask(port, body), 60)
        except (OSError, TimeoutError):
            pass

    async def run() -> None:
        await asyncio.gather(*(one(i) for i in range(8)))

    asyncio.run(run())
