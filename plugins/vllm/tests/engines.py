"""Builders of stand-in engines for the tests."""

from types import SimpleNamespace

from arqonhpo_vllm import checks, contract, identity
from vllm.v1.core.sched import scheduler as fake

BOOT = {"batch_size": 32, "prefill_token_budget": 2048, "long_prefill_threshold": 0,
        "kv_headroom_blocks": 0, "reserve_full_prompt": 1}


def config(asynchronous=True, model="m", table=None, spec=0, rank=0, chunked=True):
    return SimpleNamespace(
        scheduler_config=SimpleNamespace(
            async_scheduling=asynchronous, max_num_seqs=32, max_num_batched_tokens=2048,
            enable_chunked_prefill=chunked, long_prefill_token_threshold=0, table=table,
            max_num_queued_reqs=None, max_num_queued_tokens=None),
        model_config=SimpleNamespace(model=model, revision=None, max_model_len=512),
        parallel_config=SimpleNamespace(world_size=1, data_parallel_rank=rank),
        num_speculative_tokens=spec)


def bare_scheduler(**kwargs):
    return fake.Scheduler(vllm_config=config(**kwargs))


def identity_of(vllm_config, version="0.32.0"):
    return identity.of_engine(version, vllm_config)


def know_the_fake(monkeypatch):
    """The stand-in's own schedule() becomes the one that was read."""
    with open(fake.__file__, encoding="utf-8") as file:
        found = checks.source_hash(file.read(), "Scheduler", "schedule")
    monkeypatch.setattr(contract, "SCHEDULE_HASHES", {"0.32.0": frozenset({found[0]})})
