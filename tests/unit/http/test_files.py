"""Files over HTTP: uploads, ranges, and headers that keep browsers from running them."""

import base64
import hashlib
import json
from typing import Any

import httpx2
import pytest
from attrs import evolve

from domain.errors import StorageUnavailable
from domain.files.file import CHUNK_SIZE
from tests.unit.http.world import OPTIONS, Exchange, World, error_of

CONTENT = bytes(range(256)) * 1024 + b"the end"
FILES = "/api/v1/files"


async def uploaded(client: httpx2.AsyncClient, content: bytes = CONTENT, **options: Any) -> dict[str, Any]:
    response = await client.post(FILES, content=content, **options)
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


def digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


async def test_a_file_is_uploaded_and_read(client: httpx2.AsyncClient) -> None:
    headers = {"Content-Type": "text/csv; charset=utf-8", "Content-Digest": digest(CONTENT)}
    response = await client.post(FILES, params={"name": "tabelle ä.csv"}, content=CONTENT, headers=headers)
    file = response.json()
    assert (response.status_code, response.headers["location"]) == (201, f"{FILES}/{file['file_id']}")
    assert file["bytes"] == len(CONTENT)
    assert file["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert (file["request_id"], file["execution_id"]) == (None, None)
    assert (await client.get(f"{FILES}/{file['file_id']}")).json() == file
    content = await client.get(f"{FILES}/{file['file_id']}/content")
    assert (content.status_code, content.content) == (200, CONTENT)
    assert {name: content.headers[name] for name in ("content-type", "etag", "content-disposition")} == {
        "content-type": "text/csv; charset=utf-8",
        "etag": f'"{file["sha256"]}"',
        "content-disposition": "attachment; filename*=UTF-8''tabelle%20%C3%A4.csv",
    }


async def test_a_browser_neither_shows_nor_runs_content(client: httpx2.AsyncClient) -> None:
    file = await uploaded(client, b"<script>", headers={"Content-Type": "text/html"})
    headers = (await client.get(f"{FILES}/{file['file_id']}/content")).headers
    assert headers["content-disposition"].startswith("attachment")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5-9", 5, 9),
        ("Bytes= 5-9 ", 5, 9),
        (f"bytes={CHUNK_SIZE - 2}-{CHUNK_SIZE + 1}", CHUNK_SIZE - 2, CHUNK_SIZE + 1),
        (f"bytes={CHUNK_SIZE}-", CHUNK_SIZE, len(CONTENT) - 1),
        ("bytes=0-999999999", 0, len(CONTENT) - 1),
        ("bytes=-7", len(CONTENT) - 7, len(CONTENT) - 1),
        ("bytes=-999999999", 0, len(CONTENT) - 1),
    ],
)
async def test_one_range_is_served(client: httpx2.AsyncClient, asked: str, first: int, last: int) -> None:
    file = await uploaded(client)
    response = await client.get(f"{FILES}/{file['file_id']}/content", headers={"Range": asked})
    assert (response.status_code, response.content) == (206, CONTENT[first : last + 1])
    assert response.headers["content-range"] == f"bytes {first}-{last}/{len(CONTENT)}"


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,3-4", "bytes=9-5", "bytes=-", "lines=0-1", "bytes=a-b", "bytes=0-1-2", "0-1"]
)
async def test_other_ranges_give_the_whole(client: httpx2.AsyncClient, asked: str) -> None:
    file = await uploaded(client, b"content")
    response = await client.get(f"{FILES}/{file['file_id']}/content", headers={"Range": asked})
    assert (response.status_code, response.content) == (200, b"content")


@pytest.mark.parametrize(("content", "asked"), [(b"content", "bytes=7-"), (b"content", "bytes=-0"), (b"", "bytes=-1")])
async def test_a_range_behind_the_end_is_refused(client: httpx2.AsyncClient, content: bytes, asked: str) -> None:
    file = await uploaded(client, content)
    response = await client.get(f"{FILES}/{file['file_id']}/content", headers={"Range": asked})
    error = error_of(response, 416)
    assert (error["code"], error["details"]) == ("RANGE_NOT_SATISFIABLE", {"size": len(content)})
    assert response.headers["content-range"] == f"bytes */{len(content)}"


