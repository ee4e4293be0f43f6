"""The life of a session, on both sides of every instant."""

from datetime import timedelta
from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidRequest
from domain.identity import ANONYMOUS, SessionRef
from domain.sessions.session import (
    LifetimePolicy,
    Renewal,
    SessionClosed,
    SessionCondition,
    SessionExpired,
    SessionNotFound,
    SessionPatch,
    Status,
    UpdateConflict,
    VersionMismatch,
)
from tests.unit.domain.builders import START, session_at

US = timedelta(microseconds=1)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def test_a_session_was_created_at_the_instant_in_its_id() -> None:
    assert session_at().created_at == START


@given(st.uuids())
def test_a_session_of_another_service_was_created_when_it_says_so(session_id: UUID) -> None:
    session = session_at(ref=SessionRef(ANONYMOUS, session_id), foreign_created_at=START - US)
    assert session.created_at == START - US
    assert session.revision == f"1.0.{100 * 1_000_000 + 1}"


def test_a_session_is_live_just_before_it_expires_and_expired_at_the_instant() -> None:
    session = session_at()
    session.require_live(session.expires_at - US)
    assert session.status(session.expires_at - US) is Status.ACTIVE
    assert session.status(session.expires_at) is Status.EXPIRED
    with pytest.raises(SessionExpired) as caught:
        session.require_live(session.expires_at)
    assert caught.value.details == {"expired_at": session.expires_at, "now": session.expires_at}


def test_closed_takes_precedence_over_expired() -> None:
    closed = session_at().close(START)
    assert closed.status(closed.expires_at) is Status.CLOSED
    with pytest.raises(SessionClosed) as caught:
        closed.require_live(closed.expires_at)
    assert caught.value.details == {"closed_at": START}


def test_closing_empties_the_session_and_moves_the_version() -> None:
    closed = session_at().close(START)
    assert (closed.script_hash, closed.context, closed.metadata, closed.version) == (None, "{}", "{}", 2)


def test_closing_again_changes_nothing() -> None:
    closed = session_at().close(START)
    assert closed.close(START + seconds(1)) is closed


def test_closing_an_expired_session_empties_it_and_leaves_it_expired() -> None:
    session = session_at()
    emptied = session.close(session.expires_at)
    assert emptied.status(session.expires_at) is Status.EXPIRED
    assert (emptied.script_hash, emptied.context) == (None, "{}")


def test_a_fixed_session_is_not_renewed() -> None:
    session = session_at()
    assert session.admit(session.expires_at - US) is session


def test_a_sliding_session_is_renewed_once_a_tenth_of_its_length_has_passed() -> None:
    session = session_at(renewal=Renewal.SLIDING)
    assert session.admit(START + seconds(10)) is session
    renewed = session.admit(START + seconds(10) + US)
    assert renewed.expires_at == START + seconds(110) + US
    assert renewed.version == session.version


def test_a_renewal_ends_at_the_absolute_maximum() -> None:
    session = session_at(renewal=Renewal.SLIDING, lifetime_seconds_max=150)
    at_maximum = session.admit(START + seconds(99))
    assert at_maximum.expires_at == START + seconds(150)
    assert at_maximum.admit(START + seconds(149)) is at_maximum


def test_an_expired_sliding_session_is_not_revived() -> None:
    session = session_at(renewal=Renewal.SLIDING)
    with pytest.raises(SessionExpired):
        session.admit(session.expires_at)


def test_a_patch_replaces_whole_fields_and_leaves_the_others() -> None:
    session = session_at()
    patched = session.patch(SessionPatch(context="[]"), START)
    assert (patched.context, patched.metadata, patched.version) == ("[]", session.metadata, 2)
    again = patched.patch(SessionPatch(metadata="{}", renewal=Renewal.SLIDING), START)
    assert (again.context, again.metadata, again.renewal, again.version) == ("[]", "{}", Renewal.SLIDING, 3)


