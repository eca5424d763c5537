"""One family of exceptions. Every error of the package is an ArqonError, and a ValueError."""

from __future__ import annotations

from typing import Sequence


class ArqonError(ValueError):
    """What went wrong, in `str(error)`; for a document every mistake in `error.diagnostics`.

    One line a mistake: "NAME:LINE:COLUMN: PATH: MESSAGE (got VALUE); HINT".
    """

    def __init__(self, message: str, diagnostics: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.diagnostics = list(diagnostics)


class InternalError(ArqonError):
    """A bug of ours."""


class UsageError(ArqonError):
    """A wrong call."""


class ConfigError(ArqonError):
    """A document or an argument that breaks its contract; nothing of it was taken."""


class RefusedError(ArqonError):
    """The guard said no."""


class InconclusiveError(ArqonError):
    """Evidence was not enough."""


class RolledBackError(ArqonError):
    """A change was taken back."""


class ConflictError(ArqonError):
    """Somebody else holds it, or the state has moved on."""


class UnavailableError(ArqonError):
    """A file, an engine or a service is not there or does not answer."""


class InterruptedError(ArqonError):  # shadows the builtin inside this package only
    """The user asked to stop."""
