"""Hands one word (start, kill, stop, cont) to the test that owns the server and waits.

Usage: control.py SOCKET WORD
"""

import socket
import sys


def main(path: str, word: str) -> int:
    with socket.socket(socket.AF_UNIX) as owner:
        owner.settimeout(60)
        owner.connect(path)
        owner.sendall(word.encode())
        answer = owner.recv(4096).decode(errors="replace")
    if answer != "done":
        print(answer, file=sys.stderr)
    return 0 if answer == "done" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