def test_a_new_length_counts_from_now_and_becomes_the_sliding_length() -> None:
    patched = session_at().patch(SessionPatch(ttl_seconds=200), START + seconds(50))
    assert patched.expires_at == START + seconds(250)
    assert patched.ttl_seconds == 200


def test_a_sliding_session_takes_a_shorter_length_for_its_next_renewals() -> None:
    session = session_at(renewal=Renewal.SLIDING, ttl_seconds=100)
    patched = session.patch(SessionPatch(ttl_seconds=10), START)
    assert (patched.expires_at, patched.ttl_seconds) == (session.expires_at, 10)
    later = START + timedelta(seconds=95)
    assert patched.admit(later).expires_at == later + timedelta(seconds=10)


def test_a_length_that_would_end_a_fixed_session_earlier_is_rejected() -> None:
    session = session_at(ttl_seconds=100)
    with pytest.raises(InvalidRequest) as caught:
        session.patch(SessionPatch(ttl_seconds=10), START + timedelta(seconds=0.5))
    (problem,) = caught.value.problems
    assert problem.pointer == "/ttl_seconds"
    assert problem.message.startswith(
        f"must be at least 100, because the session lives until {session.expires_at:%Y-%m-%d}T"
    )
    with pytest.raises(InvalidRequest):
        session_at(renewal=Renewal.SLIDING).patch(SessionPatch(ttl_seconds=10, renewal=Renewal.FIXED), START)


def test_a_repeated_length_is_accepted_by_a_controller_whose_clock_is_a_little_behind() -> None:
    session = session_at(ttl_seconds=100)
    patched = session.patch(SessionPatch(ttl_seconds=100), START - timedelta(seconds=0.9))
    assert patched.expires_at == session.expires_at


def test_an_expired_session_cannot_be_patched() -> None:
    session = session_at()
    with pytest.raises(SessionExpired):
        session.patch(SessionPatch(ttl_seconds=10), session.expires_at)


@pytest.mark.parametrize(
    "condition",
    [
        SessionCondition(),
        SessionCondition(frozenset({"3"})),
        SessionCondition(frozenset({"2", "3"}), frozenset({"2"})),
        SessionCondition(frozenset({session_at(version=3).revision})),
    ],
)
def test_a_condition_holds_by_version_or_by_revision(condition: SessionCondition) -> None:
    condition.require(session_at(version=3))


@pytest.mark.parametrize(
    "condition",
    [
        SessionCondition(frozenset()),
        SessionCondition(frozenset({"2", "03"})),
        SessionCondition(frozenset({session_at(version=3, execution_count=1).revision})),
        SessionCondition(excluded=None),
        SessionCondition(excluded=frozenset({"3"})),
        SessionCondition(frozenset({"3"}), frozenset({session_at(version=3).revision})),
    ],
)
def test_a_condition_that_does_not_hold_names_the_version(condition: SessionCondition) -> None:
    with pytest.raises(VersionMismatch, match='If-Match: "3"') as caught:
        condition.require(session_at(version=3))
    assert caught.value.details == {"version": 3}


def test_the_revision_changes_with_the_version_the_count_and_the_end() -> None:
    session = session_at(version=3)
    others = [
        evolve(session, version=4),
        evolve(session, execution_count=1),
        evolve(session, expires_at=session.expires_at + timedelta(microseconds=1)),
    ]
    assert len({session.revision, *(other.revision for other in others)}) == 4


def test_the_span_of_a_new_session_is_capped() -> None:
    policy = LifetimePolicy(ttl_seconds=3600, lifetime_seconds_max=100)
    assert policy.span(START, None) == (3600, START + seconds(100), START + seconds(100))
    assert policy.span(START, 10) == (10, START + seconds(10), START + seconds(100))


@pytest.mark.parametrize(
    "error",
    [
        SessionNotFound(),
        SessionExpired(START, START),
        SessionClosed(START),
        VersionMismatch(1),
        UpdateConflict(),
    ],
)
def test_every_error_says_what_to_do(error: Exception) -> None:
    assert str(error).endswith(".")
