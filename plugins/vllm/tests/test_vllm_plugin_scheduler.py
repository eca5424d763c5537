"""The scheduler class: a real subclass where all is as it was read, the stock one elsewhere."""

import json
import os

import pytest
from arqonhpo_vllm import checks, contract, page
from arqonhpo_vllm import control as control_module
from arqonhpo_vllm import scheduler as scheduler_module
from arqonhpo_vllm.layout import PLAIN, RESTORED, fnv1a
from engines import BOOT, config, identity_of, know_the_fake
from tuner import Tuner, write_confirmed
from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.scheduler import Scheduler as Stock


@pytest.fixture(name="home")
def _home(tmp_path, monkeypatch):
    know_the_fake(monkeypatch)
    monkeypatch.setenv("ARQONHPO_VLLM_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("ARQONHPO_VLLM", raising=False)
    monkeypatch.delenv("ARQONHPO_VLLM_NAME", raising=False)
    monkeypatch.setattr(page.Page.__init__, "__defaults__", (str(tmp_path),))
    return tmp_path


def make(**kwargs):
    import arqonhpo_vllm
    return arqonhpo_vllm.Scheduler(vllm_config=config(**kwargs))


def tuner_of(home):
    return Tuner(str(home / "arqonhpo-vllm-default.page"))


def identity_file(home):
    return json.loads((home / "state/default/identity.json").read_text())


def test_the_base_class_follows_async_scheduling(home):
    assert isinstance(make(asynchronous=True), AsyncScheduler)
    plain = make(asynchronous=False)
    assert isinstance(plain, Stock) and not isinstance(plain, AsyncScheduler)
    assert type(plain).__mro__[1] is Stock


def test_only_schedule_is_overridden_and_its_arguments_pass_through(home):
    scheduler = make()
    assert set(vars(type(scheduler))) - set(vars(type("Empty", (), {}))) <= {"schedule"}
    scheduler.schedule()
    scheduler.schedule(True)
    scheduler.schedule(throttle_prefills=True)
    assert scheduler.throttled == [False, True, True]


def test_switched_off_it_is_the_stock_class_and_leaves_no_file(home, monkeypatch):
    monkeypatch.setenv("ARQONHPO_VLLM", "off")
    assert type(make()) is AsyncScheduler
    assert not list(home.iterdir())


@pytest.mark.parametrize("version", ["0.99.0", "0.32.0rc1", "dev", "0.32.1"])
def test_an_unknown_version_runs_the_stock_scheduler_and_says_so(home, monkeypatch, version):
    monkeypatch.setattr(checks, "vllm_version", lambda: version)
    scheduler = make()
    assert type(scheduler) is AsyncScheduler
    told = identity_file(home)
    assert (told["supported"], told["vllm"]) == (False, version)
    assert "was not checked" in told["why"]
    report = tuner_of(home).report()
    assert (report["reasons"], report["supported"]) == (PLAIN, 0)
    assert report["version"] == fnv1a(version)
    scheduler.schedule()


def test_a_build_suffix_is_the_same_release(home, monkeypatch):
    monkeypatch.setattr(checks, "vllm_version", lambda: "0.32.0+cpu")
    make()
    assert identity_file(home)["supported"]


def test_a_changed_schedule_runs_the_stock_scheduler(home, monkeypatch):
    monkeypatch.setattr(contract, "SCHEDULE_HASHES", {"0.32.0": frozenset({"another"})})
    assert type(make()) is AsyncScheduler
    assert "is changed" in identity_file(home)["why"]


def test_a_replaced_schedule_runs_the_stock_scheduler(home, monkeypatch):
    monkeypatch.setattr(Stock, "schedule", lambda self, throttle_prefills=False: None)
    assert type(make()) is AsyncScheduler
    assert "was replaced" in identity_file(home)["why"]


def test_a_schedule_of_a_subclass_in_between_is_not_touched(home, monkeypatch):
    monkeypatch.setattr(AsyncScheduler, "schedule", Stock.schedule, raising=False)
    assert type(make()) is AsyncScheduler
    assert "AsyncScheduler" in identity_file(home)["why"]


@pytest.mark.parametrize(("change", "named"), [
    (lambda s: delattr(s, "max_num_active_reqs"), "max_num_active_reqs"),
    (lambda s: setattr(s, "max_num_scheduled_tokens", None), "max_num_scheduled_tokens"),
    (lambda s: setattr(s, "scheduler_reserve_full_isl", 1), "scheduler_reserve_full_isl"),
    (lambda s: delattr(s.kv_cache_manager, "watermark_blocks"), "watermark_blocks"),
    (lambda s: setattr(s.kv_cache_manager, "watermark_blocks", 0.5), "watermark_blocks")])
def test_a_missing_attribute_runs_the_stock_scheduler(home, monkeypatch, change, named):
    original = Stock.__init__

    def changed(self, *args, **kwargs):
        original(self, *args, **kwargs)
        change(self)

    monkeypatch.setattr(Stock, "__init__", changed)
    assert type(make()) is AsyncScheduler
    assert named in identity_file(home)["why"]


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "x" * 65, "a b"])
def test_a_name_unfit_for_a_file_leaves_the_stock_scheduler(home, monkeypatch, name):
    monkeypatch.setenv("ARQONHPO_VLLM_NAME", name)
    assert type(make()) is AsyncScheduler
    assert not list(home.iterdir())


