"""A disconnect of the client cancels a long call."""

import asyncio

import pytest

from domain.concurrency.budget import TimerWheel
from entrypoints.http.request import ClientDisconnected, until_disconnect


class Client:
    def __init__(self):
        self.watched, self.gone, self.unwatched = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def receive(self):
        self.watched.set()
        try:
            await self.gone.wait()
        except asyncio.CancelledError:
            self.unwatched.set()
            raise
        return {"type": "http.disconnect"}


class Expired(asyncio.Event):
    expire = asyncio.Event.set


async def test_the_client_of_a_short_call_is_not_watched():
    client, loop, expired = Client(), asyncio.get_running_loop(), Expired()
    await until_disconnect(client.receive, asyncio.sleep(0))
    TimerWheel.of(loop).schedule(expired, loop.time() + 0.15)
    await expired.wait()
    await asyncio.sleep(0)
    assert not client.watched.is_set()


async def test_the_client_of_a_long_call_is_watched_until_the_call_ends():
    client = Client()
    await until_disconnect(client.receive, client.watched.wait())
    async with asyncio.timeout(5):
        await client.unwatched.wait()


async def test_a_disconnect_leaves_no_pending_cancellation():
    client, task = Client(), asyncio.current_task()
    client.gone.set()
    with pytest.raises(ClientDisconnected):
        await until_disconnect(client.receive, asyncio.Event().wait())
    assert task.cancelling() == 0
