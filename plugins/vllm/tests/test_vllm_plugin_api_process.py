"""The API process: exact times of finished requests, and limits on the queue."""

import os
from types import SimpleNamespace

import pytest
from arqonhpo_vllm import request_times
from arqonhpo_vllm.api_process import ApiProcess, record_fields
from arqonhpo_vllm.layout import LAPSED, RING_BYTES, RING_MAGIC, RING_RECORDS
from arqonhpo_vllm.ring import Ring
from engines import config, identity_of
from tuner import Tuner, now, write_confirmed
from vllm.v1.metrics import stats as fake_stats

FIELDS = tuple(range(1, 14))


@pytest.fixture(name="stats_class")
def _stats_class():
    """A copy, as wrapping is once and for all."""
    return type("IterationStats", (), dict(vars(fake_stats.IterationStats)))


@pytest.fixture(name="api")
def _api(tmp_path, monkeypatch, stats_class):
    monkeypatch.delenv("ARQONHPO_VLLM_NAME", raising=False)
    vllm_config = config()
    process = ApiProcess(vllm_config, "0.32.0", stats_class, str(tmp_path), str(tmp_path))
    return SimpleNamespace(process=process, config=vllm_config.scheduler_config,
                           tuner=Tuner(str(tmp_path / "arqonhpo-vllm-default.page")),
                           ring=tmp_path / "arqonhpo-vllm-default.ring")


def serve(stats_class, *, arrival=100.0, steps=(100.5, 100.6, 100.9), end=0, queued=5.0,
          scheduled=5.2):
    """One request whose outputs come at these wall times, the engine's clock 95 s behind."""
    stats = fake_stats.RequestStateStats(arrival_time=arrival, queued_ts=queued,
                                         scheduled_ts=scheduled)
    for i, wall in enumerate(steps):
        batch = stats_class(wall)
        batch.update_from_output(SimpleNamespace(new_token_ids=[1]), wall - 95, i == 0, stats, None,
                                 None)
    batch.update_from_finished_request(finish_reason=end, request_id="r", num_prompt_tokens=40,
                                       max_tokens_param=None, req_stats=stats,
                                       num_cached_tokens=16)
    return batch


def records(path):
    words = memoryview(path.read_bytes()).cast("q")
    count = words[3]
    return [tuple(words[8 + i * 16:24 + i * 16]) for i in range(count)]


def test_a_finished_request_is_one_exact_record(api, stats_class):
    before = now()
    api.process.record(None, serve(stats_class))
    (record,) = records(api.ring)
    assert record[0] == 1
    assert before <= record[1] <= now()
    assert record[2:5] == (40, 3, 16)
    queue, prefill, first, decode, e2e, largest = record[5:11]
    expected = (200_000, 300_000, 500_000, 400_000, 900_000, 300_000)
    assert (queue, prefill, first, decode, e2e, largest) == pytest.approx(expected, abs=2)
    assert (record[11], record[13]) == (0, 2)
    assert record[12] == pytest.approx(400_000, abs=2)


def test_an_aborted_request_without_a_token_has_unknown_times(stats_class):
    request_times.install(stats_class)
    stats = fake_stats.RequestStateStats(arrival_time=100.0, queued_ts=5.0)
    batch = stats_class(101.0)
    batch.update_from_finished_request(2, "r", 40, None, stats)
    fields = record_fields(batch.finished_requests[0], 1)
    assert fields[2] == 0  # output tokens
    assert fields[4] == fields[6] == -1  # queue and first token
    assert fields[10] == 2


def test_without_the_wrapper_the_largest_gap_is_unknown(stats_class):
    (finished,) = serve(stats_class).finished_requests
    fields = record_fields(finished, 1)
    assert fields[9] == -1
    assert fields[6] == pytest.approx(500_000, abs=2)


def test_wrapping_happens_once_and_only_where_the_arguments_are_known(stats_class):
    assert request_times.install(stats_class) == ""
    wrapped = stats_class.update_from_output
    assert request_times.install(stats_class) == ""
    assert stats_class.update_from_output is wrapped
    other = type("Other", (), {"update_from_output": lambda self, x: None,
                               "update_from_finished_request": lambda self, req_stats: None})
    assert "other arguments" in request_times.install(other)
    assert request_times.install(type("Empty", (), {}))


