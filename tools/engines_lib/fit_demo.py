#!/usr/bin/env python3
"""fit_demo.py SCENARIO URL: the scenario of make demo-vllm, fitted to this machine, on stdout.

The scenario was written for a machine that takes 200 ms for the longest prompt. Here the time that
takes is measured; the limit on pauses follows it and so do the arrivals, within bounds, so that the
engine is as busy and its default as troubled by long prompts on a fast machine as on a slow one.
"""

import json
import random
import statistics
import sys
import time
import urllib.request

WRITTEN_FOR_MS = 200
LONGEST_PROMPT = 1900
LIMIT_LEAST_MS, LIMIT_MOST_MS = 30, 400
RATE_LEAST, RATE_MOST = 0.5, 3.0


def prompt_ms(url: str, tokens: int) -> float:
    """One request alone, one token of answer."""
    body = {"model": "m", "prompt": [random.randrange(100, 500) for _ in range(tokens)],
            "max_tokens": 1, "ignore_eos": True}
    request = urllib.request.Request(f"{url}/v1/completions", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    begin = time.monotonic()
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
    return 1e3 * (time.monotonic() - begin)


def fitted(scenario: dict, url: str, longest_ms: float) -> dict:
    """The scenario for an engine that takes so long for the longest prompt."""
    speed = WRITTEN_FOR_MS / longest_ms
    out = json.loads(json.dumps(scenario))
    out["target"]["url"] = url
    for limits in out["classes"].values():
        limits["max_gap_ms"] = round(min(max(limits["max_gap_ms"] / speed, LIMIT_LEAST_MS),
                                         LIMIT_MOST_MS))
    source = out["workload"]["source"]
    source["rate_per_s"] = round(source["rate_per_s"] * min(max(speed, RATE_LEAST), RATE_MOST), 1)
    return out


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        scenario = json.load(file)
    url = sys.argv[2]
    for tokens in (50, 500, LONGEST_PROMPT, LONGEST_PROMPT):  # the first after a start are slow
        prompt_ms(url, tokens)
    longest = statistics.median(prompt_ms(url, LONGEST_PROMPT) for _ in range(9))
    out = fitted(scenario, url, longest)
    print(f"demo-vllm: {longest:.0f} ms for {LONGEST_PROMPT} tokens: pauses of "
          f"{out['classes']['chat']['max_gap_ms']} ms allowed, "
          f"{out['workload']['source']['rate_per_s']} chat requests a second", file=sys.stderr)
    json.dump(out, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
