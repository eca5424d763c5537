"""The rules of the page: what is in force, and what comes back when nobody answers any more."""

import json
import os

import pytest
from arqonhpo_vllm.confirmed import parse, reader
from arqonhpo_vllm.control import SECOND, Controller
from arqonhpo_vllm.knobs import SchedulerKnobs
from arqonhpo_vllm.layout import CLAMPED, LAPSED, REMADE, RESTORED, UNSUPPORTED
from arqonhpo_vllm.page import Page
from engines import BOOT, bare_scheduler
from tuner import COMMAND, CONFIRMED, LEASE, Tuner, write_confirmed

WHO = {"vllm": "0.32.0", "model": "m", "hardware": "h"}
OTHER = {**WHO, "model": "another"}


class Engine:
    """A scheduler with its controller on a page in `folder`, and a clock that tests move."""

    def __init__(self, folder, **kwargs):
        self.now = 1_000 * SECOND
        self.folder = str(folder)
        self.scheduler = bare_scheduler(**kwargs)
        self.page = Page("t", self.folder)
        self.control = Controller(self.page, SchedulerKnobs(self.scheduler),
                                  reader(self.folder, WHO), lambda: self.now)
        self.control.start()

    def tuner(self):
        return Tuner(self.page.path)

    def step(self, seconds=0.0):
        self.now += int(seconds * SECOND)
        self.control.before_step(self.now)
        self.scheduler.schedule()
        return self

    def values(self):
        scheduler = self.scheduler
        return {"batch_size": scheduler.max_num_active_reqs,
                "prefill_token_budget": scheduler.max_num_scheduled_tokens,
                "long_prefill_threshold": scheduler.scheduler_config.long_prefill_token_threshold,
                "kv_headroom_blocks": scheduler.kv_cache_manager.watermark_blocks,
                "reserve_full_prompt": int(scheduler.scheduler_reserve_full_isl)}


@pytest.fixture(name="engine")
def _engine(tmp_path):
    return Engine(tmp_path)


@pytest.fixture(name="tuner")
def _tuner(engine):
    tuner = engine.tuner()
    tuner.lease(10, engine.now)
    return tuner


def test_an_idle_page_changes_nothing(engine):
    assert engine.step().step(5).values() == BOOT
    assert (engine.control.epoch, engine.control.reasons, engine.control.torn) == (0, 0, 0)


def test_a_command_holds_from_the_next_step_and_is_acknowledged(engine, tuner):
    epoch = tuner.command(batch_size=4, prefill_token_budget=128, long_prefill_threshold=64,
                          kv_headroom_blocks=7, reserve_full_prompt=0)
    assert engine.step().values() == {
        "batch_size": 4, "prefill_token_budget": 128, "long_prefill_threshold": 64,
        "kv_headroom_blocks": 7, "reserve_full_prompt": 0}
    assert (engine.control.epoch, engine.control.reasons) == (epoch, 0)


def test_what_is_not_given_has_the_boot_value(engine, tuner):
    tuner.command(batch_size=4, kv_headroom_blocks=7)
    engine.step()
    tuner.command(prefill_token_budget=512)
    assert engine.step().values() == {**BOOT, "prefill_token_budget": 512}


@pytest.mark.parametrize(("name", "asked", "got"), [
    ("batch_size", 0, 1), ("batch_size", -5, 1), ("batch_size", 1 << 40, 32),
    ("prefill_token_budget", 1, 32), ("prefill_token_budget", 1 << 62, 2048),
    ("long_prefill_threshold", -1, 0), ("long_prefill_threshold", 3, 16),
    ("long_prefill_threshold", 9999, 512), ("kv_headroom_blocks", -2, 0),
    ("kv_headroom_blocks", 5000, 100), ("reserve_full_prompt", 7, 1)])
def test_a_value_outside_its_range_is_clamped_and_said(engine, tuner, name, asked, got):
    tuner.command(**{name: asked})
    assert engine.step().values()[name] == got
    assert engine.control.reasons & CLAMPED


def test_the_budget_keeps_room_for_every_request_and_its_drafts(tmp_path):
    engine = Engine(tmp_path, spec=4, table=[4] * 33)
    tuner = engine.tuner()
    tuner.lease(10, engine.now)
    tuner.command(prefill_token_budget=1, speculative_decoding_k=9)
    engine.step()
    assert engine.scheduler.max_num_scheduled_tokens == 5 * 32
    assert set(engine.scheduler.dynamic_sd_lookup) == {4}


