"""Every command of the how-tos of HAProxy, llama.cpp and the live loop, as they stand there: only
ports and paths are those of the tests, and minutes are seconds. The others: test_howto_engines.py,
test_triton_howto.py, test_vllm_howto.py; generic.md's examples are run by generic_test."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import BUILD, DIR, PORTS, ROOT, Running, program
from load import background, completions, until
from shell import documented, llamacpp_front
from test_haproxy import Fleet
from tuned import Tuner, await_up, routed, runtime, server, traffic

RUN_S = 12  # instead of the ten minutes that are written there


def commands(page: str) -> list[str]:
    """Lines of its sh blocks."""
    text = (ROOT / "docs/howto" / page).read_text()
    return [line for block in re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
            for line in block.splitlines() if line.strip()]


class Typist:
    """Types commands in a folder, as a reader would."""

    def __init__(self, folder: Path, replace: dict[str, object], path: str = "") -> None:
        self.folder, self._replace = folder, replace
        self._env = {**os.environ, "ARQON_ENGINES": str(DIR),
                     "PATH": f"{path}{BUILD / 'apps/arqonhpo'}:{os.environ['PATH']}"}

    def __call__(self, command: str, codes: tuple[int, ...] = (0,)) -> str:
        for old, new in self._replace.items():
            command = command.replace(old, str(new))
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, env=self._env,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120, check=False)
        print(f"$ {command}\n{done.stdout}{done.stderr}")
        assert done.returncode in codes, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def written(folder: Path, name: str, text: str, replace: dict[str, object]) -> dict[str, Any]:
    """The JSON of a page, with what is the test's own, as a file."""
    for old, new in replace.items():
        text = text.replace(old, str(new))
    (folder / name).write_text(text)
    return json.loads(text)


@pytest.mark.deadline(120)
def test_haproxy(llamacpp, haproxy, port, tmp_path: Path) -> None:
    fleet = Fleet(llamacpp, haproxy, port)
    fleet.ready()
    replace = {"/run/haproxy/arqon.sock": fleet.proxy.details["socket"],
               '"udp": 5140': f'"udp": {fleet.log_port}', "--seconds 600": f"--seconds {RUN_S}"}
    written(tmp_path, "split.json", documented("haproxy.md", "json"), replace)
    typed = Typist(tmp_path, replace)
    lines = commands("haproxy.md")
    assert len(lines) == 4, lines
    with background(completions(fleet.proxy.url, tokens=4), streams=2) as load:
        for line in lines:
            said = typed(line)
            if "doctor" in line:
                assert "router_weights" in said and "live" in said
            if "--mode auto" in line:
                assert "attached to" in said and "mode auto" in said
    assert load.report.lost == [], load.report.summary()


@pytest.fixture
def llama_fleet(haproxy, tmp_path: Path) -> Iterator[tuple[Running, Typist, dict[str, object]]]:
    """The page's two servers and its HAProxy, started as the page says."""
    one, two, caps, log_port = PORTS(), PORTS(), [PORTS(), PORTS()], PORTS()
    shim = tmp_path / "bin/llama-server"
    shim.parent.mkdir()
    shim.write_text(f"""#!/bin/bash
# What llama-server of a distribution would be; this one is compiled into a Python wheel.
while [[ $# -gt 0 ]]; do
  case $1 in
    --port) port=$2 ;; --parallel) slots=$2 ;; --ctx-size) context=$2 ;;
  esac
  shift
done
exec {DIR}/llamacpp/venv/bin/python {ROOT}/tools/engines_lib/llama_server.py \\
  --model {DIR}/models/tiny.gguf --port $port --slots $slots --context $context
""")
    shim.chmod(0o755)
    direct = {"800$1": f"$(( $1 == 1 ? {one} : {two} ))"}
    script = documented("llamacpp.md", "bash")
    assert "800$1" in script
    (tmp_path / "restart-llama").write_text(script.replace(*next(iter(direct.items()))))
    replace: dict[str, object] = {
        "127.0.0.1:8001": f"127.0.0.1:{one}", "127.0.0.1:8002": f"127.0.0.1:{two}",
        "--seconds 600": f"--seconds {RUN_S}", '"udp": 5140': f'"udp": {log_port}'}
    typed = Typist(tmp_path, replace, path=f"{shim.parent}:")

    proxy: Running = haproxy({}, name="howto", config=llamacpp_front(log_port, caps, [one, two]))
    replace["/run/haproxy/arqon.sock"] = proxy.details["socket"]
    replace['"backend": "llm"'] = '"backend": "be"'
    try:
        yield proxy, typed, replace
    finally:
        for file in tmp_path.glob("llama*.pid"):
            try:
                os.kill(int(file.read_text()), signal.SIGKILL)
            except (ValueError, ProcessLookupError):
                pass


