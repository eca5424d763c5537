"""The way back without us, on a real HAProxy: the tuner killed in each phase of a change, HAProxy
restarted in each phase, and both; the confirmed set stands within the deadline.

`weights`: two servers stand behind the proxy, one answers at once, one too late, so that the tuner
moves weight. `fleet`: two replicas of one slot each behind caps that the tuner raises, one replica
first. Their boot values are even; a person had set other ones before the tuner came.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import PORTS, Running
from load import until
from shell import llamacpp_front
from side_by_side import Case, Hands, running
from stand_in_llama import stand_in_llama
from tuned import (
    DEADLINE_S, PHASES, Tuner, await_up, maxconns, near, now, routed, runtime, server, shares,
    traffic, weights)

FOUND = (154, 102)  # set by a person; HAProxy boots with 100 and 100
FOUND_CAP = 1       # HAProxy boots with 4


class Weights:
    """One HAProxy whose weights are tuned."""

    boot = [0.5, 0.5]

    def __init__(self, hands: Hands) -> None:
        quick, late = (hands.stack.enter_context(server(s)) for s in (0, 0.12))
        log_port = PORTS()
        self.proxy: Running = hands.haproxy({}, name=hands.name,
                                            config=routed([quick, late], log_port))
        hands.stack.callback(lambda: self.proxy.server.stop())
        await_up(self.proxy, 2)
        for name, weight in zip(("s1", "s2"), FOUND, strict=True):
            runtime(self.proxy, f"set server be/{name} weight {weight}")
        self.found = shares(FOUND)
        hands.stack.enter_context(traffic(self.proxy.url, streams=4))
        self.tuner = Tuner(hands.folder, {
            "target": {"engine": "haproxy", "socket": self.proxy.details["socket"],
                       "backend": "be", "log": {"udp": log_port}, "settle_s": 1},
            "classes": {"web": {"e2e_ms": 60, "ttft_ms": 60}},
            "guardrails": {"max_updates_per_second": 1},
            "window": {"requests_min": 100, "seconds_min": 2, "seconds_max": 60}})
        hands.stack.callback(self.tuner.end)

    def in_force(self) -> list[float]:
        return shares(weights(self.proxy))

    def stands(self) -> bool:
        return near(self.in_force(), self.tuner.confirmed())


class Fleet:
    """Two replicas whose caps are tuned, one before the other."""

    boot = [4, 4]

    def __init__(self, hands: Hands) -> None:
        direct = [hands.stack.enter_context(stand_in_llama(0.08)) for _ in range(2)]
        caps, log_port = [PORTS(), PORTS()], PORTS()

        self.proxy: Running = hands.haproxy(
            {}, name=hands.name, config=llamacpp_front(log_port, caps, direct))
        hands.stack.callback(lambda: self.proxy.server.stop())
        await_up(self.proxy, 2)
        for cap, name in (("cap1", "one"), ("cap2", "two")):
            runtime(self.proxy, f"set maxconn server {cap}/{name} {FOUND_CAP}")
        self.found = [FOUND_CAP, FOUND_CAP]
        hands.stack.enter_context(traffic(self.proxy.url, streams=12, pause_s=0.02))
        self.tuner = Tuner(hands.folder, {
            "target": {"engine": "llamacpp", "settle_s": 1,
                       "replicas": [{"url": f"http://127.0.0.1:{port}", "server": f"s{i}",
                                     "cap_backend": f"cap{i}"} for i, port in enumerate(direct, 1)],
                       "router": {"socket": self.proxy.details["socket"], "backend": "be",
                                  "log": {"udp": log_port}}},
            "classes": {"chat": {"e2e_ms": 200}},
            "knobs": {"main.batch_size": {"min": 1, "max": 8, "type": "int"}},
            "guardrails": {"max_delta": {"main.batch_size": 1}, "max_updates_per_second": 1},
            "window": {"requests_min": 60, "seconds_min": 2, "seconds_max": 60}})
        hands.stack.callback(self.tuner.end)

    def in_force(self) -> list[float]:
        return list(maxconns(self.proxy, ("cap1", "cap2")))

    def stands(self) -> bool:
        confirmed = self.tuner.confirmed()
        return bool(confirmed) and self.in_force() == 2 * confirmed


def way_back(make: Callable[[Hands], Any], phase: str, killed: bool, restarted: bool) -> Case:
    """In this phase the tuner is killed, HAProxy restarted, or both."""

    def case(hands: Hands) -> None:
        one = make(hands)
        tuner: Tuner = one.tuner

        def reached() -> bool:
            if phase == "confirmed":
                return "confirm" in tuner.actions()
            # A glide of one step is over before anybody can ask for the phase.
            moved = phase == "glide" and not near(one.in_force() or one.found, one.found)
            return moved or tuner.phase() == phase

        tuner.wait_for(reached, 120, phase)
        if killed:
            tuner.kill()
        if restarted:
            one.proxy.start_again()
            until(lambda: bool(one.in_force()), 10, "HAProxy again")
        begin = now()
        until(lambda: one.stands() and (not killed or not tuner.agent().get("open", True)),
              DEADLINE_S, f"{hands.name}: the confirmed set stands in {one}")
        print(f"{hands.name}: stands after {now() - begin:.1f} s")
        if phase == "confirmed":
            one.proxy.start_again()
            until(one.stands, DEADLINE_S, "the confirmed set in a HAProxy without a tuner")
        if "confirm" not in tuner.actions():
            assert near(tuner.confirmed(), one.found[:len(tuner.confirmed())]), "as found"
        assert tuner.confirmed() != one.boot[:len(tuner.confirmed())]
        if not killed:
            tuner.wait_for(lambda: "resume" in tuner.actions(), 30, "the loop goes on")

    return case


CASES: dict[str, Case] = {}
for _phase in (*PHASES, "confirmed"):
    for _make in (Weights, Fleet):
        if _make is Weights and _phase == "widen":
            continue  # a fleet of one is where it is
        if _make is Fleet and _phase == "confirmed":
            continue
        for _what in ("killed", "restarted", "killed and restarted"):
            if _phase == "confirmed" and _what != "killed":
                continue  # there HAProxy restarts after the tuner's death
            CASES[f"{_make.__name__.lower()}-{_phase}-{_what.replace(' ', '-')}"] = way_back(
                _make, _phase, "killed" in _what, "restarted" in _what)


@pytest.fixture(scope="module")
def cases(request, haproxy, tmp_path_factory) -> Iterator[dict[str, Any]]:
    yield from running(request, CASES, tmp_path_factory.mktemp("way-back"), haproxy=haproxy)


@pytest.mark.deadline(400)
@pytest.mark.parametrize("case", CASES)
def test_the_confirmed_set_stands(cases, case: str) -> None:
    cases[case].result()
