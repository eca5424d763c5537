"""The misfortunes that adapters' tests use, on a real server: each does what its name says."""

import http.client
import json
import urllib.error
import urllib.request

import pytest

from conftest import Running
from faults import Desk, FaultProxy
from load import background, closed, completions, metrics, until


@pytest.fixture
def proxied(llamacpp):
    server: Running = llamacpp("faulty")
    proxy = FaultProxy(server.url, slow_s=0.5)
    yield server, proxy
    proxy.close()
    if not server.well():
        server.start_again()


def status(url: str, timeout: float = 1) -> int:
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, http.client.HTTPException):
        return 0


def test_a_healed_proxy_passes_everything_on(proxied) -> None:
    server, proxy = proxied
    report = closed(completions(proxy.url, tokens=8), streams=4, requests=20)
    assert report.lost == [], report.summary()
    assert metrics(f"{proxy.url}/metrics").keys() == metrics(f"{server.url}/metrics").keys()


def test_hang_with_health_200(proxied) -> None:
    _, proxy = proxied
    proxy.set({"/health": "pass", "*": "hang"})
    assert status(f"{proxy.url}/health") == 200
    assert status(f"{proxy.url}/metrics", timeout=0.5) == 0
    proxy.heal()
    assert status(f"{proxy.url}/metrics") == 200


def test_garbage_half_and_slow_metrics_leave_requests_alone(proxied) -> None:
    _, proxy = proxied
    proxy.set({"/metrics": "garbage"})
    with pytest.raises((ValueError, IndexError)):
        metrics(f"{proxy.url}/metrics")
    assert closed(completions(proxy.url, tokens=4), streams=2, requests=6).lost == []
    proxy.set({"/metrics": "cut"})
    assert status(f"{proxy.url}/metrics") == 0
    proxy.set({"/metrics": "half"})
    half = urllib.request.urlopen(f"{proxy.url}/metrics", timeout=2).read()
    whole = urllib.request.urlopen(f"{proxy.upstream}/metrics", timeout=2).read()
    assert 0 < len(half) < len(whole) and not half.endswith(b"\n")
    proxy.set({"/metrics": "slow"})
    assert status(f"{proxy.url}/metrics", timeout=0.2) == 0
    assert status(f"{proxy.url}/metrics", timeout=5) == 200


def test_success_without_a_token_is_lost(proxied) -> None:
    _, proxy = proxied
    proxy.set({"/v1": "no_tokens"})
    for stream in (True, False):
        report = closed(completions(proxy.url, tokens=4, stream=stream), streams=1, requests=3)
        assert report.lost == ["0 of 4 tokens"] * 3


def test_a_stopped_server_loses_nothing_when_it_goes_on(proxied) -> None:
    server, _ = proxied
    with background(completions(server.url, tokens=16), streams=2) as load:
        until(lambda: load.count() > 2, 10, "requests ended")
        server.server.suspend()
        assert status(f"{server.url}/health", timeout=0.5) == 0
        server.server.resume()
        before = load.count()
        until(lambda: load.count() > before + 4, 10, "requests end again")
    assert load.report.lost == [], load.report.summary()


def test_a_restart_with_other_flags_shows(proxied, llamacpp) -> None:
    server, _ = proxied
    slots = len(json.load(urllib.request.urlopen(f"{server.url}/slots", timeout=5)))
    former = server.command
    server.start_again(llamacpp.command(int(server.details["port"]), slots=slots // 2))
    assert len(json.load(urllib.request.urlopen(f"{server.url}/slots", timeout=5))) == slots // 2
    server.start_again(former)


def ask(desk: Desk, verb: str, body: str = "") -> str:
    request = urllib.request.Request(f"{desk.url}/{verb}", body.encode(), method="POST")
    return urllib.request.urlopen(request, timeout=60).read().decode()


def test_a_desk_drives_injects_and_heals_and_tells_what_went_wrong(proxied) -> None:
    server, proxy = proxied
    desk = Desk(completions(proxy.url, tokens=4))
    desk.server_faults(server, [proxy])
    try:
        assert set(ask(desk, "faults").split()) == {"counter_reset", "down", "hang", "garbage",
                                                    "half_written"}
        assert "6 sent, 6 done, 0 lost" in ask(desk, "drive", "6")
        ask(desk, "inject/down")
        assert not server.server.alive()
        with pytest.raises(urllib.error.HTTPError) as error:
            ask(desk, "drive", "2")
        assert "2 lost" in error.value.read().decode()
        ask(desk, "heal/down")
        assert server.well()
        before = metrics(f"{server.url}/metrics")["llamacpp:tokens_predicted_total"]
        ask(desk, "drive", "2")
        assert metrics(f"{server.url}/metrics")["llamacpp:tokens_predicted_total"] > before
        ask(desk, "inject/counter_reset")
        assert metrics(f"{server.url}/metrics")["llamacpp:tokens_predicted_total"] == 0
        ask(desk, "inject/hang")
        assert status(f"{proxy.url}/health") == 200
        assert status(f"{proxy.url}/slots", timeout=0.3) == 0
        ask(desk, "heal/hang")
    finally:
        desk.close()
