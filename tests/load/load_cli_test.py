"""arqonhpo load and doctor as people and scripts use them, against a server of the test's own.

Usage: load_cli_test.py ARQONHPO_BINARY ARQONHPO_DOCTOR_BINARY [unittest arguments]
"""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLES = ROOT / "tests/corpora/load_results"
BINARY = ""
DOCTOR = ""
PATIENCE_S = 120


class Server(ThreadingHTTPServer):
    """Streams `max_tokens` tokens; every `fail_every`-th request gets a 503."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, fail_every=0, gap_s=0.0, models=True):
        super().__init__(("127.0.0.1", 0), Handler)
        self.fail_every, self.gap_s, self.models = fail_every, gap_s, models
        self.lock = threading.Lock()
        self.bodies, self.keys = [], []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def plain(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if not self.server.models:
            return self.plain(404, {})
        self.plain(200, {"data": [{"id": "tiny", "max_model_len": 512}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.keys.append(self.headers.get("Authorization"))
            number = len(self.server.bodies)
        if self.server.fail_every and number % self.server.fail_every == 0:
            return self.plain(503, {"error": "queue is full"})
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        count = body["max_tokens"]
        for i in range(count):
            if self.server.gap_s:
                time.sleep(self.server.gap_s)
            self.event({"choices": [{"text": " a", "finish_reason":
                                     "length" if i + 1 == count else None}]})
        prompt = body["prompt"]
        self.event({"choices": [], "usage": {"prompt_tokens": len(prompt),
                                             "completion_tokens": count}})
        self.chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def event(self, document):
        self.chunk(b"data: " + json.dumps(document).encode() + b"\n\n")

    def chunk(self, payload):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(payload), payload))


class Cli(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def server(self, **options):
        server = Server(**options)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def run_cli(self, *arguments, binary=None, env=None):
        known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.run([binary or BINARY, *map(str, arguments)], cwd=self.folder,
                              check=False, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env=known | (env or {}),
                              timeout=PATIENCE_S)

    def expect(self, code, *arguments, **options):
        result = self.run_cli(*arguments, **options)
        self.assertEqual(result.returncode, code, f"{arguments}\n{result.stdout}\n{result.stderr}")
        return result

    def scenario(self, seconds=3, rate=15):
        path = self.folder / "short.json"
        document = json.loads((ROOT / "scenarios/steady.json").read_text())
        document["duration_s"] = seconds
        document["workload"] = {"source": {"generator": "poisson", "rate_per_s": rate},
                                "segments": [{"at_s": 0, "mix": {"chat": 1.0}}]}
        path.write_text(json.dumps(document))
        return path


class Load(Cli):
    def test_the_ledger_is_simulates_and_every_token_is_counted(self):
        server = self.server()
        scenario = self.scenario()
        run = json.loads(self.expect(0, "load", scenario, "--url", server.url, "--json",
                                     "--warmup", 1, "--out", "out", "--lengths", 0.1).stdout)
        twin = json.loads(self.expect(0, "simulate", scenario, "--json").stdout)
        self.assertEqual(run["ledger"]["arrived"], twin["ledger"]["arrived"])
        self.assertEqual(run["scenario_hash"], twin["scenario_hash"])
        self.assertEqual(run["ledger"].keys(), twin["ledger"].keys())
        self.assertEqual(run["classes"]["chat"].keys(), twin["classes"]["chat"].keys())
        for measured in ("ttft_ms", "tpot_ms", "max_gap_ms", "e2e_ms"):
            self.assertEqual(run[measured].keys(), twin[measured].keys())
        for unknown in ("kv_use", "paid_dollars", "preemptions"):
            self.assertNotIn(unknown, run)
        with open(self.folder / "out/requests.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        counted = [row for row in rows if row["warmup"] == "0"]
        self.assertEqual(len(counted), run["ledger"]["arrived"])
        self.assertEqual(len(rows) - len(counted), run["load"]["warmup"]["requests"])
        self.assertEqual(len(rows), len(server.bodies))
        self.assertEqual(sum(int(row["output_tokens"]) for row in rows),
                         sum(body["max_tokens"] for body in server.bodies))
        self.assertEqual(json.loads((self.folder / "out/result.json").read_text())["ledger"],
                         run["ledger"])

    def test_requests_fit_the_context_the_server_states(self):
        server = self.server()
        run = json.loads(self.expect(0, "load", self.scenario(), "--url", server.url,
                                     "--json", "-q").stdout)
        self.assertEqual(run["load"]["context_max"], 512)
        self.assertGreater(run["load"]["shortened"], 0)
        for body in server.bodies:
            self.assertLessEqual(len(body["prompt"]) + body["max_tokens"], 512)
            self.assertEqual(body["model"], "tiny")

    def test_failures_are_counted_and_explained(self):
        server = self.server(fail_every=3)
        result = self.expect(0, "load", self.scenario(), "--url", server.url, "--lengths", 0.05)
        self.assertIn("failed: refused", result.stdout)
        self.assertIn("queue is full", result.stdout)
        self.assertIn("client", result.stdout)
        self.assertIn("sending", result.stderr)

    def test_a_key_reaches_the_server_and_nobody_else(self):
        server = self.server(fail_every=1)
        (self.folder / "key").write_text("sk-geheim\n")
        for options, env in ((("--api-key-env", "KEY"), {"KEY": "sk-geheim"}),
                             (("--api-key-file", "key"), None)):
            result = self.expect(0, "load", self.scenario(seconds=1), "--url", server.url,
                                 "--out", "out", *options, env=env)
            written = (self.folder / "out/result.json").read_text()
            for text in (result.stdout, result.stderr, written):
                self.assertNotIn("geheim", text)
        self.assertEqual(set(server.keys), {"Bearer sk-geheim"})
        self.expect(2, "load", self.scenario(), "--url", server.url, "--api-key-env", "NOBODY")

    def test_mistakes_name_the_way_out(self):
        self.assertIn("--url is needed", self.expect(2, "load", "steady").stderr)
        self.assertIn("SCENARIO", self.expect(2, "load", "--url", "http://x").stderr)
        self.assertIn("Did you mean --warmup", self.expect(2, "load", "--warmpu", "3").stderr)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://user:pass@127.0.0.1:{free.getsockname()[1]}"
            result = self.expect(8, "load", "steady", "--url", url)
        self.assertIn("Is the server up?", result.stderr)
        self.assertNotIn("pass", result.stderr)
        silent = self.server(models=False)
        self.assertIn("--model NAME",
                      self.expect(2, "load", "steady", "--url", silent.url).stderr)
        self.expect(0, "load", self.scenario(seconds=1), "--url", silent.url, "--model", "m")

    def test_interrupted_it_tells_what_it_has(self):
        server = self.server(gap_s=0.01)
        process = subprocess.Popen([BINARY, "load", str(self.scenario(seconds=600)), "--url",
                                    server.url, "--json", "--lengths", "0.02"],
                                   cwd=self.folder, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + PATIENCE_S
        while len(server.bodies) < 10 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, 130)
        run = json.loads(out)
        self.assertTrue(run["load"]["stopped"])
        self.assertGreaterEqual(run["ledger"]["good"], 1)

    def test_other_clients_files_come_in_the_same_shape(self):
        for name in ("vllm_detailed.json", "aiperf_records.jsonl", "guidellm.json"):
            with self.subTest(name):
                document = json.loads(self.expect(0, "load", "--read", SAMPLES / name,
                                                  "--json").stdout)
                (run,) = document["runs"]
                ledger = run["ledger"]
                self.assertEqual(ledger["arrived"], sum(ledger.values()) - ledger["arrived"])
                self.assertGreater(run["ttft_ms"]["p50"], 0)
                self.assertTrue(run["remarks"])
        judged = self.expect(0, "load", "--read", SAMPLES / "guidellm.json", "mix-migration",
                             "--class", "chat")
        self.assertIn("GuideLLM keeps no largest gap", judged.stdout)
        self.expect(2, "load", "--read", SAMPLES / "guidellm.json", "mix-migration")
        self.expect(3, "load", "--read", ROOT / "README.md")
        self.expect(8, "load", "--read", "nowhere.json")


class HowTo(Cli):
    def test_every_command_works_as_written(self):
        """Only shorter, and on this test's server; doctor may find that it is no vLLM."""
        server = self.server()
        text = (ROOT / "docs/howto/load.md").read_text()
        commands = [line for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
                    for line in block.splitlines() if line.strip()]
        self.assertGreaterEqual(len(commands), 4)
        for line in commands:
            with self.subTest(line):
                line = line.replace("http://127.0.0.1:8000", server.url)
                line = line.replace("--seconds 60", "--seconds 2").replace("--warmup 20",
                                                                           "--warmup 1")
                script = f'arqonhpo() {{ "{BINARY}" "$@"; }}\n{line}\n'
                result = subprocess.run(["bash", "-eu"], input=script, cwd=self.folder, text=True,
                                        capture_output=True, check=False, timeout=PATIENCE_S)
                allowed = (0, 2, 8) if " doctor " in line else (0,)
                self.assertIn(result.returncode, allowed, result.stderr)
        self.assertTrue((self.folder / "results/before/requests.csv").exists())
        self.assertTrue(json.loads((self.folder / "twin.json").read_text())["ledger"])


