"""The class of the entry point `vllm.stat_logger_plugins`. vLLM calls it in the API process.

It must be a subclass of vLLM's, whatever happens, as vLLM refuses to start with anything else; so
everything that may fail is guarded and leaves a logger that does nothing.
"""

import logging
from typing import Any

from vllm.v1.metrics.loggers import AggregateStatLoggerBase

from . import checks
from .api_process import ApiProcess
from .page import SHARED_MEMORY
from .scheduler import switched_off

log = logging.getLogger("vllm.arqonhpo")


class StatLogger(AggregateStatLoggerBase):
    def __init__(self, vllm_config: Any, engine_indexes: Any = None, **_: Any) -> None:
        self._api: ApiProcess | None = None
        if switched_off():
            return
        try:
            from vllm.v1.metrics.stats import IterationStats
            self._api = ApiProcess(vllm_config, checks.vllm_version(), IterationStats,
                                   SHARED_MEMORY)
        except Exception:  # noqa: BLE001
            log.exception("ArqonHPO: no ring and no queue limits; the server is unaffected")

    def record(self, scheduler_stats: Any, iteration_stats: Any, mm_cache_stats: Any = None,
               engine_idx: int = 0, **_: Any) -> None:
        if self._api is not None:
            self._api.record(scheduler_stats, iteration_stats)

    def log_engine_initialized(self) -> None:
        pass

    def log(self) -> None:
        """Every few seconds, also while idle."""
        if self._api is not None:
            self._api.look()

    def record_sleep_state(self, *args: Any, **kwargs: Any) -> None:
        pass

    def record_admission_rejection(self, *args: Any, **kwargs: Any) -> None:
        """A limit that refuses everybody leaves no batches; then this is what looks at the page."""
        if self._api is not None:
            self._api.look()
