"""The engines themselves, as tools/engines installs and runs them: they answer, count and end."""

import json
import urllib.request
from pathlib import Path

from conftest import Running
from load import background, closed, completions, metrics, open_loop, triton_infer, until


def test_llamacpp_answers_every_token_it_is_asked_for(llamacpp) -> None:
    server: Running = llamacpp()
    before = metrics(f"{server.url}/metrics")
    report = closed(completions(server.url, tokens=8), streams=4, requests=40)
    assert report.sent == 40 and report.lost == [], report.summary()
    assert all(outcome.tokens == 8 and outcome.ttft_s > 0 for outcome in report.done)
    after = metrics(f"{server.url}/metrics")
    name = "llamacpp:tokens_predicted_total"
    assert after[name] - before[name] == 8 * 40


def test_two_llamacpp_behind_haproxy_share_the_requests(llamacpp, haproxy) -> None:
    one, two = llamacpp("one"), llamacpp("two", slots=2)
    proxy = haproxy({"be": [server.url.removeprefix("http://") for server in (one, two)]})
    until(lambda: up_servers(proxy) == 2, 5, "both servers up")
    report = closed(completions(proxy.url, tokens=4), streams=4, requests=60)
    assert report.lost == [], report.summary()
    shares = [metrics(f"{server.url}/metrics")["llamacpp:tokens_predicted_total"]
              for server in (one, two)]
    assert min(shares) >= 4 * 20


def up_servers(proxy: Running) -> int:
    text = urllib.request.urlopen(proxy.details["metrics"], timeout=5).read().decode()
    return sum(line.endswith(" 1") for line in text.splitlines()
               if line.startswith("haproxy_server_status") and 'state="UP"' in line)


def test_triton_batches_and_says_which_configuration_answered(triton) -> None:
    server: Running = triton()
    report = closed(triton_infer(server.url), streams=8, requests=200)
    assert report.lost == [], report.summary()
    assert max(outcome.detail[0] for outcome in report.done) >= 4
    counters = metrics(server.details["metrics"])
    assert counters["nv_inference_request_success"] >= 200
    ready = f"{server.url}/v2/models/sleeper/config"
    assert json.load(urllib.request.urlopen(ready, timeout=5))["max_batch_size"] == 32


def test_vllm_streams_and_counts(vllm) -> None:
    server: Running = vllm()
    before = metrics(f"{server.url}/metrics")
    report = open_loop(completions(server.url, tokens=16), rate=10, seconds=4)
    assert report.sent >= 20 and report.lost == [], report.summary()
    after = metrics(f"{server.url}/metrics")
    name = "vllm:generation_tokens_total"
    assert after[name] - before[name] == 16 * report.sent


def test_a_killed_server_is_a_loss_that_is_counted_and_it_comes_back(llamacpp) -> None:
    server: Running = llamacpp("victim")
    with background(completions(server.url, tokens=32), streams=3) as load:
        until(lambda: load.count() >= 6, 20, "some requests ended")
        server.server.kill()
        until(lambda: bool(load.report.lost), 20, "the kill is noticed")
        server.start_again()
        until(lambda: len(load.report.done) >= 12, 20, "answers after the restart")
    report = load.report
    assert report.sent == len(report.done) + len(report.lost)
    assert report.lost


def test_what_vllm_leaves_in_shared_memory_is_gone_after_a_kill(vllm) -> None:
    server: Running = vllm()
    mine = [name for name in server.server.memory if "psm_" in name]
    assert mine and all(Path(name).exists() for name in mine)
    server.server.kill()
    assert not server.server.pids()
    assert not any(Path(name).exists() for name in mine)
