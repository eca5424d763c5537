"""The restart command of the llama.cpp tests: ends the server of a port and starts it anew.

Usage: restart_llama.py PID_FILE LOG -- COMMAND...   Ends when the new one answers.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path


def main() -> int:
    pid_file, log, _, *command = sys.argv[1:]
    old = int(Path(pid_file).read_text())
    try:
        os.kill(old, signal.SIGTERM)
    except ProcessLookupError:
        pass
    end = time.monotonic() + 30
    while Path(f"/proc/{old}").exists() and b"Z" != state(old):
        if time.monotonic() > end:
            print("the old server does not end: it has work left", file=sys.stderr)
            return 1
        time.sleep(0.01)
    with open(log, "ab") as out:
        new = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                               start_new_session=True)
    Path(pid_file).write_text(str(new.pid))
    port = command[command.index("--port") + 1]
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
            return 0
        except OSError:
            time.sleep(0.02)
    print("the new server does not answer", file=sys.stderr)
    return 1


def state(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return b"Z"


sys.exit(main())
