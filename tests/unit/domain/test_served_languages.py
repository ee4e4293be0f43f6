"""Languages are served as the health of their runtimes says."""

import asyncio
from typing import Any

import pytest

from domain.errors import RuntimeUnavailable
from domain.queue.served import ServedLanguages
from domain.scripts.language import Language
from tests.support.waiting import until


def reporting(**health: Any) -> Any:
    async def probe() -> Any:
        return health

    return probe


@pytest.mark.parametrize(
    ("health", "fault"),
    [
        ({"status": "ok", "version": "3.13"}, None),
        ({"status": "degraded"}, None),
        ({"status": "degraded", "reason": "no interpreter"}, "no interpreter"),
        ({"status": "failing", "reason": "refused"}, "refused"),
        ({"status": "degraded", "languages": {"python": {"status": "ok"}, "nodejs": {"status": "failing"}}}, None),
        ({"status": "degraded", "languages": {"python": {"status": "failing"}}}, "no host"),
        ({"status": "degraded", "languages": {"python": {"status": "degraded"}}}, None),
    ],
)
async def test_a_language_is_served_unless_its_runtime_cannot_run_it(health: Any, fault: str | None) -> None:
    served = ServedLanguages({Language.PYTHON: reporting(**health)})
    reason = await served.reason_against(Language.PYTHON)
    assert reason is None if fault is None else fault in (reason or "")
    assert list(await served.now()) == ([Language.PYTHON] if fault is None else [])


async def test_a_language_without_a_runtime_is_not_served() -> None:
    with pytest.raises(RuntimeUnavailable) as refused:
        await ServedLanguages({}).require(Language.NODEJS)
    assert "nodejs" in refused.value.message


async def test_what_comes_just_after_a_language_was_served_may_wait_in_the_queue() -> None:
    health = {"status": "ok"}

    async def probe() -> Any:
        return health

    served = ServedLanguages({Language.PYTHON: probe}, kept_s=0, trusted_s=0, missed_s=60)
    await served.require(Language.PYTHON)
    health = {"status": "failing", "reason": "no host"}
    await served.require(Language.PYTHON)
    assert list(await served.now()) == [], "nothing is claimed meanwhile"
    served.missed_s = 0
    with pytest.raises(RuntimeUnavailable, match="no host"):
        await served.require(Language.PYTHON)


async def test_a_runtime_that_does_not_answer_serves_nothing() -> None:
    async def hang() -> Any:
        await asyncio.Event().wait()

    served = ServedLanguages({Language.PYTHON: hang}, probe_timeout_s=0.01)
    assert "0.01 s" in (await served.reason_against(Language.PYTHON) or "")


async def test_the_health_is_asked_for_once_in_its_time() -> None:
    asked = []

    async def probe() -> Any:
        asked.append(1)
        return {"status": "ok"}

    for kept_s, expected in ((60.0, 1), (0.0, 4)):
        asked.clear()
        served = ServedLanguages({Language.PYTHON: probe}, kept_s=kept_s, trusted_s=kept_s)
        for _ in range(4):
            await served.require(Language.PYTHON)
        assert len(asked) == expected


async def test_a_runtime_that_stops_answering_delays_no_other_language() -> None:
    answers, asked = asyncio.Event(), []
    answers.set()

    async def stops() -> Any:
        asked.append(1)
        await answers.wait()
        return {"status": "failing", "reason": "it was away"} if len(asked) > 1 else {"status": "ok"}

    probes = {Language.NODEJS: stops, Language.PYTHON: reporting(status="ok")}
    served = ServedLanguages(probes, kept_s=0, probe_timeout_s=60, trusted_s=60)
    for each in Language:
        await served.require(each)
    assert set(await served.now()) == set(Language)
    answers.clear()
    async with asyncio.timeout(30):
        assert set(await served.now()) == set(Language), "its last answer counts meanwhile"
    answers.set()
    await until(lambda: served.reason_against(Language.NODEJS))


async def test_a_runtime_that_starts_slowly_delays_no_other_language() -> None:
    started = asyncio.Event()

    async def starting() -> Any:
        await started.wait()
        return {"status": "ok"}

    served = ServedLanguages({Language.NODEJS: starting, Language.PYTHON: reporting(status="ok")}, probe_timeout_s=60)
    async with asyncio.timeout(30):
        assert list(await served.now()) == [Language.PYTHON]
    started.set()
    await served.require(Language.NODEJS)
    assert set(await served.now()) == set(Language)


async def test_nothing_is_served_without_a_runtime() -> None:
    assert list(await ServedLanguages({}).now()) == []
