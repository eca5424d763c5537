"""The program engine_shell from Python: attaches an adapter to an engine and hands its words on."""

import json
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import ROOT, program


class Refused(Exception):
    """The adapter said no: `code` and its message."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(f"{answer['error']}: {answer.get('message', '')}")
        self.code = answer["error"]


class Shell:
    """One process, one engine. Every order answers or raises Refused."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([program("tests/engines/engine_shell")], text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> "Shell":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def order(self, what: str, **rest: object) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, **rest}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise Refused(answer)
        return answer

    def attach(self, target: dict[str, Any], knobs: list[dict[str, Any]] | None = None,
               **limits: float) -> dict[str, Any]:
        classes = [{"name": "chat", **(limits or {"e2e_ms": 60_000})}]
        return self.order("attach", target=target, knobs=knobs or [], classes=classes)

    def apply(self, setting: list[float], replica: int = -1) -> list[float]:
        return self.order("apply", setting=setting, replica=replica)["effective"]

    def observe(self, replica: int = -1) -> dict[str, Any]:
        return self.order("observe", replica=replica)

    def health(self) -> str:
        return self.order("health")["health"]


def documented(page: str, language: str, number: int = 0) -> str:
    """A code block of a how-to, so that what is written there is what is run."""
    text = (ROOT / "docs/howto" / page).read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)[number]


def haproxy_config(page: str, replace: dict[str, object]) -> str:
    """The configuration a how-to shows, with this machine's ports and paths; HAProxy's metrics
    beside it, which the fixture waits for."""
    config = documented(page, "haproxy")
    for old, new in replace.items():
        assert old in config, f"{page} does not mention {old}"
        config = config.replace(old, str(new))
    return config


def metrics_frontend(port: int) -> str:
    return (f"frontend metrics\n  bind 127.0.0.1:{port}\n"
            "  http-request use-service prometheus-exporter if { path /metrics }\n")


def llamacpp_front(log_port: int, caps: list[int], direct: list[int],
                   backend: str = "be") -> Callable[[int, int, Path], str]:
    """The configuration of llamacpp.md for the fixture haproxy: two servers on the ports `direct`,
    each behind a cap of its own; HAProxy's metrics beside it."""
    def config(front: int, metrics_port: int, path: Path) -> str:
        return haproxy_config("llamacpp.md", {
            "127.0.0.1:8080": f"127.0.0.1:{front}", "/run/haproxy/arqon.sock": path,
            "127.0.0.1:5140": f"127.0.0.1:{log_port}",
            "127.0.0.1:8101": f"127.0.0.1:{caps[0]}", "127.0.0.1:8102": f"127.0.0.1:{caps[1]}",
            "port 8001": f"port {direct[0]}", "port 8002": f"port {direct[1]}",
            "127.0.0.1:8001": f"127.0.0.1:{direct[0]}",
            "127.0.0.1:8002": f"127.0.0.1:{direct[1]}", "backend llm": f"backend {backend}",
        }) + metrics_frontend(metrics_port)
    return config


def kept(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def ask_socket(path: str, line: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.sendall(line)
        answer = b""
        while part := s.recv(65536):
            answer += part
    return answer