def test_without_chunked_prefill_the_budget_stays_where_it_is(tmp_path):
    """A prompt longer than the budget would wait for ever, and everybody behind it."""
    engine = Engine(tmp_path, chunked=False)
    tuner = engine.tuner()
    tuner.lease(10, engine.now)
    tuner.command(prefill_token_budget=512)
    assert engine.step().values()["prefill_token_budget"] == 2048
    assert engine.control.reasons == CLAMPED


def test_speculation_moves_only_where_the_table_exists(tmp_path, engine, tuner):
    tuner.command(speculative_decoding_k=2, batch_size=3)
    assert engine.step().control.reasons == UNSUPPORTED
    assert engine.scheduler.max_num_active_reqs == 3
    (tmp_path / "other").mkdir()
    other = Engine(tmp_path / "other", spec=4, table=[4] * 33)
    tuner = other.tuner()
    tuner.lease(10, other.now)
    tuner.command(speculative_decoding_k=2)
    assert set(other.step().scheduler.dynamic_sd_lookup) == {2}
    tuner.command(batch_size=2)
    assert set(other.step().scheduler.dynamic_sd_lookup) == {4}


def test_values_of_the_api_process_are_not_unsupported_here(engine, tuner):
    tuner.command(max_queued_requests=5, batch_size=3)
    assert engine.step().control.reasons == 0


def test_a_torn_command_is_skipped_counted_and_taken_when_whole(engine, tuner):
    tuner.command(tear="odd", batch_size=4)
    assert engine.step().values() == BOOT
    tuner.epoch -= 1
    tuner.command(tear="check", batch_size=4)
    assert engine.step().values() == BOOT
    assert engine.control.torn == 2
    tuner.command(batch_size=5)
    assert engine.step().values()["batch_size"] == 5


def test_the_confirmed_setting_returns_when_the_lease_runs_out(engine, tuner):
    tuner.command(batch_size=8)
    engine.step()
    tuner.confirm(1, batch_size=8)
    tuner.command(batch_size=2)
    assert engine.step().values()["batch_size"] == 2
    assert engine.step(9.99).values()["batch_size"] == 2
    assert engine.step(0.02).values() == {**BOOT, "batch_size": 8}
    assert (engine.control.epoch, engine.control.reasons) == (1, LAPSED)


def test_a_lapsed_command_stays_lapsed_and_a_new_one_is_obeyed(engine, tuner):
    tuner.confirm(7, batch_size=8)
    tuner.command(batch_size=2)
    engine.step()
    engine.step(11)
    tuner.lease(10, engine.now)  # the tuner was only asleep
    assert engine.step().values()["batch_size"] == 8
    epoch = tuner.command(batch_size=3)
    assert engine.step().values()["batch_size"] == 3
    assert (engine.control.epoch, engine.control.reasons) == (epoch, 0)


def test_boot_values_return_only_when_nothing_was_ever_confirmed(engine, tuner):
    tuner.command(batch_size=2)
    engine.step()
    assert engine.step(11).values() == BOOT
    assert (engine.control.epoch, engine.control.reasons) == (0, LAPSED)


@pytest.mark.parametrize("deadline", [0, -1, 1 << 62])
def test_no_deadline_or_an_absurd_one_is_no_lease(engine, tuner, deadline):
    tuner.confirm(7, batch_size=8)
    tuner.command(batch_size=2)
    assert engine.step().values()["batch_size"] == 2
    tuner.words[LEASE] = deadline
    assert engine.step().values()["batch_size"] == 8


def test_a_command_nobody_answers_for_is_passed_over_for_good(engine, tuner):
    tuner.confirm(7, batch_size=8)
    tuner.lease(0)
    tuner.command(batch_size=2)
    assert engine.step().values()["batch_size"] == 8
    assert engine.control.reasons == LAPSED
    tuner.lease(10, engine.now)
    assert engine.step().values()["batch_size"] == 8


@pytest.mark.parametrize("tear", ["odd", "check"])
def test_a_tuner_that_died_while_confirming_leaves_the_set_on_disk(engine, tuner, tear):
    tuner.confirm(6, batch_size=9)
    tuner.command(batch_size=2)
    engine.step()
    write_confirmed(engine.folder, WHO, 7, batch_size=2)
    tuner.confirm(7, tear=tear, batch_size=2)
    assert engine.step(11).values()["batch_size"] == 2
    assert engine.control.epoch == 7


