"""A stand-in for a serving engine: p99 latency and cost per token over batch size and batch wait.

Half of the settings break the SLA, the cheapest ones lie right next to the cliff, and the p99 of a
window is measured with 4 % noise. The surface is the one of `ServingSurface::fixed()` in
arqon/testing/serving_surface.h.
"""

import math
import random
from types import SimpleNamespace

P99_NOISE = 0.04
VIOLATION_ALLOWED = 0.05
BATCH_MAX, WAIT_MIN_MS, WAIT_MAX_MS = 64, 10.0, 500.0


def log_p99(batch_size, wait_ms):
    return math.log(20 + 5 * batch_size**0.9 + 0.8 * wait_ms + 0.005 * batch_size * wait_ms)


def log_cost(batch_size, wait_ms):
    """Before scaling: a batch fills only as far as the wait lets it."""
    fill = 1 + 0.12 * wait_ms
    used = (batch_size**-1.5 + fill**-1.5) ** (-1 / 1.5)
    return math.log1p(8 / used)


class ServingEngine:
    """What the loop calls: set_batch_config, then collect_metrics of one window."""

    def __init__(self, seed=0, infeasible=0.5, elasticity=1.0):
        self._random = random.Random(seed)
        self.set_batch_config(batch_size=1, max_wait_ms=WAIT_MIN_MS)
        grid = sorted(log_p99(max(1, int(BATCH_MAX ** ((i + 0.5) / 100))),
                              WAIT_MIN_MS + (WAIT_MAX_MS - WAIT_MIN_MS) * (j + 0.5) / 100)
                      for i in range(100) for j in range(100))
        self._log_sla = grid[int((1 - infeasible) * len(grid))]
        self._gain = 1.0
        batch, wait = self._cheapest()
        here = -((log_cost(batch, wait + 1) - log_cost(batch, wait - 1))
                 / (log_p99(batch, wait + 1) - log_p99(batch, wait - 1)))
        self._gain = elasticity / here      # one per cent of p99 buys one per cent of cost there
        self._log_cheapest = self._gain * log_cost(batch, wait)
        self.cheapest = SimpleNamespace(batch_size=batch, max_wait_ms=wait, cost_per_token=0.4)

    @property
    def sla_ms(self):
        return math.exp(self._log_sla)

    def violation(self, batch_size, wait_ms):
        """True probability that a window at this setting breaks the SLA."""
        margin = (self._log_sla - log_p99(int(batch_size), wait_ms)) / P99_NOISE
        return 0.5 * math.erfc(margin / math.sqrt(2))

    def cost(self, batch_size, wait_ms):
        return 0.4 * math.exp(self._gain * log_cost(int(batch_size), wait_ms) - self._log_cheapest)

    def set_batch_config(self, batch_size, max_wait_ms):
        self._setting = (batch_size, max_wait_ms)

    def collect_metrics(self, duration_s):
        """One window; the stand-in needs no time to pass."""
        batch_size, wait_ms = self._setting
        noise = math.exp(P99_NOISE * self._random.gauss(0, 1))
        return SimpleNamespace(p99_latency_ms=math.exp(log_p99(batch_size, wait_ms)) * noise,
                               cost_per_token=self.cost(batch_size, wait_ms))

    def _cheapest(self):
        waits = [WAIT_MIN_MS + 0.5 * j for j in range(int(2 * (WAIT_MAX_MS - WAIT_MIN_MS)) + 1)]
        return min(((b, w) for b in range(1, BATCH_MAX + 1) for w in waits
                    if self.violation(b, w) <= VIOLATION_ALLOWED),
                   key=lambda setting: log_cost(*setting))
