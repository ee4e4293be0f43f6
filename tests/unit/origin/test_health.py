"""What `/health` says of the origin."""

import asyncio

import pytest
from attrs import define
from typing_extensions import override

from domain.json_text import JsonText
from domain.takeover.passing import OriginLoop, OriginRequest, OriginUnavailable
from domain.takeover.ports import OriginReply
from domain.takeover.recorder import SampleOutcome
from domain.takeover.stages import Stage
from entrypoints.origin.health import OriginHealth
from entrypoints.telemetry.metrics.front import FrontMetrics, PassedOutcome
from tests.unit.origin.test_front import ManualOrigin
from tests.unit.takeover.test_recorder import World


@define
class Away(ManualOrigin):
    """Cannot be reached."""

    @override
    async def send(self, request: OriginRequest) -> OriginReply:
        raise OriginUnavailable("refused", "no")


async def test_an_origin_that_responds_is_ok_and_calls_are_counted():
    metrics = FrontMetrics(lambda: Stage.OPEN)
    for outcome in (PassedOutcome.REPLIED, PassedOutcome.REPLIED, PassedOutcome.LATE):
        metrics.ended(outcome, 0.1)
    origin = ManualOrigin()
    assert await OriginHealth("http://old:8080", origin, metrics).probe() == {
        "status": "ok",
        "url": "http://old:8080",
        "stage": "open",
        "passed_on": 3,
        "not_replied": 1,
    }
    assert origin.received == [(b"/health", b"")]
    assert origin.replies[0].closed == 1


@define
class Silent(ManualOrigin):
    """Never replies."""

    @override
    async def send(self, request: OriginRequest) -> OriginReply:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]  # it has no result


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        (Away(), "refused"),
        (ManualOrigin(503), "/health responds with status 503"),
        (ManualOrigin(503, headers=[(b"x-error-code", b"ORIGIN_LOOP")]), OriginLoop().message),
        (Silent(), "/health did not respond within 0.5 s"),
    ],
)
async def test_an_origin_that_does_not_respond_well_degrades_the_service(origin, reason):
    facts = await OriginHealth("http://old:8080", origin, FrontMetrics()).probe()
    assert (facts["status"], facts["stage"], facts["reason"]) == ("degraded", "unknown", reason)


def test_a_process_without_a_front_exposes_no_samples():
    assert [metric.samples for metric in FrontMetrics().collect()] == [[]] * 7


def test_a_front_exposes_every_outcome_from_the_start():
    metrics = FrontMetrics(lambda: Stage.ADOPT, in_flight=0, recorder=World().recorder)
    calls, in_flight, _, _, recording, recorded, stage = metrics.collect()
    assert {sample.labels["outcome"] for sample in calls.samples} == {*PassedOutcome}
    assert {sample.labels["outcome"]: sample.value for sample in recorded.samples} == dict.fromkeys(SampleOutcome, 0)
    assert (in_flight.samples[0].value, recording.samples[0].value) == (0, 0)
    assert stage.samples[0].labels == {"stage": "adopt"}


async def test_the_metrics_of_a_front_show_its_recording():
    world = World()
    session_id = await world.begin()
    world.recorder.add(session_id, JsonText("{}"), None)
    await world.recorder.flush()
    *_, recording, recorded, _ = FrontMetrics(recorder=world.recorder).collect()
    assert recording.samples[0].value == 1
    stored = {sample.labels["outcome"]: sample.value for sample in recorded.samples}
    assert stored == {**dict.fromkeys(SampleOutcome, 0), SampleOutcome.STORED: 1}
