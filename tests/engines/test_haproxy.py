"""HAProxy as a live engine, on the real one: two real llama.cpp servers stand behind it."""

import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Running
from faults import Desk, SocketProxy, left_out
from load import Load, Target, background, calm, closed, completions, until
from shell import Refused, Shell, ask_socket, haproxy_config, metrics_frontend

SPLIT = [{"name": "router.router_weights", "type": "simplex", "choices": ["small", "large"]}]
TARGET = 0.9
CAP = [{"name": "main.batch_size", "type": "int", "min": 1, "max": 8}]


class Fleet:
    """A small server of one slot and a large one of four, behind the HAProxy of the how-to."""

    def __init__(self, llamacpp: Any, haproxy: Any, port: Any) -> None:
        self.small: Running = llamacpp("small", model="small", slots=1, context=1024)
        self.large: Running = llamacpp("large", model="small", slots=4, context=4096)
        self.log_port = port()
        extra = ("backend capped\n  balance roundrobin\n"
                 f"  server only {self.large.url[7:]} maxconn 8\n")

        def config(front: int, metrics: int, path: Path) -> str:
            return haproxy_config("haproxy.md", {
                "127.0.0.1:8080": f"127.0.0.1:{front}", "/run/haproxy/arqon.sock": path,
                "127.0.0.1:5140": f"127.0.0.1:{self.log_port}",
                "127.0.0.1:8001": self.small.url[7:], "127.0.0.1:8002": self.large.url[7:],
            }) + extra + metrics_frontend(metrics)

        self.proxy: Running = haproxy({}, name="fleet", config=config)
        self.target = {"engine": "haproxy", "socket": self.proxy.details["socket"],
                       "backend": "llm", "log": {"udp": self.log_port}}

    def say(self, command: str) -> str:
        return ask_socket(self.proxy.details["socket"], command.encode() + b"\n").decode().strip()

    def ready(self) -> None:
        until(lambda: self.say("show stat").count(",UP,") >= 3, 10, "both servers up")


@pytest.fixture
def fleet(llamacpp, haproxy, port) -> Fleet:
    made = Fleet(llamacpp, haproxy, port)
    made.ready()
    return made


def finished(shell: Shell, requests: int) -> dict[str, Any]:
    """The observation in which the log has told of so many requests."""
    now: dict[str, Any] = {}

    def told() -> bool:
        now.update(shell.observe())
        return now["classes"][0]["arrived"] >= requests

    until(told, 10, f"{requests} requests in the log")
    return now


def test_log_times_are_those_the_client_sees(fleet: Fleet) -> None:
    with Shell() as shell:
        shell.attach(fleet.target, ttft_ms=60_000, e2e_ms=60_000)
        shell.observe()
        report = closed(completions(fleet.proxy.url, tokens=64), streams=2, requests=40)
        assert report.lost == [], report.summary()
        now = finished(shell, 40)
    seen = sorted(o.ttft_s for o in report.done)[20] * 1e3
    told = now["classes"][0]["ttft_p50"]
    print(f"TTFT p50: log {told:.0f} ms, client {seen:.0f} ms")
    assert now["fresh"] and now["classes"][0]["good"] == 40
    assert abs(told - seen) <= max(20, 0.3 * seen), (told, seen)
    assert max(o.max_gap_s for o in report.done) < min(o.end_s for o in report.done) + 1


def test_split_follows_in_the_counters_and_loses_nothing(fleet: Fleet) -> None:
    with Shell() as shell:
        shell.attach(fleet.target, SPLIT)
        with background(completions(fleet.proxy.url, tokens=2), streams=4) as load:
            for share in (0.5, 0.1, 0.9, 0.25):
                assert shell.apply([share, 1 - share]) == [share, 1 - share]
                until(lambda: shell.observe()["acknowledged"], 60, f"share {share} in counters")
            with pytest.raises(Refused, match="outside the knobs' domain"):
                shell.apply([0.5, 0.6])
        print(load.report.summary())
        assert load.report.lost == []


def test_cap_of_one_server_is_its_concurrency(fleet: Fleet) -> None:
    with Shell() as shell:
        found = shell.attach({**fleet.target, "backend": "capped"}, CAP)
        assert found["boot"] == [8]
        assert shell.apply([3]) == [3]
        row = next(row for row in fleet.say("show stat").splitlines() if "capped,only" in row)
        assert row.split(",")[6] == "3"
        with pytest.raises(Refused, match="2 servers"):
            shell.attach(fleet.target, CAP)


