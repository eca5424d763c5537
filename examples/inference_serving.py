"""Dynamic batch sizing: the online loop of the inference-serving page, start to end.

The engine here is a stand-in (serving_stand_in.py); put your own behind the same two calls. Each
window the solver proposes a setting, the engine runs it, and the loop reports one number: minus the
cost, or -1000 where the p99 broke the SLA. The loop must end safe (hardly a window breaks the SLA)
and cheap (next to the cliff).

    python examples/inference_serving.py --windows 300 --seed 42
"""

import argparse
import json
import statistics

from arqonhpo import ArqonSolver
from serving_stand_in import ServingEngine


def run(windows, seed):
    """Runs the loop; yields (candidate, p99 in ms, cost) for each window."""
    serving_engine = ServingEngine(seed=seed)
    config = {
        "seed": seed,
        "budget": windows,
        "bounds": {
            "batch_size": {"min": 1, "max": 64, "scale": "Log"},
            "max_wait_ms": {"min": 10, "max": 500},
        },
    }
    solver = ArqonSolver(json.dumps(config))
    while True:
        candidate = solver.ask_one()
        if candidate is None:
            break
        serving_engine.set_batch_config(
            batch_size=int(candidate["batch_size"]),
            max_wait_ms=candidate["max_wait_ms"],
        )
        metrics = serving_engine.collect_metrics(duration_s=60)
        if metrics.p99_latency_ms > serving_engine.sla_ms:
            reward = -1000                        # penalty for breaking the SLA
        else:
            reward = -metrics.cost_per_token      # larger is better: minus the cost
        solver.seed(json.dumps([{"params": candidate, "value": reward, "cost": 60.0}]))
        yield candidate, metrics.p99_latency_ms, metrics.cost_per_token


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=300)
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    engine = ServingEngine()
    seen = []
    for number, (candidate, p99_ms, cost) in enumerate(run(arguments.windows, arguments.seed), 1):
        seen.append((engine.violation(candidate["batch_size"], candidate["max_wait_ms"]), cost))
        if number % 30 == 0 or number == arguments.windows:
            print(f"window {number:4}: batch_size {int(candidate['batch_size']):3}, "
                  f"max_wait_ms {candidate['max_wait_ms']:6.1f}, p99 {p99_ms:6.1f} ms "
                  f"(SLA {engine.sla_ms:.0f}), cost {cost:.3f}")
    last = seen[-max(1, len(seen) // 5):]
    print(f"last fifth: P(SLA broken) {statistics.mean(v for v, _ in last):.3f}, cost "
          f"{statistics.median(c for _, c in last) / engine.cheapest.cost_per_token:.3f} of the "
          f"cheapest safe setting (batch_size {engine.cheapest.batch_size}, max_wait_ms "
          f"{engine.cheapest.max_wait_ms:.0f})")


if __name__ == "__main__":
    main()
