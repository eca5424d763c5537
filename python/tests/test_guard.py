"""The guard and the evidence from Python, and the how-to's program word for word."""

import math
import random
import re
from pathlib import Path

import pytest
from arqonhpo import ConfigError, Guard, RefusedError, Trial

ROOT = Path(__file__).resolve().parents[2]
CONFIG = {"bounds": {"batch": {"type": "int", "min": 1, "max": 64},
                     "policy": {"type": "categorical", "choices": ["fcfs", "sjf"]}},
          "guardrails": {"max_delta": {"batch": 8}, "max_updates_per_second": 1}}
FOUND = {"batch": 8, "policy": "fcfs"}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 10
        return self.now


def test_a_whole_setting_passes_or_is_refused_with_a_reason() -> None:
    guard = Guard(CONFIG, FOUND, Clock())
    verdict = guard.propose({"batch": 16, "policy": "sjf"})
    assert verdict and verdict.kind == "none" and verdict.generation == 2
    assert guard.in_force == {"batch": 16, "policy": "sjf"}
    assert guard.confirmed == FOUND and guard.unproven
    second = guard.propose({"batch": 12, "policy": "sjf"})
    assert not second and second.kind == "unproven_pending"
    assert guard.revert(failed=True) == FOUND
    far = guard.propose({"batch": 17, "policy": "fcfs"})
    assert far.kind == "max_delta" and "further than" in far.why
    assert guard.propose({"batch": 16, "policy": "fcfs"})
    guard.confirm()
    assert guard.confirmed["batch"] == 16 and not guard.unproven


def test_frozen_means_reverts_alone() -> None:
    guard = Guard(CONFIG, FOUND, Clock())
    assert guard.propose({"batch": 9, "policy": "fcfs"})
    guard.freeze()
    assert guard.propose({"batch": 10, "policy": "fcfs"}, continues_glide=True).kind == "frozen"
    assert guard.revert() == FOUND
    guard.unfreeze()
    guard.safe_mode()
    assert guard.propose({"batch": 9, "policy": "fcfs"}).kind == "safe_mode"
    guard.safe_mode(False)
    assert guard.propose({"batch": 9, "policy": "fcfs"})


def test_the_reflex_lane_stays_inside_its_envelope() -> None:
    guard = Guard(CONFIG, FOUND, Clock())
    assert guard.propose({"batch": 10, "policy": "fcfs"}, lane="reflex").kind == "out_of_bounds"
    guard.set_envelope({"batch": 4, "policy": "fcfs"}, {"batch": 12, "policy": "fcfs"})
    assert guard.propose({"batch": 10, "policy": "fcfs"}, lane="reflex")
    with pytest.raises(RefusedError, match="envelope"):
        guard.set_envelope({"batch": 12, "policy": "fcfs"}, {"batch": 4, "policy": "fcfs"})


def test_the_rate_counts_on_the_clock_that_is_given() -> None:
    now = [0.0]
    guard = Guard(CONFIG, FOUND, lambda: now[0])
    assert guard.propose({"batch": 9, "policy": "fcfs"})
    assert guard.propose({"batch": 10, "policy": "fcfs"}, continues_glide=True).kind == "rate"
    assert guard.wait_s() == pytest.approx(1)
    now[0] = -86400.0  # a clock that goes back opens nothing
    assert guard.propose({"batch": 10, "policy": "fcfs"}, continues_glide=True).kind == "rate"
    now[0] = 1.0
    assert guard.propose({"batch": 10, "policy": "fcfs"}, continues_glide=True)


def test_mistakes_have_names() -> None:
    with pytest.raises(ConfigError, match="found"):
        Guard({**CONFIG, "guardrails": {"bounds": {"batch": [10, 64]}}}, FOUND)
    with pytest.raises(ConfigError, match="did you mean"):
        Guard({**CONFIG, "guardrails": {"max_deltas": {}}}, FOUND)
    guard = Guard(CONFIG, FOUND, Clock())
    with pytest.raises(ConfigError):
        guard.propose({"batch": 9})
    with pytest.raises(ConfigError):
        guard.propose({"batch": float("nan"), "policy": "fcfs"})
    with pytest.raises(ConfigError, match="margin"):
        Trial(margin=2)
    with pytest.raises(ValueError, match="arm"):
        Trial().observe("canry", 1.0, True)
    with pytest.raises(KeyError):
        Trial().observe("canary", 1.0, True, class_name="chat")


def test_explain_speaks() -> None:
    assert any("at most 8 per change" in line for line in Guard(CONFIG, FOUND).explain())


def run_trial(slower: float, limit: int = 20000) -> Trial:
    rng = random.Random(4)
    trial = Trial(["chat", "batch"], margin=0.01)
    for i in range(limit):
        arm = ("canary", "control")[i % 2]
        latency = math.exp(rng.gauss(0, 0.5)) * (slower if arm == "canary" else 1)
        trial.observe(arm, latency, rng.random() > 0.01, class_name=("chat", "batch")[i // 2 % 2])
        if i % 50 == 49:
            trial.end_block()
            if trial.judge().verdict != "inconclusive":
                break
    return trial


def test_a_slower_canary_fails_and_an_equal_one_passes() -> None:
    slow = run_trial(1.3)
    assert slow.judge().verdict == "fail" and slow.judge().test == "latency"
    assert slow.judge().latency_ratio == pytest.approx(1.3, rel=0.15)
    equal = run_trial(1.0, limit=100000)
    assert equal.judge().verdict == "pass" and equal.judge().requests_needed == 0
    assert equal.counts("canary")[0] >= 300
    void = Trial()
    void.observe("canary", float("nan"), True)
    assert void.voids == 1 and void.judge().verdict == "inconclusive"


def test_the_how_tos_program_runs_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs/howto/guard-only.md").read_text()
    program = re.search(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL).group(1)
    random.seed(3)
    exec(compile(program, "guard-only.md", "exec"), {})
    out = capsys.readouterr().out
    assert "refused: " in out and " pass (" in out
    assert 1 <= int(re.search(r"in force: \{'batch_size': (\d+)\}", out).group(1)) <= 64
