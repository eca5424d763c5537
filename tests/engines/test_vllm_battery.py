"""The battery of arqon/testing/engine_suite.h over a real vLLM: its HTTP passes through a proxy
that spoils it, its page through a relay that lies."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import vllm_plugin as rig
from conftest import Running
from faults import Desk, FaultProxy
from load import completions
from test_battery import passed
from vllm_page import PageRelay

NAME, RELAY = "test-battery", "test-battery-relay"
CAPACITY = "--max-num-seqs"


class Plugged:
    """vLLM with the plugin; restarts keep the port."""

    def __init__(self, vllm, site: Path, folder: Path) -> None:
        self.state = folder / "state"
        rig.forget_name(NAME, self.state)
        self.running: Running = vllm(
            flags=["--scheduler-cls", "arqonhpo_vllm.Scheduler", CAPACITY, "16"],
            pythonpath=[site], model="tiny",
            env={"ARQONHPO_VLLM_NAME": NAME, "ARQONHPO_VLLM_STATE": str(self.state)})
        self.former = self.running.command
        self.proxy, self.relay = FaultProxy(self.running.url), PageRelay(NAME, RELAY)

    def start_with(self, capacity: int) -> None:
        self.former = self.running.command
        self.running.start_again(replace(self.former, argv=[
            *self.former.argv, CAPACITY, str(capacity)]))

    def be(self, mode: str) -> None:
        self.relay.mode = mode

    def end(self) -> None:
        self.proxy.close()
        self.relay.close()
        rig.forget_name(NAME, self.state)


@pytest.fixture
def plugged(vllm, vllm_plugin_site, tmp_path) -> Iterator[Plugged]:
    made = Plugged(vllm, vllm_plugin_site, tmp_path)
    yield made
    made.end()


@pytest.mark.deadline(600)
def test_the_battery_of_the_engine_contract(plugged: Plugged) -> None:
    running, proxy = plugged.running, plugged.proxy
    desk = Desk(completions(proxy.url, tokens=4))
    desk.server_faults(running, [proxy])
    desk.fault("idle", lambda: None)  # nobody sends anything while it lasts
    desk.fault("other_flags", lambda: plugged.start_with(24))
    desk.fault("less_capacity", lambda: plugged.start_with(8),
               lambda: running.start_again(plugged.former))
    for fault in ("no_effect", "clamp"):
        desk.fault(fault, lambda fault=fault: plugged.be(fault), lambda: plugged.be("pass"))
    try:
        text = desk.run_suite({
            "target": {"engine": "vllm", "url": proxy.url, "name": RELAY,
                       "state": str(plugged.state / NAME), "stuck_s": 3},
            "knobs": [{"name": "main.batch_size", "type": "int", "min": 1, "max": 16},
                      {"name": "main.prefill_token_budget", "type": "int", "min": 160,
                       "max": 2048}],
            "classes": [{"name": "chat", "e2e_ms": 60000}], "patience_s": 30, "deadline_s": 15,
            "why_not": {
                "refuse": "the page has no way to refuse",
                "no_tokens": "vLLM answers every token that was asked for, and does not count "
                             "requests whose client left before the first"}}, seconds=550)
    finally:
        desk.close()
    passed(text, {"refuse", "no_tokens"})
