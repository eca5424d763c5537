"""simulate, calibrate and advise as people and scripts use them.

Usage: twin_cli_test.py ARQONHPO_BINARY [unittest arguments]
"""

import csv
import http.server
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BINARY = ""
PATIENCE_S = 120


def scenario(**changes):
    return {
        "schema": 1, "name": "cli", "seed": 3, "duration_s": 60,
        "fleet": {"pools": [{"name": "main", "model": "llama-3.1-8b", "gpu": "h100-sxm-80g",
                             "engine": {"batch_size": 64}}]},
        "workload": {"source": {"generator": "poisson", "rate_per_s": 5},
                     "segments": [{"at_s": 0, "mix": {"chat": 1}}]},
        "classes": {"chat": {"ttft_ms": 500, "max_gap_ms": 200}}} | changes


def page(requests, running=2.0, step_s=0.012):
    """What a vLLM that has served so many requests of 200 + 40 tokens says at /metrics."""
    steps = requests * 40 / running
    return "".join(f"vllm:{name}{{engine=\"0\"}} {value}\n" for name, value in (
        ("num_requests_running", running), ("num_requests_waiting", 0),
        ("kv_cache_usage_perc", 0.1), ("request_success_total", requests),
        ("prompt_tokens_total", 200 * requests), ("generation_tokens_total", 40 * requests),
        ("iteration_tokens_total_count", steps),
        ("inter_token_latency_seconds_sum", 39 * requests * step_s),
        ("inter_token_latency_seconds_count", 39 * requests),
        ("time_to_first_token_seconds_sum", 0.05 * requests),
        ("time_to_first_token_seconds_count", requests)))


class Cli(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name, content):
        text = content if isinstance(content, str) else json.dumps(content)
        (self.folder / name).write_text(text)
        return name

    def expect(self, code, *arguments):
        result = subprocess.run([BINARY, *map(str, arguments)], cwd=self.folder, check=False,
                                capture_output=True, text=True, timeout=PATIENCE_S,
                                stdin=subprocess.DEVNULL)
        self.assertEqual(result.returncode, code, f"{arguments}\n{result.stdout}\n{result.stderr}")
        return result


