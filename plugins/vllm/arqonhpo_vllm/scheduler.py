"""The class for vLLM's `--scheduler-cls`: the stock scheduler, and live limits where that is safe.

The stock scheduler is made first, chosen by `scheduler_config.async_scheduling` as vLLM chooses it.
When all checks hold it becomes a real subclass of its own class that overrides `schedule` alone;
otherwise it stays exactly what it is.
"""

import logging
import os
import time
from typing import Any

from . import checks, identity
from .confirmed import reader, state_folder
from .control import Controller
from .knobs import SchedulerKnobs
from .layout import (COMMAND, MAX_RANKS, PLAIN, R_BLOCK_SIZE, R_EFFECTIVE, R_EPOCH,
                     R_IDENTITY, R_K_LIVE, R_MAX_K, R_MAX_LEN, R_MAX_SEQS, R_MAX_TOKENS, R_PID,
                     R_REASONS, R_STARTED, R_SUPPORTED, R_VERSION, boottime, fnv1a)
from .page import Page, Report, engine_name

log = logging.getLogger("vllm.arqonhpo")


def switched_off() -> bool:
    return os.environ.get("ARQONHPO_VLLM", "").lower() in ("off", "0", "false")


class Scheduler:
    """What `--scheduler-cls` names: making one gives vLLM's scheduler, live or plain."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        vllm_config = kwargs["vllm_config"] if "vllm_config" in kwargs else args[0]
        scheduler = checks.stock_class(vllm_config)(*args, **kwargs)
        if not switched_off():
            try:
                _upgrade(scheduler, vllm_config)
            except Exception:  # noqa: BLE001 - the stock scheduler is whole, and serves
                log.exception("ArqonHPO: live limits are off; the stock scheduler runs")
        return scheduler


def _upgrade(scheduler: Any, vllm_config: Any) -> None:
    name = engine_name()
    version = checks.vllm_version()
    who = identity.of_engine(version, vllm_config)
    folder = state_folder(name)
    rank = checks.data_parallel_rank(vllm_config)
    why = checks.why_not(scheduler, version)
    page = Page(name)
    if why:
        log.warning("ArqonHPO: the stock scheduler runs: %s", why)
        page.attach()
        if rank < MAX_RANKS:
            _report_plain(Report(page, rank), who, version)
    else:
        live = Live(scheduler, page, rank, who, version, folder)
        scheduler._arqonhpo = live
        scheduler.__class__ = live_class(type(scheduler))
        log.info("ArqonHPO: live limits through %s", page.path)
    if rank == 0:
        try:
            identity.write(folder, who, why)
        except OSError as error:
            log.warning("ArqonHPO: %s cannot be written: %s", folder, error)


REPORT_EVERY = 50_000_000  # ns; what is new is reported at once
LONGEST_WAY = 20_000  # ns from the clock read of a step to the code that times it


def live_class(stock: type) -> type:
    """The subclass of `stock` whose schedule() looks at the page first.

    Between two steps other code has the caches of the CPU to itself, so what this costs is the
    memory it touches. A quick step reads one clock and one word of the page and counts; it calls
    nothing, and all it keeps is in one object.
    """
    stock_schedule = stock.schedule
    clock, clock_id = time.clock_gettime_ns, time.CLOCK_BOOTTIME

    class LiveScheduler(stock):  # type: ignore[misc, valid-type]
        def schedule(self, *args: Any, **kwargs: Any) -> Any:
            live = self._arqonhpo
            now = clock(clock_id)
            if now >= live.due or live.words[COMMAND] != live.seq:
                return live.careful_step(self, now, stock_schedule, args, kwargs)
            output = stock_schedule(self, *args, **kwargs)
            live.steps += 1
            running = len(self.running)
            if running > live.peak:
                live.peak = running
            if not running or output.finished_req_ids or output.preempted_req_ids:
                live.count(self, output, now)
            return output

    LiveScheduler.__name__ = LiveScheduler.__qualname__ = f"Live{stock.__name__}"
    return LiveScheduler


class Live:
    """What the plugin keeps beside one scheduler. Nothing in it raises, but for the stock step."""

    def __init__(self, scheduler: Any, page: Page, rank: int, who: dict[str, str], version: str,
                 folder: str) -> None:
        self.due = 0  # a step from then on is a careful one
        self.seq = -1  # of the command block when it was last obeyed
        self.words = page.words
        self.steps = 0
        self.peak = 0
        self._preemptions = self._finished = 0
        self._look_at = 0  # when to obey and report though there is no command
        self._accounted = 0  # steps whose time is in the sums
        self._changes = -1
        self._page_ns = self._schedule_ns = 0
        self._knobs = SchedulerKnobs(scheduler)
        self._report = Report(page, rank) if rank < MAX_RANKS else None
        self._settled = _started(who, version) | self._knobs.limits_for_report()
        self._pool = scheduler.kv_cache_manager.block_pool
        self._blocks = self._knobs.limits.blocks
        self._deferred = getattr(scheduler, "deferred_waiting", None)
        self.control = Controller(page, self._knobs, reader(folder, who))
        self.control.start()
        self._settle()
        self._write(boottime(), *scheduler.get_request_counts(), 0)

    def careful_step(self, scheduler: Any, now: int, stock_schedule: Any, args: Any,
                     kwargs: Any) -> Any:
        """Obeys the page and reports; or, every other time, times a quick step. Timed is the
        processor's time of this thread: what a neighbour takes is not ours. The way to here has
        wall time only, and little of it."""
        way = min(boottime() - now, LONGEST_WAY)
        if now < self._look_at and self.words[COMMAND] == self.seq:
            return self._timed_step(scheduler, now, way, stock_schedule, args, kwargs)
        begun = time.thread_time_ns()
        self.control.before_step(now)
        called = time.thread_time_ns()
        output = stock_schedule(scheduler, *args, **kwargs)
        returned = time.thread_time_ns()
        self.steps += 1
        self.peak = max(self.peak, len(scheduler.running))
        self.count(scheduler, output, now, looked=True)
        self._accounted += 1
        self._schedule_ns += returned - called
        self._page_ns += way + called - begun + time.thread_time_ns() - returned
        return output

    def _timed_step(self, scheduler: Any, now: int, way: int, stock_schedule: Any, args: Any,
                    kwargs: Any) -> Any:
        """A quick step, in the name of all that were not timed."""
        begun = time.thread_time_ns()
        called = time.thread_time_ns()  # at once: what a reading costs is not ours either
        output = stock_schedule(scheduler, *args, **kwargs)
        returned = time.thread_time_ns()
        self.due = self._look_at
        self.steps += 1
        running = len(scheduler.running)
        if running > self.peak:
            self.peak = running
        if not running or output.finished_req_ids or output.preempted_req_ids:
            self.count(scheduler, output, now)
        ours = way + time.thread_time_ns() - returned - (called - begun)
        stands_for = self.steps - self._accounted
        self._accounted = self.steps
        self._schedule_ns += stands_for * (returned - called)
        self._page_ns += stands_for * max(ours, 0)
        return output

    def count(self, scheduler: Any, output: Any, now: int, looked: bool = False) -> None:
        """Of a step in which something happened; reports when it looked or the engine is idle."""
        try:
            if output.preempted_req_ids:
                self._preemptions += len(output.preempted_req_ids)
            if output.finished_req_ids:
                self._finished += len(output.finished_req_ids)
            if looked or not scheduler.running:
                self._tell(scheduler, output, now)
        except Exception:  # noqa: BLE001 - an exception here would end the engine
            self.control.errors += 1

    def _tell(self, scheduler: Any, output: Any, now: int) -> None:
        control = self.control
        self.words, self.seq = control.words, control.seq
        running, waiting = scheduler.get_request_counts()
        busy = running + waiting > 0
        self._look_at = min(now + REPORT_EVERY, control.due) if busy else 0
        self.due = 0
        if control.changes != self._changes:
            self._settle()
            self.peak = running
        self._write(now, running, waiting, output.total_num_scheduled_tokens)

    def _write(self, now: int, running: int, waiting: int, tokens: int) -> None:
        if self._report is None:
            return
        control, deferred = self.control, self._deferred
        self._report.write(
            control.reasons, self.steps, now, running, waiting, len(deferred) if deferred else 0,
            self._pool.get_num_free_blocks(), self._blocks, self._preemptions, tokens,
            self._page_ns, self._schedule_ns, control.errors, control.torn, self._finished,
            self.peak)

    def _settle(self) -> None:
        control = self.control
        self._changes = control.changes
        if self._report is None:
            return
        settled = dict(self._settled)
        settled[R_EPOCH] = control.epoch
        settled[R_SUPPORTED] = self._knobs.supported
        settled[R_REASONS] = control.reasons
        for i, value in enumerate(self._knobs.effective()):
            settled[R_EFFECTIVE + i] = value
        self._report.settle(settled)


def _started(who: dict[str, str], version: str) -> dict[int, int]:
    return {R_PID: os.getpid(), R_STARTED: boottime(), R_VERSION: fnv1a(version),
            R_IDENTITY: identity.identity_hash(who)}


def _report_plain(report: Report, who: dict[str, str], version: str) -> None:
    """All a stock scheduler says: that it is one."""
    settled = dict.fromkeys((*range(1, R_REASONS), R_MAX_SEQS, R_MAX_TOKENS, R_MAX_LEN, R_MAX_K,
                             R_BLOCK_SIZE, R_K_LIVE), 0)
    report.settle(settled | _started(who, version) | {R_REASONS: PLAIN})
