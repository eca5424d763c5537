"""The online loop: the page's own code runs unchanged, and the example ends safe and cheap."""

import pathlib
import statistics

import inference_serving
from serving_stand_in import ServingEngine

PAGE = pathlib.Path(__file__).with_name("inference_serving_page.py.txt")
WINDOWS = 300


class Enough(Exception):
    """Ends the page's loop, whose own budget is 10,000 windows."""


class CountingEngine(ServingEngine):
    def __init__(self):
        super().__init__(seed=1)
        self.settings = []

    def collect_metrics(self, duration_s):
        assert duration_s == 60
        if len(self.settings) == WINDOWS:
            raise Enough
        self.settings.append(self._setting)
        return super().collect_metrics(duration_s)


def last_fifth(engine, settings):
    last = settings[-WINDOWS // 5:]
    violation = statistics.mean(engine.violation(*s) for s in last)
    cost = statistics.median(engine.cost(*s) for s in last) / engine.cheapest.cost_per_token
    return violation, cost


def test_the_page_runs_unchanged_and_ends_safe():
    engine = CountingEngine()
    names = {"serving_engine": engine, "SLA_MS": engine.sla_ms}
    try:
        exec(compile(PAGE.read_text(), str(PAGE), "exec"), names)
    except Enough:
        pass
    assert names["solver"].get_history_len() == WINDOWS
    violation, _ = last_fifth(engine, engine.settings)
    assert violation <= 0.10


def test_the_example_ends_safe_and_cheap_in_18_of_20_seeds():
    engine = ServingEngine()
    ends = []
    for seed in range(1, 21):
        settings = [(c["batch_size"], c["max_wait_ms"])
                    for c, _, _ in inference_serving.run(WINDOWS, seed)]
        assert len(settings) == WINDOWS
        ends.append(last_fifth(engine, settings))
    safe_and_cheap = [v <= 0.05 and c <= 1.05 for v, c in ends]
    assert sum(safe_and_cheap) >= 18, ends


def test_the_surface_is_as_hard_as_it_says():
    engine = ServingEngine()
    best = engine.cheapest
    assert 0.02 <= engine.violation(best.batch_size, best.max_wait_ms) <= 0.05
    assert abs(engine.cost(best.batch_size, best.max_wait_ms) - 0.4) < 1e-9
