"""Installs pinned, hash-checked engines into a folder of their own. Nothing needs root.

Every wheel is named with its sha256 in locks/; Debian's packages are checked by apt against the
signed index and, where their version is the one named here, against our sha256 too.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import cuda_stubs, models
from .commands import LIBRARY, SITE_PACKAGES, python_library

LOCKS = LIBRARY / "locks"
# Debian 12; the lib* are what its haproxy needs beside the base system.
DEBS = {
    "haproxy": ("2.6.12-1+deb12u4",
                "97ca097d12b43fc5cb1b17aa5e84957735ef312a2e02cf8a99512fa1abe8a955"),
    "liblua5.3-0": ("5.3.6-2",
                    "576ad8ef2e9f6ad21f29f0c90dac17448deefee8f3912877c2a0911b77e5d3ca"),
    "libopentracing1": ("1.6.0-4",
                        "af62b62a99979253a79e3443f7dabe13f1f33bc2fc024f99039e3868a67f26f4"),
    "libopentracing-c-wrapper0": (
        "1.1.3-3+b1", "68013bf6296a776923622c871bed26bc7b6bfe5f84b0fa2707a06382d1db2692"),
}
HAPROXY_SERIES = "2.6."  # a security update of this series is taken too, and said so
INSTALL_LIMIT_S = 1800


class Unreachable(Exception):
    """A registry did not answer or lacks the package: skipped, not broken."""


class InstallError(Exception):
    """Something that trying again does not cure; the message says what to do."""


@dataclass(frozen=True)
class Engine:
    name: str
    about: str
    cost: str
    install: Callable[[Path], None]
    models: Callable[[Path], None]  # writes what is missing or was written by other code
    # Raised when installed files are made otherwise, beside what the lock names.
    revision: int = 1


def say(text: str) -> None:
    print(f"engines: {text}", flush=True)


# ---- Running installers -----------------------------------------------------------------------

# What clients print when it is the network or the registry, not us.
OUT_OF_REACH = re.compile(
    r"could not connect|failed to fetch|error sending request|dns error|temporary failure|"
    r"name or service not known|network is unreachable|connection (refused|reset|timed out)|"
    r"timed? ?out|could not resolve|was not found in the package registry|"
    r"no matching distribution|unable to locate package|unable to fetch|http error [45]\d\d|"
    r"\b(403 forbidden|404 not found|50[234])\b", re.IGNORECASE)


def tree_bytes(folder: Path) -> int:
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
            except OSError:
                continue
    return total


def run(command: list[str | Path], watched: Path, env: dict[str, str] | None = None,
        cwd: Path | None = None) -> None:
    """Runs an installer with its output kept; every 5 s a line says how far `watched` has grown."""
    words = [str(word) for word in command]
    done = threading.Event()

    def progress() -> None:
        begin, last = time.monotonic(), ""
        while not done.wait(5):
            line = f"{tree_bytes(watched) / 1e6:.0f} MB on disk"
            if line != last:
                say(f"  {line} after {time.monotonic() - begin:.0f} s")
            last = line

    watcher = threading.Thread(target=progress, daemon=True)
    watcher.start()
    try:
        result = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=INSTALL_LIMIT_S, cwd=cwd,
                                env={**os.environ, **(env or {})}, check=False)
    except FileNotFoundError as error:
        raise InstallError(f"{words[0]} is not here; run tools/setup engines") from error
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"{words[0]} did not end within {INSTALL_LIMIT_S} s") from error
    finally:
        done.set()
        watcher.join()
    if result.returncode == 0:
        return
    output = (result.stdout + result.stderr).strip()
    text = f"{' '.join(words[:4])} ...: {output[-1500:]}"
    if "hash mismatch" in output.lower() or "do not match the hashes" in output.lower():
        raise InstallError(f"what the registry sent is not what is pinned.\n{text}")
    raise Unreachable(text) if OUT_OF_REACH.search(output) else InstallError(text)


# ---- Python packages --------------------------------------------------------------------------

def python311() -> Path:
    """A Python 3.11 of this machine, the distribution's first."""
    running = sys.executable if sys.version_info[:2] == (3, 11) else None
    for found in ("/usr/bin/python3.11", running, shutil.which("python3.11")):
        if found and Path(found).exists():
            return Path(found)
    raise InstallError("Python 3.11 is needed (the wheels are pinned for it); "
                       "on Debian 12: tools/setup engines")


