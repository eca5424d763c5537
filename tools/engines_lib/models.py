"""The tiny models: random weights, real tokenizers; written in a second or two, nothing downloaded.

  mid, tiny          for vLLM (--load-format dummy draws the weights): a configuration and a
                     tokenizer. mid steps in 5 to 18 ms on one core, so batch and latency trade off;
                     on tiny everything is overhead
  small, tiny .gguf  for llama.cpp
  sleeper            for Triton: takes a_ms + b_ms * rows, and says which batch and which
                     configuration answered
"""

import hashlib
import json
import shutil
from pathlib import Path

from . import gguf

VOCABULARY = 512
HF_SHAPES = {"mid": (768, 6, 2048), "tiny": (256, 2, 512)}  # width, layers, feed forward
GGUF_SHAPES = {"small": gguf.Shape(384, 6, 1024), "tiny": gguf.Shape(128, 2, 384)}
SLEEPER = Path(__file__).resolve().parent / "sleeper"


def byte_symbols() -> list[str]:
    """How byte-level BPE writes the 256 bytes: printable ones as they are, the rest from U+0100."""
    printable = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    moved = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(moved)) for byte in range(256)]


def tokenizer() -> dict:
    """Byte-level BPE of VOCABULARY tokens: 3 special ones, 256 bytes, pairs of letters."""
    special = ["<unk>", "<s>", "</s>"]
    letters = "etaoinshrdlucmwf"
    pairs = [(a, b) for a in letters for b in letters][:VOCABULARY - 256 - len(special)]
    names = [*special, *byte_symbols(), *(a + b for a, b in pairs)]
    added = [{"id": i, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for i, name in enumerate(special)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                  "use_regex": True}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {name: i for i, name in enumerate(names)},
                  "merges": [f"{a} {b}" for a, b in pairs]},
    }


def hf_config(width: int, layers: int, hidden: int) -> dict:
    heads = max(width // 64, 1)
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": width,
        "intermediate_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": heads, "head_dim": 64, "vocab_size": VOCABULARY,
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2,
        "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    }


def write_hf(folder: Path, name: str) -> Path:
    """The folder vLLM takes as --model."""
    out = folder / name
    out.mkdir(parents=True, exist_ok=True)
    documents = {
        "config.json": hf_config(*HF_SHAPES[name]),
        "generation_config.json": {"bos_token_id": 1, "eos_token_id": 2},
        "tokenizer.json": tokenizer(),
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast",
                                  "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"},
    }
    for file, document in documents.items():
        (out / file).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return out


def write_gguf(folder: Path, name: str) -> Path:
    """Written again only when the writer has changed."""
    folder.mkdir(parents=True, exist_ok=True)
    out, note = folder / f"{name}.gguf", folder / f"{name}.gguf.sha256"
    writer = hashlib.sha256(Path(gguf.__file__).read_bytes()).hexdigest()
    if not (out.exists() and note.exists() and note.read_text() == writer):
        gguf.write(out, GGUF_SHAPES[name])
        note.write_text(writer)
    return out


def write_triton(repository: Path) -> Path:
    """A model repository of its own: Triton reads the files again at every load."""
    out = repository / "sleeper"
    shutil.copytree(SLEEPER, out, dirs_exist_ok=True)
    return out
