"""Uploads that lie about their length, on a connection."""

import base64
import hashlib
from collections.abc import Sequence

import pytest

from tests.integration.server.test_connection import Patient, connected
from tests.support.waiting import until
from tests.unit.http.world import World

CONTENT = b"content"
DIGEST = base64.b64encode(hashlib.sha256(CONTENT).digest())


@pytest.fixture
def world() -> World:
    return World.of()


def upload(declared: int, headers: Sequence[bytes] = ()) -> bytes:
    """Return the request for an upload of CONTENT that declares another length."""
    head = [b"POST /api/v1/files HTTP/1.1", b"Host: localhost", b"Content-Length: %d" % declared, *headers]
    return b"\r\n".join([*head, b"", CONTENT])


async def test_an_upload_with_more_bytes_than_it_declares_and_with_its_digest_stores_nothing(world: World) -> None:
    async with connected(Patient, world.app) as (reader, writer):
        writer.write(upload(len(CONTENT) - 2, [b"Content-Digest: sha-256=:%b:" % DIGEST]))
        assert b" 201 " not in await reader.read(), "what was not declared is no request, so the connection is closed"
    await world.tasks.drain(5)
    assert (world.files.started, world.files.chunks, world.files.completed) == ({}, {}, {})


async def test_an_upload_with_fewer_bytes_than_it_declares_leaves_no_file(world: World) -> None:
    async with connected(Patient, world.app) as (_, writer):
        writer.write(upload(len(CONTENT) + 2))
        await until(lambda: world.files.started)
        writer.close()
        await until(lambda: not world.files.started)
    await world.tasks.drain(5)
    assert (world.files.chunks, world.files.completed) == ({}, {})