def uv(folder: Path) -> Path:
    """uv in a venv of its own: it installs 150 wheels in seconds where pip takes minutes."""
    venv = folder / "uv"
    if not (venv / "bin/uv").exists():
        shutil.rmtree(venv, ignore_errors=True)
        say("uv, the installer")
        run([python311(), "-m", "venv", venv], venv)
        run([venv / "bin/python", "-m", "pip", "install", "--quiet", "--no-deps",
             "--disable-pip-version-check", "--require-hashes", "-r", LOCKS / "uv.txt"], venv)
    return venv / "bin/uv"


def index_of_pip(folder: Path) -> dict[str, str]:
    """The index that pip is set to on this machine, for uv, which does not read pip's settings."""
    if any(name in os.environ for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL")):
        return {}
    result = subprocess.run([folder / "uv/bin/python", "-m", "pip", "config", "get",
                             "global.index-url"], capture_output=True, text=True, check=False)
    url = os.environ.get("PIP_INDEX_URL") or result.stdout.strip()
    return {"UV_DEFAULT_INDEX": url} if url else {}


def install_locked(folder: Path, engine: str) -> Path:
    """venv of an engine, holding exactly what its lock names; site-packages of it."""
    tool = uv(folder)
    venv = folder / engine / "venv"
    shutil.rmtree(venv, ignore_errors=True)
    # The cache lies beside the venv, so that files are linked and not copied.
    env = {"UV_CACHE_DIR": str(folder / "cache/uv"), "VIRTUAL_ENV": str(venv),
           "UV_HTTP_TIMEOUT": "180", "UV_PYTHON_DOWNLOADS": "never", **index_of_pip(folder)}
    run([tool, "venv", "--quiet", "--python", python311(), venv], venv, env)
    run([tool, "pip", "install", "--no-deps", "--require-hashes", "--no-build",
         "-r", LOCKS / f"{engine}.txt"], folder / "cache/uv", env)
    return venv / SITE_PACKAGES


def install_vllm(folder: Path) -> None:
    for tool in ("gcc", "readelf"):
        if not shutil.which(tool):
            raise InstallError(f"{tool} is needed for vLLM; run tools/setup engines")
    packages = install_locked(folder, "vllm")
    made = cuda_stubs.make(packages)
    say(f"  {len(made)} stand-ins for CUDA libraries, {sum(made.values())} functions")


def vllm_models(folder: Path) -> None:
    for name in models.HF_SHAPES:
        models.write_hf(folder / "models", name)


def install_triton(folder: Path) -> None:
    packages = install_locked(folder, "triton")
    if not python_library(folder / "triton/venv/bin/python"):
        raise InstallError("Triton's Python backend needs libpython3.11.so.1.0; "
                           "on Debian 12: tools/setup engines")
    server = packages / "pytriton/tritonserver"
    backends = folder / "triton/backends"
    shutil.rmtree(backends, ignore_errors=True)
    shutil.copytree(server / "backends/python", backends / "python")
    stub = server / "python_backend_stubs/3.11/triton_python_backend_stub"
    shutil.copy2(stub, backends / "python")


def triton_models(folder: Path) -> None:
    models.write_triton(folder / "models/triton")


def install_llamacpp(folder: Path) -> None:
    install_locked(folder, "llamacpp")


def llamacpp_models(folder: Path) -> None:
    for name in models.GGUF_SHAPES:
        models.write_gguf(folder / "models", name)


# ---- HAProxy ----------------------------------------------------------------------------------

def offered(package: str, env: dict[str, str]) -> dict[str, str]:
    """Versions that apt knows, newest first, with the sha256 of the signed index."""
    result = subprocess.run(["apt-cache", "show", package], capture_output=True, text=True,
                            env={**os.environ, **env, "LC_ALL": "C"}, check=False)
    out = {}
    for entry in result.stdout.split("\n\n"):
        fields = dict(re.findall(r"^(Version|SHA256): (\S+)$", entry, re.MULTILINE))
        if len(fields) == 2:
            out[fields["Version"]] = fields["SHA256"]
    return out


def private_apt(folder: Path) -> dict[str, str]:
    """apt with package lists of its own, for machines whose lists are empty; needs no root."""
    state = folder / "haproxy/apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    config = state / "apt.conf"
    config.write_text(f'Dir::State::Lists "{state / "lists"}";\n'
                      f'Dir::Cache "{state / "cache"}";\nAPT::Sandbox::User "";\n')
    return {"APT_CONFIG": str(config)}


def choose(package: str, env: dict[str, str]) -> tuple[str, str]:
    """Version and sha256 to take: the pinned one, or a later one of the same series."""
    pinned, digest = DEBS[package]
    known = offered(package, env)
    if not known:
        raise Unreachable(f"apt knows no package {package}")
    if pinned in known:
        if known[pinned] != digest:
            raise InstallError(f"{package} {pinned}: the archive's sha256 is not the pinned one")
        return pinned, digest
    series = HAPROXY_SERIES if package == "haproxy" else pinned.rpartition("-")[0]
    for version, other in known.items():
        if version.startswith(series):
            say(f"  {package} {pinned} is no longer offered; taking {version}, checked by apt")
            return version, other
    raise Unreachable(f"{package} {pinned} is not offered, only {', '.join(known)}")


def install_haproxy(folder: Path) -> None:
    if not shutil.which("apt-get"):
        raise Unreachable("no apt-get here; HAProxy is taken from Debian's packages")
    target = folder / "haproxy"
    debs, root = target / "debs", target / "root"
    shutil.rmtree(root, ignore_errors=True)
    debs.mkdir(parents=True, exist_ok=True)
    env: dict[str, str] = {}
    if not offered("haproxy", env):
        env = private_apt(folder)
        run(["apt-get", "-qq", "update"], target, env)
    for package in DEBS:
        version, digest = choose(package, env)
        for old in debs.glob(f"{package}_*.deb"):
            old.unlink()
        run(["apt-get", "-qq", "-o", "APT::Sandbox::User=", "download", f"{package}={version}"],
            debs, env, cwd=debs)
        file = next(debs.glob(f"{package}_*.deb"))
        if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise InstallError(f"{file.name}: not the sha256 that was announced")
        run(["dpkg", "-x", file, root], root)


# ---- The four ---------------------------------------------------------------------------------

ENGINES = {engine.name: engine for engine in (
    Engine("vllm", "vLLM 0.32.0 on the CPU",
           "1.04 GB to download, 2.6 GB on disk; 2.6 GiB of memory and 20 s to boot when it runs",
           install_vllm, vllm_models),
    Engine("triton", "Triton 2.51.0 out of nvidia-pytriton 0.7.0",
           "369 MB on disk; 3 s to boot", install_triton, triton_models),
    Engine("llamacpp", "llama.cpp's server out of xllamacpp 2026.10.11549",
           "34 MB to download, 150 MB on disk; 0.1 s to boot", install_llamacpp, llamacpp_models),
    Engine("haproxy", "HAProxy 2.6.12 from Debian 12",
           "2.3 MB to download", install_haproxy, lambda _: None),
)}


def stamp(folder: Path, engine: Engine) -> Path:
    return folder / engine.name / "installed"


def fingerprint(engine: Engine) -> str:
    lock = LOCKS / f"{engine.name}.txt"
    pinned = lock.read_text() if lock.exists() else str(DEBS)
    return hashlib.sha256(f"{engine.revision} {pinned}".encode()).hexdigest()


def installed(folder: Path, engine: Engine) -> bool:
    try:
        return stamp(folder, engine).read_text() == fingerprint(engine)
    except OSError:
        return False


def skip_note(folder: Path, engine: Engine) -> Path:
    return folder / engine.name / "skipped"


def why_skipped(folder: Path, engine: Engine) -> str:
    """What the last attempt said when something was out of reach; empty when there was none."""
    try:
        return skip_note(folder, engine).read_text()
    except OSError:
        return ""


def install(folder: Path, engine: Engine) -> None:
    """Harmless twice. A broken attempt leaves no stamp, so the next one begins again."""
    if installed(folder, engine):
        engine.models(folder)
        return
    begin = time.monotonic()
    say(f"{engine.name}: installing {engine.about} into {folder}")
    stamp(folder, engine).unlink(missing_ok=True)
    (folder / engine.name).mkdir(parents=True, exist_ok=True)
    try:
        engine.install(folder)
        engine.models(folder)
    except Unreachable as error:
        skip_note(folder, engine).write_text(f"out of reach: {error}")
        raise
    skip_note(folder, engine).unlink(missing_ok=True)
    stamp(folder, engine).write_text(fingerprint(engine))
    say(f"{engine.name}: ready after {time.monotonic() - begin:.0f} s")
