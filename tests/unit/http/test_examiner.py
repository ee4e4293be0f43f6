"""Large bodies are examined in a thread, one at a time, in fair turns."""

import asyncio
import threading

import pytest

from domain.access.principal import ANYBODY
from domain.errors import Overloaded
from entrypoints.http.options import HttpOptions
from entrypoints.http.parsing.bodies import Examiner
from entrypoints.http.request import Request
from tests.unit.http.parsers import Parsers
from tests.unit.http.world import OPTIONS

MIB = 1024 * 1024


class Work:
    """Work in a thread that runs until the test ends it."""

    def __init__(self, order: list[str], name: str) -> None:
        self.begun = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._end = threading.Event()
        self._order, self._name = order, name

    def __call__(self) -> str:
        self._order.append(self._name)
        self._loop.call_soon_threadsafe(self.begun.set)
        assert self._end.wait(30)
        return self._name

    def end(self) -> None:
        self._end.set()


async def test_large_bodies_are_examined_one_at_a_time_and_owners_take_turns():
    examiner, order = Examiner(10.0, MIB), []
    works = {name: Work(order, name) for name in ("a1", "a2", "a3", "b1")}
    tasks = [asyncio.create_task(examiner.run(name[0], 1, work)) for name, work in works.items()]
    await works["a1"].begun.wait()
    assert order == ["a1"]
    for work in works.values():
        work.end()
    assert await asyncio.gather(*tasks) == ["a1", "a2", "a3", "b1"]
    assert order == ["a1", "a2", "b1", "a3"]


async def test_a_call_that_waits_too_long_for_its_turn_is_rejected_and_may_be_repeated():
    examiner, order = Examiner(0.01, MIB), []
    first = Work(order, "first")
    task = asyncio.create_task(examiner.run("a", 1, first))
    await first.begun.wait()
    with pytest.raises(Overloaded) as raised:
        await examiner.run("b", 1, lambda: "second")
    assert raised.value.details == {"stored": "no", "executed": "no", "retry_after_ms": 1000}
    first.end()
    assert await task == "first"
    assert await examiner.run("b", 1, lambda: "second") == "second"


async def test_waiting_bodies_are_bounded_in_bytes_with_a_fair_share_for_each_owner():
    examiner, order = Examiner(10.0, 10 * MIB), []
    first = Work(order, "first")
    tasks = [asyncio.create_task(examiner.run("a", MIB, first))]
    await first.begun.wait()
    tasks += [asyncio.create_task(examiner.run("a", 4 * MIB, lambda: "second")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await examiner.run("a", MIB, lambda: "third")
    assert [task.done() for task in tasks] == [False, False, False, True]
    first.end()
    assert await asyncio.gather(*tasks[:3]) == ["first", "second", "second"]
    assert isinstance(tasks[3].exception(), Overloaded)


async def test_a_cancelled_call_keeps_its_turn_until_its_thread_ends():
    examiner, order = Examiner(10.0, MIB), []
    left, waiting, last = Work(order, "left"), Work(order, "waiting"), Work(order, "last")
    leaver = asyncio.create_task(examiner.run("a", 1, left))
    await left.begun.wait()
    waiter = asyncio.create_task(examiner.run("a", 1, waiting))
    task = asyncio.create_task(examiner.run("b", 1, last))
    await asyncio.sleep(0)
    for each in (leaver, waiter):
        each.cancel()
    await asyncio.gather(leaver, waiter, return_exceptions=True)
    assert order == ["left"]
    left.end()
    last.end()
    assert await task == "last"
    assert order == ["left", "last"]


def request_with(content: bytes) -> Request:
    async def receive():
        return {"type": "http.request", "body": content, "more_body": False}

    request = Request({"type": "http", "headers": [(b"content-type", b"application/json")]}, receive)
    request.caller = ANYBODY
    return request


@pytest.mark.parametrize(
    ("name", "content", "is_large"),
    [
        ("execute", b'{"params":"' + b"x" * 60_000 + b'"}', False),
        ("execute", b'{"params":"' + b"x" * 70_000 + b'"}', True),
        ("execute", b'{"params":"' + b"x" * 10_000 + b'\\ud83d\\ude00"}', False),
        ("execute", b'{"params":"' + b"x" * 20_000 + b'\\ud83d\\ude00"}', True),
        ("batch", b'{"items":[{"params":"' + b"x" * 10_000 + b'"}]}', False),
        ("batch", b'{"items":[{"params":"' + b"x" * 20_000 + b'"}]}', True),
        ("function", b'{"script_content":"1"}', True),
    ],
)
async def test_a_large_body_waits_for_the_body_before_it(name, content, is_large):
    options = HttpOptions(OPTIONS.limits, examination_wait_s=0.01)
    parsers = Parsers.of(options)
    parser = getattr(parsers, name)
    before = Work([], "before")
    task = asyncio.create_task(parsers.examiner.run("a", 1, before))
    await before.begun.wait()
    try:
        if is_large:
            with pytest.raises(Overloaded):
                await parser.read(request_with(content))
        else:
            await parser.read(request_with(content))
    finally:
        before.end()
        await task
    await parser.read(request_with(content))
