"""Real engines on a machine without a GPU: what tools/engines and tests/engines share."""