class Simulate(Cli):
    def test_json_has_every_part_and_pools_add_up(self):
        self.write("s.json", scenario())
        result = json.loads(self.expect(0, "simulate", "s.json", "--json").stdout)
        for key in ("ledger", "attainment", "worst_5_min_attainment", "good_tokens", "paid_gpu_s",
                    "dollars_per_million_good_tokens", "ttft_ms", "tpot_ms", "max_gap_ms", "e2e_ms",
                    "output_tokens_per_s", "input_tokens_per_s", "busy_fraction", "kv_use",
                    "preemptions", "tokens_per_step", "batch_histogram", "pools", "wall_s",
                    "requests_per_wall_s"):
            self.assertIn(key, result)
        self.assertEqual(result["pools"]["main"]["arrived"], result["ledger"]["arrived"])
        self.assertNotIn("partial", result)

    def test_a_closed_loop_keeps_its_concurrency(self):
        self.write("s.json", scenario(workload={"source": {"closed_loop": {
            "concurrency": 4, "input_tokens": 100, "output_tokens": 50, "requests_per_slot": 5}}}))
        self.expect(0, "simulate", "s.json", "--json", "--requests", "r.csv")
        with open(self.folder / "r.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), 20)
        at = sorted((float(row["arrival_s"]), 1) for row in rows)
        # An answer's end is the next one's beginning; latencies are kept in single precision.
        ends = sorted((float(row["arrival_s"]) + float(row["e2e_ms"]) / 1000 - 1e-5, -1)
                      for row in rows)
        most = now = 0
        for _, change in sorted(at + ends):
            now += change
            most = max(most, now)
        self.assertEqual(most, 4)

    def test_a_gantt_page_shows_the_window_asked_for(self):
        self.write("s.json", scenario())
        self.expect(0, "simulate", "s.json", "--gantt", "g.html", "--gantt-from", 10,
                    "--gantt-seconds", 5)
        text = (self.folder / "g.html").read_text()
        runs = json.loads(text.split("runs:")[1].split("}]")[0])
        self.assertGreater(len(runs), 100)
        self.assertGreaterEqual(runs[-1][0], 14_000_000)
        self.assertLess(runs[-1][0], 15_000_000)
        self.assertGreater(runs[0][0] + runs[0][1], 10_000_000)
        refused = self.expect(8, "simulate", "s.json", "--gantt", "no/where.html")
        self.assertEqual(refused.stdout, "")

    def test_recording_changes_nothing(self):
        self.write("s.json", scenario())
        plain = json.loads(self.expect(0, "simulate", "s.json", "--json").stdout)
        recorded = json.loads(self.expect(0, "simulate", "s.json", "--json", "--gantt", "g.html",
                                          "--requests", "r.csv").stdout)
        for result in (plain, recorded):
            del result["wall_s"], result["requests_per_wall_s"]
        self.assertEqual(plain, recorded)

    def test_ctrl_c_leaves_a_partial_result_that_says_so(self):
        self.write("s.json", scenario(duration_s=2_000_000))
        process = subprocess.Popen([BINARY, "simulate", "s.json", "--json"], cwd=self.folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        # It draws its progress once it has run for a second.
        line = process.stderr.readline()
        self.assertTrue(line, "no progress on a long run")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, 130, err)
        result = json.loads(out)
        self.assertIs(result["partial"], True)
        self.assertGreater(result["simulated_s"], 0)
        self.assertLess(result["simulated_s"], 2_000_000)
        self.assertIn("partial", err)


WINDOWS = ("t_s,seconds,running,waiting,kv_use,finished,prompt_tokens,output_tokens,gap_ms\n"
           + "".join(f"{10 * (i + 1)},10,{n},0,0.1,{f},{200 * f},{100 * f},{g}\n"
                     for i, (n, f, g) in enumerate([(1, 8, 12.1), (4, 31, 12.8), (8, 58, 13.6),
                                                    (16, 107, 14.9), (32, 180, 17.6),
                                                    (64, 275, 23.0)])))


class Calibrate(Cli):
    def test_windows_become_a_document_that_a_pool_can_name(self):
        self.write("w.csv", WINDOWS)
        self.write("s.json", scenario())
        said = self.expect(0, "calibrate", "w.csv", "--scenario", "s.json", "--out", "c.json",
                           "--engine", "vllm 0.32.0")
        self.assertIn("host_ms", said.stdout)
        document = json.loads((self.folder / "c.json").read_text())
        self.assertEqual(document["engine"], "vllm 0.32.0")
        self.assertEqual(document["windows"], 6)
        self.assertLess(document["errors"]["gap"], document["errors"]["gap_before"])
        named = scenario()
        named["fleet"]["pools"][0]["calibration"] = "c.json"
        self.write("n.json", named)
        before = json.loads(self.expect(0, "simulate", "s.json", "--json").stdout)
        after = json.loads(self.expect(0, "simulate", "n.json", "--json").stdout)
        self.assertGreater(after["tpot_ms"]["mean"], 1.2 * before["tpot_ms"]["mean"])
        effective = json.loads(self.expect(0, "simulate", "n.json", "--explain").stdout)
        self.assertEqual(effective["fleet"]["pools"][0]["calibration"], document["scalars"])

    def test_the_same_windows_give_the_same_bytes(self):
        self.write("w.csv", WINDOWS)
        arguments = ("calibrate", "w.csv", "--model", "llama-3.1-8b", "--gpu", "h100-sxm-80g")
        self.assertEqual(self.expect(0, *arguments).stdout, self.expect(0, *arguments).stdout)

    def test_a_history_of_scrapes_is_cut_into_windows(self):
        self.write("h.txt", "".join(f"# scraped {15 * i}\n" + page(20 * i) for i in range(9)))
        said = self.expect(0, "calibrate", "h.txt", "--model", "llama-3.1-8b",
                           "--gpu", "h100-sxm-80g")
        self.assertEqual(json.loads(said.stdout)["windows"], 8)

    def test_mistakes_name_their_place(self):
        self.write("w.csv", WINDOWS.replace("gap_ms", "gapms"))
        said = self.expect(3, "calibrate", "w.csv", "--model", "llama-3.1-8b",
                           "--gpu", "h100-sxm-80g")
        self.assertIn("w.csv:1:1: gapms: unknown column", said.stderr)
        self.assertIn('did you mean "gap_ms"?', said.stderr)
        self.write("w.csv", WINDOWS)
        self.assertIn("--scenario", self.expect(2, "calibrate", "w.csv").stderr)
        self.assertIn("h200x", self.expect(3, "calibrate", "w.csv", "--model", "llama-3.1-8b",
                                           "--gpu", "h200x").stderr)
        self.write("s.json", scenario())
        self.assertIn("main", self.expect(2, "calibrate", "w.csv", "--scenario", "s.json",
                                          "--pool", "mian").stderr)


class Engine(http.server.BaseHTTPRequestHandler):
    """As much of a vLLM as calibrate needs: it counts what it is asked, and answers in time."""

    begun = 0.0
    busy = False
    asked: list = []

    def do_GET(self):
        if self.path == "/metrics":
            done = len(self.asked) + 20 * (time.monotonic() - self.begun)
            self.answer(page(done, 2.0 if self.busy else 0.0001).encode())
        elif self.path == "/version":
            self.answer(b'{"version": "0.32.0"}')
        elif self.path == "/v1/models":
            self.answer(b'{"data": [{"id": "m", "max_model_len": 512}]}')
        else:
            self.send_error(404)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((len(body["prompt"]), body["max_tokens"]))
        self.answer(b'{"choices": []}')

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class CalibrateLive(Cli):
    def serve(self, busy):
        handler = type("Handler", (Engine,), {"begun": time.monotonic(), "busy": busy, "asked": []})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}", handler

    def calibrate(self, url, *arguments):
        return self.expect(0, "calibrate", "vllm", url, "--model", "llama-3.1-8b", "--gpu",
                           "h100-sxm-80g", "--seconds", 4, "--window", 1, *arguments)

    def test_it_only_watches_unless_told_to_probe(self):
        url, handler = self.serve(busy=True)
        document = json.loads(self.calibrate(url).stdout)
        self.assertEqual(document["engine"], "vllm 0.32.0")
        self.assertGreaterEqual(document["windows"], 3)
        self.assertEqual(handler.asked, [])

    def test_probes_are_twelve_at_most_and_fit_the_context(self):
        url, handler = self.serve(busy=False)
        self.calibrate(url, "--probe")
        self.assertEqual(handler.asked, [(16, 64)] * 6 + [(256, 2)] * 6)

    def test_an_engine_that_is_used_is_not_probed(self):
        url, handler = self.serve(busy=True)
        said = self.calibrate(url, "--probe")
        self.assertEqual(handler.asked, [])
        self.assertIn("somebody uses the engine", said.stderr)

    def test_nobody_there_is_exit_code_8(self):
        self.expect(8, "calibrate", "vllm", "http://127.0.0.1:9", "--model", "llama-3.1-8b",
                    "--gpu", "h100-sxm-80g")


