"""llama.cpp behind HAProxy as a live engine, on the real ones: caps live, slots by restart."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import LOGS, ROOT, Running
from faults import Desk, FaultProxy, left_out
from load import background, calm, closed, completions, metrics, until
from shell import Refused, Shell, llamacpp_front

RESTART = ROOT / "tests/engines/restart_llama.py"
KNOBS = [{"name": "main.batch_size", "type": "int", "min": 1, "max": 8},
         {"name": "main.slots", "type": "int", "min": 1, "max": 16}]

PROCESSING = "llamacpp:requests_processing"


class Fleet:
    """Two llama.cpp servers of two slots behind the HAProxy of the how-to."""

    def __init__(self, llamacpp: Any, haproxy: Any, port: Any, folder: Path) -> None:
        self.folder = folder
        self.servers: list[Running] = [llamacpp(f"r{i}", slots=2, context=8192) for i in (1, 2)]
        self.pid_files = [folder / f"r{i}.pid" for i in (1, 2)]
        for server, file in zip(self.servers, self.pid_files):
            file.write_text(str(min(server.server.pids())))
        caps, log_port = [port(), port()], port()
        direct = [server.details["port"] for server in self.servers]

        self.proxy: Running = haproxy(
            {}, name="llama", config=llamacpp_front(log_port, caps, direct, backend="llm"))
        self.target = {
            "engine": "llamacpp", "context_min": 64, "ready_s": 20, "drain_s": 30,
            "replicas": [{"url": server.url, "server": f"s{i + 1}", "cap_backend": f"cap{i + 1}",
                          "restart": self.restart(i)} for i, server in enumerate(self.servers)],
            "router": {"socket": self.proxy.details["socket"], "backend": "llm",
                       "log": {"udp": log_port}}}

    def restart(self, i: int) -> list[str]:
        argv = [str(word) for word in self.servers[i].command.argv]
        argv[argv.index("--slots") + 1] = "{slots}"
        argv[argv.index("--context") + 1] = "{ctx}"
        return [sys.executable, str(RESTART), str(self.pid_files[i]), str(LOGS / f"r{i}.log"),
                "--", *argv]

    def restart_with(self, i: int, slots: int, context: int = 8192) -> None:
        """By somebody else, without a word to anybody."""
        words = [word.replace("{slots}", str(slots)).replace("{ctx}", str(context))
                 for word in self.restart(i)]
        subprocess.run(words, check=True, timeout=60)

    def ready(self) -> None:
        def up() -> bool:
            text = metrics_text(self.proxy)
            return len(re.findall(r'server_status\{proxy="llm".*state="UP"\} 1', text)) == 2
        until(up, 10, "both servers up")

    def end(self) -> None:
        for file in self.pid_files:
            try:
                os.kill(int(file.read_text()), signal.SIGKILL)
            except ProcessLookupError:
                pass


def metrics_text(proxy: Running) -> str:
    return urllib.request.urlopen(proxy.details["metrics"], timeout=5).read().decode()


@pytest.fixture
def fleet(llamacpp, haproxy, port, tmp_path) -> Iterator[Fleet]:
    made = Fleet(llamacpp, haproxy, port, tmp_path)
    made.ready()
    yield made
    made.end()


def busy_slots(server: Running, seconds: float) -> tuple[float, float]:
    """Means over a window: busy slots per decode, from llama.cpp's lifetime mean, and busy slots
    over time, from looks at evenly spaced moments."""
    n, mean = "llamacpp:n_decode_total", "llamacpp:n_busy_slots_per_decode"
    before, seen = metrics(f"{server.url}/metrics"), []
    begin = due = time.monotonic()
    while due < begin + seconds:
        time.sleep(max(0.0, due - time.monotonic()))
        seen.append(metrics(f"{server.url}/metrics")[PROCESSING])
        due += 0.04
    after = metrics(f"{server.url}/metrics")
    per_decode = (after[mean] * after[n] - before[mean] * before[n]) / (after[n] - before[n])
    return per_decode, sum(seen) / len(seen)


@pytest.mark.deadline(180)
def test_slots_change_on_both_replicas_under_load_with_no_error(fleet: Fleet) -> None:
    with Shell() as shell:
        found = shell.attach(fleet.target, KNOBS)
        assert found["replicas"] == 2 and found["boot"] == [4, 2]
        with background(completions(fleet.proxy.url, tokens=16), streams=6) as load:
            until(lambda: load.count() >= 20, 30, "load runs")
            begin = time.monotonic()
            assert shell.apply([4, 8], replica=1) == [4, 8]
            assert shell.observe()["effective"] == [4, 2], "the other replica is the fleet"
            assert shell.apply([4, 8]) == [4, 8]
            took = time.monotonic() - begin
            changed = load.count()
            until(lambda: load.count() >= max(120, changed + 20), 60, "load goes on")
        report = load.report
        print(f"2 -> 8 slots on both in {took:.1f} s; {report.summary()}")
        assert report.lost == [] and report.sent >= 100
        until(lambda: shell.observe()["fresh"], 15, "the log keeps up")
        now = shell.observe()
        assert now["classes"][0]["arrived"] >= 100 and now["classes"][0]["bad"] == 0
        assert now["classes"][0]["output_tokens"] >= 16 * 100
        with pytest.raises(Refused, match="context_min"):
            shell.attach({**fleet.target, "context_min": 4096}, KNOBS)
            shell.apply([4, 16])


@pytest.mark.deadline(120)
def test_a_live_cap_is_the_number_of_busy_slots(fleet: Fleet) -> None:
    with Shell() as shell:
        shell.attach(fleet.target, KNOBS)
        shell.apply([8, 8])
        # Long requests: the moment between two of them is a small part of each.
        with background(completions(fleet.proxy.url, tokens=160), streams=24) as load:
            for cap in (6, 2, 4):
                assert shell.apply([cap, 8]) == [cap, 8]
                until(lambda: metrics(f"{fleet.servers[0].url}/metrics")[PROCESSING] <= cap, 30,
                      "those above the cap have ended")
                per_decode, over_time = busy_slots(fleet.servers[0], 8)
                now = shell.observe()
                print(f"cap {cap}: busy slots {per_decode:.2f} a decode, {over_time:.2f} over "
                      f"time, waiting {now['waiting']:.0f}")
                assert abs(per_decode - cap) <= (0.05 if calm() else 0.15) * cap
                assert over_time <= 1.02 * cap
                assert now["waiting"] >= 24 - 2 * cap - 6
        assert load.report.lost == [], load.report.summary()


def test_the_last_replica_that_serves_is_never_taken_out(fleet: Fleet) -> None:
    with Shell() as shell:
        shell.attach(fleet.target, KNOBS)
        fleet.servers[0].server.kill()
        until(lambda: shell.health() == "degraded", 15, "the kill is noticed")
        with pytest.raises(Refused):
            shell.apply([4, 8], replica=1)
        report = closed(completions(fleet.proxy.url, tokens=4), streams=2, requests=20)
        assert report.lost == [], report.summary()
        assert shell.observe()["fresh"] is False


def test_a_restart_command_that_fails_puts_the_old_flags_back(fleet: Fleet) -> None:
    target = dict(fleet.target)
    script = (f"[ {{slots}} = 2 ] || {{ echo no such flag >&2; exit 3; }}; exec " +
              " ".join(fleet.restart(1)))
    target["replicas"] = [fleet.target["replicas"][0],
                          {**fleet.target["replicas"][1], "restart": ["sh", "-c", script]}]
    with Shell() as shell:
        shell.attach(target, KNOBS)
        with background(completions(fleet.proxy.url, tokens=8), streams=4) as load:
            until(lambda: load.count() >= 10, 30, "load runs")
            with pytest.raises(Refused, match="no such flag"):
                shell.apply([4, 4])
        assert load.report.lost == [], load.report.summary()
        assert shell.observe()["effective"] == [4, 2]
        assert shell.health() == "ok"


def test_restarted_by_somebody_else_is_a_new_epoch_and_another_capacity_unqualified(
        fleet: Fleet) -> None:
    with Shell() as shell:
        shell.attach(fleet.target, [{"name": "main.slots", "type": "int", "min": 2, "max": 4}])
        closed(completions(fleet.proxy.url, tokens=4), streams=2, requests=10)
        epoch = shell.observe()["epoch"]
        run = [word.replace("{slots}", "3").replace("{ctx}", "8192") for word in fleet.restart(0)]
        subprocess.run(run, check=True, timeout=60)
        now = shell.observe()
        assert now["epoch"] > epoch and now["classes"][0]["arrived"] == 0
        assert shell.observe(0)["effective"] == [3]
        run = [word.replace("{slots}", "8").replace("{ctx}", "8192") for word in fleet.restart(0)]
        subprocess.run(run, check=True, timeout=60)
        until(lambda: shell.health() == "unqualified", 10, "8 slots are outside 2 to 4")
        with pytest.raises(Refused) as refused:
            shell.apply([4])
        assert refused.value.code == "refused"


def test_an_engine_that_hangs_with_its_socket_open_is_degraded(fleet: Fleet) -> None:
    with Shell() as shell:
        shell.attach(fleet.target, KNOBS)
        pid = int(fleet.pid_files[1].read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            until(lambda: shell.health() == "degraded", 15, "SIGSTOP is noticed")
            assert shell.observe()["fresh"] is False
        finally:
            os.kill(pid, signal.SIGCONT)
        until(lambda: shell.health() == "ok", 15, "it goes on")


def test_doctor_says_that_nothing_is_live_without_haproxy(fleet: Fleet) -> None:
    with Shell() as shell:
        found = shell.order("probe", engine="llamacpp", url=fleet.servers[0].url)
    access = {knob["name"]: knob["access"] for knob in found["knobs"]}
    assert access["POOL.batch_size"] == "absent" and access["POOL.slots"] == "restart"


@pytest.mark.deadline(280)
def test_battery(fleet: Fleet) -> None:
    desk = Desk(completions(fleet.proxy.url, tokens=2, prompt=4), streams=4)
    doors = [FaultProxy(server.url) for server in fleet.servers]
    target = {**fleet.target, "replicas": [
        {**replica, "url": door.url}
        for replica, door in zip(fleet.target["replicas"], doors)]}

    def rules(new: dict[str, str]) -> None:
        for door in doors:
            door.set(new)

    def kill() -> None:
        for file in fleet.pid_files:
            os.kill(int(file.read_text()), signal.SIGKILL)

    models = ["small"]

    def again(slots: int = 2, model: str = "") -> None:
        models.append(model or models[-1])  # another model stays: it was requalified
        for i in range(2):
            run = [word.replace("{slots}", str(slots)).replace("{ctx}", "8192")
                   .replace("small.gguf", f"{models[-1]}.gguf") for word in fleet.restart(i)]
            subprocess.run(run, check=True, timeout=60)
        fleet.ready()

    for name, new in (("hang", {"/health": "pass", "*": "hang"}), ("garbage", {"/": "garbage"}),
                      ("half_written", {"/metrics": "half"})):
        desk.fault(name, lambda new=new: rules(new), lambda: rules({}))
    # The restart command looks into this file: it may refuse, or do something else than it says.
    spoiled = fleet.folder / "spoiled"
    script = (f'[ "$(cat {spoiled} 2>/dev/null)" = refuse ] && [ {{slots}} != 2 ] && '
              f'{{ echo no >&2; exit 3; }}; slots={{slots}}; [ -s {spoiled} ] && slots=2; exec ')
    for i, replica in enumerate(target["replicas"]):
        words = " ".join(fleet.restart(i)).replace("{slots}", "$slots")
        replica["restart"] = ["sh", "-c", script + words]
    for name in ("refuse", "no_effect"):
        desk.fault(name, lambda name=name: spoiled.write_text(name), spoiled.unlink)
    target["ready_s"] = 8
    desk.fault("counter_reset", again)
    desk.fault("down", kill, again)
    desk.fault("other_flags", lambda: again(model="tiny"))
    desk.fault("less_capacity", lambda: again(slots=16), again)
    try:
        text = desk.run_suite({
            "target": target, "knobs": [{"name": "main.slots", "type": "int", "min": 1, "max": 8}],
            "classes": [{"name": "all", "e2e_ms": 60000}], "deadline_s": 30,
            "requests_per_replica": 12,
            "why_not": {"idle": "a restart needs no request",
                        "clamp": "a server that shows other flags than asked is set back",
                        "no_tokens": "HAProxy's log does not count tokens"}})
    finally:
        desk.close()
        for door in doors:
            door.close()
    assert left_out(text) == {"idle", "clamp", "no_tokens"}
