import json
import math

import pytest

import arqonhpo
from arqonhpo import ArqonError, ArqonSolver, ConfigError

SERVING = {"seed": 42, "bounds": {"batch_size": {"min": 1, "max": 64, "scale": "Log"},
                                  "max_wait_ms": {"min": 10, "max": 500}}}
MIXED = {"seed": 1, "bounds": {
    "k": {"min": 0, "max": 5, "type": "int"},
    "policy": {"type": "categorical", "choices": ["fcfs", "sjf"]},
    "chunked": {"type": "bool"},
    "router": {"type": "simplex", "choices": ["small", "large"]}}}


def reward(params):
    return -(math.log(params["batch_size"] / 9) ** 2) - ((params["max_wait_ms"] - 120) / 200) ** 2


def test_a_dict_and_its_json_text_are_the_same_study():
    as_dict, as_text = ArqonSolver(SERVING), ArqonSolver(json.dumps(SERVING))
    for _ in range(15):
        a, b = as_dict.ask_one(), as_text.ask_one()
        assert a == b
        as_dict.seed([{"params": a, "value": reward(a)}])
        as_text.seed(json.dumps([{"params": b, "value": reward(b)}]))


def test_online_and_batch_share_one_history():
    solver = ArqonSolver({**SERVING, "budget": 40})
    batch = solver.ask(8)
    assert len(batch) == 8
    solver.tell([{"params": p, "value": reward(p)} for p in batch])
    while (candidate := solver.ask_one()) is not None:
        solver.seed({"params": candidate, "value": reward(candidate)})
    assert solver.get_history_len() == 40 == len(solver.history())
    assert solver.ask(3) == []
    best = solver.best()
    assert reward(best.params) > -0.1
    assert best.prediction.objective == pytest.approx(reward(best.params), abs=0.1)
    assert solver.predict(best.params) == best.prediction


def test_types_come_back_as_python_has_them():
    params = ArqonSolver(MIXED).ask_one()
    assert isinstance(params["k"], int)
    assert params["policy"] in ("fcfs", "sjf")
    assert isinstance(params["chunked"], bool)
    assert sum(params["router"].values()) == pytest.approx(1)


def test_history_can_be_told_to_another_solver():
    first, second = ArqonSolver(SERVING), ArqonSolver(SERVING)
    for p in first.ask(5):
        first.tell([{"params": p, "value": reward(p), "cost": 60.0}])
    second.seed(first.history())
    assert second.history() == first.history()


def test_metrics_with_counts_and_failures_are_taken():
    solver = ArqonSolver({**SERVING, "objective": {"metric": "dollars_per_million_good_tokens",
                                                   "direction": "minimize"},
                          "constraints": [{"metric": "attainment.chat", "min": 0.99}]})
    p = solver.ask_one()
    solver.tell([{"params": p, "metrics": {
        "dollars_per_million_good_tokens": {"value": 1.2},
        "attainment.chat": {"value": 0.993, "n": 900, "over": 6}}}])
    solver.tell([{"params": solver.ask_one(), "status": "crashed"}])
    assert solver.get_history_len() == 2


def test_best_is_none_before_any_result():
    assert ArqonSolver(SERVING).best() is None


def test_every_mistake_of_a_config_is_named_with_its_place():
    with pytest.raises(ConfigError) as caught:
        ArqonSolver('{"bounds": {"x": {"min": 3, "max": 1}},\n "sede": 1}')
    assert len(caught.value.diagnostics) == 2
    assert "config:1:" in str(caught.value) and "config:2:" in str(caught.value)
    assert "seed" in str(caught.value), "the nearest known key"


@pytest.mark.parametrize("results", [
    "[", "{}", [{"params": {"batch_size": 8}}],
    [{"params": {"batch_size": 8, "max_wait_ms": 9}, "value": 1}],
    [{"params": {"batch_size": 8, "max_wait_ms": 50}, "value": float("nan")}],
    [{"params": {"batch_size": 8, "max_wait_ms": 50}, "metrics": {}}],
])
def test_bad_results_are_one_typed_error_and_change_nothing(results):
    solver = ArqonSolver(SERVING)
    with pytest.raises(ConfigError):
        solver.tell(results)
    assert solver.get_history_len() == 0


def test_one_family_of_errors():
    assert issubclass(ConfigError, ArqonError) and issubclass(ArqonError, ValueError)
    for name in arqonhpo.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(arqonhpo, name), ArqonError)


def test_numbers_of_other_libraries_are_numbers():
    class Scalar:
        def __init__(self, value):
            self.value = value

        def item(self):
            return self.value

    solver = ArqonSolver(SERVING)
    solver.tell([{"params": solver.ask_one(), "value": Scalar(-1.5)}])
    assert solver.history()[0]["value"] == -1.5
