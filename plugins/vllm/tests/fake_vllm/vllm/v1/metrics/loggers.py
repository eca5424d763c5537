from abc import ABC, abstractmethod


class AggregateStatLoggerBase(ABC):
    @abstractmethod
    def __init__(self, vllm_config, engine_indexes): ...

    @abstractmethod
    def record(self, scheduler_stats, iteration_stats, mm_cache_stats=None, engine_idx=0): ...

    @abstractmethod
    def log_engine_initialized(self): ...
