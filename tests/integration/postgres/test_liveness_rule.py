"""The rule of liveness and renewal in SQL is the domain's, on both sides of every instant."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import Gone
from domain.sessions.session import Renewal, Session
from tests.contracts.storage import SCRIPT, BeginRequest, Storage

_us = timedelta(microseconds=1)
Instant = Callable[[Session], datetime]

instants: dict[str, Instant] = {
    "the end": lambda s: s.expires_at,
    "the maximum": lambda s: s.expires_max_at,
    "a renewal to nine tenths": lambda s: s.expires_at - timedelta(milliseconds=900) * s.ttl_seconds,
    "a renewal to the maximum": lambda s: s.expires_max_at - timedelta(seconds=s.ttl_seconds),
    "the start": lambda s: s.created_at,
}
nudges = st.sampled_from([-_us, timedelta(0), _us]) | st.integers(-(10**10), 10**10).map(lambda us: us * _us)


@st.composite
def lives(draw: st.DrawFn) -> dict[str, object]:
    """Draw the facts of a session's life, as spans from its start."""
    ttl_seconds = draw(st.integers(1, 86_400))
    left_us = draw(st.integers(1, ttl_seconds * 10**6))
    return {
        "renewal": draw(st.sampled_from(Renewal)),
        "ttl_seconds": ttl_seconds,
        "left": left_us * _us,
        "room": draw(st.sampled_from([timedelta(0), _us]) | st.integers(0, 10**11).map(lambda us: us * _us)),
        "closed": draw(st.booleans()) and draw(st.booleans()),
    }


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(life=lives(), instant=st.sampled_from(sorted(instants)), nudge=nudges)
async def test_begin_judges_and_renews_as_the_domain_does(storage, life, instant, nudge):
    session = await _stored(storage, life)
    started_at = instants[instant](session) + nudge
    request = BeginRequest(storage.ids.new(started_at), session.ref)
    expected = _admitted(session, started_at)
    response = await _begun(storage, request)
    if isinstance(expected, Gone):
        assert type(response) is type(expected)
        assert response.details == expected.details
        expected = session
    else:
        assert response == expected
    assert await storage.sessions.get(session.ref) == expected


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(life=lives(), calls=st.lists(st.tuples(st.sampled_from(sorted(instants)), nudges), min_size=1, max_size=6))
async def test_begins_of_one_session_in_one_batch_are_judged_independently(storage, life, calls):
    session = await _stored(storage, life)
    started_ats = [instants[instant](session) + nudge for instant, nudge in calls]
    requests = [BeginRequest(storage.ids.new(started_at), session.ref) for started_at in started_ats]
    responses = await asyncio.gather(*(_begun(storage, request) for request in requests))
    expected = [_admitted(session, started_at) for started_at in started_ats]
    assert [type(response) for response in responses] == [type(admitted) for admitted in expected]
    ends = [admitted.expires_at for admitted in expected if isinstance(admitted, Session)]
    assert (await storage.sessions.get(session.ref)).expires_at == max(ends, default=session.expires_at)
    assert await _open(storage, session) == {
        request.execution_id
        for request, response in zip(requests, responses, strict=True)
        if isinstance(response, Session)
    }


async def _open(storage: Storage, session: Session) -> set[UUID]:
    """Return the executions that are open, as they read once their deadlines have passed."""
    storage.clock.advance(timedelta(days=3))
    page = await storage.executions.page(session.ref, None, 200)
    storage.clock.advance(-timedelta(days=3))
    return {row.execution_id for row in page.items}


def _admitted(session: Session, started_at: datetime) -> Session | Gone:
    try:
        return session.admit(started_at)
    except Gone as verdict:
        return verdict


async def _begun(storage: Storage, request: BeginRequest) -> Session | Gone:
    try:
        return (await storage.executions.begin(*request)).session
    except Gone as verdict:
        return verdict


async def _stored(storage: Storage, life: dict[str, object]) -> Session:
    now = storage.clock.now()
    session = storage.new_session(renewal=life["renewal"], ttl_seconds=life["ttl_seconds"])
    expires_at = now + life["left"]
    session = evolve(session, expires_at=expires_at, expires_max_at=expires_at + life["room"])
    await storage.sessions.add(session, SCRIPT)
    return await storage.close(session) if life["closed"] else session
