"""Exact times of each request, which vLLM measures and then drops.

FinishedRequestStats keeps neither the time to the first token nor the single gaps. Two methods of
IterationStats see both; they are wrapped, once, and the wrapped ones still do all their work first.
"""

import inspect
import logging
from typing import Any, NamedTuple

log = logging.getLogger("vllm.arqonhpo")

_OUTPUT = ["self", "output", "engine_core_timestamp", "is_prefilling", "req_stats"]
_NOTE = "_arqonhpo"


class Gaps:
    """Seconds between one request's outputs."""

    __slots__ = ("largest", "total", "count")

    def __init__(self) -> None:
        self.largest = self.total = 0.0
        self.count = 0


class Times(NamedTuple):
    first_token: float  # seconds from the arrival, 0 when there was none
    gaps: Gaps


def install(stats_class: type) -> str:
    """Wraps `stats_class`; empty when done (or done before), else why not."""
    output = stats_class.__dict__.get("update_from_output")
    finished = stats_class.__dict__.get("update_from_finished_request")
    if hasattr(output, _NOTE):
        return ""
    if output is None or finished is None:
        return "IterationStats lacks the methods that see a request's times"
    if list(inspect.signature(output).parameters)[:len(_OUTPUT)] != _OUTPUT:
        return "IterationStats.update_from_output takes other arguments"
    if "req_stats" not in inspect.signature(finished).parameters:
        return "IterationStats.update_from_finished_request takes other arguments"
    watched = _watch_output(output)
    setattr(watched, _NOTE, True)
    setattr(stats_class, "update_from_output", watched)
    setattr(stats_class, "update_from_finished_request", _watch_finished(finished))
    return ""


def of(finished: Any) -> Times | None:
    """The times noted for a FinishedRequestStats."""
    return getattr(finished, _NOTE, None)


def _watch_output(original: Any) -> Any:
    def update_from_output(self: Any, output: Any, engine_core_timestamp: float,
                           is_prefilling: bool, req_stats: Any, *args: Any, **kwargs: Any) -> Any:
        last = getattr(req_stats, "last_token_ts", 0.0)
        result = original(self, output, engine_core_timestamp, is_prefilling, req_stats, *args,
                          **kwargs)
        try:
            if not is_prefilling:
                gap = engine_core_timestamp - last
                gaps = req_stats.__dict__.get(_NOTE)
                if gaps is None:
                    gaps = req_stats.__dict__[_NOTE] = Gaps()
                gaps.total += gap
                gaps.count += 1
                if gap > gaps.largest:
                    gaps.largest = gap
        except Exception:  # noqa: BLE001 - a note is not worth an answer
            log.debug("ArqonHPO: a gap was not noted", exc_info=True)
        return result

    return update_from_output


def _watch_finished(original: Any) -> Any:
    bind = inspect.signature(original).bind

    def update_from_finished_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = len(self.finished_requests)
        result = original(self, *args, **kwargs)
        try:
            if len(self.finished_requests) == before + 1:
                stats = kwargs.get("req_stats")
                if stats is None:
                    stats = bind(self, *args, **kwargs).arguments["req_stats"]
                times = Times(stats.first_token_latency, stats.__dict__.get(_NOTE) or Gaps())
                setattr(self.finished_requests[-1], _NOTE, times)
        except Exception:  # noqa: BLE001
            log.debug("ArqonHPO: a request's times were not noted", exc_info=True)
        return result

    return update_from_finished_request