async def test_if_range_decides_between_a_part_and_the_whole(client: httpx2.AsyncClient) -> None:
    file = await uploaded(client, b"content")
    for condition, status in ((f'"{file["sha256"]}"', 206), ('"other"', 200), (f'W/"{file["sha256"]}"', 200)):
        headers = {"Range": "bytes=0-1", "If-Range": condition}
        assert (await client.get(f"{FILES}/{file['file_id']}/content", headers=headers)).status_code == status


async def test_known_content_is_not_sent_again(client: httpx2.AsyncClient) -> None:
    file = await uploaded(client, b"content")
    headers = {"If-None-Match": f'"{file["sha256"]}"', "Range": "bytes=0-1"}
    response = await client.get(f"{FILES}/{file['file_id']}/content", headers=headers)
    assert (response.status_code, response.content) == (304, b"")


@pytest.mark.parametrize(("headers", "status", "size"), [({}, 200, 7), ({"Range": "bytes=0-1"}, 206, 2)])
async def test_a_head_has_the_size_and_no_content(
    client: httpx2.AsyncClient, headers: dict[str, str], status: int, size: int
) -> None:
    file = await uploaded(client, b"content")
    response = await client.head(f"{FILES}/{file['file_id']}/content", headers=headers)
    assert (response.status_code, response.headers["content-length"], response.content) == (status, str(size), b"")


async def test_an_empty_file_is_served(client: httpx2.AsyncClient) -> None:
    file = await uploaded(client, b"")
    response = await client.get(f"{FILES}/{file['file_id']}/content")
    assert (response.status_code, response.content, response.headers["content-length"]) == (200, b"", "0")
    assert (file["name"], response.headers["content-type"]) == ("file", "application/octet-stream")


async def test_files_are_listed_and_removed(client: httpx2.AsyncClient) -> None:
    made = [(await uploaded(client, b"%d" % number))["file_id"] for number in range(3)]
    first = await client.get(FILES, params={"limit": 2})
    assert [each["file_id"] for each in first.json()["files"]] == [made[2], made[1]]
    assert 'rel="next"' in first.headers["link"]
    second = await client.get(FILES, params={"limit": 2, "cursor": first.json()["next_cursor"]})
    assert ([each["file_id"] for each in second.json()["files"]], second.json()["next_cursor"]) == ([made[0]], None)
    assert (await client.delete(f"{FILES}/{made[0]}")).status_code == 204
    for method in ("DELETE", "GET"):
        assert error_of(await client.request(method, f"{FILES}/{made[0]}"), 404)["code"] == "FILE_NOT_FOUND"
    assert error_of(await client.get(f"{FILES}/nonsense/content"), 404)["code"] == "FILE_NOT_FOUND"