class Priced:
    """A cheap server that takes its time with one request at once, a dear one that is quick with
    four; more requests than the cheap one bears alone, so that the limit binds in between."""

    tokens = 48

    def __init__(self, llamacpp: Any, haproxy: Any, port: Any) -> None:
        self.small: Running = llamacpp("cheap", model="small", slots=1, context=1024)
        self.large: Running = llamacpp("dear", model="tiny", slots=4, context=4096)
        log_port = port()

        def config(front: int, metrics: int, path: Path) -> str:
            return haproxy_config("haproxy.md", {
                "127.0.0.1:8080": f"127.0.0.1:{front}", "/run/haproxy/arqon.sock": path,
                "127.0.0.1:5140": f"127.0.0.1:{log_port}",
                "127.0.0.1:8001": self.small.url[7:], "127.0.0.1:8002": self.large.url[7:],
            }) + metrics_frontend(metrics)

        self.proxy: Running = haproxy({}, name="priced", config=config)
        self.target = {"engine": "haproxy", "socket": self.proxy.details["socket"],
                       "backend": "llm", "log": {"udp": log_port},
                       "prices": {"small": {"per_request": 0.001}, "large": {"per_request": 0.004}}}
        socket = self.proxy.details["socket"]
        until(lambda: ask_socket(socket, b"show stat\n").count(b",UP,") >= 2, 10, "both up")
        alone = closed(self.request(self.small.url), streams=1, requests=25)
        self.service_s = sorted(o.end_s for o in alone.done)[15]
        self.rate = 1.4 / self.service_s
        self.limit_ms = 5e3 * self.service_s

    def request(self, url: str) -> Target:
        return completions(url, tokens=self.tokens, prompt=8, stream=False)


def kept(load: Load, seconds: float, limit_ms: float) -> float:
    """The share of what begins from now on that the limit sees as good."""
    begin = time.monotonic()
    until(lambda: time.monotonic() - begin > seconds, seconds + 5, "time")
    seen = [o for o in list(load.report.outcomes) if o.at >= begin]
    return sum(o.end_s * 1e3 <= limit_ms for o in seen) / len(seen)


@pytest.mark.deadline(280)
def test_tuner_finds_the_cheapest_split_that_keeps_the_limit(llamacpp, haproxy, port) -> None:
    fleet = Priced(llamacpp, haproxy, port)
    load = Load(fleet.request(fleet.proxy.url)).start_open(rate=fleet.rate, seconds=240)
    try:
        with Shell() as shell:
            shell.attach(fleet.target, SPLIT, e2e_ms=fleet.limit_ms)
            shell.observe()
            found = shell.order("split", max_delta=0.2, trials=15, requests=60, seconds_max=12,
                                target=TARGET)
            best = found["best"]
            at_best = kept(load, 8, fleet.limit_ms)
            beyond = min(1.0, best[0] + 0.25)
            for share in (best[0] + 0.125, beyond):
                shell.apply([min(1.0, share), max(0.0, 1 - share)])
            at_more = kept(load, 8, fleet.limit_ms)
            shell.apply(best)
    finally:
        report = load.stop()
    print(f"service {fleet.service_s * 1e3:.0f} ms, {fleet.rate:.1f}/s, limit "
          f"{fleet.limit_ms:.0f} ms; {report.summary()}")
    for trial in found["trials"]:
        print(f"  small {trial['split'][0]:.2f}: good {trial['good']:.3f} of {trial['ended']},"
              f" {trial['cost'] * 1e3:.2f} m$ per request")
    print(f"ends at {best[0]:.2f}: good {at_best:.3f}; at {beyond:.2f}: {at_more:.3f}")
    assert report.lost == []
    path = [[0.1, 0.9], *found["steps"]]
    moves = [abs(a[0] - b[0]) for a, b in zip(path, path[1:])]  # total variation of two shares
    assert moves and max(moves) <= 0.2 + 1e-9 and found["refused"] == 0
    assert any(trial["good"] < TARGET for trial in found["trials"]), "the limit never bound"
    assert 0.1 < best[0] < 1, "cheaper than what was found, dearer than what cannot hold"
    assert found["steps"][-1] == best
    assert at_more < at_best and at_more < TARGET, "a quarter more on the cheap one breaks it"
    # 8 s are about 100 requests; on a busy machine the cheap server is slower by the minute.
    assert at_best >= (TARGET - 0.08 if calm() else 0.6)


