"""ArqonHPO inside vLLM: `vllm serve MODEL --scheduler-cls arqonhpo_vllm.Scheduler`.

The page between the tuner and the engine is described in docs/formats/vllm-page.md. Importing this
package imports nothing of vLLM; asking for `Scheduler` does.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["Scheduler"]


def __getattr__(name: str) -> Any:
    if name == "Scheduler":
        from .scheduler import Scheduler
        return Scheduler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
