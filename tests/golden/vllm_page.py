#!/usr/bin/env python3
"""Writes vllm_page.bin and vllm_ring.bin beside itself: what docs/formats/vllm-page.md says, word
by word, so that the C++ reader is tested against bytes of another hand. The ring is its first
records only; the rest is zero."""

import struct
from pathlib import Path

HERE = Path(__file__).parent
PAGE_MAGIC, RING_MAGIC = 0x314D4C4C56515241, 0x31474E5256515241
U64 = (1 << 64) - 1


def signed(word: int) -> int:
    word &= U64
    return word - (1 << 64) if word >> 63 else word


def fnv1a(text: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in text:
        value = (value ^ byte) * 0x100000001B3 & U64
    return signed(value)


def block(seq: int, epoch: int, given: dict[int, int]) -> list[int]:
    mask = sum(1 << i for i in given)
    values = [given.get(i, 0) for i in range(16)]
    return [seq, epoch, mask, *values, signed((epoch + mask + sum(values)) & U64 ^ PAGE_MAGIC)]


def report(start: int, running: int) -> list[int]:
    effective = [16, 1024, 128, 8, 1, 2] + [0] * 10
    words = [10, 7, 0x3F, *effective, 1, 4242, 99_000_000_000, running, 3, 1, 3000, 4096, 5, 77,
             321, start, fnv1a(b"0.32.0"), fnv1a(b"0.32.0\0/models/mid\0cpu"),
             123_456, 9_876_543, 1, 2,
             32, 2048, 512, 4, 128, 555, 1, 16]
    return words + [0] * (48 - len(words))


def page() -> bytes:
    words = [0] * 512
    words[:5] = [PAGE_MAGIC, 1, 4096, 4321, 100_000_000_000]
    words[32:52] = block(6, 7, {0: 16, 1: 1024, 5: 2})
    words[64:84] = block(2, 5, {0: 24, 7: 9_000_000_000})
    words[128:176] = report(start=98_000_000_000, running=12)
    words[128 + 48:128 + 96] = report(start=0, running=0)
    words[128 + 48] = 11  # rank 1 died while it wrote
    return struct.pack("<512q", *words)


def ring() -> bytes:
    header = [RING_MAGIC, 1, 16384, 4, 321, 98_000_000_000, 0, 0]
    records = [
        [1, 99_000_000_000, 100, 11, 64, 1000, 5000, 20_000, 100_000, 120_000, 15_000, 0, 99_500,
         10],
        [2, 99_100_000_000, 440, 1, 0, 900, 45_000, 46_000, 0, 46_500, -1, 1, 0, 0],
        [0, 99_200_000_000, 50, 5, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1],  # half written
        [4, 99_300_000_000, 50, 0, 0, 300, -1, -1, -1, 70_000, -1, 2, 0, 0],
    ]
    words = header + [word for record in records for word in record + [0] * (16 - len(record))]
    return struct.pack(f"<{len(words)}q", *words)


if __name__ == "__main__":
    (HERE / "vllm_page.bin").write_bytes(page())
    (HERE / "vllm_ring.bin").write_bytes(ring())
