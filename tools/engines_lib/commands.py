"""The command lines of the engines as tools/engines has installed them into a folder."""

import os
from pathlib import Path

from .servers import Command

LIBRARY = Path(__file__).resolve().parent
SITE_PACKAGES = "lib/python3.11/site-packages"


def vllm(folder: Path, port: int, model: str = "mid", flags: list[str] | None = None,
         env: dict[str, str] | None = None) -> Command:
    """vLLM on the CPU. Flags come last, so they replace ours; env may add a PYTHONPATH."""
    cache = folder / "cache"
    return Command(
        engine="vllm",
        argv=[str(folder / "vllm/venv/bin/python"), "-m", "vllm.entrypoints.openai.api_server",
              "--model", str(folder / "models" / model), "--served-model-name", "m",
              "--load-format", "dummy", "--dtype", "bfloat16", "--enforce-eager",
              "--max-model-len", "512", "--max-num-seqs", "32",
              "--max-num-batched-tokens", "2048", "--host", "127.0.0.1", "--port", str(port),
              *(flags or [])],
        url=f"http://127.0.0.1:{port}", ready=f"http://127.0.0.1:{port}/health",
        # 1 GiB of KV cache; one thread, so that a load client has the other core.
        env={"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1",
             "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1",
             "TOKENIZERS_PARALLELISM": "false", "XDG_CACHE_HOME": str(cache),
             "VLLM_CACHE_ROOT": str(cache / "vllm"), "HF_HOME": str(cache / "hf"),
             **(env or {})},
        # Without compiled modules on disk each of three processes compiles 5,000: 92 s, not 19 s.
        unset=["PYTHONDONTWRITEBYTECODE"],
        # Not the folder itself: Python looks there first, and a folder triton/ is a package to it.
        cwd=str(folder / "vllm"), boot_s=400, grace_s=15)


def python_library(python: Path) -> str:
    """Folder of the libpython that Triton's Python backend needs; "" when there is none."""
    places = [python.resolve().parent.parent / "lib", Path("/usr/lib/x86_64-linux-gnu"),
              Path("/usr/lib64"), Path("/usr/lib")]
    return next((str(place) for place in places if (place / "libpython3.11.so.1.0").exists()), "")


def triton(folder: Path, repository: Path, http: int, grpc: int, metrics: int,
           model: str = "sleeper", flags: list[str] | None = None) -> Command:
    """Triton with loads under our control; `repository` is read again at each load."""
    venv = folder / "triton/venv"
    packages = venv / SITE_PACKAGES
    server = packages / "pytriton/tritonserver"
    libraries = [python_library(venv / "bin/python"), str(packages / "nvidia_pytriton.libs")]
    return Command(
        engine="triton",
        argv=[str(server / "bin/tritonserver"), f"--model-repository={repository}",
              f"--backend-directory={folder / 'triton/backends'}",
              f"--cache-directory={server / 'caches'}", "--model-control-mode=explicit",
              f"--load-model={model}", "--http-address=127.0.0.1", f"--http-port={http}",
              "--grpc-address=127.0.0.1", f"--grpc-port={grpc}", "--metrics-address=127.0.0.1",
              f"--metrics-port={metrics}", "--metrics-interval-ms=200",
              "--exit-timeout-secs=10", *(flags or [])],
        url=f"http://127.0.0.1:{http}", ready=f"http://127.0.0.1:{http}/v2/health/ready",
        env={"LD_LIBRARY_PATH": ":".join(part for part in libraries if part),
             "PATH": f"{venv / 'bin'}:{os.environ.get('PATH', '')}", "VIRTUAL_ENV": str(venv),
             "PYTHONPATH": str(packages)},
        cwd=str(folder), boot_s=60, grace_s=15)


def llamacpp(folder: Path, port: int, model: str = "small", slots: int = 4, context: int = 4096,
             flags: list[str] | None = None) -> Command:
    return Command(
        engine="llamacpp",
        argv=[str(folder / "llamacpp/venv/bin/python"), str(LIBRARY / "llama_server.py"),
              "--model", str(folder / "models" / f"{model}.gguf"), "--port", str(port),
              "--slots", str(slots), "--context", str(context), *(flags or [])],
        url=f"http://127.0.0.1:{port}", ready=f"http://127.0.0.1:{port}/health",
        cwd=str(folder), boot_s=30, grace_s=5)


def haproxy_config(frontend: int, metrics: int, socket: Path, backends: dict[str, list[str]],
                   log: str = "", maxconn: int = 64) -> str:
    """A proxy on 127.0.0.1:frontend. `backends`: name -> HOST:PORT of its servers; the first is the
    default one. Servers are named s1, s2, ... in that order, weights 100. `log`: HOST:PORT or
    socket path for one syslog datagram per request, or "" for none.
    """
    target = f"  log {log} len 4096 format raw local0 info\n" if log else ""
    out = f"""global
  stats socket unix@{socket} mode 600 level admin expose-fd listeners
  maxconn 4000
  nbthread 1
{target}defaults
  mode http
  timeout connect 2s
  timeout client 120s
  timeout server 120s
  timeout queue 60s
  option redispatch
  retries 3
{"  log global" + chr(10) + "  option httplog" + chr(10) if log else ""}frontend in
  bind 127.0.0.1:{frontend}
  default_backend {next(iter(backends))}
frontend metrics
  bind 127.0.0.1:{metrics}
  http-request use-service prometheus-exporter if {{ path /metrics }}
"""
    number = 0
    for name, servers in backends.items():
        out += f"backend {name}\n  balance roundrobin\n  option httpchk GET /health\n"
        for server in servers:
            number += 1
            out += f"  server s{number} {server} weight 100 maxconn {maxconn} check inter 500\n"
    return out


def haproxy(folder: Path, config: Path, url: str, ready: str,
            flags: list[str] | None = None) -> Command:
    root = folder / "haproxy/root"
    return Command(
        engine="haproxy",
        argv=[str(root / "usr/sbin/haproxy"), "-db", "-f", str(config), *(flags or [])],
        url=url, ready=ready,
        env={"LD_LIBRARY_PATH": str(root / "usr/lib/x86_64-linux-gnu")},
        cwd=str(config.parent), boot_s=10, grace_s=5)
