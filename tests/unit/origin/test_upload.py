"""The body of a request that is passed on, as its client sends it."""

import asyncio

import pytest
from starlette.types import Message

from domain.concurrency.budget import Budget
from domain.errors import FieldTooLarge
from entrypoints.http.errors import SlowBody
from entrypoints.http.request import ClientDisconnected
from entrypoints.origin.passing import Upload


def upload_of(*messages: Message) -> Upload:
    waiting = list(messages)

    async def receive() -> Message:
        return waiting.pop(0)

    return Upload(receive, size_max=5)


def piece(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def received(upload: Upload) -> bytes:
    whole = await upload.whole()
    return b"".join([each async for each in upload]) if whole is None else whole


async def test_a_body_that_has_arrived_is_whole():
    upload = upload_of(piece(b"abc"))
    assert (await upload.whole(), upload.is_complete) == (b"abc", True)


async def test_a_body_in_pieces_is_not_whole_and_loses_none():
    upload = upload_of(piece(b"ab", more=True), piece(b"", more=True), piece(b"c"))
    assert await upload.whole() is None
    assert not upload.is_complete
    assert [each async for each in upload] == [b"ab", b"c"]
    assert upload.is_complete


async def test_a_body_has_a_greatest_size():
    with pytest.raises(FieldTooLarge):
        await upload_of(piece(b"abcdef")).whole()
    upload = upload_of(piece(b"abc", more=True), piece(b"def"))
    assert await upload.whole() is None
    assert await anext(upload) == b"abc"
    with pytest.raises(FieldTooLarge):
        await anext(upload)


@pytest.mark.parametrize("before", [[], [piece(b"a", more=True)]], ids=["before the body", "within the body"])
async def test_a_body_that_does_not_come_in_time_ends_the_call(before):
    messages = iter(before)

    async def receive() -> Message:
        return next(messages, None) or await asyncio.get_running_loop().create_future()

    with pytest.raises(SlowBody):
        await received(Upload(receive, new_budget=lambda: Budget(0.01)))


async def test_each_64_kib_of_a_body_have_a_time_of_their_own():
    budgets: list[Budget] = []

    def new_budget() -> Budget:
        budgets.append(Budget(10.0))
        return budgets[-1]

    sent = iter([*[piece(b"x" * 40_000, more=True)] * 4, piece(b"")])

    async def receive() -> Message:
        return next(sent)

    assert len(await received(Upload(receive, new_budget=new_budget))) == 160_000
    assert len(budgets) == 1 + 160_000 // 65_536


@pytest.mark.parametrize("before", [[], [piece(b"a", more=True)]], ids=["before the body", "within the body"])
async def test_a_client_that_disconnects_ends_the_body(before):
    upload = upload_of(*before, {"type": "http.disconnect"})
    with pytest.raises(ClientDisconnected):
        await received(upload)


async def test_what_the_server_reports_after_the_body_is_waited_for():
    upload = upload_of(piece(b"a", more=True), piece(b"b"), {"type": "http.disconnect"})
    after = asyncio.create_task(upload.receive())
    assert [each async for each in upload] == [b"a", b"b"]
    assert (await after)["type"] == "http.disconnect"
