"""Ports and sockets for servers of tests."""

import socket
from pathlib import Path


def free_port() -> int:
    """Return a port that the system gives to no other socket as long as this process lives."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server that does the same can bind it
    held.bind(("127.0.0.1", 0))
    port: int = held.getsockname()[1]
    held.detach()
    return port


def unix_socket(path: Path) -> socket.socket:
    """Return a socket that is bound to this path."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    return listening


def loopback_socket(port: int = 0) -> tuple[socket.socket, str]:
    """Return a socket on a port of 127.0.0.1, a free one unless it is given, and its URL."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio: no delay only then
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    return listening, f"http://127.0.0.1:{listening.getsockname()[1]}"
