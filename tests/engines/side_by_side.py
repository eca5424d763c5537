"""Tests that mostly wait (for a lease, a settling, a verdict) run side by side: each is a function
with servers of its own, and the test of that name waits for its end.

  CASES = {"name": function, ...}            # function(Hands) raises when it fails
  @pytest.fixture(scope="module")
  def cases(request, hands): yield from running(request, CASES, hands)
  @pytest.mark.parametrize("case", CASES)
  def test_it(cases, case): cases[case].result()

Only those that pytest has selected are started.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

AT_ONCE = 5


@dataclass
class Hands:
    """What a case may take: engines by fixture name, a folder and an exit stack of its own."""

    name: str
    folder: Path
    engines: dict[str, Any]
    stack: ExitStack

    def __getattr__(self, name: str) -> Any:
        try:
            return self.engines[name]
        except KeyError:
            raise AttributeError(name) from None


Case = Callable[[Hands], None]


def running(request: pytest.FixtureRequest, cases: dict[str, Case], folder: Path,
            **engines: Any) -> Iterator[dict[str, "Future[None]"]]:
    wanted = [item.callspec.params["case"] for item in request.session.items
              if item.path == request.path and hasattr(item, "callspec")
              and "case" in item.callspec.params]

    def one(name: str) -> None:
        with ExitStack() as stack:
            own = folder / name
            own.mkdir()
            cases[name](Hands(name, own, engines, stack))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {name: pool.submit(one, name) for name in wanted}
        try:
            yield futures
        finally:
            for future in futures.values():
                future.cancel()
