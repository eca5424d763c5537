"""tools/engines and the load helper of tests/engines, without any engine: fakes and dummies."""

import http.server
import json
import multiprocessing.shared_memory
import os
import re
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests/engines")]

import load  # noqa: E402
from engines_lib import (  # noqa: E402
    commands, cuda_stubs, fit_demo, gguf, install, make_lock, models, servers)


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)


class Locks(unittest.TestCase):
    def test_every_requirement_is_one_version_with_a_hash(self) -> None:
        for engine in make_lock.INPUTS:
            text = (make_lock.LOCKS / f"{engine}.txt").read_text()
            entries = re.sub(r"\\\n\s*", "", re.sub(r"#.*\n", "", text)).splitlines()
            self.assertTrue(entries)
            for entry in entries:
                self.assertRegex(entry, r"^[\w.-]+==[\w.]+( --hash=sha256:[0-9a-f]{64})+$")

    def test_what_is_asked_for_is_what_is_pinned(self) -> None:
        for engine, (wanted, _) in make_lock.INPUTS.items():
            text = (make_lock.LOCKS / f"{engine}.txt").read_text()
            for requirement in wanted:
                self.assertRegex(text, rf"(?m)^{re.escape(requirement)}(==| \\)")

    def test_a_lock_takes_wheels_for_this_python_and_refuses_a_source(self) -> None:
        def wheel(name: str, digest: str) -> dict:
            return {"url": f"x/{name}", "hashes": {"sha256": digest}}

        package = {"name": "a", "wheels": [
            wheel("a-1-cp311-cp311-linux.whl", "1"), wheel("a-1-py37-none-any.whl", "2"),
            wheel("a-1-cp38-abi3-linux.whl", "3"), wheel("a-1-cp312-cp312-linux.whl", "4")]}
        self.assertEqual(make_lock.hashes(package), ["1", "2", "3"])
        with self.assertRaises(SystemExit):
            make_lock.hashes({"name": "a", "sdist": {"hashes": {"sha256": "5"}}})


class Stubs(Folder):
    def test_a_function_goes_to_the_library_that_has_it_by_name(self) -> None:
        found = cuda_stubs.assign({"cublasLtMatmul": "v1", "cublasCreate": "", "cuInit": "",
                                   "strlen": ""})
        self.assertEqual(found, {"libcublasLt.so.13": {"cublasLtMatmul": "v1"},
                                 "libcublas.so.13": {"cublasCreate": ""},
                                 "libcuda.so.1": {"cuInit": ""}})

    def test_a_program_that_needs_the_library_and_its_version_node_loads_and_gets_the_error(
            self) -> None:
        target = self.folder / "libcublas.so.13"
        cuda_stubs.build(target, "libcublas.so.13", {"cublasCreate": "libcublas.so.13"})
        symbols = cuda_stubs.read_symbols(target)
        self.assertIn("cublasCreate", symbols.defined)
        code = f"import ctypes; print(ctypes.CDLL({str(target)!r}).cublasCreate())"
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                             check=True).stdout
        self.assertEqual(out.strip(), "999")
        self.assertIn("libcublas.so.13", subprocess.run(
            ["readelf", "-VW", target], capture_output=True, text=True, check=True).stdout)


class Models(Folder):
    def test_a_gguf_file_says_what_it_holds_and_holds_it_all(self) -> None:
        path = self.folder / "m.gguf"
        shape = gguf.Shape(64, 2, 128)
        gguf.write(path, shape)
        data = path.read_bytes()
        magic, version, tensors, _ = struct.unpack_from("<4sIQQ", data)
        self.assertEqual((magic, version, tensors), (b"GGUF", 3, 3 + 9 * shape.layers))
        floats = sum(gguf.elements(dimensions) for _, dimensions in gguf.tensors(shape))
        self.assertGreater(len(data), 4 * floats)
        self.assertEqual(len(data) % gguf.ALIGNMENT, 0)
        gguf.write(self.folder / "again.gguf", shape)
        self.assertEqual((self.folder / "again.gguf").read_bytes(), data)

    def test_a_tokenizer_has_every_byte_and_every_id_up_to_the_vocabulary(self) -> None:
        vocabulary = models.tokenizer()["model"]["vocab"]
        self.assertEqual(sorted(vocabulary.values()), list(range(models.VOCABULARY)))
        self.assertTrue(set(models.byte_symbols()) <= set(vocabulary))
        for merge in models.tokenizer()["model"]["merges"]:
            self.assertIn(merge.replace(" ", ""), vocabulary)

    def test_a_model_is_written_once(self) -> None:
        with mock.patch.object(gguf, "write", wraps=gguf.write) as write:
            models.write_gguf(self.folder, "tiny")
            models.write_gguf(self.folder, "tiny")
            self.assertEqual(write.call_count, 1)


