"""The command line as people and scripts use it: exit codes, streams, files, signals, locks.

Usage: cli_test.py ARQONHPO_BINARY [unittest arguments]
"""

import csv
import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MALFORMED = ROOT / "tests/corpora/malformed"
BINARY = ""
# Enough for a slow machine; nothing here waits that long when it works.
PATIENCE_S = 120


def environment(**extra):
    known = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return known | extra


class CliTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_cli(self, *arguments, **options):
        return subprocess.run([BINARY, *map(str, arguments)], cwd=self.folder, check=False,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env=environment(), timeout=PATIENCE_S, **options)

    def start_cli(self, *arguments, **options):
        process = subprocess.Popen([BINARY, *map(str, arguments)], cwd=self.folder,
                                   stdin=subprocess.DEVNULL, **options)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()

    def expect(self, code, *arguments):
        result = self.run_cli(*arguments)
        self.assertEqual(result.returncode, code, f"{arguments}\n{result.stdout}\n{result.stderr}")
        return result

    def short_scenario(self, seconds=900):
        """mix-migration squeezed, its shifts with it."""
        document = json.loads((ROOT / "scenarios/mix-migration.json").read_text())
        factor = seconds / document["duration_s"]
        document["duration_s"] = seconds
        for segment in document["workload"]["segments"]:
            segment["at_s"] *= factor
        path = self.folder / f"short-{seconds}.json"
        path.write_text(json.dumps(document))
        return path

    def names(self, folder):
        return sorted(path.name for path in (self.folder / folder).iterdir())


class Help(CliTest):
    def test_every_help_teaches_with_examples(self):
        for verb in ("tune", "simulate", "validate", "status", "approve", "reject", "pause",
                     "resume", "freeze", "rollback", "explain"):
            text = self.expect(0, verb, "--help").stdout
            self.assertIn(f"Usage: arqonhpo {verb}", text)
            self.assertTrue("Examples" in text or verb not in ("tune", "simulate"))
        text = self.expect(0, "--help").stdout
        self.assertIn("Exit codes", text)
        self.assertEqual(text, self.expect(0).stdout)
        self.assertLessEqual(max(map(len, text.splitlines())), 100)

    def test_version(self):
        self.assertRegex(self.expect(0, "--version").stdout, r"^arqonhpo \d+\.\d+\.\d+\n$")

    def test_mistakes_exit_with_2_and_say_what_was_meant(self):
        for arguments, hint in ((("tun",), "Did you mean tune?"),
                                (("tune", "steady", "--compar"), "Did you mean --compare?"),
                                (("simulate", "stedy"), 'did you mean "steady"?'),
                                (("tune", "steady", "--strategies", "hindsigth"),
                                 'did you mean "hindsight"?'),
                                (("simulate", "steady", "--set", "main.batch_sise=8"),
                                 'did you mean "main.batch_size"?'),
                                (("simulate", "steady", "--set", "main.batch_size=0"), "[8, 1024]"),
                                (("simulate", "steady", "--set", "main.batch_size"), "KNOB=VALUE"),
                                (("tune",), "required"),
                                (("tune", "steady", "--seed", "x"), "seed")):
            result = self.expect(2, *arguments)
            self.assertIn(hint, result.stderr)
            self.assertEqual(result.stdout, "")
        self.assertEqual(list(self.folder.iterdir()), [])


