"""Load on a real engine, with exact loss counting: sent = done + lost, always.

  report = closed(completions(url), streams=8, requests=100)
  report = open_loop(completions(url), rate=20, seconds=5)
  with background(completions(url), streams=8) as load:
      ...                          # change something under load
  load.report.lost == []

A request is lost when it ends in anything but success with every token it asked for: another
status, an error in the stream, a short answer, no [DONE], a broken connection, or the deadline.
"""

import http.client
import json
import os
import random
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

DEADLINE_S = 60


@dataclass
class Outcome:
    """Times in seconds from the intended sending."""

    at: float = 0              # intended sending, monotonic
    end_s: float = 0
    ttft_s: float = -1         # absent: -1
    max_gap_s: float = 0
    tokens: int = 0
    problem: str = ""          # why it is lost; empty when it is done
    detail: object = None      # what the sender wants to keep of the answer


# Sends request number n over a connection of the thread's own and fills in the outcome.
Sender = Callable[[http.client.HTTPConnection, int, Outcome], None]


@dataclass
class Target:
    url: str
    send: Sender
    # llama.cpp ends a connection after a stream without announcing it, and the next request on it
    # would be lost to that race; so streams take a new connection each.
    keep_alive: bool = False


@dataclass
class Report:
    outcomes: list[Outcome] = field(default_factory=list)
    sent: int = 0
    seconds: float = 0

    @property
    def done(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if not outcome.problem]

    @property
    def lost(self) -> list[str]:
        """A reason per lost request; one that never came back is lost too."""
        missing = self.sent - len(self.outcomes)
        return [o.problem for o in self.outcomes if o.problem] + ["never came back"] * missing

    def summary(self) -> str:
        reasons = sorted(set(self.lost))
        return (f"{self.sent} sent, {len(self.done)} done, {len(self.lost)} lost in "
                f"{self.seconds:.1f} s" + (f": {'; '.join(reasons[:5])}" if reasons else ""))


def calm() -> bool:
    """Whether shares and times may be judged finely: few programs want a core, over a minute, or
    ARQON_JUDGE_TIMES says so."""
    if os.environ.get("ARQON_JUDGE_TIMES"):
        return True
    return os.getloadavg()[0] < 1.5 * (os.cpu_count() or 1)


def quantile(values: list[float], q: float) -> float:
    """Nearest rank; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else 0.0


# ---- What is sent --------------------------------------------------------------------------------

def read_stream(response: http.client.HTTPResponse, begin: float, outcome: Outcome) -> int:
    """Tokens that the stream's usage names; -1 when the stream did not end properly."""
    last, usage = 0.0, 0
    while line := response.readline():
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        now = time.monotonic()
        if data == b"[DONE]":
            return usage
        if b'"error"' in data:
            outcome.problem = f"error in the stream: {data[:200].decode(errors='replace')}"
            return -1
        if b'"completion_tokens"' in data:
            usage = json.loads(data).get("usage", {}).get("completion_tokens", 0)
        if b'"choices":[]' in data:
            continue
        if last == 0:
            outcome.ttft_s = now - begin
        else:
            outcome.max_gap_s = max(outcome.max_gap_s, now - last)
        last = now
    return -1


def completions(url: str, tokens: int = 16, prompt: int = 16, stream: bool = True,
                model: str = "m", seed: int = 1, path: str = "/v1/completions",
                extra: dict | None = None) -> Target:
    """OpenAI completions with random token ids, so that no prefix cache helps."""

    def send(connection: http.client.HTTPConnection, number: int, outcome: Outcome) -> None:
        rng = random.Random(seed * 1_000_003 + number)
        body = {"model": model, "prompt": [rng.randrange(3, 250) for _ in range(prompt)],
                "max_tokens": tokens, "ignore_eos": True, "temperature": 0, "stream": stream,
                **({"stream_options": {"include_usage": True}} if stream else {}),
                **(extra or {})}
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            text = response.read()[:200].decode(errors="replace")
            outcome.problem = f"status {response.status}: {text}"
            return
        if stream:
            outcome.tokens = read_stream(response, outcome.at, outcome)
            response.read()
        else:
            outcome.tokens = json.loads(response.read())["usage"]["completion_tokens"]
        if outcome.tokens != tokens and not outcome.problem:
            outcome.problem = (f"{outcome.tokens} of {tokens} tokens" if outcome.tokens >= 0
                               else "the stream broke off")

    return Target(url, send)


def triton_infer(url: str, model: str = "sleeper", rows: int = 1) -> Target:
    """Triton's JSON inference on the sleeper; detail is [batch, tag]."""

    def send(connection: http.client.HTTPConnection, number: int, outcome: Outcome) -> None:
        data = [(number + i) % 1000 for i in range(rows)]
        body = {"inputs": [{"name": "IN", "shape": [rows, 1], "datatype": "INT32", "data": data}]}
        connection.request("POST", f"/v2/models/{model}/infer", json.dumps(body))
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            outcome.problem = f"status {response.status}: {answer[:200].decode(errors='replace')}"
            return
        outcome.detail = json.loads(answer)["outputs"][0]["data"][:2]
        outcome.tokens = rows

    return Target(url, send, keep_alive=True)


