"""ArqonHPO: a live tuner for LLM serving, here as an ask/tell solver.

    solver = ArqonSolver({"bounds": {"batch_size": {"min": 1, "max": 64, "scale": "Log"}}})
    while (candidate := solver.ask_one()) is not None:
        solver.seed([{"params": candidate, "value": reward_of(candidate)}])
"""

from .errors import (ArqonError, ConfigError, ConflictError, InconclusiveError, InternalError,
                     InterruptedError, RefusedError, RolledBackError, UnavailableError, UsageError)
from .guard import Finding, Guard, Trial, Verdict
from .solver import ArqonSolver, Best, Prediction

__all__ = [
    "ArqonError", "ArqonSolver", "Best", "ConfigError", "ConflictError", "Finding", "Guard",
    "InconclusiveError", "InternalError", "InterruptedError", "Prediction", "RefusedError",
    "RolledBackError", "Trial", "UnavailableError", "UsageError", "Verdict",
]
__version__ = "0.1.0"
