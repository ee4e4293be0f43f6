"""A call that lasts is watched for its client's hanging up, and no longer than it lasts."""

import asyncio

import pytest

from domain.concurrency.budget import TimerWheel
from entrypoints.http.disconnect import ClientDisconnected, until_disconnect


class Client:
    def __init__(self):
        self.watched, self.gone, self.left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def receive(self):
        self.watched.set()
        try:
            await self.gone.wait()
        except asyncio.CancelledError:
            self.left.set()
            raise
        return {"type": "http.disconnect"}


class Bell(asyncio.Event):
    expire = asyncio.Event.set


async def test_a_call_that_is_soon_over_is_never_watched():
    client, loop, bell = Client(), asyncio.get_running_loop(), Bell()
    await until_disconnect(client.receive, asyncio.sleep(0))
    TimerWheel.of(loop).schedule(bell, loop.time() + 0.15)
    await bell.wait()
    await asyncio.sleep(0)
    assert not client.watched.is_set()


async def test_a_call_that_lasts_is_watched_until_it_is_over():
    client = Client()
    await until_disconnect(client.receive, client.watched.wait())
    async with asyncio.timeout(5):
        await client.left.wait()


async def test_who_is_gone_leaves_no_cancellation_behind():
    client, task = Client(), asyncio.current_task()
    client.gone.set()
    with pytest.raises(ClientDisconnected):
        await until_disconnect(client.receive, asyncio.Event().wait())
    assert task.cancelling() == 0
