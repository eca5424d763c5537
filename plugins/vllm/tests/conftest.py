"""The plugin is imported from the tree; vLLM is a stand-in with the same contract."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE / "fake_vllm", HERE.parent):
    sys.path.insert(0, str(folder))
