"""docs/howto/vllm.md, command by command, as a new user would type them: only the address, the
durations and the start of the server (the CPU build of vLLM lacks the `vllm` command) differ."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import vllm_plugin as rig
from conftest import program

PAGE = rig.ROOT / "docs/howto/vllm.md"
NAME = "default"  # what the page tells people to use
SHORT_S = 8
RAN: set[str] = set()  # of the page's commands
PERSON = ("status", "explain", "pause", "resume", "rollback", "freeze")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def commands() -> list[str]:
    return [line for block in blocks("bash") for line in block.splitlines()]


@pytest.fixture(scope="module", name="desk")
def _desk(vllm, tmp_path_factory):
    """A working folder with the page's document in it, and a vLLM started as the page says."""
    folder = tmp_path_factory.mktemp("howto")
    site = folder / "site"
    (install,) = [c for c in commands() if c.startswith("pip install")]
    done = subprocess.run([sys.executable, "-m", *install.split(), "--no-deps", "--target", site],
                          cwd=rig.ROOT, capture_output=True, text=True, timeout=300)
    if done.returncode and "Could not find a version" in done.stderr:
        pytest.skip("the package registry is out of reach for pip's build of the plugin")
    assert done.returncode == 0, done.stderr
    RAN.add(install)
    (serve,) = [c for c in commands() if c.startswith("vllm serve MODEL")]
    rig.forget_name(NAME, folder / "state")
    running = vllm(flags=serve.split()[3:], pythonpath=[site], model="tiny",
                   env={"ARQONHPO_VLLM_STATE": str(folder / "state")})
    RAN.add(serve)
    for text in blocks("json"):
        (folder / "my-vllm.json").write_text(text.replace("http://127.0.0.1:8000", running.url))
        run("arqonhpo validate my-vllm.json", folder, running.url)
    (folder / "my-vllm.json").write_text(
        blocks("json")[0].replace("http://127.0.0.1:8000", running.url))
    yield folder, running
    vllm.stop()
    rig.forget_name(NAME, folder / "state")


def typed(command: str, url: str) -> list[str]:
    RAN.add(command)
    words = command.replace("http://127.0.0.1:8000", url).split()
    assert words[0] == "arqonhpo", command
    if "--seconds" in words:
        words[words.index("--seconds") + 1] = str(SHORT_S)
    return [str(program("apps/arqonhpo/arqonhpo")), *words[1:]]


def environment() -> dict[str, str]:
    return {**os.environ, "NO_COLOR": "1"}


def run(command: str, folder: Path, url: str) -> str:
    done = subprocess.run(typed(command, url), cwd=folder, capture_output=True, text=True,
                          timeout=120, env=environment())
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def traffic(port: int, stop: threading.Event) -> threading.Thread:
    load = rig.Load(port, streams=6, output=16)
    thread = threading.Thread(target=lambda: asyncio.run(load.run(stop.is_set)))
    thread.start()
    return thread


def test_doctor_finds_the_live_knobs(desk):
    folder, running = desk
    (doctor,) = [c for c in commands() if c.startswith("arqonhpo doctor")]
    told = run(doctor, folder, running.url)
    assert re.search(r"batch_size .*\blive\b", told), told


def test_observe_recommend_and_load_run_as_written(desk):
    folder, running = desk
    listed = [c for c in commands() if re.match("arqonhpo (tune .*--seconds|load|validate)", c)]
    assert len(listed) == 4, listed
    for command in listed:
        stop = threading.Event()
        thread = None if " load " in command else traffic(int(running.url.rsplit(":", 1)[1]), stop)
        try:
            run(command, folder, running.url)
        finally:
            stop.set()
            if thread:
                thread.join()


def test_auto_and_the_verbs_of_the_person_in_charge_run_as_written(desk):
    folder, running = desk
    (auto,) = [c for c in commands() if c.endswith("--mode auto")]
    verbs = [c for c in commands() if c.split()[1:2] and c.split()[1] in PERSON]
    assert [c.split()[1] for c in verbs] == list(PERSON)
    stop = threading.Event()
    thread = traffic(int(running.url.rsplit(":", 1)[1]), stop)
    tuner = subprocess.Popen(typed(auto, running.url), cwd=folder, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, env=environment())
    try:
        time.sleep(SHORT_S)  # as a person would let it begin
        assert tuner.poll() is None, tuner.stdout.read()
        for command in verbs:
            run(command, folder, running.url)
    finally:
        tuner.send_signal(signal.SIGINT)
        told = tuner.communicate(timeout=60)[0]
        stop.set()
        thread.join()
    assert tuner.returncode in (0, 130), told


def test_no_command_of_the_page_was_left_out(desk):
    del desk
    assert set(commands()) == RAN
