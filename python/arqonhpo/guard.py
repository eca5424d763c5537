"""The guard and the evidence, in front of any optimizer and any engine."""

from __future__ import annotations

import json
import time
from typing import Any, Callable, Iterable, NamedTuple, Optional

from ._core import CoreGuard, CoreTrial
from .solver import Document, Params, _text


def _monotonic() -> float:
    """Seconds that never go back and that count suspend, where the system has such a clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Verdict(NamedTuple):
    """What became of a proposal. True in a condition when it was permitted."""

    permitted: bool
    generation: int  # of the setting in force after the call
    kind: str  # "none", or what was broken: "max_delta", "rate", "frozen", ...
    why: str

    def __bool__(self) -> bool:
        return self.permitted


class Guard:
    """Lets a whole setting through or refuses it with a reason; never clamps, never half.

    `config` is a study document: "bounds" and "guardrails" count. `found` is the setting that was
    in force when the guard came: the first confirmed one. Nothing here touches an engine: apply
    `in_force` after a verdict that permits and after every revert. `clock` gives seconds of a
    monotonic clock. Not to be used from two threads at once. Raises ConfigError.
    """

    def __init__(self, config: Document, found: Document,
                 clock: Callable[[], float] = _monotonic) -> None:
        self._clock = clock
        self._core = CoreGuard(_text(config), _text(found), clock())

    def propose(self, params: Document, lane: str = "experiment", *, continues_glide: bool = False,
                by: str = "anyone") -> Verdict:
        """Permitted: `params` is in force and unproven until confirm() or revert()."""
        return Verdict(*self._core.propose(_text(params), lane, self._clock(), continues_glide, by))

    def confirm(self) -> None:
        """The setting in force becomes the one to go back to."""
        self._core.confirm(self._clock())

    def revert(self, failed: bool = False) -> Params:
        """Back to the confirmed setting (returned); `failed`: the evidence was against it."""
        self._core.revert(self._clock(), failed)
        return self.in_force

    def set_envelope(self, low: Document, high: Document, proven: bool = False) -> None:
        """Where the reflex lane may move. Raises RefusedError when it is outside the bounds."""
        self._core.set_envelope(_text(low), _text(high), proven)

    def freeze(self) -> None:
        """From now on only reverts pass."""
        self._core.freeze()

    def unfreeze(self) -> None:
        self._core.unfreeze()

    def safe_mode(self, on: bool = True) -> None:
        self._core.safe_mode(on)

    def wait_s(self, lane: str = "experiment") -> float:
        """Seconds until the lane's rate allows the next change."""
        return self._core.wait_s(lane, self._clock())

    def explain(self) -> list[str]:
        """What these guardrails permit, in words."""
        return self._core.explain()

    @property
    def in_force(self) -> Params:
        return json.loads(self._core.in_force())

    @property
    def confirmed(self) -> Params:
        return json.loads(self._core.confirmed())

    @property
    def unproven(self) -> bool:
        return self._core.unproven()

    @property
    def frozen(self) -> bool:
        return self._core.frozen()


class Finding(NamedTuple):
    """What the evidence says so far; valid however often one asks."""

    verdict: str  # "pass", "fail", "inconclusive"
    test: str  # what decided, or is closest to it
    class_name: str
    log_e: float
    requests_needed: Optional[int]  # of the canary, until a pass; None: not as things look
    latency_ratio: float  # canary over control


class Trial:
    """A canary and a control that serve at the same time, and an always-valid verdict.

    `share` is what the router sends to the canary, `margin` how much of the share of good requests
    may be lost at most. Call end_block() once a second or so. Raises ConfigError.
    """

    def __init__(self, classes: Iterable[str] = ("all",), *, share: float = 0.5,
                 margin: float = 0.005, error_limit: float = 0.001, quantile: float = 0.99,
                 alpha: float = 0.01, alpha_promote: float = 0.05, requests_min: int = 300) -> None:
        self._classes = list(classes)
        self._index = {name: i for i, name in enumerate(self._classes)}
        self._core = CoreTrial(len(self._classes), share, margin, error_limit, quantile, alpha,
                               alpha_promote, requests_min)

    def observe(self, arm: str, latency: float, good: bool, error: bool = False,
                class_name: Optional[str] = None) -> None:
        """One request whose fate is known. A latency that is no positive number makes it void."""
        if arm not in ("canary", "control"):
            raise ValueError(f"arm must be \"canary\" or \"control\", not {arm!r}")
        name = self._classes[0] if class_name is None else class_name
        self._core.observe(arm == "canary", self._index[name], float(latency), bool(good),
                           bool(error))

    def end_block(self) -> None:
        self._core.end_block()

    def judge(self) -> Finding:
        verdict, test, index, log_e, needed, ratio = self._core.judge()
        return Finding(verdict, test, self._classes[index], log_e, needed, ratio)

    def counts(self, arm: str) -> tuple[int, int]:
        """Requests of the arm, and the bad ones among them."""
        n, bad = self._core.counts(arm == "canary")
        return n, bad

    @property
    def voids(self) -> int:
        return self._core.voids()


__all__: list[Any] = ["Finding", "Guard", "Trial", "Verdict"]
