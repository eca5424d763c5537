"""The tuner's side of the page, as plainly as the format allows; used by the tests."""

import json
import mmap
import os
import struct
import time

MAGIC = 0x314D4C4C56515241
LEASE, COMMAND, CONFIRMED, FIRST_REPORT = 4, 32, 64, 128
NAMES = ("batch_size", "prefill_token_budget", "long_prefill_threshold", "kv_headroom_blocks",
         "reserve_full_prompt", "speculative_decoding_k", "max_queued_requests",
         "max_queued_tokens")
REPORT = {name: word for word, name in enumerate(
    "seq epoch supported".split()
    + [f"value{i}" for i in range(16)]
    + ("reasons steps last_step running waiting skipped free_blocks blocks preemptions tokens pid "
       "started version identity page_ns schedule_ns errors torn max_num_seqs "
       "max_num_batched_tokens max_model_len num_speculative_tokens block_size finished k_live "
       "peak").split())}


def now():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Tuner:
    def __init__(self, path):
        self.path = path
        if not os.path.exists(path):
            with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(struct.pack("<3q", MAGIC, 1, 4096) + bytes(4096 - 24))
        with open(path, "r+b") as file:
            self.words = memoryview(mmap.mmap(file.fileno(), 4096)).cast("q")
        self.epoch = max(self.words[COMMAND + 1], 0)

    def lease(self, seconds, clock=None):
        """A live lease from now (or from `clock`); 0 gives it back."""
        begin = now() if clock is None else clock
        self.words[LEASE] = begin + int(seconds * 1e9) if seconds else 0

    def write(self, first, epoch, given, tear=""):
        """`tear`: "odd" dies half way, "check" leaves a wrong check."""
        mask = sum(1 << NAMES.index(name) for name in given)
        values = [given.get(name, 0) for name in NAMES] + [0] * 8
        total = (epoch + mask + sum(values)) ^ MAGIC
        total &= (1 << 64) - 1
        words = self.words
        words[first] = (words[first] | 1) if words[first] & 1 else words[first] + 1
        words[first + 1], words[first + 2] = epoch, mask
        for i, value in enumerate(values):
            words[first + 3 + i] = value
        if tear == "odd":
            return
        words[first + 19] = (total - (1 << 64) if total >> 63 else total) + (tear == "check")
        words[first] += 1

    def command(self, tear="", **given):
        self.epoch += 1
        self.write(COMMAND, self.epoch, given, tear)
        return self.epoch

    def confirm(self, epoch, tear="", **given):
        self.write(CONFIRMED, epoch, given, tear)

    def report(self, slot=0):
        """One whole report as a dictionary."""
        first = FIRST_REPORT + 48 * slot
        for _ in range(10000):
            seq = self.words[first]
            found = {name: self.words[first + word] for name, word in REPORT.items()}
            if not seq & 1 and self.words[first] == seq:
                found["values"] = {name: found[f"value{i}"] for i, name in enumerate(NAMES)}
                return found
        raise AssertionError("the report never stood still")


def write_confirmed(folder, identity, epoch, **values):
    os.makedirs(folder, exist_ok=True)
    document = {"schema": 1, "identity": identity, "epoch": epoch, "values": values}
    with open(os.path.join(folder, "confirmed.json"), "w", encoding="utf-8") as file:
        json.dump(document, file)
