"""The solver: JSON texts or plain Python values in, plain Python values out."""

from __future__ import annotations

import json
from typing import Any, Mapping, NamedTuple, Sequence, Union

from ._core import CoreSolver

Params = dict[str, Any]
Document = Union[str, Mapping[str, Any]]
Results = Union[str, Mapping[str, Any], Sequence[Mapping[str, Any]]]


class Prediction(NamedTuple):
    """What the model believes of one setting, in the study's own units."""

    objective: float
    objective_sd: float
    feasible_probability: float


class Best(NamedTuple):
    """The recommended setting and what the model believes of it."""

    params: Params
    prediction: Prediction


def _plain(value: Any) -> Any:
    """Numbers of other libraries (numpy scalars and arrays) as Python's own."""
    for convert in ("tolist", "item"):
        if hasattr(value, convert):
            return getattr(value, convert)()
    raise TypeError(f"{type(value).__name__} has no place in a JSON document")


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document, default=_plain)


class ArqonSolver:
    """Ask/tell optimiser, batch (`ask`, `tell`) and online (`ask_one`, `seed`), one history.

    `config` is a JSON text or a dict; only "bounds" is required. A result's "value" is a reward,
    larger is better, unless the config says {"direction": "minimize"}; a study with an "objective"
    takes "metrics" instead. Deterministic: the same config and the same ordered results give the
    same settings in every process. Not to be used from two threads at once.

    Raises ConfigError, which names every mistake of a document; nothing of it is taken then.
    """

    def __init__(self, config: Document) -> None:
        self._core = CoreSolver(_text(config))

    def ask(self, n: int = 1) -> list[Params]:
        """Up to `n` settings to measure at once; fewer, or none, near the end of the budget."""
        if n < 0:
            raise ValueError("n must not be negative")
        return [json.loads(params) for params in self._core.ask(n)]

    def tell(self, results: Results) -> None:
        """Takes results: dicts or a JSON text of {"params", "value" or "metrics", "cost", ...}."""
        self._core.tell(_text(results))

    def ask_one(self) -> Params | None:
        """The next setting, or None once the budget is used."""
        params = self._core.ask_one()
        return None if params is None else json.loads(params)

    def seed(self, results: Results) -> None:
        """As `tell`; the name of the online loop. Settings nobody asked for are welcome."""
        self.tell(results)

    def get_history_len(self) -> int:
        """How many results were told."""
        return self._core.history_size()

    def history(self) -> list[dict[str, Any]]:
        """The results told so far, in order, in the form that `tell` takes."""
        return json.loads(self._core.history())

    def best(self) -> Best | None:
        """The setting to use: by posterior and margin, never the luckiest measurement."""
        best = self._core.best()
        return None if best is None else Best(json.loads(best[0]), Prediction(*best[1]))

    def predict(self, params: Document) -> Prediction:
        """What the model believes of `params`."""
        return Prediction(*self._core.predict(_text(params)))
