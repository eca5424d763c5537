"""The example ends safe and cheap, on its own surface and on others. The full study (20 seeds and
20 surfaces) is online_loop_test in C++; here a few runs show that Python's way in is the same."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from inference_serving import tune  # noqa: E402
from serving_stand_in import ServingEngine, Surface  # noqa: E402


def outcome(surface: Surface, seed: int) -> bool:
    engine = ServingEngine(surface, seed)
    tune(engine, surface.sla_ms, windows=300, seed=seed)
    violation, ratio = engine.last_fifth()
    print(f"seed {seed}: violation {violation:.4f}, cost {ratio:.4f}")
    return violation <= 0.05 and ratio <= 1.05


def test_the_surface_is_as_hard_as_it_says():
    for surface in (Surface(), *(Surface.drawn(seed) for seed in range(3))):
        assert 0.29 <= surface.infeasible_share() <= 0.71
        _, batch, wait = surface.cheapest()
        assert 0.02 < surface.violation(batch, wait) <= 0.05, "next to the cliff"
        assert 0.8 <= surface.elasticity() <= 1.25


def test_it_ends_safe_and_cheap_in_18_of_20_seeds():
    assert sum(outcome(Surface(), seed) for seed in range(1, 21)) >= 18


def test_it_ends_safe_and_cheap_on_18_of_20_drawn_surfaces():
    assert sum(outcome(Surface.drawn(seed), seed) for seed in range(1, 21)) >= 18


def test_the_script_says_what_it_found():
    script = Path(__file__).with_name("inference_serving.py")
    run = subprocess.run([sys.executable, script, "60"], capture_output=True, text=True,
                         timeout=120)
    assert run.returncode == 0, run.stderr
    assert "recommended: batch_size" in run.stdout


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
