"""A stand-in for vLLM: the attributes and calls that the plugin relies on, and nothing else."""

__version__ = "0.32.0"
