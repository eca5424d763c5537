"""Misfortunes of real engines while the loop tunes them: no false verdict, no write while nobody
knows whom it would reach, and afterwards the loop goes on.

The limits of these stacks cannot be kept by any setting, so an experiment is open most of the time
and every verdict but "no better" would be false.
"""

import json
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import conftest
import pytest
from conftest import PORTS, Running
from faults import FaultProxy, SocketProxy
from load import background, triton_infer, until
from shell import llamacpp_front
from side_by_side import Case, Hands, running
from test_triton import trace_flags
from tuned import Tuner, await_up, maxconns, near, quiet, routed, runtime, server, traffic, weights
from tuned import shares as shares_of

OPEN = ("glide", "settle", "measure")
WINDOW = {"requests_min": 60, "seconds_min": 2, "seconds_max": 120}


class Stack:
    """What all have: the tuner, what is in force, and how many writes reached the engine."""

    tuner: Tuner

    def in_force(self) -> list[float]:
        raise NotImplementedError

    def writes(self) -> int:
        raise NotImplementedError

    def is_confirmed(self) -> bool:
        confirmed = self.tuner.confirmed()
        now = self.in_force()
        return bool(now) and bool(confirmed) and near(
            now, confirmed * (len(now) // len(confirmed)))


class Router(Stack):
    """HAProxy in front of two servers that are alike; its weights are tuned."""

    def __init__(self, hands: Hands) -> None:
        servers = [hands.stack.enter_context(server(0.02)) for _ in range(2)]
        log_port = PORTS()
        self.proxy: Running = hands.haproxy({}, name=hands.name, config=routed(servers, log_port))
        hands.stack.callback(lambda: self.proxy.server.stop())
        await_up(self.proxy, 2)
        self.door = SocketProxy(hands.folder / "door.sock", self.proxy.details["socket"])
        hands.stack.callback(self.door.close)
        hands.stack.enter_context(traffic(self.proxy.url, streams=3))
        self.tuner = Tuner(hands.folder, {
            "target": {"engine": "haproxy", "socket": str(self.door.path), "backend": "be",
                       "log": {"udp": log_port}, "settle_s": 1},
            "classes": {"web": {"e2e_ms": 0.001}},
            "guardrails": {"max_updates_per_second": 1}, "window": WINDOW})
        hands.stack.callback(self.tuner.end)

    def in_force(self) -> list[float]:
        return shares_of(weights(self.proxy))

    def writes(self) -> int:
        return self.door.writes

    def start_with(self, old: str, new: str) -> None:
        config = Path(self.proxy.details["config"])
        config.write_text(config.read_text().replace(old, new))
        self.proxy.start_again()


class Servers(Stack):
    """Two real llama.cpp servers behind caps of HAProxy; the caps are tuned."""

    def __init__(self, hands: Hands) -> None:
        self.engines: list[Running] = [
            hands.llamacpp(f"{hands.name}-{i}", model="tiny", slots=8, context=2048)
            for i in (1, 2)]
        for engine in self.engines:
            hands.stack.callback(lambda engine=engine: engine.server.stop())
        self.readings = [FaultProxy(engine.url, slow_s=30) for engine in self.engines]
        caps, log_port = [PORTS(), PORTS()], PORTS()
        direct = [engine.details["port"] for engine in self.engines]

        self.proxy: Running = hands.haproxy(
            {}, name=hands.name, config=llamacpp_front(log_port, caps, direct))
        hands.stack.callback(lambda: self.proxy.server.stop())
        await_up(self.proxy, 2)
        self.door = SocketProxy(hands.folder / "door.sock", self.proxy.details["socket"])
        hands.stack.callback(self.door.close)
        body = b'{"prompt": [5, 6, 7], "max_tokens": 4, "ignore_eos": true}'
        hands.stack.enter_context(traffic(self.proxy.url, streams=4, path="/v1/completions",
                                          body=body))
        self.tuner = Tuner(hands.folder, {
            "target": {"engine": "llamacpp", "settle_s": 1,
                       "replicas": [{"url": door.url, "server": f"s{i}", "cap_backend": f"cap{i}"}
                                    for i, door in enumerate(self.readings, 1)],
                       "router": {"socket": str(self.door.path), "backend": "be",
                                  "log": {"udp": log_port}}},
            "classes": {"chat": {"e2e_ms": 0.001}},
            "knobs": {"main.batch_size": {"min": 1, "max": 64, "type": "int"}},
            "guardrails": {"max_delta": {"main.batch_size": 64}, "max_updates_per_second": 1},
            "window": WINDOW})
        hands.stack.callback(self.tuner.end)

    def in_force(self) -> list[float]:
        return list(maxconns(self.proxy, ("cap1", "cap2")))

    def writes(self) -> int:
        return self.door.writes

    def spoil(self, mode: str) -> None:
        for door in self.readings:
            door.set({"/metrics": mode})

    def other_model(self, model: str) -> None:
        for engine in self.engines:
            argv = [word.replace("tiny.gguf", f"{model}.gguf") for word in engine.command.argv]
            engine.start_again(replace(engine.command, argv=argv))


class Batcher(Stack):
    """A real Triton; its preferred batch size and its delay are tuned, judged by its trace."""

    def __init__(self, hands: Hands) -> None:
        self.engine: Running = hands.triton(name=hands.name, flags=trace_flags(hands.folder))
        hands.stack.callback(lambda: self.engine.server.stop())
        self.readings = FaultProxy(self.engine.details["metrics"].removesuffix("/metrics"),
                                   slow_s=30)
        hands.stack.enter_context(background(triton_infer(self.engine.url), streams=3))
        self.prepare()
        self.tuner = Tuner(hands.folder, {
            "target": {"engine": "triton", "url": self.engine.url, "model": "sleeper",
                       "grpc": self.engine.details["grpc"], "metrics": self.readings.url,
                       "latency": "trace"},
            "classes": {"all": {"e2e_ms": 0.001}},
            "knobs": {"main.preferred_batch_size": {"min": 1, "max": 16, "type": "int"},
                      "main.max_wait_ms": {"min": 0, "max": 20}},
            "guardrails": {"max_updates_per_second": 0.5}, "window": WINDOW})
        hands.stack.callback(self.tuner.end)

    def prepare(self) -> None:
        """Before the tuner comes."""

    def in_force(self) -> list[float]:
        try:
            with urllib.request.urlopen(f"{self.engine.url}/v2/models/sleeper/config",
                                        timeout=2) as answer:
                batching = json.load(answer)["dynamic_batching"]
        except OSError:
            return []
        return [float(batching["preferred_batch_size"][0]),
                float(batching["max_queue_delay_microseconds"]) / 1000]

    def writes(self) -> int:
        """Loads that were begun, over all lives of the server."""
        return sum(log.read_text(errors="replace").count("loading: sleeper")
                   for log in conftest.LOGS.glob(f"{self.engine.name}-*.log"))

    def start_with(self, old: str, new: str) -> None:
        config = Path(self.engine.details["repository"]) / "sleeper/config.pbtxt"
        text = config.read_text()
        assert old in text
        config.write_text(text.replace(old, new))
        self.engine.start_again()


def reload(proxy: Running) -> None:
    """As an init system does: a new process takes the sockets over, the old one ends its work."""
    old = min(proxy.server.pids())
    proxy.starts += 1
    command = replace(proxy.command, argv=[*proxy.command.argv, "-sf", str(old)])
    proxy.server = conftest.start(proxy.name, command, proxy.starts)
    new = min(proxy.server.pids())
    until(lambda: f"Pid: {new}" in runtime(proxy, "show info"), 10, "the new process answers")


def hidden(path: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    away = path.with_suffix(".away")
    return lambda: path.rename(away), lambda: away.rename(path)


def fault(make: Callable[[Hands], Any],
          cause: Callable[[Any], tuple[Callable[[], object], Callable[[], object]]],
          trouble: str, *, abandons: bool = True) -> Case:
    """`cause` gives what breaks it and what heals it. `trouble`: the phases that status may show
    meanwhile, "|" between them, "" when it is over too quickly to be seen. `abandons`: the
    experiment ends with it, and the confirmed set goes back."""

    def case(hands: Hands) -> None:
        one: Stack = make(hands)
        tuner = one.tuner
        tuner.wait_for(lambda: tuner.phase() in OPEN, 90, "an experiment")
        before = len(tuner.records("decision"))
        broken, heal = cause(one)
        broken()
        if trouble:
            tuner.wait_for(lambda: tuner.phase() in trouble.split("|"), 30, trouble)
            written = one.writes()
            quiet(2.5)  # the loop looks twice
            assert one.writes() == written, "nobody is written to"
            assert tuner.phase() in trouble.split("|")
        heal()

        def since() -> list[dict[str, Any]]:
            return tuner.records("decision")[before:]

        tuner.wait_for(lambda: "resume" in [d["action"] for d in since()], 40, "the loop resumes")
        if abandons:
            tuner.wait_for(one.is_confirmed, 30, "the confirmed set is back")
        goes_on = len(tuner.records("decision"))
        tuner.wait_for(lambda: {"experiment", "revert"} & {
            d["action"] for d in tuner.records("decision")[goes_on:]}, 90, "it tunes on")
        for decision in tuner.records("decision"):
            assert decision["action"] not in ("confirm", "foreign", "reflex"), decision
            assert "worse" not in decision["reason"], decision
            assert "shot up" not in decision["reason"], decision
        print(f"{hands.name}: {[d['action'] + ': ' + d['reason'] for d in since()]}")

    return case


def with_config(old: str, new: str) -> Callable[[Any], tuple]:
    return lambda one: (lambda: one.start_with(old, new), lambda: one.start_with(new, old))


def nothing() -> None:
    pass


def stopped(running_of: Callable[[Any], list[Running]]) -> Callable[[Any], tuple]:
    """SIGSTOP, and SIGCONT for those that still live."""
    return lambda one: (lambda: [r.server.suspend() for r in running_of(one)],
                        lambda: [r.server.resume() for r in running_of(one)])


def stopped_triton(one: Batcher) -> tuple:
    """Its Python backend may find, when it goes on, that it has waited too long for a lock, and end
    the server; then somebody starts it again, as somebody would."""
    stop, go_on = stopped(lambda one: [one.engine])(one)

    def heal() -> None:
        go_on()
        quiet(2)
        if not one.engine.well():
            one.engine.start_again()

    return stop, heal


def killed(running_of: Callable[[Any], list[Running]]) -> Callable[[Any], tuple]:
    return lambda one: (lambda: [r.server.kill() for r in running_of(one)],
                        lambda: [r.start_again() for r in running_of(one)])


def door(mode: str) -> Callable[[Any], tuple]:
    return lambda one: (lambda: one.door.set(mode), lambda: one.door.set("pass"))


def readings(mode: str) -> Callable[[Any], tuple]:
    return lambda one: (lambda: one.readings.set({"/metrics": mode}), one.readings.heal)


def spoilt(mode: str) -> Callable[[Any], tuple]:
    return lambda one: (lambda: one.spoil(mode), lambda: one.spoil("pass"))


CASES: dict[str, Case] = {
    "haproxy-killed": fault(Router, killed(lambda one: [one.proxy]), "engine down"),
    "haproxy-stopped": fault(Router, stopped(lambda one: [one.proxy]), "engine down"),
    "haproxy-other-flags": fault(
        Router, with_config("balance roundrobin", "balance static-rr"), "engine unqualified"),
    "haproxy-reloaded": fault(Router, lambda one: (lambda: reload(one.proxy), nothing), ""),
    "haproxy-socket-deleted": fault(
        Router, lambda one: hidden(one.door.path), "engine down"),
    "haproxy-socket-slow": fault(Router, door("hang"), "engine down"),
    "haproxy-garbage": fault(Router, door("garbage"), "engine down"),
    "llamacpp-killed": fault(Servers, killed(lambda one: one.engines), "engine down"),
    "llamacpp-one-killed": fault(
        Servers, killed(lambda one: one.engines[:1]), "engine degraded", abandons=False),
    "llamacpp-stopped": fault(
        Servers, stopped(lambda one: one.engines[1:]), "engine degraded", abandons=False),
    "llamacpp-other-model": fault(
        Servers, lambda one: (lambda: one.other_model("small"), nothing), "", abandons=False),
    "llamacpp-metrics-slow": fault(Servers, spoilt("slow"), "engine down"),
    "llamacpp-metrics-garbage": fault(Servers, spoilt("garbage"), "engine down"),
    "llamacpp-haproxy-reloaded": fault(
        Servers, lambda one: (lambda: reload(one.proxy), nothing), ""),
    "llamacpp-socket-deleted": fault(
        Servers, lambda one: hidden(one.door.path), "engine down"),
    "triton-killed": fault(Batcher, killed(lambda one: [one.engine]), "engine down"),
    "triton-stopped": fault(Batcher, stopped_triton, "engine down"),
    "triton-other-flags": fault(
        Batcher, with_config("max_batch_size: 32", "max_batch_size: 8"), "engine unqualified"),
    "triton-metrics-slow": fault(
        Batcher, readings("slow"), "stale telemetry|engine degraded", abandons=False),
    "triton-metrics-garbage": fault(
        Batcher, readings("garbage"), "stale telemetry|engine degraded", abandons=False),
}


@pytest.fixture(scope="module")
def cases(request, haproxy, llamacpp, triton, tmp_path_factory) -> Iterator[dict[str, Any]]:
    yield from running(request, CASES, tmp_path_factory.mktemp("faults"), haproxy=haproxy,
                       llamacpp=llamacpp, triton=triton)


@pytest.mark.deadline(400)
@pytest.mark.parametrize("case", CASES)
def test_the_loop_lives_through_it(cases, case: str) -> None:
    cases[case].result()
