"""Is this the vLLM that was read? An answer is a reason not to touch it, empty for none."""

import ast
import hashlib
import inspect
import re
from types import FunctionType
from typing import Any

from . import contract


def vllm_version() -> str:
    import vllm
    return str(vllm.__version__)


def stock_class(vllm_config: Any) -> type:
    """What vLLM itself would take; the choice of SchedulerConfig.get_scheduler_cls."""
    asynchronous = bool(vllm_config.scheduler_config.async_scheduling)
    if getattr(vllm_config, "diffusion_config", None) is not None:
        from vllm.v1.core.sched import diffusion_scheduler as diffusion
        return diffusion.DiffusionAsyncScheduler if asynchronous else diffusion.DiffusionScheduler
    if asynchronous:
        from vllm.v1.core.sched.async_scheduler import AsyncScheduler
        return AsyncScheduler
    from vllm.v1.core.sched.scheduler import Scheduler
    return Scheduler


def data_parallel_rank(vllm_config: Any) -> int:
    parallel = getattr(vllm_config, "parallel_config", None)
    return int(getattr(parallel, "data_parallel_rank", 0) or 0)


def why_not(scheduler: Any, version: str) -> str:
    """Why live limits stay off on this scheduler; empty when they may be on."""
    return (_why_not_release(version) or _why_not_schedule(type(scheduler), version)
            or why_not_attributes(scheduler))


def _why_not_release(version: str) -> str:
    if _release(version) in contract.SCHEDULE_HASHES:
        return ""
    known = sorted(contract.SCHEDULE_HASHES, key=lambda name: [int(n) for n in name.split(".")])
    return f"vLLM {version} was not checked; checked are {', '.join(known)}"


def _release(version: str) -> str:
    """0.32.0 of 0.32.0+cpu; a pre-release is a version of its own."""
    return re.sub(r"(\.post\d+)?(\+.*)?$", "", version)


def _why_not_schedule(stock: type, version: str) -> str:
    """The one method that is overridden must be the one that was read, and nobody else's."""
    owner = next(c for c in stock.__mro__ if "schedule" in c.__dict__)
    if (owner.__module__, owner.__name__) != ("vllm.v1.core.sched.scheduler", "Scheduler"):
        return f"schedule() is defined by {owner.__module__}.{owner.__name__}"
    function = owner.__dict__["schedule"]
    if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):
        return "Scheduler.schedule was replaced"
    path = inspect.getsourcefile(owner)
    if path is None or function.__code__.co_filename != path:
        return f"Scheduler.schedule was replaced by {function.__code__.co_filename}"
    with open(path, encoding="utf-8") as file:
        found = source_hash(file.read(), "Scheduler", "schedule")
    if found is None or found[1] != function.__code__.co_firstlineno:
        return f"the source of Scheduler.schedule in {path} is not what runs"
    if found[0] not in contract.SCHEDULE_HASHES[_release(version)]:
        return f"Scheduler.schedule of vLLM {version} is changed (hash {found[0]})"
    return ""


def source_hash(text: str, owner: str, name: str) -> tuple[str, int] | None:
    """(hash, first line) of a method's source text, comments included; None when it is absent."""
    for node in ast.parse(text).body:
        if not isinstance(node, ast.ClassDef) or node.name != owner:
            continue
        for method in node.body:
            if isinstance(method, ast.FunctionDef) and method.name == name:
                first = min([method.lineno] + [d.lineno for d in method.decorator_list])
                lines = text.splitlines()[first - 1:method.end_lineno]
                return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16], first
    return None


def why_not_attributes(scheduler: Any) -> str:
    for need in contract.SCHEDULER_NEEDS:
        value = scheduler
        for part in need.path.split("."):
            if not hasattr(value, part):
                return f"vLLM's scheduler has no {need.path}"
            value = getattr(value, part)
        kind = "method" if callable(value) else type(value).__name__
        if kind not in need.types:
            return f"{need.path} of vLLM's scheduler is {kind}, not {' or '.join(need.types)}"
    return ""