def test_queue_limits_follow_the_page_and_lapse_to_none(api):
    api.tuner.lease(0.2)
    epoch = api.tuner.command(batch_size=3, max_queued_requests=5, max_queued_tokens=-9)
    api.process.record(None, None)
    assert (api.config.max_num_queued_reqs, api.config.max_num_queued_tokens) == (5, None)
    report = api.tuner.report(7)
    assert (report["epoch"], report["supported"]) == (epoch, 0b11000000)
    assert report["values"]["max_queued_requests"] == 5
    assert report["pid"] == os.getpid()
    api.tuner.lease(0)
    api.process.look()
    assert api.config.max_num_queued_reqs is None
    assert api.tuner.report(7)["reasons"] == LAPSED


def test_a_restarted_api_process_takes_up_the_stored_limits(tmp_path, stats_class):
    vllm_config = config()
    write_confirmed(str(tmp_path), identity_of(vllm_config), 3, max_queued_requests=9)
    ApiProcess(vllm_config, "0.32.0", stats_class, str(tmp_path), str(tmp_path))
    assert vllm_config.scheduler_config.max_num_queued_reqs == 9


def test_the_report_carries_what_the_engine_said_last(api):
    load = SimpleNamespace(num_running_reqs=4, num_waiting_reqs=2, num_skipped_waiting_reqs=1)
    api.process.record(load, None)
    report = api.tuner.report(7)
    assert [report[name] for name in ("running", "waiting", "skipped", "steps")] == [4, 2, 1, 1]


def test_garbage_from_the_engine_is_counted_and_not_raised(api):
    api.process.record(object(), object())
    assert api.tuner.report(7)["errors"] == 1


def test_the_ring_has_the_size_and_header_of_the_format(api):
    words = memoryview(api.ring.read_bytes()).cast("q")
    assert api.ring.stat().st_size == RING_BYTES == 64 + 16384 * 128
    assert tuple(words[:5]) == (RING_MAGIC, 1, RING_RECORDS, 0, os.getpid())
    assert api.ring.stat().st_mode & 0o777 == 0o600


def test_only_one_process_writes_and_the_next_goes_on_counting(tmp_path):
    first, second = Ring("r", 1, str(tmp_path)), Ring("r", 2, str(tmp_path))
    assert first.attach() == ""
    assert second.attach() != ""
    first.append(FIELDS)
    second.append(FIELDS)
    assert len(records(tmp_path / "arqonhpo-vllm-r.ring")) == 1
    first.detach()
    assert second.attach() == ""
    second.append(FIELDS)
    indices = [record[0] for record in records(tmp_path / "arqonhpo-vllm-r.ring")]
    assert indices == [1, 2]


def test_the_ring_goes_round(tmp_path):
    ring = Ring("r", 1, str(tmp_path))
    ring.attach()
    for i in range(RING_RECORDS + 3):
        ring.append((i,) + FIELDS[1:])
    words = memoryview((tmp_path / "arqonhpo-vllm-r.ring").read_bytes()).cast("q")
    assert words[3] == RING_RECORDS + 3
    assert words[8] == RING_RECORDS + 1
    assert words[8 + 3 * 16] == 4


def test_a_deleted_ring_is_made_anew(api, stats_class):
    api.ring.unlink()
    api.process._next_check = 0  # a second later
    api.process.look()
    api.process.record(None, serve(stats_class))
    assert len(records(api.ring)) == 1


def test_the_logger_for_vllm_is_of_its_base_class_and_survives_anything(tmp_path, monkeypatch):
    from arqonhpo_vllm import stat_logger
    from vllm.v1.metrics.loggers import AggregateStatLoggerBase
    monkeypatch.setattr(stat_logger, "SHARED_MEMORY", str(tmp_path))
    monkeypatch.setenv("ARQONHPO_VLLM_STATE", str(tmp_path))
    monkeypatch.delenv("ARQONHPO_VLLM_NAME", raising=False)
    assert issubclass(stat_logger.StatLogger, AggregateStatLoggerBase)
    for broken in (config(), object()):
        logger = stat_logger.StatLogger(vllm_config=broken, engine_indexes=[0])
        logger.record(None, None, mm_cache_stats=None, engine_idx=0)
        logger.log()
        logger.log_engine_initialized()
        logger.record_sleep_state(0, 0)
        logger.record_admission_rejection("max_num_queued_reqs")
    monkeypatch.setenv("ARQONHPO_VLLM", "off")
    assert stat_logger.StatLogger(vllm_config=config(), engine_indexes=[0])._api is None
