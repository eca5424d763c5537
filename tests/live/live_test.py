"""`tune` on a live engine and the verbs of the person in charge, against a stand-in engine.

Usage: live_test.py ARQONHPO_STAND_IN STAND_IN_ENGINE [unittest arguments]
"""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

BINARY = ""
ENGINE = ""
# Enough for a slow machine; nothing here waits that long when it works.
PATIENCE_S = 90


def environment():
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def wait_for(condition, what, patience_s=PATIENCE_S):
    """Returns what `condition` returns once it is true."""
    deadline = time.monotonic() + patience_s
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience_s} s for {what}")
        pause.wait(0.02)


class LiveTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="arqon-live-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.socket = self.folder / "engine.sock"
        self.state = self.folder / ".arqonhpo/live"
        self.processes = []

    def tearDown(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.kill()
            process.wait()
        self.end_agent()

    def agent_pid(self):
        """0 when no agent answers."""
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(5)
                s.connect(str(self.state / "agent.sock"))
                s.sendall(b'{"do": "status"}\n')
                return json.loads(b"".join(iter(lambda: s.recv(65536), b"")))["pid"]
        except (OSError, ValueError):
            return 0

    def end_agent(self):
        if pid := self.agent_pid():
            os.kill(pid, signal.SIGTERM)
            wait_for(lambda: self.agent_pid() != pid, "the end of the agent")

    def start(self, *command, **options):
        process = subprocess.Popen([str(word) for word in command], cwd=self.folder,
                                   stdin=subprocess.DEVNULL, env=environment(), **options)
        self.processes.append(process)
        return process

    def start_engine(self, *options):
        engine = self.start(ENGINE, self.socket, *options)
        wait_for(lambda: self.engine_state() is not None, "the engine")
        return engine

    def ask_engine(self, **request):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(str(self.socket))
            s.sendall((json.dumps(request) + "\n").encode())
            return json.loads(b"".join(iter(lambda: s.recv(65536), b"")))

    def engine_state(self):
        try:
            return self.ask_engine(do="get")
        except (OSError, ValueError):
            return None

    def batch_size(self):
        state = self.engine_state()
        return state and state["values"]["main.batch_size"]

    def scenario(self, **changes):
        document = {
            "schema": 1, "name": "live",
            "target": {"engine": "stand_in", "socket": str(self.socket)},
            "classes": {"chat": {"max_gap_ms": 200}},
            "knobs": {"main.batch_size": {"protective": {"gap": "down"}}},
            "guardrails": {"max_delta": {"main.batch_size": 16},
                           "max_updates_per_second": 2, "reflex_updates_per_second": 2},
            "window": {"requests_min": 300, "seconds_min": 1, "seconds_max": 20},
        } | changes
        path = self.folder / "live.json"
        path.write_text(json.dumps(document))
        return path

    def start_tuner(self, *options, **changes):
        self.log = open(self.folder / "tuner.log", "w")
        self.addCleanup(self.log.close)
        return self.start(BINARY, "tune", self.scenario(**changes), "--seconds", "600", *options,
                          stdout=self.log, stderr=self.log)

    def run_cli(self, *arguments):
        return subprocess.run([BINARY, *map(str, arguments)], cwd=self.folder, check=False,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env=environment(), timeout=PATIENCE_S)

    def expect(self, code, *arguments):
        result = self.run_cli(*arguments)
        self.assertEqual(result.returncode, code, f"{arguments}\n{result.stdout}\n{result.stderr}")
        return result

    def records(self):
        path = self.state / "decisions.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def actions(self):
        return [r["action"] for r in self.records() if r["record"] == "decision"]


class Validate(LiveTest):
    def test_says_what_is_known_before_anything_is_attached_to(self):
        text = self.expect(0, "validate", self.scenario(mode="approve")).stdout
        self.assertIn("approve", text)
        self.assertIn("main.batch_size: the range that the engine offers", text)

    def test_an_engine_nobody_knows_is_a_problem_with_a_place_and_a_hint(self):
        path = self.scenario(target={"engine": "stand_on"})
        text = self.expect(3, "validate", path).stdout
        self.assertIn('did you mean "stand_in"?', text)
        self.assertIn("target.engine", text)
        self.assertIn("stand_in", self.expect(3, "tune", path).stderr)
        self.assertFalse(self.state.exists())


class Tune(LiveTest):
    def test_finds_the_better_setting_keeps_it_and_writes_everything(self):
        self.start_engine()
        tuner = self.start_tuner()
        wait_for(lambda: "confirm" in self.actions(), "a confirmed setting")
        tuner.send_signal(signal.SIGINT)
        self.assertEqual(tuner.wait(PATIENCE_S), 130)
        self.assertEqual(self.batch_size(), 16, "what was confirmed stays")
        result = json.loads((self.folder / "results/live/result.json").read_text())
        run = result["runs"][0]
        self.assertEqual(run["strategy"], "arqonhpo")
        self.assertGreater(run["totals"]["ledger"]["arrived"], 1000)
        self.assertEqual(run["totals"]["ledger"]["arrived"],
                         run["totals"]["ledger"]["good"] + run["totals"]["ledger"]["late"])
        with open(self.folder / "results/live/windows.csv", newline="") as file:
            self.assertGreater(len(list(csv.DictReader(file))), 2)
        self.assertIn("A live engine (stand_in)",
                      (self.folder / "results/live/report.html").read_text())
        learned = json.loads((self.state / "learned.json").read_text())
        self.assertEqual(learned["runs"][0]["confirmed"], {"main.batch_size": 16})
        self.assertEqual(learned["identity"]["engine"], "stand_in 1")
        log = (self.folder / "tuner.log").read_text()
        self.assertRegex(log, r"\d+\.\d+% good of [\d,]+ +\d+ running +\d+ waiting")

    def test_an_experiment_that_is_open_at_the_end_is_taken_back(self):
        self.start_engine()
        tuner = self.start_tuner()
        wait_for(lambda: self.batch_size() != 48, "an experiment")
        tuner.send_signal(signal.SIGTERM)
        tuner.wait(PATIENCE_S)
        self.assertIn(self.batch_size(), (48, 16) if "confirm" in self.actions() else (48,))

    def test_observe_and_recommend_write_nothing(self):
        self.start_engine()
        for mode in ("observe", "recommend"):
            tuner = self.start_tuner("--mode", mode)
            wait_for(lambda: "recommend" in self.actions(), "a recommendation")
            tuner.send_signal(signal.SIGINT)
            tuner.wait(PATIENCE_S)
            self.assertEqual(self.engine_state()["writes"], 0, mode)

    def test_what_the_engine_cannot_do_is_said_with_its_place_and_nothing_is_written(self):
        self.start_engine()
        path = self.scenario(knobs={"main.batch_size": {"max": 999}, "main.batch_sise": {}})
        error = self.expect(3, "tune", path, "--seconds", "5").stderr
        self.assertIn("knobs.main.batch_size.max", error)
        self.assertIn('did you mean "main.batch_size"?', error)
        self.assertEqual(self.engine_state()["writes"], 0)
        self.assertIn("it has none", self.expect(3, "tune", path, "--compare").stderr)
        self.assertIn("live engine", self.expect(2, "simulate", path).stderr)
        self.assertIn("for live engines", self.expect(2, "tune", "steady", "--mode", "auto").stderr)

    def test_nobody_there_is_said_at_once(self):
        error = self.expect(8, "tune", self.scenario(), "--seconds", "5").stderr
        self.assertIn("stand_in", error)


class Freeze(LiveTest):
    def test_freeze_works_without_a_tuner_and_holds_for_the_next(self):
        self.start_engine()
        self.state.mkdir(parents=True)
        (self.state / "lock").touch()
        self.assertIn("frozen", self.expect(0, "freeze").stdout)
        self.assertIn("frozen", self.expect(0, "status").stdout)
        self.start_tuner()
        wait_for(lambda: "recommend" in self.actions(), "a recommendation")
        self.assertEqual(self.engine_state()["writes"], 0)
        self.assertIn("no longer frozen", self.expect(0, "resume").stdout)
        self.assertFalse((self.state / "freeze").exists())
        wait_for(lambda: self.batch_size() != 48, "an experiment after the resume")

    def test_the_file_is_enough(self):
        self.start_engine()
        self.state.mkdir(parents=True)
        (self.state / "freeze").touch()
        self.start_tuner()
        wait_for(lambda: "recommend" in self.actions(), "a recommendation")
        self.assertEqual(self.engine_state()["writes"], 0)


class Status(LiveTest):
    def test_alive_and_after_a_kill(self):
        self.start_engine()
        tuner = self.start_tuner()
        wait_for(lambda: (self.state / "status.json").exists(), "a status")
        wait_for(lambda: json.loads((self.state / "status.json").read_text())["status"]["in_force"],
                 "a look of the loop")
        status = json.loads(self.expect(0, "status", "--json").stdout)
        self.assertTrue(status["alive"])
        self.assertEqual(status["status"]["pid"], tuner.pid)
        tuner.kill()
        tuner.wait()
        status = json.loads(self.expect(0, "status", "--json").stdout)
        self.assertFalse(status["alive"])
        self.assertIn("not running", self.expect(0, "status").stdout)

    def test_where_nothing_is(self):
        self.assertIn("--state", self.expect(8, "status").stderr)
        self.assertIn("no such state", self.expect(8, "freeze", "--state", "nowhere").stderr)
        for name in ("a", "b"):
            (self.folder / ".arqonhpo" / name).mkdir(parents=True)
            (self.folder / ".arqonhpo" / name / "lock").touch()
        self.assertIn("more than one", self.expect(2, "status").stderr)
        self.assertIn("nothing to pause",
                      self.expect(8, "pause", "--state", ".arqonhpo/a").stderr)


class Person(LiveTest):
    """Each verb acts within one look of the loop, a second, and says what it did."""

    def status(self):
        return json.loads(self.expect(0, "status", "--json").stdout)["status"]

    def wait_for_phase(self, *phases):
        wait_for((self.state / "control.sock").exists, "the control socket")
        return wait_for(lambda: (s := self.status())["phase"] in phases and s, f"phase {phases}")

    def test_approve_begins_what_was_proposed_and_reject_does_not(self):
        self.start_engine()
        self.start_tuner("--mode", "approve")
        status = self.wait_for_phase("awaiting approval")
        self.assertEqual(self.engine_state()["writes"], 0)
        self.assertEqual(status["in_force"], {"main.batch_size": 48})
        text = self.expect(0, "status").stdout
        self.assertIn(f"arqonhpo approve {status['decision']}", text)
        self.assertIn("not the one", self.expect(7, "approve", "77").stderr)
        self.assertIn("rejected", self.expect(0, "reject", status["decision"]).stdout)
        self.assertEqual(self.engine_state()["writes"], 0)
        status = self.wait_for_phase("awaiting approval")
        did = self.expect(0, "approve").stdout
        self.assertIn(f"decision {status['decision']} approved: main.batch_size", did)
        wait_for(lambda: self.batch_size() != 48, "the approved change")
        self.assertIn("nothing awaits", self.expect(7, "approve").stderr)

    def test_pause_begins_nothing_and_resume_goes_on(self):
        self.start_engine()
        self.start_tuner("--mode", "approve")
        status = self.wait_for_phase("awaiting approval")
        self.expect(0, "reject", status["decision"])
        self.assertIn("paused", self.expect(0, "pause").stdout)
        self.assertTrue(self.status()["paused"])
        self.assertIn("paused", self.expect(0, "status").stdout)
        self.assertIn("resumed", self.expect(0, "resume").stdout)
        self.assertFalse(self.status()["paused"])
        self.wait_for_phase("awaiting approval")

    def test_freeze_takes_back_what_is_open_within_two_looks(self):
        self.start_engine()
        self.start_tuner()
        wait_for(lambda: self.batch_size() != 48, "an experiment")
        began = time.monotonic()
        self.assertIn("frozen", self.expect(0, "freeze").stdout)
        self.assertLess(time.monotonic() - began, 5)
        wait_for(lambda: self.batch_size() == 48 or "confirm" in self.actions(), "the revert", 10)
        self.assertTrue(self.status()["frozen"])

    def test_rollback_takes_back_the_open_experiment_then_the_confirmed_one(self):
        self.start_engine()
        self.start_tuner()
        wait_for(lambda: self.batch_size() != 48, "an experiment")
        did = self.expect(0, "rollback").stdout
        if "confirm" not in self.actions():
            self.assertIn("-> 48", did.replace("\u2192", "->"))
            self.assertEqual(self.batch_size(), 48)
        self.assertTrue(self.status()["paused"])
        self.expect(0, "resume")
        wait_for(lambda: "confirm" in self.actions(), "a confirmed setting")
        self.assertIn("rolled back", self.expect(0, "rollback").stdout)
        self.assertEqual(self.batch_size(), 48)
        self.assertIn("nothing to take back", self.expect(0, "rollback").stdout)


class Explain(LiveTest):
    def test_prints_a_decision_with_its_evidence_also_after_a_kill(self):
        self.start_engine()
        tuner = self.start_tuner()
        wait_for(lambda: "confirm" in self.actions(), "a confirmed setting")
        tuner.kill()
        tuner.wait()
        text = self.expect(0, "explain", "1").stdout
        self.assertIn("decision 1", text)
        self.assertRegex(text, r"main.batch_size \d+ -> \d+: applied")
        self.assertRegex(text, r"% bad of \d+ requests")
        records = json.loads(self.expect(0, "explain", "1", "--json").stdout)["records"]
        self.assertTrue(all(r["decision"] == 1 for r in records))
        self.assertIn("no decision 99", self.expect(2, "explain", "99").stderr)

    def test_that_nothing_was_decided_yet_is_an_answer(self):
        self.start_engine()
        self.start_tuner(classes={"chat": {"max_gap_ms": 100000}})
        wait_for(lambda: (self.state / "status.json").exists(), "the tuner")
        self.assertIn("Nothing has been decided yet", self.expect(0, "explain").stdout)
        self.assertEqual(json.loads(self.expect(0, "explain", "--json").stdout)["records"], [])


class WayBack(LiveTest):
    """The tuner is killed in each phase of a change, the engine restarted or not, the agent too:
    the confirmed set stands within the deadline, never the values of the boot."""

    LEASE_S = 10
    FOUND = 40  # set by a person; the engine boots with 48

    def begin(self):
        self.setUp()
        engine = self.start_engine()
        self.ask_engine(do="set", values={"main.batch_size": self.FOUND})
        return engine, self.start_tuner()

    def phase(self):
        try:
            text = self.run_cli("status", "--json").stdout
            answer = json.loads(text)
            return answer["status"]["phase"] if answer["alive"] else ""
        except (ValueError, KeyError):
            return ""

    def confirmed(self):
        path = self.state / "confirmed.json"
        return json.loads(path.read_text())["values"][0] if path.exists() else None

    def last_confirmed(self):
        settings = [r["to"]["main.batch_size"] for r in self.records()
                    if r["record"] == "decision" and r["action"] == "confirm"]
        return settings[-1] if settings else self.FOUND

    def stands(self):
        confirmed = self.confirmed()
        return confirmed is not None and self.batch_size() == confirmed

    def test_the_tuner_killed_in_each_phase_with_and_without_a_restart_of_the_engine(self):
        for phase in ("glide", "settle", "measure", "confirmed"):
            for restart in (False, True):
                with self.subTest(phase=phase, restart=restart):
                    engine, tuner = self.begin()
                    if phase == "confirmed":
                        wait_for(lambda: "confirm" in self.actions(), phase)
                    else:
                        wait_for(lambda: self.batch_size() != self.FOUND, "a change")
                        wait_for(lambda p=phase: self.phase() == p or p == "glide", phase)
                    tuner.kill()
                    tuner.wait()
                    killed = time.monotonic()
                    if restart:
                        engine.kill()
                        engine.wait()
                        self.start_engine()
                    wait_for(self.stands, "the confirmed set", self.LEASE_S + 10)
                    took = time.monotonic() - killed
                    self.assertLess(took, self.LEASE_S + 3)
                    self.assertEqual(self.confirmed(), self.last_confirmed())
                    self.assertIn("no tuner runs", self.expect(0, "rollback").stdout)
                    self.tearDown()

    def test_the_agent_killed_is_started_again_and_the_confirmed_set_returns(self):
        self.begin()
        wait_for(lambda: self.batch_size() != self.FOUND, "a change")
        first = self.agent_pid()
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: self.agent_pid() not in (0, first), "a new agent")
        wait_for(lambda: "confirm" in self.actions() or self.batch_size() == self.FOUND,
                 "the way back")

    def test_the_agent_ends_with_a_tuner_that_is_done_and_outlives_one_that_is_killed(self):
        _, tuner = self.begin()
        wait_for(lambda: "confirm" in self.actions(), "a confirmed setting")
        self.assertNotEqual(self.agent_pid(), 0)
        tuner.send_signal(signal.SIGINT)
        tuner.wait(PATIENCE_S)
        wait_for(lambda: self.agent_pid() == 0, "the end of the agent")
        self.assertEqual(self.batch_size(), self.last_confirmed())
        self.assertIn("\"released\"", (self.state / "agent.journal").read_text())

    def test_an_agent_of_ones_own_stays_and_serves_the_next_tuner(self):
        self.start_engine()
        path = self.scenario()
        agent = self.start(BINARY, "agent", path, stderr=subprocess.DEVNULL)
        wait_for((self.state / "agent.sock").exists, "the agent")
        tuner = self.start_tuner()
        wait_for(lambda: "confirm" in self.actions(), "a confirmed setting")
        tuner.send_signal(signal.SIGINT)
        tuner.wait(PATIENCE_S)
        self.assertIsNone(agent.poll())
        self.assertEqual(self.agent_pid(), agent.pid)

    def test_no_agent_where_the_document_wants_none(self):
        self.start_engine()
        self.start_tuner(agent={"spawn": False})
        wait_for(lambda: self.batch_size() != 48, "a change")
        self.assertFalse((self.state / "agent.sock").exists())

    def test_an_agent_that_is_named_and_not_there_is_said_at_once(self):
        self.start_engine()
        path = self.scenario(agent={"socket": "nowhere.sock"})
        self.assertIn("nowhere.sock", self.expect(8, "tune", path).stderr)
        self.assertEqual(self.engine_state()["writes"], 0)