# ---- Sending -------------------------------------------------------------------------------------

class Load:
    """Threads that send, each over a connection of its own."""

    def __init__(self, target: Target, deadline_s: float = DEADLINE_S) -> None:
        self.report = Report()
        self._target, self._deadline_s = target, deadline_s
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._begin = time.monotonic()

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._target.url)
        return http.client.HTTPConnection(parts.hostname or "", parts.port,
                                          timeout=self._deadline_s)

    def _one(self, connection: http.client.HTTPConnection, number: int, at: float) -> bool:
        """Whether the connection can be used again."""
        outcome = Outcome(at=at)
        try:
            self._target.send(connection, number, outcome)
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            outcome.problem = f"{type(error).__name__}: {error}"
        outcome.end_s = time.monotonic() - at
        with self._lock:
            self.report.outcomes.append(outcome)
        return not outcome.problem

    def _number(self, most: int | None) -> int | None:
        with self._lock:
            if self._stopped.is_set() or (most is not None and self.report.sent >= most):
                return None
            self.report.sent += 1
            return self.report.sent - 1

    def start_closed(self, streams: int, requests: int | None = None,
                     seconds: float | None = None) -> "Load":
        """`streams` threads, each sends when its last request has ended."""
        end = time.monotonic() + seconds if seconds is not None else None

        def work() -> None:
            connection = self._connect()
            while end is None or time.monotonic() < end:
                number = self._number(requests)
                if number is None:
                    break
                well = self._one(connection, number, time.monotonic())
                if not well or not self._target.keep_alive:
                    connection.close()
                if not well:
                    self._stopped.wait(0.02)  # no storm of refused connections
            connection.close()

        self._run([work] * streams)
        return self

    def start_open(self, rate: float, seconds: float, seed: int = 1) -> "Load":
        """Poisson arrivals, sent when they are due whether or not others have ended."""
        rng = random.Random(seed)

        def one(number: int, due: float) -> None:
            connection = self._connect()
            self._one(connection, number, due)
            connection.close()

        def pace() -> None:
            due = time.monotonic()
            end = due + seconds
            senders = []
            while (due := due + rng.expovariate(rate)) < end:
                if self._stopped.wait(max(0.0, due - time.monotonic())):
                    break
                number = self._number(None)
                if number is None:
                    break
                senders.append(threading.Thread(target=one, args=(number, due), daemon=True))
                senders[-1].start()
            for sender in senders:
                sender.join(self._deadline_s + 5)

        self._run([pace])
        return self

    def _run(self, works: list[Callable[[], None]]) -> None:
        self._begin = time.monotonic()
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]
        for thread in self._threads:
            thread.start()

    def count(self) -> int:
        """Ended until now."""
        with self._lock:
            return len(self.report.outcomes)

    def stop(self) -> Report:
        """No new requests; those in flight end, at the latest with their deadline."""
        self._stopped.set()
        return self.join()

    def join(self) -> Report:
        for thread in self._threads:
            thread.join(self._deadline_s + 10)
        self.report.seconds = time.monotonic() - self._begin
        return self.report


def closed(target: Target, streams: int, requests: int | None = None,
           seconds: float | None = None, deadline_s: float = DEADLINE_S) -> Report:
    return Load(target, deadline_s).start_closed(streams, requests, seconds).join()


def open_loop(target: Target, rate: float, seconds: float, seed: int = 1,
              deadline_s: float = DEADLINE_S) -> Report:
    return Load(target, deadline_s).start_open(rate, seconds, seed).join()


@contextmanager
def background(target: Target, streams: int, deadline_s: float = DEADLINE_S) -> Iterator[Load]:
    """Load while the block runs; afterwards load.report is complete."""
    load = Load(target, deadline_s).start_closed(streams)
    try:
        yield load
    finally:
        load.stop()


# ---- Reading and waiting -------------------------------------------------------------------------

def metrics(url: str, timeout_s: float = 5) -> dict[str, float]:
    """Sums of the samples by name, labels left out: enough to see a counter move."""
    with urllib.request.urlopen(url, timeout=timeout_s) as response:
        text = response.read().decode()
    out: dict[str, float] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        name = line.split("{")[0].split(" ")[0]
        labelled = "}" in line
        value = line.rsplit("}", 1)[-1].split()[0 if labelled else 1]
        out[name] = out.get(name, 0.0) + float(value)
    return out


def until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Waits for a condition; returns the seconds it took, fails the test when it takes longer."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - begin
