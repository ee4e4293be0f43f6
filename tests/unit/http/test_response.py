import asyncio

import pytest

from entrypoints.http.response import discard_body, json_response
from tests.unit.http.world import Exchange, chunks

MIB = 1024 * 1024
ENDLESS = {"type": "http.request", "body": b"x" * MIB, "more_body": True}


class Unread:
    """An application that responds before it reads the body."""

    async def __call__(self, scope, receive, send):
        await json_response("no", 413, is_body_unread=True)(scope, receive, send)


async def exchange_with(messages, headers=()):
    exchange = Exchange(Unread(), "POST", "/", headers, messages)
    reply = await exchange.run()
    assert (reply.status, reply.body) == (413, b'"no"')
    return exchange


async def test_the_response_is_complete_before_the_rest_of_the_body_is_read():
    exchange = await exchange_with(chunks(b"a", b"b", b"c"))
    assert (exchange.received_before_response, exchange.received) == (0, 3)
    assert [message.get("more_body", False) for message in exchange.sent] == [False, True, False]


async def test_an_endless_body_is_read_up_to_a_limit():
    exchange = await exchange_with([ENDLESS] * 100)
    assert exchange.received == 16


async def test_a_body_that_does_not_arrive_ends_at_the_timeout():
    async def never():
        return await asyncio.get_running_loop().create_future()

    await discard_body({"headers": []}, never, timeout_s=0.02)


async def test_reading_the_rest_of_a_body_ends_at_a_disconnect():
    exchange = await exchange_with([{"type": "http.disconnect"}, ENDLESS])
    assert exchange.received == 1


@pytest.mark.parametrize("value", [b"100-continue", b"100-Continue"])
async def test_the_body_of_a_client_that_expects_100_continue_is_not_read(value):
    exchange = await exchange_with(chunks(b"a"), [(b"expect", value)])
    assert exchange.received == 0
