"""Runs in the sandbox of a build: leads connections to the hosts of the index through sockets, and runs the tool.

It has the standard library alone, and none of this project's modules. Its input is a JSON object with `listeners`,
each an address, a port and the path of a socket, with `limits` by the names of resources, with the `command` and its
`variables`.
"""

import json
import os
import resource
import socket
import subprocess
import sys
import threading

_PIECE_SIZE = 65_536
_BACKLOG = 64


def main() -> int:
    """Listen, run the command, and return its exit status."""
    order = json.load(sys.stdin)
    for name, value in order["limits"].items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    for address, port, path in order["listeners"]:
        listener = socket.create_server((address, port), backlog=_BACKLOG)
        threading.Thread(target=_serve, args=(listener, path), daemon=True).start()
    variables = {**os.environ, **order["variables"]}
    return subprocess.call(order["command"], stdin=subprocess.DEVNULL, env=variables)  # noqa: S603  # the service's own


def _serve(listener: socket.socket, path: str) -> None:
    while True:
        near, _ = listener.accept()
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(path)
        except OSError:
            near.close()
            far.close()
            continue
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=_pass, args=(source, target), daemon=True).start()


def _pass(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(_PIECE_SIZE):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


if __name__ == "__main__":
    sys.exit(main())
