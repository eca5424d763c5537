"""Which times of a request vLLM takes, and what it keeps of them when the request ends."""

from dataclasses import dataclass


@dataclass
class RequestStateStats:
    num_generation_tokens: int = 0
    arrival_time: float = 0.0
    queued_ts: float = 0.0
    scheduled_ts: float = 0.0
    first_token_ts: float = 0.0
    last_token_ts: float = 0.0
    first_token_latency: float = 0.0


@dataclass
class FinishedRequestStats:
    finish_reason: int
    e2e_latency: float
    num_prompt_tokens: int
    num_generation_tokens: int
    queued_time: float
    prefill_time: float
    decode_time: float
    num_cached_tokens: int


class IterationStats:
    def __init__(self, now=0.0):
        self.iteration_timestamp = now
        self.finished_requests = []

    def update_from_output(self, output, engine_core_timestamp, is_prefilling, req_stats,
                           lora_states, lora_name):
        req_stats.num_generation_tokens += len(output.new_token_ids)
        if is_prefilling:
            req_stats.first_token_latency = self.iteration_timestamp - req_stats.arrival_time
            req_stats.first_token_ts = engine_core_timestamp
        req_stats.last_token_ts = engine_core_timestamp

    def update_from_finished_request(self, finish_reason, request_id, num_prompt_tokens,
                                     max_tokens_param, req_stats, num_cached_tokens=0):
        stats = req_stats
        self.finished_requests.append(FinishedRequestStats(
            finish_reason, self.iteration_timestamp - stats.arrival_time, num_prompt_tokens,
            stats.num_generation_tokens, stats.scheduled_ts - stats.queued_ts,
            stats.first_token_ts - stats.scheduled_ts, stats.last_token_ts - stats.first_token_ts,
            num_cached_tokens))
