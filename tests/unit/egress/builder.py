"""Builds ClientHellos, valid and not."""

import struct
from collections.abc import Sequence

SERVER_NAME, ECH, GREASE = 0, 0xFE0D, 0x1A1A

Extension = tuple[int, bytes]


def vector(content: bytes, length_size: int) -> bytes:
    return len(content).to_bytes(length_size) + content


def server_name(name: bytes, kind: int = 0) -> Extension:
    return SERVER_NAME, vector(bytes([kind]) + vector(name, 2), 2)


def body(extensions: Sequence[Extension] | None) -> bytes:
    head = b"\x03\x03" + bytes(32) + vector(b"", 1) + vector(b"\x13\x01", 2) + vector(b"\x00", 1)
    if extensions is None:
        return head
    return head + vector(b"".join(struct.pack(">H", kind) + vector(content, 2) for kind, content in extensions), 2)


def message(content: bytes, kind: int = 1) -> bytes:
    return bytes([kind]) + vector(content, 3)


def record(content: bytes, kind: int = 22, version: bytes = b"\x03\x01") -> bytes:
    return bytes([kind]) + version + vector(content, 2)


def hello(*extensions: Extension) -> bytes:
    return record(message(body(extensions)))
