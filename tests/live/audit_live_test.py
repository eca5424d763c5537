"""The audit of a live run, and its replay, against a stand-in engine.

Usage: audit_live_test.py ARQONHPO_STAND_IN STAND_IN_ENGINE [unittest arguments]
"""

import csv
import io
import json
import signal
import sys
import unittest
from pathlib import Path

import live_test
from live_test import LiveTest, PATIENCE_S, wait_for


class Audit(LiveTest):
    def setUp(self):
        super().setUp()
        self.witness = self.folder / "witness.txt"

    def run_to_a_confirmation(self, *options):
        tuner = self.start_tuner(*options)
        wait_for(lambda: "confirm" in self.actions(), "a confirmed setting")
        tuner.send_signal(signal.SIGINT)
        self.assertEqual(tuner.wait(PATIENCE_S), 130)

    def chain(self):
        return sorted((self.state / "audit").glob("*.log"))

    def verified(self, code=0, *options):
        return json.loads(self.expect(code, "audit", "verify", "--json", *options).stdout)

    def test_a_run_is_recorded_verified_shown_proven_and_decided_again(self):
        self.start_engine()
        self.run_to_a_confirmation("--audit-witness", self.witness)
        verified = self.verified(0, "--against", self.witness)
        self.assertTrue(verified["ok"])
        self.assertEqual(verified["records_witnessed"], verified["records"])
        self.assertGreater(verified["tape_bytes"], 1000)
        self.assertIn("whole", self.expect(0, "audit", "verify").stdout)
        self.assertIn("audit checkpoint {", (self.folder / "tuner.log").read_text())

        records = [json.loads(line) for line in
                   self.expect(0, "audit", "export").stdout.splitlines()]
        self.assertEqual([r["seq"] for r in records], list(range(1, verified["records"] + 1)))
        intents = [r for r in records if r["action"] == "intent"]
        self.assertEqual(intents[0]["before"], [48])
        self.assertIn("requests broke a limit", intents[0]["reason"])
        outcomes = {r["note"]["of"] for r in records if r["action"] == "outcome"}
        self.assertEqual(outcomes, {r["seq"] for r in intents})
        rows = list(csv.DictReader(io.StringIO(
            self.expect(0, "audit", "export", "--format", "csv").stdout)))
        self.assertEqual(len(rows), len(records))

        self.assertIn("main.batch_size", self.expect(0, "audit", "show", "--action",
                                                     "intent").stdout)
        first, last = intents[0]["seq"], records[-1]["seq"]
        confirmed = next(r["seq"] for r in records if r["action"] == "confirm")
        self.assertIn("main.batch_size 48 -> 32",
                      self.expect(0, "audit", "diff", confirmed, first).stdout)
        self.expect(2, "audit", "diff", 1, last)  # no settings in those

        proof = self.folder / "proof.json"
        proof.write_text(self.expect(0, "audit", "prove", first).stdout)
        self.assertIn(f"proven: record {first}",
                      self.expect(0, "audit", "verify", "--proof", proof).stdout)
        proof.write_text(proof.read_text().replace("[48]", "[47]"))
        self.expect(7, "audit", "verify", "--proof", proof)

        replayed = json.loads(self.expect(0, "replay", "--json").stdout)
        self.assertTrue(replayed["same"] and replayed["ended"], replayed)
        self.assertGreater(replayed["decisions"], 2)
        self.assertEqual(self.expect(0, "doctor", "--state", self.state).stdout.count("!!"), 0)

    def test_one_changed_word_is_found_named_and_no_run_starts_on_it(self):
        self.start_engine()
        self.run_to_a_confirmation()
        path = self.chain()[0]
        text = path.read_text()
        at = text.index("half") if "half" in text else text.index("requests broke")
        record = json.loads(text[text.rindex("\n", 0, at) + 1:text.index("\t", at)])["seq"]
        path.write_text(text[:at] + "H" + text[at + 1:])
        finding = self.verified(7)["finding"]
        self.assertEqual((finding["fault"], finding["record"]), ("changed", record))
        self.assertEqual(finding["file"], path.name)
        writes = self.engine_state()["writes"]
        error = self.expect(7, "tune", self.scenario(), "--seconds", "5").stderr
        self.assertIn(f"record {record}", error)
        self.assertEqual(self.engine_state()["writes"], writes)
        self.expect(7, "replay")
        self.assertIn("!!", self.expect(7, "doctor", "--state", self.state).stdout)

    def test_a_changed_observation_is_found_at_its_record(self):
        self.start_engine()
        self.run_to_a_confirmation()
        tape = sorted((self.state / "audit").glob("*.tape"))[0]
        text = tape.read_text()
        at = text.index('["o",') + 30
        tape.write_text(text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1:])
        self.assertEqual(self.verified(7)["finding"]["fault"], "tape")
        self.assertTrue(self.verified(0, "--without-tapes")["ok"])

    def test_a_cut_end_is_told_by_the_witness_alone(self):
        self.start_engine()
        self.run_to_a_confirmation("--audit-witness", self.witness)
        path = self.chain()[-1]
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[:-2]))
        (self.state / "audit/checkpoints").write_text("")
        self.assertTrue(self.verified(0)["ok"])
        finding = self.verified(7, "--against", self.witness)["finding"]
        self.assertEqual(finding["fault"], "cut")

    def test_a_killed_run_is_whole_and_compared_as_far_as_it_went(self):
        self.start_engine()
        tuner = self.start_tuner()
        wait_for(lambda: self.batch_size() != 48, "an experiment")
        tuner.kill()
        tuner.wait()
        self.assertIn(self.run_cli("audit", "verify").returncode, (0, 5))
        replayed = json.loads(self.expect(0, "replay", "--json").stdout)
        self.assertTrue(replayed["same"])
        self.assertFalse(replayed["ended"])
        text = self.expect(0, "doctor", "--state", self.state).stdout
        self.assertIn("cut off", text)
        # The next run goes on in the same chain and answers for what was left open.
        self.start_tuner("--mode", "observe")
        wait_for(lambda: len(self.chain()) >= 2 and self.chain()[-1].stat().st_size > 600,
                 "the next segment")
        text = self.expect(0, "audit", "export").stdout
        records = [json.loads(line) for line in text.splitlines()]
        intents = {r["seq"] for r in records if r["action"] == "intent"}
        outcomes = {r["note"]["of"] for r in records if r["action"] == "outcome"}
        self.assertEqual(intents, outcomes)

    def test_a_person_is_in_the_record(self):
        self.start_engine()
        tuner = self.start_tuner("--mode", "approve")
        wait_for(lambda: "propose" in self.actions(), "a proposal")
        self.expect(0, "approve")
        wait_for(lambda: self.batch_size() != 48, "the approved change")
        self.expect(0, "freeze")
        tuner.send_signal(signal.SIGINT)
        tuner.wait(PATIENCE_S)
        actions = [json.loads(line)["action"] for line in
                   self.expect(0, "audit", "export").stdout.splitlines()
                   if json.loads(line)["actor"] == "person"]
        self.assertEqual(actions[:2], ["approve", "freeze"])
        self.assertTrue(json.loads(self.expect(0, "replay", "--json").stdout)["same"])


class Help(LiveTest):
    def test_teaches(self):
        self.assertIn("arqonhpo audit verify --against", self.expect(0, "audit", "--help").stdout)
        self.assertIn("arqonhpo audit verify --against", self.expect(0, "audit").stdout)
        self.assertIn("Exit codes", self.expect(0, "audit", "verify", "--help").stdout)
        self.assertIn("arqonhpo audit verify --help",
                      self.expect(2, "audit", "verify", "--agianst", "x").stderr)
        self.assertIn("--against", self.expect(2, "audit", "verify", "--agianst", "x").stderr)
        self.assertIn("byte for byte", self.expect(0, "replay", "--help").stdout)

    def test_where_nothing_is(self):
        self.state.mkdir(parents=True)
        (self.state / "lock").touch()
        self.assertIn("no audit", self.expect(8, "audit", "verify").stderr)
        self.assertIn("no audit", self.expect(8, "replay").stderr)
        self.assertIn("none yet", self.expect(0, "doctor", "--state", self.state).stdout)


if __name__ == "__main__":
    live_test.BINARY, live_test.ENGINE = (str(Path(word).resolve()) for word in sys.argv[1:3])
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
