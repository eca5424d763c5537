"""A stand-in for a serving engine: p99 latency and cost per token over batch size and batch wait.

Half of the box breaks the SLA, the cheapest settings lie right next to that cliff, and the measured
p99 differs by 4 % from window to window, so a setting on the cliff breaks the SLA every other time.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

BATCH_MAX = 64
WAIT_MIN_MS, WAIT_MAX_MS = 10.0, 500.0
P99_NOISE = 0.04            # sigma of ln p99 between windows
VIOLATION_ALLOWED = 0.05


@dataclass(frozen=True)
class Metrics:
    """What one window of traffic brought."""

    p99_latency_ms: float
    cost_per_token: float   # in millionths of a dollar


@dataclass(frozen=True)
class Surface:
    """The truth behind the measurements. Every field is a property of some engine and traffic."""

    base_ms: float = 20.0
    per_batch_ms: float = 5.0
    batch_power: float = 0.9
    wait_share: float = 0.8
    together: float = 0.005
    fill_per_ms: float = 0.12
    fill_power: float = 1.5
    overhead: float = 8.0
    gain: float = 2.845     # cost falls 1 % where p99 rises 1 %, at the cheapest allowed setting
    sla_ms: float = 290.0

    @staticmethod
    def drawn(seed: int) -> "Surface":
        """Another engine: exponents, interactions, how much is forbidden, all at random."""
        rng = random.Random(f"surface {seed}")
        while True:
            surface = Surface(
                base_ms=rng.uniform(10, 60), per_batch_ms=rng.uniform(2, 12),
                batch_power=rng.uniform(0.6, 1.2), wait_share=rng.uniform(0.3, 1.2),
                together=rng.uniform(0, 0.02), fill_per_ms=math.exp(rng.uniform(-3.5, -0.5)),
                fill_power=rng.uniform(0.8, 3), overhead=rng.uniform(2, 20))
            surface = surface._calibrated(rng.uniform(0.3, 0.7), rng.uniform(0.85, 1.2))
            if surface.gain <= 2.5:   # a cost that spans decades is no serving engine
                return surface

    def p99_ms(self, batch_size: float, wait_ms: float) -> float:
        batch = min(max(int(batch_size), 1), BATCH_MAX)
        return (self.base_ms + self.per_batch_ms * batch ** self.batch_power +
                self.wait_share * wait_ms + self.together * batch * wait_ms)

    def cost(self, batch_size: float, wait_ms: float) -> float:
        batch = min(max(int(batch_size), 1), BATCH_MAX)
        fill = 1 + self.fill_per_ms * wait_ms
        used = (batch ** -self.fill_power + fill ** -self.fill_power) ** (-1 / self.fill_power)
        return 0.4 * (1 + self.overhead / used) ** self.gain

    def violation(self, batch_size: float, wait_ms: float) -> float:
        """P(a window's p99 breaks the SLA)."""
        margin = math.log(self.sla_ms / self.p99_ms(batch_size, wait_ms)) / P99_NOISE
        return 0.5 * math.erfc(margin / math.sqrt(2))

    def cheapest(self) -> tuple[float, int, float]:
        """Cost, batch size and wait of the cheapest setting that is allowed to be used."""
        waits = [WAIT_MIN_MS + 0.5 * i for i in range(int(2 * (WAIT_MAX_MS - WAIT_MIN_MS)) + 1)]
        return min((self.cost(b, w), b, w) for b in range(1, BATCH_MAX + 1) for w in waits
                   if self.violation(b, w) <= VIOLATION_ALLOWED)

    def elasticity(self) -> float:
        """Per cent of cost that one per cent of p99 buys at the cheapest allowed setting."""
        _, batch, wait = self.cheapest()
        return (math.log(self.cost(batch, wait - 1) / self.cost(batch, wait + 1)) /
                math.log(self.p99_ms(batch, wait + 1) / self.p99_ms(batch, wait - 1)))

    def infeasible_share(self) -> float:
        grid = [(BATCH_MAX ** ((i + 0.5) / 60), WAIT_MIN_MS + (WAIT_MAX_MS - WAIT_MIN_MS) *
                 (j + 0.5) / 60) for i in range(60) for j in range(60)]
        return sum(self.p99_ms(b, w) > self.sla_ms for b, w in grid) / len(grid)

    def _calibrated(self, infeasible: float, elasticity: float) -> "Surface":
        p99 = sorted(self.p99_ms(BATCH_MAX ** ((i + 0.5) / 60), WAIT_MIN_MS +
                                 (WAIT_MAX_MS - WAIT_MIN_MS) * (j + 0.5) / 60)
                     for i in range(60) for j in range(60))
        fields = {**self.__dict__, "gain": 1.0, "sla_ms": p99[int((1 - infeasible) * len(p99))]}
        return Surface(**{**fields, "gain": elasticity / max(Surface(**fields).elasticity(), 1e-3)})


class ServingEngine:
    """Takes a batch configuration and serves windows of traffic with it."""

    def __init__(self, surface: Surface | None = None, seed: int = 0) -> None:
        self.surface = surface or Surface()
        self.applied: list[tuple[float, float]] = []   # one setting a window
        self._noise = random.Random(f"noise {seed}")
        self._setting = (1.0, WAIT_MIN_MS)

    def set_batch_config(self, batch_size: int, max_wait_ms: float) -> None:
        self._setting = (batch_size, max_wait_ms)

    def collect_metrics(self, duration_s: float) -> Metrics:
        """Serves `duration_s` of traffic, which takes no time here."""
        batch_size, wait_ms = self._setting
        self.applied.append(self._setting)
        p99 = self.surface.p99_ms(batch_size, wait_ms)
        return Metrics(p99_latency_ms=p99 * math.exp(self._noise.gauss(0, P99_NOISE)),
                       cost_per_token=self.surface.cost(batch_size, wait_ms))

    def last_fifth(self) -> tuple[float, float]:
        """Mean true violation probability and median true cost, as a share of the cheapest."""
        last = self.applied[-(len(self.applied) // 5):]
        violation = sum(self.surface.violation(*s) for s in last) / len(last)
        costs = sorted(self.surface.cost(*s) for s in last)
        middle = (costs[(len(costs) - 1) // 2] + costs[len(costs) // 2]) / 2
        return violation, middle / self.surface.cheapest()[0]