@pytest.mark.deadline(150)
def test_llamacpp(llama_fleet, tmp_path: Path) -> None:
    proxy, typed, replace = llama_fleet
    written(tmp_path, "slots.json", documented("llamacpp.md", "json"), replace)
    lines = commands("llamacpp.md")
    assert len(lines) == 7, lines
    for line in lines[:3]:  # the script, and the servers by it
        typed(line)
    await_up(proxy, 2)
    with background(completions(proxy.url, tokens=4), streams=2) as load:
        for line in lines[3:]:
            said = typed(line)
            if "doctor" in line:
                assert "POOL.slots" in said and "restart" in said
            if "--mode auto" in line:
                assert "attached to" in said and "mode auto" in said
        # Called as the adapter calls it, the script changes the flags of one server.
        runtime(proxy, "set server be/s1 state drain")
        until(lambda: runtime(proxy, "show servers conn be").count("s1") >= 1, 5, "drained")
        typed("./restart-llama 1 2 4096")
        runtime(proxy, "set server be/s1 state ready")
    assert load.report.done


@pytest.fixture
def person(haproxy, tmp_path: Path) -> Iterator[tuple[dict[str, Any], Typist]]:
    """An engine for live.md: HAProxy in front of a quick server and a late one, so that there is
    something to recommend. Its document in the page's place of the vLLM one."""
    with server(0) as quick, server(0.12) as late:
        log_port = PORTS()
        proxy = haproxy({}, name="person", config=routed([quick, late], log_port))
        await_up(proxy, 2)
        document = json.loads(documented("live.md", "json"))
        document["target"] = {"engine": "haproxy", "socket": proxy.details["socket"],
                              "backend": "be", "log": {"udp": log_port}, "settle_s": 1}
        document["classes"] = {"chat": {"e2e_ms": 60, "ttft_ms": 60}}
        del document["knobs"]
        document["guardrails"] = {"max_updates_per_second": 1}
        document["window"] = {"requests_min": 60, "seconds_min": 2, "seconds_max": 30}
        (tmp_path / "live.json").write_text(json.dumps(document))
        with traffic(proxy.url, streams=4):
            yield document, Typist(tmp_path, {"--seconds 600": "--seconds 6"})


def code_blocks(page: str) -> str:
    text = (ROOT / "docs/howto" / page).read_text()
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    return "\n".join(block for language, block in blocks if not language)


def verbs_of_the_table(page: str) -> set[str]:
    rows = re.findall(r"^\| `arqonhpo.*?\|", (ROOT / "docs/howto" / page).read_text(), re.M)
    return set(re.findall(r"`arqonhpo (\w+)", " ".join(rows)))


@pytest.mark.deadline(240)
def test_live(person, tmp_path: Path) -> None:
    document, typed = person
    asked: list[str] = []

    def ask(command: str, codes: tuple[int, ...] = (0,)) -> str:
        asked.append(command)
        return typed(command, codes)

    def tuner(*options: str) -> Tuner:
        asked.append("arqonhpo tune live.json" + "".join(f" {o}" for o in options))
        return Tuner(tmp_path, document, *options)

    assert "auto" not in ask("arqonhpo validate live.json")
    ask("arqonhpo tune live.json --seconds 600")
    assert (tmp_path / "results/live/report.html").exists()
    with_mode: list[tuple[str, Callable[[Tuner], None]]] = []

    def recommend(one: Tuner) -> None:
        one.wait_for(lambda: "recommend" in one.actions(), 60, "a recommendation")
        assert "limit" in ask("arqonhpo explain")
        assert ask("arqonhpo explain 1")

    def approve(one: Tuner) -> None:
        one.wait_for(lambda: one.phase() == "awaiting approval", 60, "a proposal")
        assert "approve" in ask("arqonhpo status")
        ask("arqonhpo reject")
        one.wait_for(lambda: one.phase() == "awaiting approval", 60, "another proposal")
        ask("arqonhpo approve")
        one.wait_for(lambda: "experiment" in one.actions(), 20, "the experiment begins")

    def auto(one: Tuner) -> None:
        one.wait_for(lambda: "experiment" in one.actions(), 60, "an experiment")
        ask("arqonhpo rollback")
        one.wait_for(lambda: "revert" in one.actions(), 20, "it is taken back")
        ask("arqonhpo resume")
        ask("arqonhpo pause")
        one.wait_for(lambda: one.status().get("paused"), 10, "paused")
        ask("arqonhpo resume")
        ask("arqonhpo freeze")
        one.wait_for(lambda: one.status().get("frozen"), 10, "frozen")
        ask("arqonhpo resume")
        one.wait_for(lambda: not one.status().get("frozen"), 10, "no longer")

    with_mode = [("recommend", recommend), ("approve", approve), ("auto", auto)]
    for mode, then in with_mode:
        one = tuner("--mode", mode)
        try:
            then(one)
        finally:
            one.process.send_signal(signal.SIGINT)
            assert one.process.wait(60) == 130
            one.end()
    # And the agent by itself, before the tuner.
    asked.append("arqonhpo agent live.json")
    agent = subprocess.Popen([program("apps/arqonhpo/arqonhpo"), "agent", "live.json"],
                             cwd=tmp_path, stdin=subprocess.DEVNULL)
    try:
        until(lambda: bool(one.agent()), 20, "the agent answers")
        ask("arqonhpo status --json")
    finally:
        agent.terminate()
        agent.wait(20)
    said = {" ".join(command.split()[:2]) for command in asked}
    for line in code_blocks("live.md").splitlines():
        assert not line.strip() or line in asked, f"nobody typed: {line}"
    assert {f"arqonhpo {verb}" for verb in verbs_of_the_table("live.md")} <= said
