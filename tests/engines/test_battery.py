"""The battery of arqon/testing/engine_suite.h over live caps of real engines.

Its other runs stand in test_triton.py, test_haproxy.py (weights), test_llamacpp.py (slots) and
test_vllm_battery.py. What is caused is what the real thing can be made to do; the rest is left out
by name, and is held against recorded answers in `make test`.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Running
from faults import Desk, FaultProxy, SocketProxy
from load import completions, until
from shell import haproxy_config, metrics_frontend
from test_llamacpp import Fleet

CAP = [{"name": "main.batch_size", "type": "int", "min": 1, "max": 8}]


def passed(text: str, left_out: set[str]) -> None:
    """Nothing is left out but these faults."""
    skipped = {line.split('fault "')[1].split('"')[0].replace(" ", "_")
               for line in text.splitlines() if line.startswith("skipped: fault")}
    assert skipped == left_out


class Capped:
    """One real llama.cpp of eight slots behind a backend of one server, and the log."""

    def __init__(self, llamacpp, haproxy, port, folder: Path) -> None:
        self.engine: Running = llamacpp("battery", model="tiny", slots=8, context=4096)
        self.log_port = port()

        def config(front: int, metrics: int, path: Path) -> str:
            return haproxy_config("haproxy.md", {
                "127.0.0.1:8080": f"127.0.0.1:{front}", "/run/haproxy/arqon.sock": path,
                "127.0.0.1:5140": f"127.0.0.1:{self.log_port}",
                "127.0.0.1:8001": self.engine.url[7:], "127.0.0.1:8002": self.engine.url[7:],
                "default_backend llm": "default_backend capped",
            }) + (f"backend capped\n  server only {self.engine.url[7:]} maxconn 8\n"
                  + metrics_frontend(metrics))

        self.router: Running = haproxy({}, name="battery", config=config)
        self.socket = SocketProxy(folder / "proxy.sock", self.router.details["socket"])


@pytest.fixture
def capped(llamacpp, haproxy, port, tmp_path) -> Iterator[Capped]:
    made = Capped(llamacpp, haproxy, port, tmp_path)
    yield made
    made.socket.close()


@pytest.mark.deadline(240)
def test_haproxy(capped: Capped) -> None:
    desk = Desk(completions(capped.router.url, tokens=4))
    spoil, router = capped.socket.set, capped.router
    config = Path(router.details["config"])
    as_it_was = config.read_text()

    def again(old: str = "", new: str = "") -> None:
        config.write_text(as_it_was.replace(old, new, 1) if old else as_it_was)
        router.start_again()

    desk.fault("other_flags", lambda: again("\nbackend capped\n",
                                            "\nbackend capped\n  balance leastconn\n"))
    desk.fault("less_capacity", lambda: again(f"{capped.engine.url[7:]} maxconn 8",
                                              capped.engine.url[7:]), again)
    desk.fault("down", router.server_kill, router.start_again)
    desk.fault("counter_reset", router.start_again)
    for fault, mode in (("hang", "hang"), ("garbage", "garbage"), ("half_written", "half"),
                        ("refuse", "refuse"), ("no_effect", "no_effect"), ("clamp", "clamp")):
        desk.fault(fault, lambda mode=mode: spoil(mode), lambda: spoil("pass"))
    try:
        text = desk.run_suite({
            "target": {"engine": "haproxy", "socket": str(capped.socket.path),
                       "backend": "capped", "log": {"udp": capped.log_port}},
            "knobs": CAP, "classes": [{"name": "chat", "e2e_ms": 20000}],
            "why_not": {"idle": "it takes settings whether or not requests come",
                        "no_tokens": "it counts answers, not tokens"}})
    finally:
        desk.close()
    passed(text, {"idle", "no_tokens"})


@pytest.fixture
def fleet(llamacpp, haproxy, port, tmp_path) -> Iterator[Fleet]:
    made = Fleet(llamacpp, haproxy, port, tmp_path)
    made.ready()
    yield made
    made.end()


def started_with(fleet: Fleet, replica: int) -> None:
    """The restart of the fleet, by somebody else and as it was."""
    words = [word.replace("{slots}", "2").replace("{ctx}", "8192")
             for word in fleet.restart(replica)]
    subprocess.run(words, check=True, timeout=60)


@pytest.mark.deadline(300)
def test_the_live_cap_of_llamacpp(fleet: Fleet, tmp_path) -> None:
    """test_llamacpp.py has the battery over its slots, and what befalls the servers."""
    proxies = [FaultProxy(server.url) for server in fleet.servers]
    router = SocketProxy(tmp_path / "proxy.sock", fleet.proxy.details["socket"])
    for replica, proxy in zip(fleet.target["replicas"], proxies):
        replica["url"] = proxy.url
    fleet.target["router"]["socket"] = str(router.path)
    desk = Desk(completions(fleet.proxy.url, tokens=4))

    def again() -> None:
        for replica in (0, 1):
            started_with(fleet, replica)
        fleet.ready()

    def spoil(rules: dict[str, str]) -> None:
        for proxy in proxies:
            proxy.set(rules)

    desk.fault("counter_reset", again)
    desk.fault("garbage", lambda: spoil({"/metrics": "garbage"}), lambda: spoil({}))
    desk.fault("half_written", lambda: spoil({"/metrics": "half"}), lambda: spoil({}))
    for fault in ("refuse", "no_effect", "clamp"):
        desk.fault(fault, lambda fault=fault: router.set(fault), lambda: router.set("pass"))
    elsewhere = "test_llamacpp.py does it"
    try:
        text = desk.run_suite({
            "target": fleet.target, "classes": [{"name": "chat", "e2e_ms": 20000}],
            "knobs": CAP, "deadline_s": 15,
            "why_not": {"idle": "HAProxy takes the cap whether or not requests come",
                        "no_tokens": "HAProxy's log counts answers, not tokens",
                        "hang": elsewhere, "down": elsewhere, "other_flags": elsewhere,
                        "less_capacity": elsewhere}})
    finally:
        desk.close()
        router.close()
        for proxy in proxies:
            proxy.close()
    passed(text, {"idle", "no_tokens", "hang", "down", "other_flags", "less_capacity"})