def test_without_block_and_disk_the_confirmed_set_last_seen_returns(engine, tuner):
    tuner.confirm(6, batch_size=9)
    tuner.command(batch_size=2)
    engine.step()
    engine.step(11)
    tuner.lease(10, engine.now)
    tuner.command(batch_size=3)
    engine.step()
    tuner.words[CONFIRMED] |= 1
    assert engine.step(11).values()["batch_size"] == 9


def test_a_restarted_engine_takes_up_the_set_on_disk(engine, tuner):
    tuner.command(batch_size=2)
    engine.step()
    write_confirmed(engine.folder, WHO, 5, batch_size=12)
    again = Engine(engine.folder)
    assert again.values()["batch_size"] == 12  # before the first step
    assert (again.control.epoch, again.control.reasons) == (5, RESTORED)
    assert again.step().values()["batch_size"] == 12  # the old command is not obeyed again
    tuner.command(batch_size=3)
    assert again.step().values()["batch_size"] == 3


# A change from the confirmed cap 9 to cap 3: what was done when everything died, and which cap is
# the last confirmed one then.
PHASES = {"lease": 9, "command torn": 9, "command": 9, "acknowledged": 9, "confirmed on disk": 3,
          "confirmed torn": 3, "confirmed": 3}


def go_as_far_as(phase, engine, tuner):
    reached = list(PHASES).index(phase)
    write_confirmed(engine.folder, WHO, 50, batch_size=9)
    tuner.confirm(50, batch_size=9)
    tuner.lease(10, engine.now)
    tuner.epoch = 50
    if reached >= 1:
        tuner.command(tear="odd" if phase == "command torn" else "", batch_size=3)
    if reached >= 3:
        engine.step()
    if reached >= 4:
        write_confirmed(engine.folder, WHO, tuner.epoch, batch_size=3)
    if reached >= 5:
        tuner.confirm(tuner.epoch, tear="odd" if phase == "confirmed torn" else "", batch_size=3)


@pytest.mark.parametrize("phase", PHASES)
def test_an_engine_restarted_in_any_phase_stands_on_the_confirmed_set(engine, tuner, phase):
    go_as_far_as(phase, engine, tuner)
    again = Engine(engine.folder)
    assert again.values()["batch_size"] == PHASES[phase]
    for seconds in (0, 0.1, 11, 1):  # the lease lives, then it ends
        assert again.step(seconds).values()["batch_size"] == PHASES[phase], seconds


@pytest.mark.parametrize("phase", PHASES)
def test_a_tuner_killed_in_any_phase_leaves_a_confirmed_set(engine, tuner, phase):
    tuner.command(batch_size=9)
    engine.step()
    go_as_far_as(phase, engine, tuner)
    engine.step()
    # With the disk written and the page not, the page still has the former set: confirmed as well.
    cap = 9 if phase == "confirmed on disk" else PHASES[phase]
    assert engine.step(11).values()["batch_size"] == cap


def test_another_engine_takes_up_neither_disk_nor_page(engine, tuner):
    write_confirmed(engine.folder, OTHER, 5, batch_size=12)
    tuner.confirm(5, batch_size=12)
    again = Engine(engine.folder)
    assert again.step().values() == BOOT
    tuner.command(batch_size=3)
    assert again.step().values()["batch_size"] == 3
    assert again.step(11).values() == BOOT
    tuner.confirm(6, batch_size=20)  # confirmed for this engine
    tuner.lease(10, again.now)
    tuner.command(batch_size=3)
    again.step()
    assert again.step(11).values()["batch_size"] == 20


def test_a_deleted_page_is_made_anew_with_the_confirmed_set(engine, tuner):
    tuner.confirm(7, batch_size=8)
    write_confirmed(engine.folder, WHO, 7, batch_size=8)
    tuner.command(batch_size=2)
    engine.step()
    os.unlink(engine.page.path)
    assert engine.step(1.1).values()["batch_size"] == 8
    assert engine.control.reasons == LAPSED | REMADE
    assert engine.page.attached
    fresh = engine.tuner()
    fresh.lease(10, engine.now)
    fresh.command(batch_size=4)
    assert engine.step().values()["batch_size"] == 4