class HostileSocket(LiveTest):
    """Whatever comes over the control socket, the tuner goes on and answers the next caller."""

    def test_garbage_is_answered_and_nothing_breaks(self):
        self.start_engine()
        tuner = self.start_tuner("--mode", "observe")
        control = self.state / "control.sock"
        wait_for(control.exists, "the control socket")
        self.assertEqual(control.stat().st_mode & 0o777, 0o600)
        idle = socket.socket(socket.AF_UNIX)
        self.addCleanup(idle.close)
        idle.connect(str(control))
        for line in (b"", b"\n", b"{", b"nonsense\n", b"[" * 5000 + b"\n", b"\xff\xfe\n",
                     b'{"verb": 3}\n', b'{"verb": "delete"}\n', b"x" * 200_000,
                     b'{"verb": "approve", "decision": 1e999}\n',
                     b'{"verb": "approve", "decision": -1}\n'):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(PATIENCE_S)
                s.connect(str(control))
                try:
                    s.sendall(line)
                    s.shutdown(socket.SHUT_WR)
                    answer = b"".join(iter(lambda s=s: s.recv(65536), b""))
                except OSError:  # the line was too long to be listened to
                    continue
                if answer:
                    self.assertFalse(json.loads(answer)["ok"], line[:40])
        self.assertTrue(json.loads(self.expect(0, "status", "--json").stdout)["alive"])
        self.assertIsNone(tuner.poll())


if __name__ == "__main__":
    BINARY = str(Path(sys.argv.pop(1)).resolve())
    ENGINE = str(Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=2)
