"""arqonhpo load on real engines: its counts are the servers' own, and its times are right."""

import csv
import json
import subprocess
import urllib.request
from pathlib import Path

from conftest import ROOT, program
from load import metrics

SCENARIO = {
    "schema": 1, "name": "load-test", "seed": 11, "duration_s": 12,
    "workload": {"source": {"generator": "poisson", "rate_per_s": 8},
                 "segments": [{"at_s": 0, "mix": {"chat": 1.0}}]},
    # What is tested is the count, not the speed of a busy machine.
    "classes": {"chat": {"ttft_ms": 300000}}}


def scenario(folder: Path, **changes: object) -> Path:
    document = json.loads((ROOT / "scenarios/steady.json").read_text())
    document.update(SCENARIO)
    document.update(changes)
    path = folder / "scenario.json"
    path.write_text(json.dumps(document))
    return path


def load(folder: Path, url: str, *options: object, code: int = 0, **changes: object) -> dict:
    result = subprocess.run(
        [program("apps/arqonhpo/arqonhpo"), "load", scenario(folder, **changes), "--url", url,
         "--json", "--out", folder / "out", *map(str, options)],
        cwd=folder, capture_output=True, text=True, timeout=150, check=False)
    assert result.returncode == code, result.stderr + result.stdout
    return json.loads(result.stdout)


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "out/requests.csv", newline="") as file:
        return list(csv.DictReader(file))


def tokens_of(folder: Path, column: str) -> int:
    return sum(int(row[column]) for row in rows(folder))


def nothing_lost(run: dict) -> None:
    ledger = run["ledger"]
    assert run["load"]["failures"] == {}, run["load"]["failure_examples"]
    assert ledger["good"] == ledger["arrived"] > 0


def test_llamacpp_counts_agree_and_nothing_is_lost(llamacpp, tmp_path: Path) -> None:
    server = llamacpp("quick", model="tiny", slots=8, context=8192)
    before = metrics(f"{server.url}/metrics")
    run = load(tmp_path, server.url, "--warmup", 2, "--lengths", 0.05)
    nothing_lost(run)
    after = metrics(f"{server.url}/metrics")
    name = "llamacpp:tokens_predicted_total"
    assert after[name] - before[name] == tokens_of(tmp_path, "output_tokens")
    assert tokens_of(tmp_path, "output_tokens") == tokens_of(tmp_path, "output_asked")
    assert run["ledger"]["arrived"] > 60


def test_llamacpp_chat_in_words(llamacpp, tmp_path: Path) -> None:
    server = llamacpp("quick", model="tiny", slots=8, context=8192)
    # This model's tokenizer makes several tokens of a word, so the prompts are kept short.
    run = load(tmp_path, server.url, "--endpoint", "chat", "--lengths", 0.03, "--seconds", 3,
               "--context", 120)
    nothing_lost(run)
    assert run["load"]["endpoint"] == "chat"


def test_a_server_that_is_too_slow_is_named(llamacpp, tmp_path: Path) -> None:
    """One slot, closed loop of the capacity first, then twice of it as an open loop."""
    server = llamacpp("slow", model="tiny", slots=1, context=2048)
    closed = {"source": {"closed_loop": {"concurrency": 1, "input_tokens": 200,
                                         "output_tokens": 40, "requests_per_slot": 20}}}
    capacity = load(tmp_path, server.url, workload=closed)
    nothing_lost(capacity)
    assert capacity["load"]["saturation"]["server_from_s"] is None
    rate = 2 * capacity["ledger"]["arrived"] / capacity["load"]["arrivals_s"]
    table = tmp_path / "trace.csv"
    table.write_text("arrival_s,input_tokens,output_tokens,class\n" + "".join(
        f"{i / rate},200,40,chat\n" for i in range(int(rate * 15))))
    trace = {"source": {"trace": "csv", "path": str(table)}}
    run = load(tmp_path, server.url, workload=trace, duration_s=15)
    assert run["load"]["saturation"]["server_from_s"] is not None
    # Waiting is seen in full: at twice the capacity the last one waits as long as the run was.
    assert run["ttft_ms"]["p99"] > 3000


def test_vllm_counts_agree_and_times_are_those_of_the_engine(vllm, tmp_path: Path) -> None:
    server = vllm()
    before = metrics(f"{server.url}/metrics")
    run = load(tmp_path, server.url, "--lengths", 0.1, "--seconds", 20)
    nothing_lost(run)
    after = metrics(f"{server.url}/metrics")

    def grew(name: str) -> float:
        return after[name] - before[name]

    finished = grew("vllm:request_success_total")
    assert finished == run["ledger"]["arrived"]
    assert grew("vllm:generation_tokens_total") == tokens_of(tmp_path, "output_tokens")
    assert grew("vllm:prompt_tokens_total") == tokens_of(tmp_path, "prompt_tokens")
    ours = run["ttft_ms"]["mean"]
    engine = 1e3 * grew("vllm:time_to_first_token_seconds_sum") / finished
    # The engine does not see the way to it and back; on a busy machine that is some time.
    assert engine * 0.8 < ours < engine + 500, (ours, engine)
    e2e = 1e3 * grew("vllm:e2e_request_latency_seconds_sum") / finished
    assert e2e * 0.8 < run["e2e_ms"]["mean"] < e2e + 1000
    assert run["load"]["context_max"] == 512
    assert run["load"]["client"]["cpu_ms_per_1000_tokens"] < 200


def test_doctor_says_what_a_running_engine_offers(llamacpp) -> None:
    listed = subprocess.run([program("apps/arqonhpo/arqonhpo"), "doctor", "--json"],
                            capture_output=True, text=True, check=True)
    names = [engine["name"] for engine in json.loads(listed.stdout)["engines"]]
    if "llamacpp" not in names:
        return
    server = llamacpp()
    assert urllib.request.urlopen(f"{server.url}/health", timeout=5).status == 200
    found = subprocess.run(
        [program("apps/arqonhpo/arqonhpo"), "doctor", "llamacpp", server.url, "--json"],
        capture_output=True, text=True, check=False)
    document = json.loads(found.stdout)
    assert found.returncode == 0 and document["reachable"], found.stderr
    assert document["knobs"] and document["next"]
