"""Every command of docs/howto/triton.md, run as it stands there."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from conftest import BUILD, DIR, PORTS, ROOT, need, program

PAGE = ROOT / "docs/howto/triton.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.M | re.S)


@pytest.mark.deadline(240)
def test_the_how_to_works_as_written(tmp_path: Path) -> None:
    need("triton")
    verbs = subprocess.run([str(program("apps/arqonhpo/arqonhpo")), "--help"], capture_output=True,
                           text=True, check=True).stdout
    if "doctor" not in verbs:
        pytest.skip("this build has no `arqonhpo doctor` yet")
    port = next(p for p in iter(PORTS, None))
    PORTS(), PORTS()  # gRPC and metrics
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    document = blocks("json")[0]
    (tmp_path / "triton.json").write_text(document.replace("8010", str(port)))
    environment = {**os.environ, "ARQON_ENGINES": str(DIR),
                   "PATH": f"{BUILD / 'apps/arqonhpo'}:{os.environ['PATH']}"}
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]
    assert len(commands) >= 7, commands
    try:
        for command in commands:
            done = subprocess.run(["bash", "-ec", command.replace("8010", str(port))],
                                  cwd=tmp_path, env=environment, capture_output=True, text=True,
                                  timeout=120)
            print(f"$ {command}\n{done.stdout}{done.stderr}")
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
            if " doctor " in command:
                assert "preferred_batch_size" in done.stdout and "reload" in done.stdout
    finally:
        subprocess.run([str(ROOT / "tools/engines"), "stop", "triton"], env=environment,
                       check=False, capture_output=True)