class Advise(Cli):
    def test_what_is_not_said_is_asked_for(self):
        self.write("w.csv", WINDOWS)
        flags = ("--flags", "vllm serve meta-llama/Llama-3.1-8B-Instruct --max-num-seqs 64")
        self.assertIn("--flags", self.expect(2, "advise", "w.csv").stderr)
        self.assertIn("--gpu", self.expect(2, "advise", "w.csv", *flags).stderr)
        self.assertIn("limit", self.expect(2, "advise", "w.csv", *flags, "--gpu",
                                           "h100-sxm-80g").stderr)
        said = self.expect(3, "advise", "w.csv", "--flags", "vllm serve m --max-num-seq 4",
                           "--gpu", "h100-sxm-80g", "--ttft-ms", 500)
        self.assertIn("did you mean --max-num-seqs?", said.stderr)

    def test_too_little_was_seen_for_any_advice(self):
        self.write("w.csv", "\n".join(WINDOWS.splitlines()[:3]) + "\n")
        said = self.expect(5, "advise", "w.csv", "--flags", "vllm serve llama-3.1-8b", "--gpu",
                           "h100-sxm-80g", "--ttft-ms", 500, "--json")
        self.assertEqual(json.loads(said.stdout)["finding"], "no_trust")

    def test_an_engine_that_queues_is_told_to_run_more_at_once(self):
        """A twin with a cap of 24 is the engine; windows are made of its requests."""
        self.write("s.json", scenario(
            duration_s=900, seed=5,
            fleet={"pools": [{"name": "main", "model": "llama-3.1-8b", "gpu": "h100-sxm-80g",
                              "engine": {"batch_size": 24, "prefill_token_budget": 8192}}]},
            workload={"source": {"generator": "poisson", "rate_per_s": 9},
                      "segments": [{"at_s": 0, "mix": {"chat": 1}}]}))
        self.expect(0, "simulate", "s.json", "--requests", "r.csv")
        self.write("w.csv", windows_of(self.folder / "r.csv", 900))
        said = self.expect(0, "advise", "w.csv", "--gpu", "h100-sxm-80g", "--ttft-ms", 1000,
                           "--max-gap-ms", 200, "--json", "--flags",
                           "vllm serve meta-llama/Llama-3.1-8B-Instruct --max-num-seqs 24 "
                           "--max-num-batched-tokens 8192")
        advice = json.loads(said.stdout)
        self.assertEqual(advice["finding"], "change", advice["reason"])
        changes = {change["flag"]: change for change in advice["changes"]}
        self.assertGreater(int(changes["--max-num-seqs"]["to"]), 24)
        self.assertGreater(advice["gain"]["good_share"]["low"], 0)


