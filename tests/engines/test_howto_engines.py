"""Every command of docs/howto/engines.md, as a reader would type it, on ports of the tests' own."""

import os
import re
import subprocess

import pytest

from conftest import DIR, PORTS, ROOT, need

PAGE = (ROOT / "docs/howto/engines.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def block(word: str) -> str:
    """The block that mentions `word` in its first `start` line."""
    fits = [text for text in BLOCKS if re.search(rf"start {word}\b", text)]
    assert fits, f"no block starts {word}"
    return fits[0]


def typed(text: str, words: dict[str, str]) -> str:
    """What the block prints, run line by line; a line that fails fails the test."""
    for old, new in words.items():
        text = text.replace(old, new)
    result = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=ROOT, check=False,
                            env={**os.environ, "ARQON_ENGINES": str(DIR)}, capture_output=True,
                            text=True, stdin=subprocess.DEVNULL, timeout=500)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    return result.stdout


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    subprocess.run([ROOT / "tools/engines", "stop", "--dir", DIR], check=False,
                   capture_output=True, timeout=120)


def test_install_and_status_of_what_is_there() -> None:
    install = next(text for text in BLOCKS if "tools/engines install" in text)
    for engine in ("vllm", "triton", "llamacpp", "haproxy"):
        need(engine)
    # Installing system packages is not for a test; the rest is harmless twice.
    out = typed(install, {"tools/setup engines": "tools/setup --check engines || true"})
    assert out.count("installed already") == 4
    assert "vLLM 0.32.0" in out


def test_llamacpp_twice_behind_haproxy() -> None:
    need("llamacpp")
    need("haproxy")
    ports = {name: str(PORTS()) for name in ("8080", "8081", "8090")}
    PORTS()  # haproxy's metrics
    out = typed(block("llamacpp"), ports)
    assert out.count('"completion_tokens":8') == 2
    assert out.count(": stopped") == 3


def test_triton() -> None:
    need("triton")
    http, _, metrics = PORTS(), PORTS(), PORTS()
    assert metrics == http + 2
    out = typed(block("triton"), {"8010": str(http), "8012": str(metrics)})
    assert '"data":[1,0]' in out
    assert "nv_inference_request_success" in out


def test_vllm(vllm) -> None:
    need("vllm")
    vllm.stop()  # one at a time: 2.6 GiB and both cores
    out = typed(block("vllm"), {"8000": str(PORTS())})
    assert '"completion_tokens":8' in out
    assert "vllm:num_requests_running" in out
    version = next(text for text in BLOCKS if "__version__" in text)
    assert "0.32.0" in typed(version, {})