class Validate(CliTest):
    def test_good_documents_say_what_is_permitted(self):
        for name in ("mix-migration", "overload", "steady", "azure-day"):
            text = self.expect(0, "validate", name).stdout
            self.assertIn("a good scenario", text)
            self.assertIn("The guardrails permit", text)
        document = json.loads(self.expect(0, "validate", "steady", "--json").stdout)
        self.assertTrue(document["valid"])

    def test_a_study_is_told_from_a_scenario(self):
        path = self.folder / "study.json"
        path.write_text('{"bounds": {"x": {"min": 0, "max": 1}}}')
        self.assertIn("a good study", self.expect(0, "validate", path).stdout)
        path.write_text('{"bound": {"x": {"min": 0, "max": 1}}}')
        self.assertIn('did you mean "bounds"', self.expect(3, "validate", path).stdout)

    def test_the_way_from_one_setting_to_another_is_said(self):
        path = self.folder / "study.json"
        path.write_text('{"bounds": {"k": {"type": "int", "min": 1, "max": 64}}, '
                        '"guardrails": {"preset": "balanced"}}')
        text = self.expect(0, "validate", path, "--from", '{"k": 8}', "--to", '{"k": 60}').stdout
        self.assertIn("from there to there: 9 changes, 60 s at the least, held up by travel of k",
                      text)
        self.assertIn("frozen by the 6. failure", text)
        self.assertIn("--to k", self.expect(3, "validate", path, "--to", '{"k": 65}').stdout)

    def test_all_problems_come_at_once_with_their_places(self):
        path = self.folder / "two.json"
        path.write_text('{"bounds": {\n "x": {"min": 2, "max": 1},\n "y": {"mim": 0, "max": 1}}}')
        text = self.expect(3, "validate", path).stdout
        self.assertRegex(text, re.escape(str(path)) + r":2:\d+: ")
        self.assertRegex(text, re.escape(str(path)) + r":3:\d+: ")
        document = json.loads(self.expect(3, "validate", path, "--json").stdout)
        self.assertGreaterEqual(len(document["files"][0]["problems"]), 2)

    def test_every_malformed_document_exits_with_3_within_a_second_and_changes_nothing(self):
        files = sorted(MALFORMED.rglob("*.json"))
        self.assertGreaterEqual(len(files), 60)
        for path in files:
            verbs = [("validate",)]
            if path.parent.name == "scenario":
                verbs += [("tune", "--state", "state", "--out", "out"), ("simulate",)]
            for verb, *options in verbs:
                begin = time.monotonic()
                result = self.run_cli(verb, path, *options)
                took = time.monotonic() - begin
                said = result.stdout if verb == "validate" else result.stderr
                with self.subTest(verb=verb, file=path.name):
                    self.assertEqual(result.returncode, 3, result.stdout + result.stderr)
                    self.assertLess(took, 1)
                    self.assertIn(path.name, said)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_what_cannot_be_read_exits_with_8(self):
        self.expect(8, "validate", "missing.json")
        self.expect(8, "simulate", self.folder)
        self.expect(8, "tune", "missing.json")