class Doctor(Cli):
    def doctor(self, code, *arguments):
        return self.expect(code, "doctor", *arguments, binary=DOCTOR)

    def test_it_lists_knobs_by_what_they_cost(self):
        text = self.doctor(0, "near", "near:1").stdout
        self.assertIn("near 1.2 at near:1, model m, on a core", text)
        self.assertIn("1 of 3 knobs move while it serves", text)
        self.assertLess(text.index("batch_size"), text.index("kv_cache_size"))
        self.assertLess(text.index("kv_cache_size"), text.index("max_tokens"))
        self.assertIn("1. arqonhpo tune SCENARIO --mode observe", text)
        document = json.loads(self.doctor(0, "near", "near:1", "--json").stdout)
        self.assertEqual(document["knobs"][1],
                         {"name": "batch_size", "engine_name": "max_num_active_reqs",
                          "access": "live", "value": "32",
                          "why": "1 .. 32, what it was started with"})

    def test_nobody_there_is_said_with_the_next_step(self):
        result = self.doctor(8, "near", "http://127.0.0.1:1")
        self.assertIn("connection refused", result.stdout)
        self.assertIn("start it: near --serve", result.stdout)
        self.assertIn("no near answers", result.stderr)
        document = json.loads(self.doctor(8, "near", "http://127.0.0.1:1", "--json").stdout)
        self.assertFalse(document["reachable"])
        self.doctor(3, "near", "broken:")

    def test_without_a_name_the_one_that_knows_itself_is_taken(self):
        self.assertIn("near 1.2", self.doctor(0, "near:1").stdout)

    def test_unknown_engines_and_missing_places_are_told(self):
        result = self.doctor(2, "naer", "near:1")
        self.assertIn('did you mean "near"', result.stderr)
        self.assertIn("an engine for tests", result.stderr)
        self.assertIn("where is it?", self.doctor(2, "near").stderr)
        self.assertIn("an engine for tests", self.doctor(0).stdout)
        engines = json.loads(self.doctor(0, "--json").stdout)["engines"]
        self.assertEqual([engine["name"] for engine in engines], ["near", "anything"])

    def test_every_engine_of_the_program_says_so_when_nobody_answers(self):
        for engine in json.loads(self.expect(0, "doctor", "--json").stdout)["engines"]:
            with self.subTest(engine["name"]):
                result = self.run_cli("doctor", engine["name"], "http://127.0.0.1:1")
                self.assertIn(result.returncode, (3, 8), result.stderr)
                self.assertTrue(result.stderr)


if __name__ == "__main__":
    BINARY, DOCTOR = (str(Path(argument).resolve()) for argument in sys.argv[1:3])
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
