"""The agents of Triton, llama.cpp and the generic adapter on the real things: the tuner is killed
with a change open, and what a person had set before it came stands again; the engine restarts,
comes back with what it was started with, and gets it too."""

import json
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import PORTS, ROOT, Running
from load import until
from side_by_side import Case, Hands, running
from stand_in_llama import stand_in_llama
from test_llamacpp import Fleet
from test_loop_faults import WINDOW, Batcher, Stack
from tuned import LEASE_S, Tuner, maxconns, now, routed, runtime, traffic

CAP_COMMAND = ROOT / "tests/engines/haproxy_cap.py"


class Triton(Batcher):
    """A person has loaded another setting than the file's."""

    settles_s = 8  # a load or two
    found = [6, 3]

    def prepare(self) -> None:
        url = f"{self.engine.url}/v2"
        with urllib.request.urlopen(f"{url}/models/sleeper/config", timeout=5) as answer:
            config = json.load(answer)
        config["dynamic_batching"]["preferred_batch_size"] = [self.found[0]]
        config["dynamic_batching"]["max_queue_delay_microseconds"] = 1000 * self.found[1]
        body = json.dumps({"parameters": {"config": json.dumps(config)}}).encode()
        urllib.request.urlopen(f"{url}/repository/models/sleeper/load", body, timeout=20).close()
        assert self.in_force() == self.found

    def restart(self) -> None:
        self.engine.server.kill()
        self.engine.start_again()


class Slots(Stack):
    """Two real llama.cpp servers of two slots; the agent restarts them."""

    settles_s = 30  # drain, restart, ready, twice
    found = [2, 2]

    def __init__(self, hands: Hands) -> None:
        self.fleet = Fleet(hands.llamacpp, hands.haproxy, PORTS, hands.folder)
        hands.stack.callback(self.fleet.end)
        self.fleet.ready()
        body = b'{"prompt": [5, 6, 7], "max_tokens": 4, "ignore_eos": true}'
        hands.stack.enter_context(traffic(self.fleet.proxy.url, streams=4, path="/v1/completions",
                                          body=body))
        self.tuner = Tuner(hands.folder / "tuner", {
            "target": {**self.fleet.target, "settle_s": 1},
            "classes": {"chat": {"e2e_ms": 0.001}},
            "knobs": {"main.slots": {"min": 1, "max": 16, "type": "int"}},
            "guardrails": {"max_delta": {"main.slots": 16}, "max_updates_per_second": 1},
            "window": WINDOW})
        hands.stack.callback(self.tuner.end)

    def in_force(self) -> list[float]:
        try:
            return [len(json.load(urllib.request.urlopen(f"{server.url}/slots", timeout=2)))
                    for server in self.fleet.servers]
        except OSError:
            return []

    def restart(self) -> None:
        for i in range(2):
            self.fleet.restart_with(i, slots=3)


class Generic(Stack):
    """HAProxy's maxconn by a command, its Prometheus exporter for readings: requests that wait too
    long in the queue fail."""

    settles_s = 4
    found = [1]

    def __init__(self, hands: Hands) -> None:
        port = hands.stack.enter_context(stand_in_llama(0.08))

        def config(front: int, metrics: int, path: Path) -> str:
            text = routed([f"127.0.0.1:{port}"], PORTS())(front, metrics, path)
            return text.replace("timeout queue 60s", "timeout queue 150ms").replace(
                "weight 100", "maxconn 3")

        self.proxy: Running = hands.haproxy({}, name=hands.name, config=config)
        hands.stack.callback(lambda: self.proxy.server.stop())
        runtime(self.proxy, f"set maxconn server be/s1 {self.found[0]}")
        hands.stack.enter_context(traffic(self.proxy.url, streams=8, pause_s=0.02))
        command = [sys.executable, str(CAP_COMMAND), self.proxy.details["socket"], "be", "s1"]
        self.tuner = Tuner(hands.folder, {
            "target": {
                "engine": "generic", "name": "a proxy",
                "knobs": {"batch_size": {"type": "int", "min": 1, "max": 8, "settle_s": 1,
                                         "write": {"command": [*command, "{value}"]},
                                         "read": {"command": command}}},
                "metrics": f"{self.proxy.details['metrics']}?scope=server&scope=backend",
                "readings": {"requests": "haproxy_server_http_responses_total",
                             "failed": "haproxy_backend_connection_errors_total",
                             "running": "haproxy_server_current_sessions",
                             "waiting": "haproxy_backend_current_queue"}},
            "classes": {"all": {}},
            "guardrails": {"max_delta": {"main.batch_size": 1}, "max_updates_per_second": 1},
            "window": WINDOW})
        hands.stack.callback(self.tuner.end)

    def in_force(self) -> list[float]:
        return list(maxconns(self.proxy, ("be",)))

    def restart(self) -> None:
        self.proxy.server.kill()
        self.proxy.start_again()


def killed_then_restarted(make: Callable[[Hands], Any]) -> Case:
    def case(hands: Hands) -> None:
        one = make(hands)
        tuner: Tuner = one.tuner
        tuner.wait_for(lambda: bool(tuner.agent()), 30, "an agent of its own")
        tuner.wait_for(lambda: tuner.phase() in ("settle", "measure") and
                       one.in_force() not in ([], one.found), 120, "a change that is open")
        tuner.kill()
        begin = now()
        until(lambda: one.in_force() == one.found and not tuner.agent().get("open", True),
              LEASE_S + one.settles_s, f"{hands.name}: what was found stands again")
        print(f"{hands.name}: stands after {now() - begin:.1f} s")
        one.restart()
        begin = now()
        until(lambda: one.in_force() == one.found and tuner.agent().get("restores", 0) >= 2,
              LEASE_S + one.settles_s, f"{hands.name}: and after a restart")
        print(f"{hands.name}: after a restart in {now() - begin:.1f} s")

    return case


CASES: dict[str, Case] = {"triton": killed_then_restarted(Triton),
                          "llamacpp": killed_then_restarted(Slots),
                          "generic": killed_then_restarted(Generic)}


@pytest.fixture(scope="module")
def cases(request, haproxy, llamacpp, triton, tmp_path_factory) -> Iterator[dict[str, Any]]:
    yield from running(request, CASES, tmp_path_factory.mktemp("agents"), haproxy=haproxy,
                       llamacpp=llamacpp, triton=triton)


@pytest.mark.deadline(300)
@pytest.mark.parametrize("case", CASES)
def test_what_was_found_returns_without_a_tuner(cases, case: str) -> None:
    cases[case].result()