class Simulate(CliTest):
    def test_json_adds_up_and_follows_the_seed(self):
        result = self.expect(0, "simulate", self.short_scenario(), "--json", "--seed", "5")
        document = json.loads(result.stdout)
        self.assertEqual(document["seed"], 5)
        ledger = document["ledger"]
        parts = ("good", "late", "cut", "rejected", "unfinished")
        self.assertGreater(ledger["arrived"], 1000)
        self.assertEqual(ledger["arrived"], sum(ledger[part] for part in parts))
        for part in ("arrived", *parts):
            of_classes = (row["ledger"][part] for row in document["classes"].values())
            self.assertEqual(ledger[part], sum(of_classes))

    def test_a_setting_changes_the_result(self):
        scenario = self.short_scenario()
        shares = set()
        for setting in ("main.batch_size=1024", "main.batch_size=8"):
            result = self.expect(0, "simulate", scenario, "--json", "--set", setting)
            shares.add(json.loads(result.stdout)["attainment"])
        self.assertEqual(len(shares), 2)

    def test_requests_have_one_row_each(self):
        result = self.expect(0, "simulate", self.short_scenario(), "--json", "--requests", "r.csv")
        with open(self.folder / "r.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), json.loads(result.stdout)["ledger"]["arrived"])
        self.assertEqual({row["class"] for row in rows}, {"chat", "code"})

    def test_explain_prints_a_document_that_is_itself_a_good_scenario(self):
        text = self.expect(0, "simulate", "steady", "--explain").stdout
        path = self.folder / "explained.json"
        path.write_text(text)
        self.expect(0, "validate", path)

    def test_a_file_that_cannot_be_written_is_found_before_the_run(self):
        (self.folder / "file").write_text("")
        result = self.expect(8, "simulate", "steady", "--requests", "file/r.csv")
        self.assertEqual(result.stdout, "")


class Tune(CliTest):
    def tune(self, *arguments, code=0):
        return self.expect(code, "tune", self.short_scenario(), *arguments)

    def test_writes_the_report_and_its_data_and_prints_the_comparison(self):
        result = self.tune("--out", "out", "--state", "state")
        self.assertEqual(self.names("out"),
                         ["changes.csv", "report.html", "result.json", "windows.csv"])
        self.assertEqual(self.names("state"), ["decisions.jsonl", "learned.json", "lock"])
        for word in ("arqonhpo", "default", "What changed", "Report: out/report.html"):
            self.assertIn(word, result.stdout)
        self.assertTrue((self.folder / "out/report.html").read_text().endswith("</html>\n"))
        for line in (self.folder / "state/decisions.jsonl").read_text().splitlines():
            json.loads(line)

    def test_json_goes_to_stdout_alone(self):
        result = self.tune("--json", "--seeds", "1,2", "--report", "elsewhere/r.html")
        document = json.loads(result.stdout)
        self.assertEqual({run["seed"] for run in document["runs"]}, {1, 2})
        self.assertTrue((self.folder / "elsewhere/r.html").exists())
        self.assertEqual(document, json.loads(next(self.folder.rglob("result.json")).read_text()))

    def test_decides_the_same_twice(self):
        for name in ("a", "b"):
            self.tune("--state", name, "--seed", "3", "--quiet")
        records = [(self.folder / name / "decisions.jsonl").read_bytes() for name in ("a", "b")]
        self.assertGreater(len(records[0]), 0)
        self.assertEqual(*records)

    def test_a_frozen_state_changes_nothing(self):
        (self.folder / "state").mkdir()
        (self.folder / "state/freeze").touch()
        result = self.tune("--state", "state", "--json")
        run = json.loads(result.stdout)["runs"][0]
        self.assertEqual(run["strategy"], "arqonhpo")
        self.assertNotIn("applied", {change["state"] for change in run["changes"]})
        self.assertIn("frozen", result.stderr)

    def test_a_held_state_is_a_conflict(self):
        (self.folder / "state").mkdir()
        with open(self.folder / "state/lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.tune("--state", "state", code=7)
        self.tune("--state", "state")

    def test_an_unwritable_folder_is_found_before_the_run(self):
        (self.folder / "file").write_text("")
        for option in ("--out", "--state"):
            result = self.tune(option, "file/x", code=8)
            self.assertIn("file/x", result.stderr)
        self.assertEqual((self.folder / "file").read_text(), "")

    def test_a_reader_that_goes_away_and_a_full_disk_are_no_crash(self):
        read, write = os.pipe()
        os.close(read)
        process = self.start_cli("validate", "steady", stdout=write, stderr=subprocess.DEVNULL)
        os.close(write)
        self.assertEqual(process.wait(PATIENCE_S), 0)
        with open("/dev/full", "w") as full:
            process = self.start_cli("validate", "steady", stdout=full, stderr=subprocess.DEVNULL)
            self.assertEqual(process.wait(PATIENCE_S), 8)


class Progress(CliTest):
    def test_plain_lines_where_there_is_no_terminal_and_silence_when_asked(self):
        scenario = self.short_scenario()
        result = self.expect(0, "tune", scenario, "--seeds", "1,2,3")
        self.assertNotIn("\r", result.stderr)
        self.assertNotIn("\x1b", result.stdout + result.stderr)
        self.assertRegex(result.stderr, r"(?m)^ *\d+%  .*seed")
        self.assertEqual(self.expect(0, "tune", scenario, "--quiet").stderr, "")

    def on_terminal(self, *arguments, **extra):
        """Everything the program writes to a terminal."""
        leader, follower = pty.openpty()
        process = self.start_cli(*arguments, stdout=follower, stderr=follower,
                                 env=environment(TERM="xterm", **extra))
        os.close(follower)
        shown = b""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if not select.select([leader], [], [], 1)[0]:
                continue
            try:
                part = os.read(leader, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
        os.close(leader)
        self.assertEqual(process.wait(PATIENCE_S), 0)
        return shown.decode()

    def test_a_bar_on_a_terminal_that_wipes_itself(self):
        shown = self.on_terminal("tune", self.short_scenario(3600), "--seeds", "1,2,3,4")
        self.assertRegex(shown, r"\r\[#* *\] +\d+%  ")
        self.assertIn("\r\x1b[K", shown)
        self.assertIn("\x1b[1m", shown)

    def test_no_color_is_honoured(self):
        shown = self.on_terminal("validate", "steady", NO_COLOR="1")
        self.assertNotIn("\x1b[1m", shown)


class Interrupt(CliTest):
    def interrupted(self, number):
        process = self.start_cli("tune", self.short_scenario(), "--strategies", "arqonhpo",
                                 "--seeds", ",".join(map(str, range(1, 3000))), "--out", "out",
                                 "--state", "state", "--json", stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, env=environment())
        # The first line of progress tells that runs have been finished.
        process.stderr.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, 130, err)
        self.assertIn("stopping", err)
        return json.loads(out)

    def test_ctrl_c_writes_what_was_finished(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            document = self.interrupted(number)
            self.assertGreater(len(document["runs"]), 0)
            self.assertLess(len(document["runs"]), 2999)
            self.assertEqual(self.names("out"),
                             ["changes.csv", "report.html", "result.json", "windows.csv"])
            learned = json.loads((self.folder / "state/learned.json").read_text())
            self.assertEqual(len(learned["runs"]), len(document["runs"]))

    def test_a_second_ctrl_c_ends_at_once(self):
        process = self.start_cli("tune", "mix-migration", "--strategies", "hindsight",
                                 "--baselines", "none.json", "--threads", "1",
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                 env=environment())
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        while (line := process.stderr.readline()) and b"stopping" not in line:
            pass
        process.send_signal(signal.SIGTERM)
        # 130 where the first one had already done its work.
        self.assertIn(process.wait(PATIENCE_S), (-signal.SIGTERM, 130))


if __name__ == "__main__":
    if len(sys.argv) < 2 or not Path(sys.argv[1]).exists():
        sys.exit("usage: cli_test.py ARQONHPO_BINARY")
    BINARY = str(Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=1)
