"""ArqonHPO: a live tuner for LLM serving, here as an ask/tell solver and a twin.

    solver = ArqonSolver({"bounds": {"batch_size": {"min": 1, "max": 64, "scale": "Log"}}})
    while (candidate := solver.ask_one()) is not None:
        solver.seed([{"params": candidate, "value": reward_of(candidate)}])

    result = simulate({"schema": 1, "name": "mine", "fleet": ..., "workload": ..., "classes": ...})
"""

from .errors import (ArqonError, ConfigError, ConflictError, InconclusiveError, InternalError,
                     InterruptedError, RefusedError, RolledBackError, UnavailableError, UsageError)
from .guard import Finding, Guard, Trial, Verdict
from .simulation import simulate
from .solver import ArqonSolver, Best, Prediction

__all__ = [
    "ArqonError", "ArqonSolver", "Best", "ConfigError", "ConflictError", "Finding", "Guard",
    "InconclusiveError", "InternalError", "InterruptedError", "Prediction", "RefusedError",
    "RolledBackError", "Trial", "UnavailableError", "UsageError", "Verdict", "simulate",
]
__version__ = "0.1.0"
