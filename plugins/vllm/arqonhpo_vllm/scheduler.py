"""The class for vLLM's `--scheduler-cls`: the stock scheduler, and live limits where that is safe.

The stock scheduler is made first, chosen by `scheduler_config.async_scheduling` as vLLM chooses it.
When all checks hold it becomes a real subclass of its own class that overrides `schedule` alone;
otherwise it stays exactly what it is.
"""

import logging
import os
from typing import Any

from . import checks, identity
from .confirmed import reader, state_folder
from .control import Controller
from .knobs import SchedulerKnobs
from .layout import (MAX_RANKS, PLAIN, R_BLOCK_SIZE, R_EFFECTIVE, R_EPOCH, R_IDENTITY, R_K_LIVE,
                     R_MAX_K, R_MAX_LEN, R_MAX_SEQS, R_MAX_TOKENS, R_PID, R_REASONS, R_STARTED,
                     R_SUPPORTED, R_VERSION, boottime, fnv1a)
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


def live_class(stock: type) -> type:
    """The subclass of `stock` whose schedule() looks at the page first."""

    class LiveScheduler(stock):  # type: ignore[misc, valid-type]
        def schedule(self, *args: Any, **kwargs: Any) -> Any:
            live = self._arqonhpo
            begin = boottime()
            live.control.before_step(begin)
            called = boottime()
            output = super().schedule(*args, **kwargs)
            live.after_step(self, output, begin, called)
            return output

    LiveScheduler.__name__ = LiveScheduler.__qualname__ = f"Live{stock.__name__}"
    return LiveScheduler


class Live:
    """What the plugin keeps beside one scheduler."""

    def __init__(self, scheduler: Any, page: Page, rank: int, who: dict[str, str], version: str,
                 folder: str) -> None:
        self._knobs = SchedulerKnobs(scheduler)
        self._report = Report(page, rank) if rank < MAX_RANKS else None
        self._settled = _started(who, version) | self._knobs.limits_for_report()
        self._pool = scheduler.kv_cache_manager.block_pool
        self._blocks = self._knobs.limits.blocks
        self._deferred = getattr(scheduler, "deferred_waiting", None)
        self.control = Controller(page, self._knobs, reader(folder, who))
        self._changes = -1
        self._steps = self._preemptions = self._finished = self._peak = 0
        self._page_ns = self._schedule_ns = 0
        self.control.start()
        self._settle()
        self._write(boottime(), *scheduler.get_request_counts(), 0)

    def after_step(self, scheduler: Any, output: Any, begin: int, called: int) -> None:
        """Reports; whatever goes wrong is counted."""
        returned = boottime()
        control = self.control
        try:
            if control.changes != self._changes:
                self._settle()
            self._steps += 1
            self._schedule_ns += returned - called
            if output.preempted_req_ids:
                self._preemptions += len(output.preempted_req_ids)
            if output.finished_req_ids:
                self._finished += len(output.finished_req_ids)
            running, waiting = scheduler.get_request_counts()
            if running > self._peak:
                self._peak = running
            self._write(begin, running, waiting, output.total_num_scheduled_tokens)
        except Exception:  # noqa: BLE001 - an exception here would end the engine
            control.errors += 1
        self._page_ns += (called - begin) + (boottime() - returned)

    def _write(self, now: int, running: int, waiting: int, tokens: int) -> None:
        if self._report is None:
            return
        control, deferred = self.control, self._deferred
        self._report.write(
            control.reasons, self._steps, now, running, waiting, len(deferred) if deferred else 0,
            self._pool.get_num_free_blocks(), self._blocks, self._preemptions, tokens,
            self._page_ns, self._schedule_ns, control.errors, control.torn, self._finished,
            self._peak)

    def _settle(self) -> None:
        control = self.control
        self._changes = control.changes
        self._peak = 0
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