class Installing(Folder):
    def engine(self, action) -> install.Engine:
        return install.Engine("llamacpp", "about", "cost", action, lambda _: None)

    def test_twice_installs_once_and_a_failure_leaves_nothing_that_looks_installed(self) -> None:
        calls = []

        def fails(_folder: Path) -> None:
            calls.append("fails")
            raise install.Unreachable("no registry")

        with self.assertRaises(install.Unreachable):
            install.install(self.folder, self.engine(fails))
        self.assertFalse(install.installed(self.folder, self.engine(fails)))
        self.assertIn("no registry", install.why_skipped(self.folder, self.engine(fails)))
        works = self.engine(lambda _: calls.append("works"))
        install.install(self.folder, works)
        install.install(self.folder, works)
        self.assertEqual(calls, ["fails", "works"])
        self.assertEqual(install.why_skipped(self.folder, works), "")

    def test_a_registry_out_of_reach_is_told_from_a_wrong_hash_and_from_a_bug(self) -> None:
        for output, kind in (("error: Failed to fetch: `x`", install.Unreachable),
                             ("E: Unable to locate package haproxy", install.Unreachable),
                             ("Hash mismatch for `torch` while: Failed to fetch",
                              install.InstallError),
                             ("Segmentation fault", install.InstallError)):
            with self.assertRaises(kind):
                install.run(["sh", "-c", f"echo '{output}'; exit 1"], self.folder)

    def test_debian_packages_are_the_pinned_ones_or_a_later_one_of_the_series(self) -> None:
        pinned, digest = install.DEBS["haproxy"]
        with mock.patch.object(install, "offered", return_value={"9": "x", pinned: digest}):
            self.assertEqual(install.choose("haproxy", {}), (pinned, digest))
        with mock.patch.object(install, "offered", return_value={pinned: "another"}):
            self.assertRaises(install.InstallError, install.choose, "haproxy", {})
        with mock.patch.object(install, "offered", return_value={"2.6.12-1+deb12u9": "y"}):
            self.assertEqual(install.choose("haproxy", {}), ("2.6.12-1+deb12u9", "y"))
        with mock.patch.object(install, "offered", return_value={"3.0.1": "z"}):
            self.assertRaises(install.Unreachable, install.choose, "haproxy", {})

    def test_the_command_says_the_cost_and_installs_nothing_unasked(self) -> None:
        result = subprocess.run([ROOT / "tools/engines", "install", "vllm", "--dir", self.folder],
                                stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(result.returncode, 2)
        self.assertIn("1.04 GB", result.stdout)
        self.assertIn("2.6 GiB", result.stdout)
        self.assertFalse((self.folder / "vllm").exists())

    def test_out_of_reach_ends_with_a_code_of_its_own_and_says_why(self) -> None:
        environment = {**os.environ, "PATH": str(self.folder)}  # no apt-get here
        result = subprocess.run([sys.executable, ROOT / "tools/engines", "install", "haproxy",
                                 "--yes", "--dir", self.folder / "d"], env=environment,
                                capture_output=True, text=True)
        self.assertEqual(result.returncode, 3, result.stdout + result.stderr)
        self.assertIn("SKIPPED", result.stdout)

    def test_wrong_calls_are_refused(self) -> None:
        for arguments in (["install", "attic"], ["start"], ["start", "vllm", "triton"], ["dance"]):
            result = subprocess.run([ROOT / "tools/engines", *arguments], capture_output=True)
            self.assertEqual(result.returncode, 2, arguments)


# A server of two processes that answers, ignores SIGTERM when told to, and holds shared memory.
DUMMY = """
import http.server, multiprocessing.shared_memory, os, signal, sys, time
from multiprocessing import resource_tracker
memory = multiprocessing.shared_memory.SharedMemory(name=sys.argv[2], create=True, size=64)
resource_tracker.unregister(memory._name, "shared_memory")
if os.fork() == 0:
    time.sleep(600)
if sys.argv[3] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Servers(Folder):
    def command(self, kind: str = "plain", boot_s: float = 20) -> servers.Command:
        port = servers.free_port(28000, 28999)
        self.memory = f"psm_arqon{os.getpid()}{time.monotonic_ns()}"
        url = f"http://127.0.0.1:{port}"
        return servers.Command("dummy", [sys.executable, "-c", DUMMY, str(port), self.memory, kind],
                               url, url, boot_s=boot_s, grace_s=0.5)

    def start(self, kind: str = "plain") -> servers.Server:
        server = servers.start(self.command(kind), self.folder / "log")
        self.addCleanup(server.kill)
        return server

    def test_stop_ends_every_process_and_frees_its_memory(self) -> None:
        for kind in ("plain", "stubborn"):
            server = self.start(kind)
            self.assertGreaterEqual(len(server.pids()), 2)
            self.assertTrue(Path("/dev/shm", self.memory).exists())
            server.stop()
            self.assertEqual(server.pids(), [])
            self.assertFalse(Path("/dev/shm", self.memory).exists())

    def test_memory_of_others_stays(self) -> None:
        server = self.start()
        name = f"psm_other{os.getpid()}"
        other = multiprocessing.shared_memory.SharedMemory(name=name, create=True, size=64)
        self.addCleanup(other.unlink)
        server.stop()
        self.assertTrue(Path("/dev/shm", name).exists())

    def test_a_suspended_server_does_not_answer_and_does_again_later(self) -> None:
        server = self.start()
        server.suspend()
        self.assertFalse(servers.answers(server.url, timeout=0.3))
        server.resume()
        self.assertTrue(servers.answers(server.url))
        server.suspend()
        server.stop()
        self.assertFalse(server.alive())

    def test_one_that_ends_or_never_answers_is_an_error_with_its_log(self) -> None:
        command = self.command()
        command.argv = [sys.executable, "-c", "print('out of luck', flush=True)"]
        with self.assertRaisesRegex(servers.ServerError, "out of luck"):
            servers.start(command, self.folder / "log")
        command.argv = [sys.executable, "-c",
                        "import time; print('so slow', flush=True); time.sleep(600)"]
        command.boot_s = 1
        with self.assertRaisesRegex(servers.ServerError, "so slow"):
            servers.start(command, self.folder / "log")

    def test_what_was_started_is_found_again_and_another_process_of_that_number_is_not_it(
            self) -> None:
        server = self.start()
        servers.remember(self.folder, "one", server)
        again = servers.recall(self.folder)["one"]
        self.assertEqual(again, server)
        again.since += 10**9
        self.assertFalse(again.alive())
        (self.folder / "run/two.json").write_text("{")
        self.assertEqual(list(servers.recall(self.folder)), ["one"])

    def test_a_tied_server_ends_with_whoever_started_it(self) -> None:
        command = self.command()
        code = ("import sys, os, pathlib; sys.path.insert(0, sys.argv[1]); "
                "from engines_lib import servers; "
                f"s = servers.start(servers.Command('d', {command.argv!r}, {command.url!r}, "
                f"{command.url!r}), pathlib.Path({str(self.folder / 'log')!r}), tied=True); "
                "print(s.pid, s.since, flush=True); os.kill(os.getpid(), 9)")
        out = subprocess.run([sys.executable, "-c", code, ROOT / "tools"], capture_output=True,
                             text=True).stdout
        pid, since = map(int, out.split())
        load.until(lambda: pid not in servers.session(pid, since), 10, "the server ended")
        servers.Server("d", pid, since, "", "", 0, [f"/dev/shm/{self.memory}"]).kill()

    def test_haproxy_configuration_names_servers_in_order_and_logs_when_asked(self) -> None:
        text = commands.haproxy_config(1, 2, Path("s"), {"a": ["h:1", "h:2"], "b": ["h:3"]})
        self.assertEqual(re.findall(r"server (\w+ \S+)", text), ["s1 h:1", "s2 h:2", "s3 h:3"])
        self.assertIn("default_backend a", text)
        self.assertNotIn("log", text)
        self.assertIn("log 127.0.0.1:9 ", commands.haproxy_config(1, 2, Path("s"), {"a": []},
                                                                  log="127.0.0.1:9"))


class Demo(unittest.TestCase):
    def test_limit_and_rate_follow_the_speed_of_the_machine_within_bounds(self) -> None:
        scenario = json.loads((ROOT / "scenarios/live/vllm-phases.json").read_text())

        def at(longest_ms: float) -> tuple[int, float]:
            out = fit_demo.fitted(scenario, "http://127.0.0.1:1", longest_ms)
            self.assertEqual(out["target"]["url"], "http://127.0.0.1:1")
            gaps = {limits["max_gap_ms"] for limits in out["classes"].values()}
            self.assertEqual(len(gaps), 1)
            return gaps.pop(), out["workload"]["source"]["rate_per_s"]

        self.assertEqual(at(fit_demo.WRITTEN_FOR_MS), (120, 8))
        self.assertEqual(at(100), (60, 16))
        self.assertEqual(at(10), (30, 24))
        self.assertEqual(at(5000), (400, 4))


class Misbehaving(http.server.BaseHTTPRequestHandler):
    """Answers completions by the number of the request: fine, 500, short, broken off, an error."""

    protocol_version = "HTTP/1.1"
    count = 0
    lock = threading.Lock()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with Misbehaving.lock:
            kind = Misbehaving.count % 6
            Misbehaving.count += 1
        if kind == 1:
            self.send_error(500, "no")
            return
        if kind == 2:
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        tokens = body["max_tokens"] - (kind == 3)
        for _ in range(tokens if kind != 4 else 1):
            self.wfile.write(b'data: {"choices":[{"text":"a"}]}\n\n')
        if kind == 4:
            return  # no usage, no [DONE]
        if kind == 5:
            self.wfile.write(b'data: {"error":{"message":"engine died"}}\n\n')
        self.wfile.write(b'data: {"choices":[],"usage":{"completion_tokens":%d}}\n\n' % tokens)
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_args: object) -> None:
        pass


class Loads(unittest.TestCase):
    def setUp(self) -> None:
        Misbehaving.count = 0
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Misbehaving)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"

    def test_every_kind_of_failure_is_one_lost_request(self) -> None:
        report = load.closed(load.completions(self.url, tokens=3), streams=2, requests=60)
        self.assertEqual((report.sent, len(report.done), len(report.lost)), (60, 10, 50))
        text = report.summary()
        for reason in ("status 500", "2 of 3 tokens", "broke off", "engine died"):
            self.assertIn(reason, " ".join(report.lost))
        self.assertIn("50 lost", text)

    def test_open_loop_sends_when_due_and_counts_all(self) -> None:
        report = load.open_loop(load.completions(self.url, tokens=2), rate=100, seconds=1)
        self.assertEqual(report.sent, len(report.outcomes))
        self.assertTrue(60 <= report.sent <= 140, report.sent)

    def test_background_load_is_complete_after_the_block(self) -> None:
        with load.background(load.completions(self.url), streams=3) as running:
            load.until(lambda: running.count() >= 12, 10, "twelve ended")
        self.assertEqual(running.report.sent, len(running.report.outcomes))

    def test_nobody_there_is_lost_within_the_deadline(self) -> None:
        report = load.closed(load.completions("http://127.0.0.1:9"), streams=1, requests=2)
        self.assertEqual(len(report.lost), 2)


if __name__ == "__main__":
    unittest.main()
