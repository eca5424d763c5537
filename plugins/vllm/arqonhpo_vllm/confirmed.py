"""The last confirmed setting on disk: a restart takes it up, a lapse may fall back to it."""

import json
import os
from collections.abc import Callable

from .layout import VALUE_NAMES, VALUES, Setting

_MAX_BYTES = 65536
_MAX_WORD = (1 << 63) - 1


def state_folder(name: str) -> str:
    """${ARQONHPO_VLLM_STATE:-${XDG_STATE_HOME:-~/.local/state}/arqonhpo/vllm}/NAME"""
    base = os.environ.get("ARQONHPO_VLLM_STATE")
    if not base:
        home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
        base = os.path.join(home, "arqonhpo", "vllm")
    return os.path.join(base, name)


def parse(text: bytes, identity: dict[str, str]) -> Setting | None:
    """The setting of a confirmed.json, None when it is malformed or another engine's."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("schema") != 1:
        return None
    epoch, given = document.get("epoch"), document.get("values")
    if document.get("identity") != identity or not isinstance(given, dict):
        return None
    if not _is_word(epoch) or epoch <= 0:
        return None
    mask, values = 0, [0] * VALUES
    for name, value in given.items():
        if name not in VALUE_NAMES:
            continue  # of a later version; what is not known is not given
        if not _is_word(value):
            return None
        index = VALUE_NAMES.index(name)
        mask |= 1 << index
        values[index] = value
    return Setting(epoch, mask, tuple(values))


def _is_word(value: object) -> bool:
    return type(value) is int and -_MAX_WORD <= value <= _MAX_WORD


def reader(folder: str, identity: dict[str, str]) -> Callable[[], Setting | None]:
    """A function that reads `folder`/confirmed.json now; it never raises."""
    path = os.path.join(folder, "confirmed.json")

    def read() -> Setting | None:
        try:
            with open(path, "rb") as file:
                text = file.read(_MAX_BYTES + 1)
        except OSError:
            return None
        return parse(text, identity) if len(text) <= _MAX_BYTES else None

    return read
