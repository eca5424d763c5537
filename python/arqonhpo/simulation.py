"""The twin: a serving fleet simulated from one document."""

from __future__ import annotations

import json
import os
from typing import Any, Union

from ._core import simulate as _simulate
from .solver import Document, _text

try:
    import numpy as _numpy
except ImportError:  # NumPy is welcome, not needed
    _numpy = None


def _column(code: str, raw: bytes) -> Any:
    """A NumPy array where NumPy is there, else a memoryview; both over the same bytes."""
    if _numpy is not None:
        return _numpy.frombuffer(raw, dtype=_numpy.dtype(code))
    return memoryview(raw).cast(code)


def simulate(document: Document, *, requests: bool = False,
             folder: Union[str, os.PathLike] = ".") -> dict[str, Any]:
    """Runs a scenario, a dict or a JSON text, in the twin; the result of `simulate --json`.

    With `requests=True` the result has a member "requests": one column a name, one row a request in
    order of arrival. Columns are NumPy arrays where NumPy is installed, memoryviews otherwise.
    "class" and "broke" are numbers into "class_names" and "broke_names"; a request that met every
    limit broke "none". Paths in the document start in `folder`.

    Other Python threads go on meanwhile; Ctrl-C ends the run with KeyboardInterrupt. Raises
    ConfigError, which names every mistake of the document.
    """
    text, columns, classes, limits = _simulate(_text(document), os.fspath(folder), requests)
    result = json.loads(text)
    if columns is not None:
        rows = {name: _column(code, raw) for name, (code, raw) in columns.items()}
        result["requests"] = {**rows, "class_names": classes, "broke_names": limits}
    return result