def test_the_report_says_what_is_in_force_and_what_the_engine_is(home):
    scheduler = make()
    tuner = tuner_of(home)
    scheduler.waiting.extend(range(50))
    tuner.lease(10)
    epoch = tuner.command(batch_size=4, kv_headroom_blocks=7)
    scheduler.schedule()
    report = tuner.report()
    assert (report["epoch"], report["reasons"], report["supported"]) == (epoch, 0, 0b11111)
    assert report["values"]["batch_size"] == 4
    assert report["values"]["prefill_token_budget"] == BOOT["prefill_token_budget"]
    assert (report["steps"], report["running"], report["waiting"]) == (1, 4, 46)
    assert (report["peak"], report["tokens"]) == (4, 4)
    assert (report["free_blocks"], report["blocks"]) == (499, 500)
    assert (report["max_num_seqs"], report["max_num_batched_tokens"]) == (32, 2048)
    assert (report["max_model_len"], report["block_size"], report["k_live"]) == (512, 16, 0)
    assert report["pid"] == os.getpid()
    assert report["version"] == fnv1a("0.32.0")
    who = identity_of(config())
    assert report["identity"] == fnv1a("\0".join(who.values()))
    assert report["page_ns"] == 0  # of the steps before


class Time:
    """The clock of the scheduler in the hands of a test: a microsecond passes at every reading."""

    CLOCK_BOOTTIME = 7

    def __init__(self, monkeypatch):
        self.now = 10**15
        monkeypatch.setattr(scheduler_module, "time", self)
        for module in (scheduler_module, control_module):
            monkeypatch.setattr(module, "boottime", self.clock_gettime_ns)
        monkeypatch.setattr(control_module.Controller.__init__, "__defaults__",
                            (self.clock_gettime_ns,))

    def clock_gettime_ns(self, _id=7):
        self.now += 1000
        return self.now

    def thread_time_ns(self):
        return self.clock_gettime_ns()


def test_reports_are_written_at_most_every_50_ms_while_nothing_is_new(home, monkeypatch):
    time = Time(monkeypatch)
    scheduler, tuner = make(), tuner_of(home)
    scheduler.running.extend(range(3))
    steps = []
    for _ in range(40):  # 5 ms each
        scheduler.schedule()
        time.now += 5_000_000
        if not steps or tuner.report()["steps"] != steps[-1]:
            steps.append(tuner.report()["steps"])
    assert steps == [1, 11, 21, 31]


def test_what_is_new_is_reported_at_once(home, monkeypatch):
    time = Time(monkeypatch)
    scheduler, tuner = make(), tuner_of(home)

    def step():
        scheduler.schedule()
        time.now += 1_000_000
        return tuner.report()

    assert step()["running"] == 0
    scheduler.waiting.extend(range(9))
    assert step()["running"] == 9  # busy
    del scheduler.running[5:]
    assert step()["running"] == 9 and step()["running"] == 9  # a moment old
    tuner.lease(10, time.now)
    epoch = tuner.command(batch_size=4)
    assert (step()["epoch"], tuner.report()["running"]) == (epoch, 5)
    scheduler.running.clear()
    assert (step()["running"], tuner.report()["steps"]) == (0, 6)  # idle


