"""Measures a real vLLM on this machine's CPU at several running caps, and alone (idle probes).

Usage: bench/measure_vllm.py OUT.csv [--repeats 3] [--caps 1,2,4,8,12,16,24,32] [--seconds 8]
Needs `tools/engines install vllm`; takes about 5 minutes. 32 streams in a closed loop, prompts of
16 to 32 and answers of 24 to 48 tokens (fixed lengths would march in step, and the gaps with them),
the cap moved live through the plugin, caps in random order in each repeat.
Every number is the engine's own: differences of its counters over the window (the sum and count of
its histograms, not their buckets) and gauges sampled four times a second. What is written is what
`arqonhpo calibrate` reads: docs/howto/calibrate.md.
"""

import argparse
import asyncio
import csv
import os
import random
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests/engines"), str(ROOT / "plugins/vllm/tests")]
sys.dont_write_bytecode = True

import vllm_plugin as rig  # noqa: E402
from engines_lib import commands, servers  # noqa: E402
from tuner import Tuner  # noqa: E402

NAME = "measure"
STREAMS, PROMPT, OUTPUT, JITTER = 32, 32, 48, 0.5
SETTLE_S = 2.5
COLUMNS = ("t_s seconds batch_size concurrency running waiting kv_use finished prompt_tokens "
           "output_tokens steps gap_ms ttft_ms e2e_ms load_average").split()
# Column -> the counter, or the sum and count of the histogram, that it is made of.
COUNTERS = {"finished": "vllm:request_success_total", "prompt_tokens": "vllm:prompt_tokens_total",
            "output_tokens": "vllm:generation_tokens_total",
            "steps": "vllm:iteration_tokens_total_count"}
MEANS = {"gap_ms": "vllm:inter_token_latency_seconds",
         "ttft_ms": "vllm:time_to_first_token_seconds",
         "e2e_ms": "vllm:e2e_request_latency_seconds"}
GAUGES = {"running": "vllm:num_requests_running", "waiting": "vllm:num_requests_waiting",
          "kv_use": "vllm:kv_cache_usage_perc"}


def scrape(url):
    """Sums over labels of every series."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = {"at": time.monotonic()}
    for line in lines:
        if line and not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            name = series.partition("{")[0]
            found[name] = found.get(name, 0.0) + float(value)
    return found


def window(url, seconds):
    """One row of the engine's own numbers over the next `seconds`."""
    first = last = scrape(url)
    samples = [first]
    while last["at"] < first["at"] + seconds:
        time.sleep(0.25)
        last = scrape(url)
        samples.append(last)
    row = {"seconds": last["at"] - first["at"], "load_average": os.getloadavg()[0]}
    for column, name in COUNTERS.items():
        row[column] = last[name] - first[name]
    for column, name in MEANS.items():
        count = last[name + "_count"] - first[name + "_count"]
        row[column] = 1e3 * (last[name + "_sum"] - first[name + "_sum"]) / count if count else ""
    for column, name in GAUGES.items():
        row[column] = sum(sample[name] for sample in samples) / len(samples)
    return row


class Jittered(rig.Load):
    """Lengths uniform in nominal * [1 - JITTER, 1], as the twin's closed loop draws them."""

    async def _one(self, rng):
        lengths = [max(1, round(n * rng.uniform(1 - JITTER, 1)))
                   for n in (self.prompt, self.output)]
        body = {"model": "m", "prompt": [rng.randrange(3, 300) for _ in range(lengths[0])],
                "max_tokens": lengths[1], "ignore_eos": True, "temperature": 0, "stream": True,
                "stream_options": {"include_usage": True}}
        answer = await rig.ask(self.port, body)
        if b"data: [DONE]" in answer and b'"completion_tokens":%d' % lengths[1] in answer:
            self.done += 1
        else:
            self.lost.append(answer[-300:].decode(errors="replace") or "no answer")


class Load:
    """Closed-loop streams while the body runs."""

    def __init__(self, port, streams, prompt, output, seed):
        kind = Jittered if streams > 1 else rig.Load
        self.load = kind(port, streams=streams, prompt=prompt, output=output, seed=seed)
        self.halt = threading.Event()
        self.thread = threading.Thread(
            target=lambda: asyncio.run(self.load.run(self.halt.is_set)))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.halt.set()
        self.thread.join(rig.REQUEST_LIMIT_S)
        if self.load.lost:
            raise SystemExit(f"{len(self.load.lost)} requests lost: {self.load.lost[0]}")


def measure(url, tuner, options):
    port = int(url.rsplit(":", 1)[1])
    begin = time.monotonic()
    order = random.Random(options.seed)

    def one(streams, prompt, output, cap, seconds):
        row = window(url, seconds)
        row |= {"t_s": time.monotonic() - begin, "batch_size": cap, "concurrency": streams}
        print(" ".join(f"{key}={row[key]:.4g}" for key in COLUMNS if row[key] != ""),
              file=sys.stderr, flush=True)
        return row

    # Alone: a token at a time, then long prompts of which only the first token is wanted.
    tuner.command(batch_size=STREAMS)
    for prompt, output in ((8, 48), (440, 2)):
        with Load(port, 1, prompt, output, 7):
            time.sleep(SETTLE_S)
            yield one(1, prompt, output, STREAMS, options.seconds)
    for repeat in range(options.repeats):
        with Load(port, STREAMS, PROMPT, OUTPUT, 100 + repeat):
            for cap in order.sample(options.caps, len(options.caps)):
                tuner.lease(600)
                epoch = tuner.command(batch_size=cap)
                rig.until(lambda: tuner.report()["epoch"] >= epoch, 20, 0.05)
                time.sleep(SETTLE_S)
                yield one(STREAMS, PROMPT, OUTPUT, cap, options.seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--caps", default="1,2,4,8,12,16,24,32",
                        type=lambda text: [int(cap) for cap in text.split(",")])
    options = parser.parse_args()
    engines = Path(os.environ.get("ARQON_ENGINES") or ROOT / "build/engines").absolute()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        rig.forget_name(NAME, state)
        site = rig.install_plugin(engines / "vllm/venv/bin/python", Path(folder) / "wheel")
        command = commands.vllm(
            engines, servers.free_port(27000, 27999), "mid",
            ["--scheduler-cls", "arqonhpo_vllm.Scheduler", "--no-enable-prefix-caching"],
            {"PYTHONPATH": str(site), "ARQONHPO_VLLM_NAME": NAME,
             "ARQONHPO_VLLM_STATE": str(state)})
        server = servers.start(command, Path(folder) / "vllm.log", tied=True)
        try:
            tuner = Tuner(f"/dev/shm/arqonhpo-vllm-{NAME}.page")
            tuner.epoch = max(tuner.epoch, tuner.report()["epoch"])
            tuner.lease(600)
            rows = list(measure(command.url, tuner, options))
        finally:
            server.stop()
            rig.forget_name(NAME, state)
    with options.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: value if value == "" else f"{value:.6g}"
                             for key, value in row.items()})


if __name__ == "__main__":
    main()
