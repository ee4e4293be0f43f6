import asyncio

import pytest

from entrypoints.http.response import discard_body, json_response
from tests.unit.http.world import Exchange, chunks

MIB = 1024 * 1024
ENDLESS = {"type": "http.request", "body": b"x" * MIB, "more_body": True}


class Ahead:
    """An application that answers without reading."""

    async def __call__(self, scope, receive, send):
        await json_response("no", 413, is_body_unread=True)(scope, receive, send)


async def lingered(messages, headers=()):
    exchange = Exchange(Ahead(), "POST", "/", headers, messages)
    reply = await exchange.run()
    assert (reply.status, reply.body) == (413, b'"no"')
    return exchange


async def test_the_answer_is_whole_before_the_body_is_read_to_its_end():
    exchange = await lingered(chunks(b"a", b"b", b"c"))
    assert (exchange.received_before_answer, exchange.received) == (0, 3)
    assert [message.get("more_body", False) for message in exchange.sent] == [False, True, False]


async def test_a_body_without_an_end_is_given_up():
    exchange = await lingered([ENDLESS] * 100)
    assert exchange.received == 16


async def test_a_body_that_does_not_come_is_given_up():
    async def never():
        return await asyncio.get_running_loop().create_future()

    await discard_body({"headers": []}, never, timeout_s=0.02)


async def test_a_client_that_hangs_up_is_not_waited_for():
    exchange = await lingered([{"type": "http.disconnect"}, ENDLESS])
    assert exchange.received == 1


@pytest.mark.parametrize("value", [b"100-continue", b"100-Continue"])
async def test_a_client_that_waits_to_be_asked_for_its_body_is_not_asked(value):
    exchange = await lingered(chunks(b"a"), [(b"expect", value)])
    assert exchange.received == 0