async def test_the_type_that_curl_sends_by_itself_is_none(client: httpx2.AsyncClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    made = await client.post(FILES, content=b"x", headers=headers)
    assert made.json()["content_type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("headers", "code", "status"),
    [
        ({"Content-Digest": digest(b"another")}, "FILE_DIGEST_MISMATCH", 400),
        ({"Content-Digest": "sha-512=:AAAA:"}, "INVALID_REQUEST", 400),
        ({"Content-Digest": "sha-256=:AAAA:"}, "INVALID_REQUEST", 400),
        ({"Content-Type": "nonsense"}, "INVALID_REQUEST", 400),
        ({"Content-Type": "text/plain; a=" + "b" * 255}, "INVALID_REQUEST", 400),
        ({"Content-Encoding": "gzip"}, "UNSUPPORTED_MEDIA_TYPE", 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, "UNSUPPORTED_MEDIA_TYPE", 415),
    ],
)
async def test_headers_that_do_not_fit_are_refused(
    world: World, client: httpx2.AsyncClient, headers: dict[str, str], code: str, status: int
) -> None:
    assert error_of(await client.post(FILES, content=b"content", headers=headers), status)["code"] == code
    assert (await client.get(FILES)).json()["files"] == []


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", "a\nb", "\x00", "x" * 256])
async def test_names_that_are_no_names_are_refused(client: httpx2.AsyncClient, name: str) -> None:
    error = error_of(await client.post(FILES, params={"name": name}, content=b"x"), 400)
    assert error["details"]["problems"][0]["pointer"] == "/query/name"


async def test_a_file_that_is_declared_too_large_is_refused_unread(world: World) -> None:
    size = 256 * 1024**2 + 1
    headers = [(b"content-length", b"%d" % size), (b"expect", b"100-continue")]
    exchange = Exchange(world.app, "POST", FILES, headers)
    reply = await exchange.run()
    assert (reply.status, reply.headers["connection"], exchange.received_before_response) == (413, "close", 0)
    assert reply.json()["error"]["details"]["observed"] == size


async def test_a_body_that_does_not_arrive_is_given_up(world: World) -> None:
    slow = World.of(evolve(OPTIONS, chunk_timeout_s=0.01))
    messages = [{"type": "http.request", "body": b"x", "more_body": True}]
    reply = await Exchange(slow.app, "POST", FILES, [(b"expect", b"100-continue")], messages).run()
    assert (reply.status, reply.headers["connection"]) == (400, "close")
    await slow.tasks.drain(5)
    assert (slow.files.started, slow.files.chunks) == ({}, {})


async def test_an_upload_whose_client_leaves_is_erased(world: World) -> None:
    messages = [{"type": "http.request", "body": b"x" * CHUNK_SIZE, "more_body": True}, {"type": "http.disconnect"}]
    reply = await Exchange(world.app, "POST", FILES, (), messages).run()
    assert reply.status is None
    await world.tasks.drain(5)
    assert (world.files.started, world.files.chunks, world.files.completed) == ({}, {}, {})


async def test_an_upload_in_pieces_of_any_size_is_stored_whole(world: World) -> None:
    pieces = [CONTENT[:1], CONTENT[1:CHUNK_SIZE], b"", CONTENT[CHUNK_SIZE:], CONTENT * 3]
    messages = [{"type": "http.request", "body": each, "more_body": True} for each in pieces]
    reply = await Exchange(world.app, "POST", FILES, (), [*messages, {"type": "http.request"}]).run()
    whole = b"".join(pieces)
    assert (reply.status, json.loads(reply.body)["sha256"]) == (201, hashlib.sha256(whole).hexdigest())
    (chunks,) = world.files.chunks.values()
    assert {len(each) for each in list(chunks.values())[:-1]} == {CHUNK_SIZE}


async def test_a_content_that_is_removed_while_it_is_sent_ends_early(world: World) -> None:
    async with world.client() as client:
        file = await uploaded(client)
    (chunks,) = world.files.chunks.values()
    del chunks[1]
    exchange = Exchange(world.app, "GET", f"{FILES}/{file['file_id']}/content")
    await exchange.run()
    assert [message.get("more_body") for message in exchange.sent[1:]] == [True]
    chunks.clear()
    async with world.client() as client:
        assert error_of(await client.get(f"{FILES}/{file['file_id']}/content"), 404)["code"] == "FILE_NOT_FOUND"


async def test_a_client_that_reads_nothing_is_disconnected(world: World) -> None:
    stalling = World.of(evolve(OPTIONS, stall_s=0.01))
    async with stalling.client() as client:
        file = await uploaded(client)

    async def never(message: Any) -> None:
        if message["type"] == "http.response.body":
            await exchange.disconnected.wait()

    exchange = Exchange(stalling.app, "GET", f"{FILES}/{file['file_id']}/content")
    await stalling.app(exchange.scope(), exchange.receive, never)
    assert stalling.app.limiter.in_flight == 0


async def test_a_database_that_is_away_is_reported(world: World, client: httpx2.AsyncClient) -> None:
    file = await uploaded(client)
    world.files.failure = StorageUnavailable()
    for response in (
        await client.post(FILES, content=b"x"),
        await client.get(f"{FILES}/{file['file_id']}/content"),
    ):
        assert error_of(response, 503)["code"] == "STORAGE_UNAVAILABLE"
