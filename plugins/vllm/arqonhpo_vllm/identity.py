"""Who this engine is: a confirmed setting is taken up only by the same version, model, hardware."""

import json
import os
from typing import Any

from .layout import fnv1a


def of_engine(version: str, vllm_config: Any) -> dict[str, str]:
    return {"vllm": version, "model": _model(vllm_config), "hardware": _hardware(vllm_config)}


def identity_hash(identity: dict[str, str]) -> int:
    return fnv1a("\0".join((identity["vllm"], identity["model"], identity["hardware"])))


def write(folder: str, identity: dict[str, str], why: str) -> None:
    """identity.json, whole or not at all. An empty `why` means that live knobs are on."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    document = {"schema": 1, **identity, "pid": os.getpid(), "supported": not why, "why": why}
    path = os.path.join(folder, "identity.json")
    temporary = f"{path}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file)
    os.replace(temporary, path)


def _model(vllm_config: Any) -> str:
    config = getattr(vllm_config, "model_config", None)
    model = str(getattr(config, "model", "unknown"))
    revision = getattr(config, "revision", None)
    return f"{model}@{revision}" if revision else model


def _hardware(vllm_config: Any) -> str:
    """Device name times the number of devices one engine spans."""
    try:
        from vllm.platforms import current_platform
        device = str(current_platform.get_device_name(0))
    except Exception:  # noqa: BLE001 - a name is not worth an engine
        device = "unknown"
    if device.lower() in ("cpu", "unknown"):
        device = f"{_cpu_name()} ({os.cpu_count()} cpus)"
    parallel = getattr(vllm_config, "parallel_config", None)
    return f"{device} x{getattr(parallel, 'world_size', 1)}"


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return os.uname().machine
