#!/usr/bin/env python3
"""The twin's speed as a count that no other work on the machine can change: instructions of one
simulated request, the making of its traffic taken off. twin_instructions_test.py TWIN_SPEED"""
import re
import shutil
import subprocess
import sys

REQUESTS = 8000
# Instructions a request; what they come to in requests per second: docs/reference/simulator.md.
# A tenth above what was counted, so that a regression shows and a compiler's patch level does not.
LIMITS = {"run": 0, "step": 0, "fleet": 0}
SKIPPED = 77


def instructions(binary, mode):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", binary, "--once",
               mode, str(REQUESTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


def main():
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed (apt install valgrind)")
        return SKIPPED
    binary = sys.argv[1]
    traffic = instructions(binary, "none")
    failed = False
    for mode, limit in LIMITS.items():
        each = (instructions(binary, mode) - traffic) / REQUESTS
        print(f"{mode}: {each:.0f} instructions a request, at most {limit}")
        failed = failed or each > limit
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
