"""In the API process: finished requests go to the ring, queue limits come from the page."""

import logging
import os
from typing import Any

from . import identity, request_times
from .confirmed import reader, state_folder
from .control import SECOND, Controller
from .knobs import QueueKnobs
from .layout import (API_SLOT, R_EFFECTIVE, R_EPOCH, R_IDENTITY, R_PID, R_REASONS, R_STARTED,
                     R_SUPPORTED, R_VERSION, boottime, fnv1a)
from .page import Page, Report, engine_name
from .ring import Ring

log = logging.getLogger("vllm.arqonhpo")

_UNKNOWN = -1


class ApiProcess:
    def __init__(self, vllm_config: Any, version: str, stats_class: type, page_folder: str,
                 state: str | None = None) -> None:
        name = engine_name()
        folder = state or state_folder(name)
        who = identity.of_engine(version, vllm_config)
        started = boottime()
        page = Page(name, page_folder)
        self._ring = Ring(name, started, page_folder)
        self._report = Report(page, API_SLOT)
        self._knobs = QueueKnobs(vllm_config.scheduler_config)
        self.control = Controller(page, self._knobs, reader(folder, who))
        self._settled = {R_PID: os.getpid(), R_STARTED: started, R_VERSION: fnv1a(version),
                         R_IDENTITY: identity.identity_hash(who)}
        self._batches = self._finished = self._peak = self._page_ns = 0
        self._running = self._waiting = self._skipped = 0
        self._changes = -1
        self._next_check = 0
        why = request_times.install(stats_class)
        if why:
            log.warning("ArqonHPO: no largest gap per request: %s", why)
        self.control.start()
        self.look()

    def look(self) -> None:
        """Obeys the page and reports; called at every batch of outputs, rejection and log tick."""
        begin = boottime()
        try:
            if begin >= self._next_check:
                self._next_check = begin + SECOND
                self._check_ring()
            self.control.before_step(begin)
            if self._ring.attached:  # of several API processes one reports, and all obey
                self._write_report(begin)
        except Exception:  # noqa: BLE001 - an exception here would end the server's output
            self.control.errors += 1
        self._page_ns += boottime() - begin

    def record(self, scheduler_stats: Any, iteration_stats: Any) -> None:
        """One batch of outputs."""
        try:
            self._batches += 1
            if scheduler_stats is not None:
                self._running = scheduler_stats.num_running_reqs
                self._waiting = scheduler_stats.num_waiting_reqs
                self._skipped = getattr(scheduler_stats, "num_skipped_waiting_reqs", 0)
                self._peak = max(self._peak, self._running)
            if iteration_stats is not None:
                for finished in iteration_stats.finished_requests:
                    self._finished += 1
                    self._ring.append(record_fields(finished, boottime()))
        except Exception:  # noqa: BLE001
            self.control.errors += 1
        self.look()

    def _check_ring(self) -> None:
        if not self._ring.intact():
            self._ring.detach()
            self._ring.attach()
            self._changes = -1

    def _write_report(self, now: int) -> None:
        control = self.control
        if control.changes != self._changes:
            self._settle()
        self._report.write(
            control.reasons, self._batches, now, self._running, self._waiting, self._skipped,
            0, 0, 0, 0, self._page_ns, 0, control.errors, control.torn, self._finished, self._peak)

    def _settle(self) -> None:
        control = self.control
        self._changes = control.changes
        self._peak = 0
        settled = dict(self._settled)
        settled[R_EPOCH] = control.epoch
        settled[R_SUPPORTED] = self._knobs.supported
        settled[R_REASONS] = control.reasons
        for i, value in enumerate(self._knobs.effective()):
            settled[R_EFFECTIVE + i] = value
        self._report.settle(settled)


def record_fields(finished: Any, now: int) -> tuple[int, ...]:
    """Words 1-13 of a record. -1 where a time is not known, as after an abort in the queue."""
    times = request_times.of(finished)
    decode = _microseconds(finished.decode_time)
    e2e = _microseconds(finished.e2e_latency)
    served = finished.num_generation_tokens > 0
    if times is None:
        first = max(e2e - decode, 0) if served else _UNKNOWN
        largest, total, count = _UNKNOWN, max(decode, 0), max(finished.num_generation_tokens - 1, 0)
    else:
        first = _microseconds(times.first_token) if served else _UNKNOWN
        largest, total = _microseconds(times.gaps.largest), _microseconds(times.gaps.total)
        count = times.gaps.count
    return (now, finished.num_prompt_tokens, finished.num_generation_tokens,
            finished.num_cached_tokens, _microseconds(finished.queued_time),
            _microseconds(finished.prefill_time), first, decode, e2e, largest,
            int(finished.finish_reason), total, count)


def _microseconds(seconds: float) -> int:
    """A negative time stands for one that was never measured."""
    return int(seconds * 1e6) if seconds >= 0 else _UNKNOWN
