"""Writes a small Llama with random weights as a GGUF file (version 3), standard library only.

The weights are arranged so that the model answers in plain ASCII words and never ends by itself: a
constant direction of the embedding survives to the last layer, and bytes, <s> and </s> read it with
a large negative weight. So a request for n tokens gets n tokens.
"""

import array
import random
import struct
from pathlib import Path
from typing import NamedTuple

UINT32, FLOAT32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9  # value types of GGUF
INT32 = 5
TENSOR_FLOAT32 = 0
ALIGNMENT = 32
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6           # kinds of tokens
NOISE = 65536  # random numbers are made once and reused from shifting places


class Shape(NamedTuple):
    width: int    # embedding
    layers: int
    hidden: int   # feed forward
    context: int = 4096


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def vocabulary() -> tuple[list[str], list[int]]:
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["▁", *letters, "▁the", "▁a", "▁of", "▁to"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    kinds = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * len(words)
    return tokens, kinds


def metadata(shape: Shape) -> list[bytes]:
    tokens, kinds = vocabulary()
    heads = max(1, shape.width // 32)
    scores = [0.0] * 259 + [-float(i) for i in range(len(tokens) - 259)]
    count = len(tokens)

    def entry(name: str, kind: int, value: bytes) -> bytes:
        return text(name) + struct.pack("<I", kind) + value

    def number(name: str, value: int) -> bytes:
        return entry(name, UINT32, struct.pack("<I", value))

    def items(name: str, kind: int, data: bytes) -> bytes:
        return entry(name, ARRAY, struct.pack("<IQ", kind, count) + data)

    return [
        entry("general.architecture", STRING, text("llama")),
        entry("general.name", STRING, text("tiny-random")),
        number("llama.block_count", shape.layers),
        number("llama.context_length", shape.context),
        number("llama.embedding_length", shape.width),
        number("llama.feed_forward_length", shape.hidden),
        number("llama.attention.head_count", heads),
        number("llama.attention.head_count_kv", heads),
        number("llama.rope.dimension_count", shape.width // heads),
        entry("llama.attention.layer_norm_rms_epsilon", FLOAT32, struct.pack("<f", 1e-5)),
        number("llama.vocab_size", count),
        entry("tokenizer.ggml.model", STRING, text("llama")),
        items("tokenizer.ggml.tokens", STRING, b"".join(text(token) for token in tokens)),
        items("tokenizer.ggml.scores", FLOAT32, struct.pack(f"<{count}f", *scores)),
        items("tokenizer.ggml.token_type", INT32, struct.pack(f"<{count}i", *kinds)),
        number("tokenizer.ggml.bos_token_id", 1),
        number("tokenizer.ggml.eos_token_id", 2),
        number("tokenizer.ggml.unknown_token_id", 0),
        entry("tokenizer.ggml.add_bos_token", BOOL, struct.pack("<?", True)),
    ]


def tensors(shape: Shape) -> list[tuple[str, tuple[int, ...]]]:
    words = len(vocabulary()[0])
    width, hidden = shape.width, shape.hidden
    out: list[tuple[str, tuple[int, ...]]] = [
        ("token_embd.weight", (width, words)), ("output_norm.weight", (width,)),
        ("output.weight", (width, words))]
    for layer in range(shape.layers):
        block = f"blk.{layer}."
        out += [(block + "attn_norm.weight", (width,)), (block + "ffn_norm.weight", (width,))]
        out += [(f"{block}attn_{part}.weight", (width, width))
                for part in ("q", "k", "v", "output")]
        out += [(block + "ffn_gate.weight", (width, hidden)),
                (block + "ffn_up.weight", (width, hidden)),
                (block + "ffn_down.weight", (hidden, width))]
    return out


def elements(dimensions: tuple[int, ...]) -> int:
    count = 1
    for size in dimensions:
        count *= size
    return count


def padding(size: int) -> bytes:
    return b"\0" * (-size % ALIGNMENT)


def weights(name: str, dimensions: tuple[int, ...], noise: array.array,
            rng: random.Random) -> array.array:
    count = elements(dimensions)
    if name.endswith("norm.weight"):
        return array.array("f", [1.0]) * count
    width = dimensions[0]
    scale = width ** -0.5
    start = rng.randrange(NOISE)
    base = array.array("f", (value * scale for value in noise[start:] + noise[:start]))
    data = (base * (count // NOISE + 1))[:count]
    if name == "token_embd.weight":
        for row in range(dimensions[1]):
            data[row * width] = 2.0
    if name == "output.weight":
        for row in range(dimensions[1]):
            data[row * width] = 0.0
            if row < 259:  # unknown, control and byte tokens
                no_answer = array.array("f", [-40.0] + [0.0] * (width - 1))
                data[row * width:(row + 1) * width] = no_answer
    return data


def write(path: Path, shape: Shape, seed: int = 1) -> None:
    """Same shape and seed, same bytes. Written beside and renamed: never half there."""
    rng = random.Random(seed)
    noise = array.array("f", (rng.gauss(0, 1) for _ in range(NOISE)))
    entries, header = tensors(shape), metadata(shape)
    index, offset = b"", 0
    for name, dimensions in entries:
        index += text(name) + struct.pack("<I", len(dimensions))
        index += struct.pack(f"<{len(dimensions)}Q", *dimensions)
        index += struct.pack("<IQ", TENSOR_FLOAT32, offset)
        size = 4 * elements(dimensions)
        offset += size + len(padding(size))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(entries), len(header)) + b"".join(header) + index
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as out:
        out.write(head + padding(len(head)))
        for name, dimensions in entries:
            data = weights(name, dimensions, noise, rng).tobytes()
            out.write(data + padding(len(data)))
    partial.rename(path)