def windows_of(requests, seconds):
    """A table of windows, one a minute, of the rows of simulate --requests."""
    with open(requests, newline="") as file:
        rows = [{key: float(row[key]) for key in ("arrival_s", "ttft_ms", "tpot_ms", "e2e_ms",
                                                  "prompt_tokens", "output_tokens")}
                for row in csv.DictReader(file)]
    for row in rows:
        row["first"] = row["arrival_s"] + row["ttft_ms"] / 1e3
        row["end"] = row["arrival_s"] + row["e2e_ms"] / 1e3
    lines = ["t_s,seconds,running,waiting,finished,prompt_tokens,output_tokens,gap_ms"]
    for stop in range(60, seconds, 60):
        def mean(begin, end, stop=stop):  # of requests between these two moments of theirs
            return sum(max(0.0, min(row[end], stop) - max(row[begin], stop - 60))
                       for row in rows) / 60
        ended = [row for row in rows if stop - 60 <= row["end"] < stop]
        tokens = sum(row["output_tokens"] for row in ended)
        gaps = sum(row["tpot_ms"] * (row["output_tokens"] - 1) for row in ended)
        lines.append(f"{stop},60,{mean('first', 'end')},{mean('arrival_s', 'first')},{len(ended)},"
                     f"{sum(row['prompt_tokens'] for row in ended)},{tokens},"
                     f"{gaps / (tokens - len(ended))}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    BINARY = str(Path(sys.argv.pop(1)).absolute())
    unittest.main(verbosity=2)
