#!/usr/bin/env python3
"""Tunes the batching of a serving engine online: ask_one, apply, measure a window, seed a reward.

Usage: python examples/inference_serving.py [WINDOWS] [SEED]

The engine here is a stand-in (serving_stand_in.py), so that the loop can be watched and its end
be compared with the truth. For a real one keep the loop and replace `serving_engine`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from arqonhpo import ArqonSolver

sys.path.insert(0, str(Path(__file__).resolve().parent))
from serving_stand_in import ServingEngine, Surface  # noqa: E402


def tune(serving_engine: ServingEngine, sla_ms: float, windows: int, seed: int = 42) -> ArqonSolver:
    """Runs the loop for `windows` windows of 60 seconds."""
    config = {
        "seed": seed,
        "budget": 10000,
        "bounds": {
            "batch_size": {"min": 1, "max": 64, "scale": "Log"},
            "max_wait_ms": {"min": 10, "max": 500}
        }
    }
    solver = ArqonSolver(json.dumps(config))
    for _ in range(windows):
        candidate = solver.ask_one()
        if candidate is None:
            break
        serving_engine.set_batch_config(
            batch_size=int(candidate["batch_size"]),
            max_wait_ms=candidate["max_wait_ms"]
        )
        metrics = serving_engine.collect_metrics(duration_s=60)
        # The reward: larger is better, and a window that broke the SLA is worth nothing at all.
        if metrics.p99_latency_ms > sla_ms:
            reward = -1000
        else:
            reward = -metrics.cost_per_token
        solver.seed(json.dumps([{
            "params": candidate,
            "value": reward,
            "cost": 60.0
        }]))
    return solver


def main(arguments: list[str]) -> int:
    windows = int(arguments[0]) if arguments else 300
    seed = int(arguments[1]) if len(arguments) > 1 else 42
    engine = ServingEngine(Surface(), seed)
    solver = tune(engine, engine.surface.sla_ms, windows, seed)
    cost, batch, wait = engine.surface.cheapest()
    violation, ratio = engine.last_fifth()
    best = solver.best()
    print(f"{100 * engine.surface.infeasible_share():.0f} % of the box breaks the SLA of "
          f"{engine.surface.sla_ms:.0f} ms")
    print(f"cheapest allowed setting: batch_size {batch}, max_wait_ms {wait:.0f}, cost {cost:.4f}")
    print(f"last fifth of {windows} windows: P(violation) {100 * violation:.1f} %, "
          f"cost {100 * (ratio - 1):+.1f} % of the cheapest")
    if best is not None:
        print(f"recommended: batch_size {int(best.params['batch_size'])}, "
              f"max_wait_ms {best.params['max_wait_ms']:.0f}, "
              f"P(allowed) {best.prediction.feasible_probability:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
