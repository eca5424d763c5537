import csv
import json
import signal
import subprocess
import sys
import threading
import time

import arqonhpo
import pytest


def scenario(**changes):
    return {
        "schema": 1, "name": "py", "seed": 3, "duration_s": 120,
        "fleet": {"pools": [{"name": "main", "model": "llama-3.1-8b", "gpu": "h100-sxm-80g"}]},
        "workload": {"source": {"generator": "poisson", "rate_per_s": 5},
                     "segments": [{"at_s": 0, "mix": {"chat": 1}}]},
        "classes": {"chat": {"ttft_ms": 500, "max_gap_ms": 200}}} | changes


def test_a_dict_and_its_text_give_the_same_result():
    from_dict = arqonhpo.simulate(scenario())
    from_text = arqonhpo.simulate(json.dumps(scenario()))
    for result in (from_dict, from_text):
        assert result.pop("wall_s") > 0
        result.pop("requests_per_wall_s")
    assert from_dict == from_text
    ledger = from_dict["ledger"]
    assert ledger["arrived"] == sum(ledger[row] for row in
                                    ("good", "late", "cut", "rejected", "unfinished"))
    assert 400 < ledger["arrived"] < 800
    assert from_dict["pools"]["main"]["arrived"] == ledger["arrived"]
    assert "requests" not in from_dict


def test_columns_agree_with_the_totals():
    result = arqonhpo.simulate(scenario(), requests=True)
    rows = result["requests"]
    assert {len(rows[name]) for name in rows if not name.endswith("_names")} \
        == {result["ledger"]["arrived"]}
    assert rows["class_names"] == ["chat"]
    good = sum(rows["broke_names"][limit] == "none" for limit in rows["broke"])
    assert good == result["ledger"]["good"]
    assert sum(rows["output_tokens"]) >= result["good_tokens"]
    assert sorted(rows["arrival_s"]) == list(rows["arrival_s"])


def test_columns_are_numpy_arrays_where_numpy_is_there():
    numpy = pytest.importorskip("numpy")
    rows = arqonhpo.simulate(scenario(), requests=True)["requests"]
    assert isinstance(rows["ttft_ms"], numpy.ndarray)
    assert rows["ttft_ms"].dtype == numpy.float64
    assert rows["prompt_tokens"].dtype == numpy.uint32
    assert 0 < numpy.quantile(rows["ttft_ms"], 0.5) < 500


def test_columns_are_buffers_where_it_is_not(monkeypatch):
    from arqonhpo import simulation
    monkeypatch.setattr(simulation, "_numpy", None)
    rows = arqonhpo.simulate(scenario(), requests=True)["requests"]
    assert isinstance(rows["ttft_ms"], memoryview)
    assert rows["ttft_ms"].tolist()[0] > 0


def test_a_mistake_is_named_with_its_place():
    with pytest.raises(arqonhpo.ConfigError) as caught:
        arqonhpo.simulate(scenario(duration_s=-1, naem="x"))
    assert len(caught.value.diagnostics) == 2
    assert any("naem" in line and '"name"' in line for line in caught.value.diagnostics)


def test_traces_are_found_in_the_folder(tmp_path):
    with open(tmp_path / "t.csv", "w", newline="") as file:
        csv.writer(file).writerows([["TIMESTAMP", "ContextTokens", "GeneratedTokens"],
                                    ["2023-11-16 18:00:00.0", 100, 10],
                                    ["2023-11-16 18:00:30.0", 200, 20]])
    document = scenario(workload={"source": {"trace": "azure", "path": "t.csv", "class": "chat"}},
                        duration_s=31)
    assert arqonhpo.simulate(document, folder=tmp_path)["ledger"]["arrived"] >= 2
    with pytest.raises(arqonhpo.ArqonError):
        arqonhpo.simulate(document, folder=tmp_path / "elsewhere")


def test_other_threads_go_on_meanwhile():
    ticks = []
    running = threading.Event()

    def tick():
        running.set()
        while running.is_set():
            ticks.append(time.monotonic())
            time.sleep(0)

    thread = threading.Thread(target=tick)
    thread.start()
    running.wait()
    before = len(ticks)
    arqonhpo.simulate(scenario(duration_s=20000))
    after = len(ticks)
    running.clear()
    thread.join()
    assert after > before


def test_ctrl_c_ends_a_long_run():
    program = ("import arqonhpo, json, sys\n"
               "print('begun', flush=True)\n"
               "try:\n"
               "    arqonhpo.simulate(json.load(sys.stdin))\n"
               "except KeyboardInterrupt:\n"
               "    print('stopped', flush=True)\n")
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    process.stdin.write(json.dumps(scenario(duration_s=1_000_000)))
    process.stdin.close()
    assert process.stdout.readline() == "begun\n"
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            continue
    assert process.stdout.read() == "stopped\n"
    assert process.returncode == 0
