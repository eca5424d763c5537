"""Same source, scenario and seed: byte-identical decisions, twice in a row and at -O0 and -O2.

Usage: determinism_test.py DEBUG_BINARY RELEASE_BINARY
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SEED = "3"
SECONDS = 900


def short_scenario(folder):
    """mix-migration squeezed into a quarter of an hour, its shifts with it."""
    document = json.loads((ROOT / "scenarios/mix-migration.json").read_text())
    factor = SECONDS / document["duration_s"]
    document["duration_s"] = SECONDS
    for segment in document["workload"]["segments"]:
        segment["at_s"] *= factor
    path = folder / "short.json"
    path.write_text(json.dumps(document))
    return path


def decisions(binary, scenario, state):
    """The decision records one run leaves, as bytes."""
    command = [binary, "tune", scenario, "--seed", SEED, "--state", state, "--out", state / "out",
               "--strategies", "arqonhpo", "--json"]
    result = subprocess.run([str(part) for part in command], cwd=state.parent, check=False,
                            capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nexit code {result.returncode}\n{result.stderr}")
    runs = json.loads(result.stdout)["runs"]
    changes = next(run["changes"] for run in runs if run["strategy"] == "arqonhpo")
    records = (state / "decisions.jsonl").read_bytes()
    return records, changes


def first_difference(a, b):
    for number, (left, right) in enumerate(zip(a.splitlines(), b.splitlines(), strict=False), 1):
        if left != right:
            return f"line {number}:\n  {left[:400]!r}\n  {right[:400]!r}"
    return f"{len(a)} and {len(b)} bytes"


def main():
    debug, release = (ROOT / path for path in sys.argv[1:3])
    for binary in (debug, release):
        if not binary.exists():
            sys.exit(f"{binary} is not built; `make test` builds both")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenario = short_scenario(folder)
        once, changes = decisions(release, scenario, folder / "once")
        runs = {"a second run": decisions(release, scenario, folder / "twice"),
                "the -O0 build": decisions(debug, scenario, folder / "debug")}
    if not once or not any(change["state"] == "applied" for change in changes):
        sys.exit("the run decided nothing, so nothing was compared")
    for what, (records, other_changes) in runs.items():
        if records != once:
            sys.exit(f"{what} decided otherwise: {first_difference(once, records)}")
        if other_changes != changes:
            sys.exit(f"{what} reports other changes in its result")
    print(f"{len(once.splitlines())} lines of decisions, {len(changes)} changes: identical")


if __name__ == "__main__":
    main()
