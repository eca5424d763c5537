"""Random and torn pages: the engine's own assertions judge every step (fake_vllm's assert_inside).

ARQON_FUZZ_PAGES sets how many; docs/reference/engines/vllm-attributes.md has the figure for 10^6.
"""

import os
import random
import time

import pytest
from arqonhpo_vllm.control import SECOND, Controller
from arqonhpo_vllm.knobs import SchedulerKnobs
from arqonhpo_vllm.page import Page
from engines import bare_scheduler
from tuner import COMMAND, CONFIRMED, Tuner
from vllm.v1.core.sched.scheduler import assert_inside

PAGES = int(os.environ.get("ARQON_FUZZ_PAGES", "200000"))
EDGES = (0, 1, -1, 2, 7, 16, 31, 32, 33, 100, 512, 2048, 2049, 1 << 31, 1 << 32, (1 << 63) - 1,
         -(1 << 63), -(1 << 40))


class Rig:
    def __init__(self, folder):
        self.random = random.Random(4)
        self.scheduler = bare_scheduler(spec=4, table=[4] * 33)
        page = Page("f", str(folder))
        self.now = 1_000 * SECOND
        self.control = Controller(page, SchedulerKnobs(self.scheduler), lambda: None,
                                  lambda: self.now)
        self.control.start()
        self.tuner = Tuner(page.path)
        self.words = self.tuner.words

    def word(self):
        return (self.random.choice(EDGES) if self.random.random() < 0.5
                else self.random.getrandbits(64) - (1 << 63))

    def whole_command(self, first):
        names = ("batch_size", "prefill_token_budget", "long_prefill_threshold",
                 "kv_headroom_blocks", "reserve_full_prompt", "speculative_decoding_k")
        given = {name: self.word() for name in names if self.random.random() < 0.7}
        tear = self.random.choice(("", "", "", "odd", "check"))
        self.words[first] &= 0xFFFF  # room to count
        self.tuner.write(first, self.random.getrandbits(20), given, tear)

    def scribble(self):
        """Words anywhere in the header and the blocks, as a writer gone wrong would leave them."""
        for _ in range(self.random.randrange(1, 8)):
            self.words[self.random.randrange(3, 128)] = self.word()

    def spoil(self):
        kind = self.random.random()
        if kind < 0.6:
            self.whole_command(COMMAND if kind < 0.5 else CONFIRMED)
        else:
            self.scribble()
        if self.random.random() < 0.7:
            self.tuner.lease(10, self.now)


@pytest.mark.parametrize("seed", [1])
def test_random_and_torn_pages_never_leave_the_envelope(tmp_path, seed):
    rig = Rig(tmp_path)
    rig.random.seed(seed)
    begun, applied, epoch = time.monotonic(), 0, 0
    for _ in range(PAGES):
        rig.spoil()
        rig.now += SECOND // 50
        rig.control.before_step(rig.now)
        assert_inside(rig.scheduler)
        applied += rig.control.epoch != epoch
        epoch = rig.control.epoch
    assert rig.control.errors == 0
    assert applied > PAGES // 10, "the fuzzer must reach settings that are obeyed"
    assert rig.control.torn > PAGES // 20, "the fuzzer must reach torn pages"
    print(f"{PAGES} pages, {applied} obeyed, {rig.control.torn} torn, "
          f"{time.monotonic() - begun:.1f} s")


def test_a_half_written_block_under_an_even_sequence_is_never_obeyed(tmp_path):
    """Old values in one half, new ones in the other, and no lock: the check tells."""
    rig = Rig(tmp_path)
    rig.tuner.lease(3600, rig.now)
    for i in range(1, 400):
        rig.tuner.command(batch_size=1 + i % 32, kv_headroom_blocks=1 + i % 32)
        if i % 3 == 0:
            rig.words[COMMAND + 3] = 99
        rig.control.before_step(rig.now)
        assert_inside(rig.scheduler)
        cache = rig.scheduler.kv_cache_manager
        assert rig.scheduler.max_num_active_reqs == cache.watermark_blocks or rig.control.epoch == 0
    assert rig.control.torn == 133
