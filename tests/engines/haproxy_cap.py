"""The maxconn of one server of HAProxy, as a command: haproxy_cap.py SOCKET BACKEND SERVER [VALUE].

Sets VALUE when it is given, and prints what is in force.
"""

import socket
import sys


def ask(path: str, line: str) -> str:
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(2)
        s.connect(path)
        s.sendall((line + "\n").encode())
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


def main() -> int:
    path, backend, server, *value = sys.argv[1:]
    if value:
        refusal = ask(path, f"set maxconn server {backend}/{server} {value[0]}").strip()
        if refusal:
            print(refusal, file=sys.stderr)
            return 1
    for row in ask(path, "show stat").splitlines():
        fields = row.split(",")
        if fields[:2] == [backend, server]:
            print(fields[6])
            return 0
    print("no such server", file=sys.stderr)
    return 1


sys.exit(main())