def test_a_reload_loses_the_weights_and_that_is_noticed(fleet: Fleet) -> None:
    with Shell() as shell:
        shell.attach(fleet.target, SPLIT)
        shell.apply([0.7, 0.3])
        epoch = shell.observe()["epoch"]
        fleet.proxy.start_again()
        fleet.ready()
        now = shell.observe()
        assert now["epoch"] == epoch + 1 and now["effective"] == [0.1, 0.9]
        assert now["classes"][0]["arrived"] == 0
        assert shell.health() == "ok"
        assert shell.apply([0.7, 0.3]) == [0.7, 0.3]  # what the loop and the agent do
        assert fleet.say("get weight llm/small").startswith("179")


def test_socket_deleted_is_stale_and_down_and_nothing_is_written(fleet: Fleet) -> None:
    with Shell() as shell:
        shell.attach(fleet.target, SPLIT)
        path = Path(fleet.proxy.details["socket"])
        hidden = path.with_suffix(".away")
        path.rename(hidden)
        try:
            assert shell.observe()["fresh"] is False and shell.health() == "down"
            with pytest.raises(Refused) as refused:
                shell.apply([0.5, 0.5])
            assert refused.value.code == "unavailable"
        finally:
            hidden.rename(path)
        assert shell.observe()["fresh"] is True and shell.health() == "ok"
        assert fleet.say("get weight llm/small").startswith("10 ")


def test_an_engine_that_is_stopped_or_killed_degrades_the_router(fleet: Fleet) -> None:
    with Shell() as shell:
        shell.attach(fleet.target, SPLIT)
        fleet.small.server.suspend()
        try:
            until(lambda: shell.health() == "degraded", 15, "SIGSTOP is noticed")
        finally:
            fleet.small.server.resume()
        until(lambda: shell.health() == "ok", 15, "it goes on")
        fleet.small.server.kill()
        until(lambda: shell.health() == "degraded", 15, "the kill is noticed")
        report = closed(completions(fleet.proxy.url, tokens=4), streams=2, requests=20)
        assert report.lost == [], "the other server answers: " + report.summary()
        fleet.small.start_again()
        until(lambda: shell.health() == "ok", 15, "it is back")


def test_a_silent_log_is_noticed(fleet: Fleet) -> None:
    with Shell() as shell:
        target = {**fleet.target, "log": {"udp": 0}}  # a port nobody sends to
        shell.attach(target, SPLIT)
        assert shell.observe()["fresh"]
        closed(completions(fleet.proxy.url, tokens=2), streams=2, requests=20)
        assert not shell.observe()["fresh"]


def test_doctor_says_what_is_live(fleet: Fleet) -> None:
    with Shell() as shell:
        found = shell.order("probe", engine="haproxy", url=fleet.proxy.details["socket"])
    by_name = {(knob["name"], knob["value"]): knob for knob in found["knobs"]}
    assert found["engine"].startswith("haproxy 2.")
    assert by_name["router.router_weights", "small 10, large 90"]["access"] == "live"
    assert by_name["POOL.batch_size", "8"]["access"] == "live"



@pytest.mark.deadline(280)
def test_battery(fleet: Fleet, tmp_path: Path) -> None:
    desk = Desk(completions(fleet.proxy.url, tokens=1, prompt=4), streams=6)
    door = SocketProxy(tmp_path / "door", fleet.proxy.details["socket"])
    config = Path(fleet.proxy.details["config"])
    as_it_was = config.read_text()

    def again(text: str = as_it_was) -> None:
        config.write_text(text)
        fleet.proxy.start_again()
        fleet.ready()

    for name, mode in (("hang", "hang"), ("garbage", "garbage"), ("half_written", "half"),
                       ("no_effect", "no_effect"), ("refuse", "refuse")):
        desk.fault(name, lambda mode=mode: door.set(mode), lambda: door.set("pass"))
    desk.fault("idle", lambda: None, lambda: desk.verbs["drive"]("120"))
    desk.fault("counter_reset", again)
    desk.fault("down", lambda: fleet.proxy.server.kill(), again)
    desk.fault("other_flags", lambda: again(as_it_was.replace("roundrobin", "random")))
    desk.fault("less_capacity", lambda: again(as_it_was.replace("roundrobin", "static-rr")), again)
    try:
        text = desk.run_suite({
            "target": {**fleet.target, "socket": str(door.path)}, "knobs": SPLIT,
            "classes": [{"name": "all", "e2e_ms": 60000}], "tolerance": [0.01],
            "requests_per_replica": 80,
            "why_not": {"no_tokens": "HAProxy's log does not count tokens",
                        "clamp": "HAProxy never clamps a weight"}})
    finally:
        desk.close()
        door.close()
    assert left_out(text) == {"no_tokens", "clamp"}
