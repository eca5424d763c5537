"""Something that reads like a llama.cpp server and answers after a fixed time, however many ask at
once: for tests of what stands in front of it. A real one would want a core of its own."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from conftest import PORTS
from tuned import Answers, QuietServer


class Llama(Answers):
    """Set on the class made for each server: late_s, slots, and the counts."""

    slots = 8
    lock = threading.Lock()
    done = 0
    busy = 0

    def do_GET(self) -> None:  # noqa: N802
        kind = type(self)
        if self.path.startswith("/props"):
            return self.say(json.dumps({"build_info": "stand-in", "model_path": "none.gguf"}))
        if self.path.startswith("/slots"):
            return self.say(json.dumps([
                {"id": i, "n_ctx": 1024, "speculative": False, "is_processing": i < kind.busy}
                for i in range(kind.slots)]))
        if self.path.startswith("/metrics"):
            return self.say("".join(f"llamacpp:{name} {value}\n" for name, value in (
                ("n_decode_total", kind.done), ("tokens_predicted_total", 8 * kind.done),
                ("requests_processing", kind.busy), ("requests_deferred", 0),
                ("n_busy_slots_per_decode", 1))))
        return self.say('{"status":"ok"}')

    def do_POST(self) -> None:  # noqa: N802
        kind = type(self)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with kind.lock:
            kind.busy += 1
        threading.Event().wait(self.late_s)
        with kind.lock:
            kind.busy -= 1
            kind.done += 1
        self.answer()

    def say(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@contextmanager
def stand_in_llama(late_s: float) -> Iterator[str]:
    """The port of one."""
    kind = type("OneLlama", (Llama,), {"late_s": late_s, "lock": threading.Lock()})
    server = QuietServer(("127.0.0.1", PORTS()), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield str(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
