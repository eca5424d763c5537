"""The Python face of the solver: documents in, plain values out, errors that name the place."""

import json
import math
import subprocess
import sys

import pytest

import arqonhpo
from arqonhpo import ArqonSolver, ConfigError

SERVING = {
    "seed": 42,
    "budget": 12,
    "bounds": {"batch_size": {"min": 1, "max": 64, "scale": "Log", "type": "int"},
               "max_wait_ms": {"min": 10, "max": 500}},
}


def result(params, value):
    return {"params": params, "value": value, "cost": 60.0}


def test_ask_one_ends_with_the_budget():
    solver = ArqonSolver(SERVING)
    count = 0
    while (candidate := solver.ask_one()) is not None:
        assert 1 <= candidate["batch_size"] <= 64
        assert 10 <= candidate["max_wait_ms"] <= 500
        solver.seed([result(candidate, -candidate["max_wait_ms"])])
        count += 1
    assert count == 12
    assert solver.get_history_len() == 12


def test_a_json_text_and_a_dict_say_the_same():
    assert ArqonSolver(json.dumps(SERVING)).ask_one() == ArqonSolver(SERVING).ask_one()


def test_larger_values_are_better():
    solver = ArqonSolver({**SERVING, "budget": 60})
    while (candidate := solver.ask_one()) is not None:
        solver.tell([result(candidate, -abs(math.log(candidate["batch_size"] / 16)))])
    assert 8 <= solver.best().params["batch_size"] <= 32


def test_batch_asks_are_distinct_and_pending():
    solver = ArqonSolver(SERVING)
    asked = [json.dumps(p, sort_keys=True) for p in solver.ask(4) + solver.ask(4)]
    assert len(set(asked)) == len(asked)


def test_metrics_with_a_constraint():
    solver = ArqonSolver({
        "bounds": {"x": {"min": 0, "max": 1}}, "budget": 60,
        "objective": {"metric": "cost", "direction": "minimize"},
        "constraints": [{"metric": "attainment", "min": 0.99}]})
    while (candidate := solver.ask_one()) is not None:
        x = candidate["x"]
        over = 0 if x < 0.6 else 100
        solver.tell({"params": candidate, "metrics": {
            "cost": {"value": 2 - x},
            "attainment": {"value": 1 - over / 1000, "n": 1000, "over": over}}})
    assert solver.best().params["x"] < 0.6
    assert solver.predict({"x": 0.95}).feasible_probability < 0.5


@pytest.mark.parametrize("document, place", [
    ({}, "bounds"),
    ({"bounds": {"x": {"min": 1, "max": 0}}}, "bounds.x"),
    ({"bounds": {"x": {"min": 0, "max": 1, "scale": "Log"}}}, "bounds.x"),
    ({"bounds": {"x": {"min": 0, "max": 1}}, "budjet": 3}, "budjet"),
    ({"bounds": {"x": {"min": 0, "max": float("nan")}}}, ""),
])
def test_a_wrong_config_names_its_place(document, place):
    with pytest.raises(ConfigError) as caught:
        ArqonSolver(document)
    assert place in str(caught.value)


def test_nothing_of_a_wrong_result_is_taken():
    solver = ArqonSolver(SERVING)
    good = solver.ask_one()
    with pytest.raises(ConfigError):
        solver.seed([result(good, -1.0), result({"batch_size": 4}, -1.0)])
    assert solver.get_history_len() == 0


def test_errors_are_one_family():
    assert issubclass(ConfigError, arqonhpo.ArqonError)


def test_same_decisions_in_another_process():
    program = ("import json\nfrom arqonhpo import ArqonSolver\n"
               f"s = ArqonSolver({SERVING!r})\n"
               "while (c := s.ask_one()) is not None:\n"
               "    print(json.dumps(c)); s.seed([{'params': c, 'value': -c['max_wait_ms']}])\n")
    runs = {subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                           check=True).stdout for _ in range(2)}
    assert len(runs) == 1 and next(iter(runs)).count("\n") == 12
