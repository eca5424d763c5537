"""What is in force: the rules of the page (docs/formats/vllm-page.md), apart from vLLM.

One Controller per process, used by one thread. `before_step` is called before every scheduling step
and costs a few memory reads while nothing changes; nothing in it raises.
"""

import enum
import logging
from collections.abc import Callable
from typing import Protocol

from .layout import (COMMAND, CONFIRMED, LAPSED, LEASE, REMADE, RESTORED, UNSUPPORTED, VALUES,
                     Setting, boottime)
from .page import Page

log = logging.getLogger("vllm.arqonhpo")

SECOND = 1_000_000_000
LONGEST_LEASE = 3600 * SECOND  # a deadline further ahead is garbage, not a promise
_FAR = 1 << 62
_NOTHING = Setting(0, 0, (0,) * VALUES)


class Knobs(Protocol):
    """The attributes of the running engine that this process sets."""

    supported: int  # mask of values this process can set
    elsewhere: int  # mask of values that another process of the engine answers for

    def put(self, setting: Setting) -> bool:
        """Sets every supported value: clamped where given, its boot value where not.
        True when something was clamped."""
        ...


class Source(enum.Enum):
    BOOT = 0
    CONFIRMED = 1
    COMMAND = 2


class Controller:
    def __init__(self, page: Page, knobs: Knobs, stored: Callable[[], Setting | None],
                 clock: Callable[[], int] = boottime) -> None:
        self._page = page
        self._knobs = knobs
        self._stored = stored
        self._clock = clock
        self.words = page.words
        self.seq = -1  # of the command block when it was last read whole
        self.lease = 0
        self.due = 0  # when to look though nothing has changed
        self.epoch = 0
        self.reasons = 0
        self.errors = 0
        self.torn = 0
        self.source = Source.BOOT
        self.changes = 0  # rises when the settled part of the report must be written again
        self._next_check = 0
        self._done_epoch = 0  # of the last command that was obeyed, refused or found at the start
        self._last_confirmed: Setting | None = None
        self._foreign: Setting | None = None  # confirmed block of an earlier, other engine
        self._why = ""

    def start(self) -> None:
        """Maps the page and takes up the stored setting of this very engine."""
        now = self._clock()
        self._attach()
        self._next_check = now + SECOND
        command = self._page.read_block(COMMAND)
        if command is not None:
            self._done_epoch = command[1].epoch
        stored = self._stored()
        block = self._page.read_block(CONFIRMED)
        if block is not None and (stored is None or stored.epoch != block[1].epoch):
            self._foreign = block[1]
        if stored is not None:
            self._last_confirmed = stored
            self._put(stored, Source.CONFIRMED, RESTORED)
        self.lease = self.words[LEASE]
        self.due = now  # the first step looks

    def before_step(self, now: int) -> None:
        words = self.words
        if words[COMMAND] != self.seq or words[LEASE] != self.lease or now >= self.due:
            self.look(now)

    def look(self, now: int) -> None:
        """The slow path; whatever goes wrong is counted and the engine goes on."""
        try:
            if now >= self._next_check:
                self._next_check = now + SECOND
                self._check_page()
            if self.words[COMMAND] != self.seq:
                self._read_command(now)
            self.lease = self.words[LEASE]
            if self.source is Source.COMMAND and not live(self.lease, now):
                self._fall_back(LAPSED)
            held = self.source is Source.COMMAND
            self.due = min(self._next_check, self.lease if held else _FAR)
        except Exception:  # noqa: BLE001 - an exception here would end the engine
            self._count_error()

    def _count_error(self) -> None:
        self.errors += 1
        if self.errors == 1:
            log.exception("ArqonHPO: error swallowed; the engine goes on")

    def _attach(self) -> None:
        why = self._page.attach()
        self.words = self._page.words
        if why and why != self._why:
            log.warning("ArqonHPO: no page: %s", why)
        self._why = why
        self.changes += 1

    def _check_page(self) -> None:
        """Once a second: a page that vanished or was spoilt is left, and made anew."""
        if self._page.intact():
            return
        if self._page.attached:
            self._page.detach()
            self.reasons |= REMADE
            if self.source is Source.COMMAND:
                self._fall_back(LAPSED | REMADE)
        self._attach()
        self.seq = -1
        self._done_epoch = 0
        self._foreign = None

    def _read_command(self, now: int) -> None:
        if self.words[COMMAND] == 0:  # of a new page: never written, so there is no check either
            self.seq = 0
            return
        block = self._page.read_block(COMMAND)
        if block is None:
            self.torn += 1
            return
        seq, command = block
        self.seq = seq
        if command.epoch in (0, self._done_epoch):
            return
        self._done_epoch = command.epoch
        # The deadline is read after the command, as it is written before it.
        if live(self.words[LEASE], now):
            self._put(command, Source.COMMAND, 0)
        else:
            self._fall_back(LAPSED)

    def _fall_back(self, reasons: int) -> None:
        confirmed = self._confirmed()
        source = Source.BOOT if confirmed is None else Source.CONFIRMED
        self._put(confirmed or _NOTHING, source, reasons)
        log.warning("ArqonHPO: nobody answers for the setting in force; back to %s",
                    "the values of the start" if confirmed is None
                    else f"the confirmed setting {confirmed.epoch}")

    def _confirmed(self) -> Setting | None:
        """The block; where it is empty, torn or another engine's, the disk; else what was known."""
        block = self._page.read_block(CONFIRMED)
        if block is not None and block[1].epoch != 0 and block[1] != self._foreign:
            self._last_confirmed = block[1]
        else:
            self._last_confirmed = self._stored() or self._last_confirmed
        return self._last_confirmed

    def _put(self, setting: Setting, source: Source, reasons: int) -> None:
        clamped = self._knobs.put(setting)
        known = self._knobs.supported | self._knobs.elsewhere
        self.source = source
        self.epoch = setting.epoch
        self.reasons = (reasons | (1 if clamped else 0)
                        | (UNSUPPORTED if setting.mask & ~known else 0))
        self.changes += 1


def live(deadline: int, now: int) -> bool:
    """Somebody answers for unproven values until `deadline`."""
    return now < deadline <= now + LONGEST_LEASE
