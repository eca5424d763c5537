"""A restart knob of two real vLLMs behind a real HAProxy: drain, the user's restart command, ready,
warm, back with its weight; one replica at a time, and no request lost.

Two servers, started twice each: three minutes, so ARQON_SLOW=1 runs it. The steps by themselves
stand against a stand-in in arqon/adapters/vllm/rolling_test.cc.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import vllm_plugin as rig
from conftest import DIR, PORTS, ROOT, Running, need
from load import background, closed, completions
from test_vllm_adapter import Shell

NAMES = ("test-rolling-a", "test-rolling-b")
# What an operator would have: stop it, start it with the value that is asked for.
RESTART = """#!/bin/bash
set -e
"$TOOLS/engines" stop "$1" --dir "$DIR" || true
export ARQONHPO_VLLM_NAME=$1
"$TOOLS/engines" start vllm --name "$1" --port "$2" --model tiny --dir "$DIR" -- \\
  --scheduler-cls arqonhpo_vllm.Scheduler --max-num-seqs "$ARQONHPO_MAX_NUM_SEQS"
"""


class Pair:
    def __init__(self, site: Path, state: Path, haproxy, folder: Path) -> None:
        self.state, self.script = state, folder / "restart.sh"
        self.script.write_text(RESTART)
        self.script.chmod(0o755)
        os.environ.update(PYTHONPATH=str(site), ARQONHPO_VLLM_STATE=str(state),
                          TOOLS=str(ROOT / "tools"), DIR=str(DIR))
        self.ports = [PORTS() for _ in NAMES]
        for name in NAMES:
            rig.forget_name(name, state)
        starts = [subprocess.Popen(self.command(i), env={**os.environ,
                                                         "ARQONHPO_MAX_NUM_SEQS": "16"})
                  for i in range(len(NAMES))]
        assert [start.wait(300) for start in starts] == [0, 0]
        self.router: Running = haproxy(
            {"llm": [f"127.0.0.1:{port}" for port in self.ports]}, name="rolling")

    def command(self, i: int) -> list[str]:
        return [str(self.script), NAMES[i], str(self.ports[i])]

    def target(self, servers: list[str]) -> dict:
        return {"engine": "vllm",
                "replicas": [{"url": f"http://127.0.0.1:{port}", "name": name,
                              "state": str(self.state / name), "restart": self.command(i)}
                             for i, (port, name) in enumerate(zip(self.ports, NAMES))],
                "router": {"engine": "haproxy", "socket": self.router.details["socket"],
                           "backend": "llm", "servers": servers}}

    def stop(self) -> None:
        for name in NAMES:
            subprocess.run([ROOT / "tools/engines", "stop", name, "--dir", DIR], check=False)
            rig.forget_name(name, self.state)


@pytest.fixture
def pair(vllm_plugin_site, haproxy, tmp_path, monkeypatch) -> Iterator[Pair]:
    need("vllm")
    need("haproxy")
    for name in ("PYTHONPATH", "ARQONHPO_VLLM_STATE", "TOOLS", "DIR"):
        monkeypatch.setenv(name, "")  # put back as they were afterwards
    made = Pair(vllm_plugin_site, tmp_path / "state", haproxy, tmp_path)
    yield made
    made.stop()


@pytest.mark.skipif(not os.environ.get("ARQON_SLOW"), reason="two vLLMs, four starts: ARQON_SLOW=1")
@pytest.mark.deadline(800)
def test_a_restart_knob_goes_round_the_replicas_and_no_request_is_lost(pair: Pair) -> None:
    shell = Shell()
    try:
        knobs = [{"name": "main.max_num_seqs", "min": 8, "max": 64}]
        attached = shell("attach", target=pair.target(["s1", "s2"]), knobs=knobs,
                         classes=[{"name": "all"}])
        assert attached.get("boot") == [16], attached
        with background(completions(pair.router.url, tokens=8), streams=4) as load:
            answer = shell("apply", setting=[32])
            print(f"\n{answer}")
            assert answer.get("effective") == [32], answer
        print(load.report.summary())
        assert load.report.lost == []
        assert shell("health")["health"] == "ok"
        assert closed(completions(pair.router.url, tokens=8), streams=4, requests=40).lost == []
    finally:
        shell.close()