def test_a_page_whose_header_is_spoilt_is_left_and_replaced(engine, tuner):
    tuner.confirm(7, batch_size=8)
    write_confirmed(engine.folder, WHO, 7, batch_size=8)
    tuner.command(batch_size=2)
    engine.step()
    tuner.words[0] = 12345
    assert engine.step(1.1).values()["batch_size"] == 8
    engine.step(1.1)
    assert engine.page.intact()


def test_a_page_of_the_wrong_size_is_replaced_at_the_second_look(tmp_path):
    path = tmp_path / "arqonhpo-vllm-t.page"
    path.write_bytes(b"garbage")
    path.chmod(0o600)
    engine = Engine(tmp_path)
    assert not engine.page.attached
    assert engine.step(1.1).page.attached


def test_a_page_others_may_write_is_not_taken(tmp_path):
    Tuner(str(tmp_path / "arqonhpo-vllm-t.page")).command(batch_size=2)
    (tmp_path / "arqonhpo-vllm-t.page").chmod(0o666)
    assert Engine(tmp_path).step(1.1).values() == BOOT


def test_a_page_that_is_a_link_is_not_followed(tmp_path):
    Tuner(str(tmp_path / "elsewhere"))
    (tmp_path / "arqonhpo-vllm-t.page").symlink_to(tmp_path / "elsewhere")
    engine = Engine(tmp_path)
    assert not engine.step(1.1).page.attached


def test_a_page_of_another_layout_is_neither_used_nor_destroyed(tmp_path):
    path = tmp_path / "arqonhpo-vllm-t.page"
    Tuner(str(path)).words[1] = 2
    before = path.read_bytes()
    engine = Engine(tmp_path)
    engine.step(1.1).step(1.1)
    assert not engine.page.attached
    assert path.read_bytes() == before


def test_an_empty_page_made_by_the_tuner_is_completed(tmp_path):
    path = tmp_path / "arqonhpo-vllm-t.page"
    path.write_bytes(bytes(4096))
    path.chmod(0o600)
    assert Engine(tmp_path).page.intact()


def test_a_folder_that_is_missing_leaves_the_engine_as_it_is(tmp_path):
    assert Engine(tmp_path / "absent").step(1.1).values() == BOOT


def test_an_error_inside_is_counted_and_nothing_is_raised(engine, tuner, monkeypatch):
    monkeypatch.setattr(engine.page, "read_block", lambda first: 1 / 0)
    tuner.command(batch_size=2)
    assert engine.step().step().values() == BOOT
    assert engine.control.errors == 2


def test_an_unchanged_page_is_not_read(engine, tuner, monkeypatch):
    tuner.command(batch_size=2)
    engine.step()
    monkeypatch.setattr(engine.control, "look", lambda now: pytest.fail("looked"))
    engine.step(0.5)


GOOD = {"schema": 1, "identity": WHO, "epoch": 7, "values": {"batch_size": 16}}


@pytest.mark.parametrize("change", [
    {"schema": 2}, {"identity": OTHER}, {"identity": None}, {"epoch": 0}, {"epoch": True},
    {"epoch": "7"}, {"epoch": 1 << 70}, {"values": []}, {"values": {"batch_size": 1.5}},
    {"values": {"batch_size": True}}, {"values": {"batch_size": 1 << 64}}])
def test_a_stored_setting_that_is_not_right_is_not_taken(change):
    assert parse(json.dumps({**GOOD, **change}).encode(), WHO) is None


@pytest.mark.parametrize("text", [b"", b"{", b"null", b"[" * 100000, b"\xff\xfe", b"[1]"])
def test_a_stored_setting_that_is_not_json_is_not_taken(text):
    assert parse(text, WHO) is None


def test_a_name_of_a_later_version_is_passed_over():
    setting = parse(json.dumps({**GOOD, "values": {"batch_size": 16, "warp": 9}}).encode(), WHO)
    assert (setting.epoch, setting.mask, setting.values[0]) == (7, 1, 16)


def test_blocks_are_where_the_format_says(engine, tuner):
    tuner.command(batch_size=4)
    assert tuner.words[COMMAND + 1] == 1
    assert tuner.words[COMMAND + 3] == 4
    assert engine.page.words[COMMAND + 19] == tuner.words[COMMAND + 19]