def test_a_lease_that_ends_between_two_reports_ends_on_time(home, monkeypatch):
    time = Time(monkeypatch)
    scheduler, tuner = make(), tuner_of(home)
    scheduler.running.extend(range(3))
    tuner.lease(0.06, time.now)
    tuner.command(batch_size=4)
    caps = []
    for _ in range(16):
        scheduler.schedule()
        caps.append(scheduler.max_num_active_reqs)
        time.now += 5_000_000
    assert caps == [4] * 12 + [32] * 4


def test_quick_steps_are_timed_by_one_of_them(home, monkeypatch):
    time = Time(monkeypatch)
    scheduler, tuner = make(), tuner_of(home)
    scheduler.running.extend(range(3))
    for _ in range(200):
        scheduler.schedule()
        time.now += 5_000_000
    report = tuner.report()
    # Between two readings there is one stretch of the stock scheduler, and of the plugin's the way
    # to the timing and one less what a reading costs; in each tenth step three more.
    assert report["schedule_ns"] == pytest.approx(1000 * report["steps"], rel=0.1)
    assert 1000 * report["steps"] <= report["page_ns"] <= 2000 * report["steps"]


def test_the_peak_counts_from_the_applied_epoch(home):
    scheduler = make()
    tuner = tuner_of(home)
    scheduler.waiting.extend(range(20))
    scheduler.schedule()
    assert tuner.report()["peak"] == 20
    del scheduler.running[2:]
    tuner.lease(10)
    tuner.command(batch_size=4)
    scheduler.schedule()
    assert tuner.report()["peak"] == 2


def test_a_restart_with_a_stored_setting_is_reported_before_the_first_step(home):
    write_confirmed(str(home / "state/default"), identity_of(config()), 9, batch_size=6)
    scheduler = make()
    report = tuner_of(home).report()
    assert scheduler.max_num_active_reqs == 6
    assert (report["epoch"], report["reasons"], report["values"]["batch_size"]) == (9, RESTORED, 6)
    assert report["steps"] == 0


def test_ranks_have_reports_of_their_own(home):
    ranks = [make(rank=rank) for rank in (0, 3, 7)]
    for scheduler in ranks:
        scheduler.schedule()
    tuner = tuner_of(home)
    assert [tuner.report(slot)["steps"] for slot in range(8)] == [1, 0, 0, 1, 0, 0, 0, 0]
    tuner.lease(10)
    tuner.command(batch_size=4)
    for scheduler in ranks:
        scheduler.schedule()
    assert [scheduler.max_num_active_reqs for scheduler in ranks] == [4, 4, 4]


def test_a_page_deleted_while_serving_reports_into_the_new_one(home, monkeypatch):
    time = Time(monkeypatch)
    scheduler = make()
    scheduler.schedule()
    path = home / "arqonhpo-vllm-default.page"
    path.unlink()
    time.now += 10**9  # a second later
    scheduler.schedule()
    report = tuner_of(home).report()
    assert (report["steps"], report["max_num_seqs"]) == (2, 32)


def test_an_error_while_reporting_is_counted_and_not_raised(home, monkeypatch):
    scheduler = make()
    monkeypatch.setattr(scheduler.kv_cache_manager.block_pool, "get_num_free_blocks",
                        lambda: 1 / 0)
    scheduler.schedule()
    assert scheduler._arqonhpo.control.errors == 1


def test_errors_of_the_engine_itself_are_not_hidden(home):
    scheduler = make()
    with pytest.raises(TypeError):
        scheduler.schedule(nonsense=1)


def test_the_package_imports_nothing_of_vllm():
    import subprocess
    import sys
    from pathlib import Path
    code = "import arqonhpo_vllm, sys; assert not any(m.startswith('vllm') for m in sys.modules)"
    root = Path(__file__).resolve().parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_an_unchanged_page_costs_well_under_a_microsecond(home):
    """The best of many runs, so that a busy machine does not matter."""
    import time
    control = make()._arqonhpo.control
    control.look(0)
    best = float("inf")
    for _ in range(300):
        begin = time.perf_counter_ns()
        for _ in range(100):
            control.before_step(1)
        best = min(best, (time.perf_counter_ns() - begin) / 100)
    assert best < 1000, f"{best:.0f} ns"
