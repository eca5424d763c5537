"""The loop of the inference-serving page, word for word, runs against the package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
from serving_stand_in import ServingEngine  # noqa: E402

LOOP = (Path(__file__).parent / "serving_loop.txt").read_text()


class EndOfShift(Exception):
    pass


class ShortShift(ServingEngine):
    """Stops after `windows`: the page's loop has a budget of 10,000."""

    def __init__(self, windows):
        super().__init__()
        self.windows = windows

    def collect_metrics(self, duration_s):
        if len(self.applied) == self.windows:
            raise EndOfShift
        return super().collect_metrics(duration_s)


def test_the_pages_code_runs_unchanged():
    engine = ShortShift(windows=120)
    names = {"serving_engine": engine, "SLA_MS": engine.surface.sla_ms}
    try:
        exec(compile(LOOP, "serving_loop.txt", "exec"), names)
    except EndOfShift:
        pass
    solver = names["solver"]
    assert solver.get_history_len() == 120
    early = engine.applied[:30]
    late = engine.applied[-30:]
    mean = lambda settings: sum(engine.surface.violation(*s) for s in settings) / len(settings)
    assert mean(late) < 0.5 * mean(early), "it learns to stay inside the SLA"


def test_the_loop_ends_with_its_budget():
    engine = ServingEngine()
    names = {"serving_engine": engine, "SLA_MS": engine.surface.sla_ms}
    exec(compile(LOOP.replace("10000", "25"), "serving_loop.txt", "exec"), names)
    assert len(engine.applied) == 25
