from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.takeover.fence import FENCE, HIDDEN_BEFORE, Fence

MICROSECOND = timedelta(microseconds=1)
DAYS = st.timedeltas(timedelta(), timedelta(days=150_000))
INSTANTS = DAYS.map(lambda span: datetime(1970, 1, 1, tzinfo=UTC) + span)
FENCES = st.uuids().map(Fence.of)


@given(FENCES, INSTANTS)
def test_a_hidden_expiry_is_in_the_past_and_comes_back_to_the_microsecond(fence: Fence, expires_at: datetime) -> None:
    stored_at = fence.hidden(expires_at)
    assert stored_at < HIDDEN_BEFORE
    assert fence.shown(stored_at) == expires_at


@given(FENCES, INSTANTS)
def test_an_expiry_that_nobody_has_hidden_is_shown_as_it_is(fence: Fence, expires_at: datetime) -> None:
    assert fence.shown(expires_at) == expires_at
    assert not fence.is_own(expires_at, expires_at - timedelta(hours=1), expires_at)


@given(FENCES, INSTANTS, st.integers(1, 86_400))
def test_a_takeover_knows_its_own_fence_with_and_without_a_copy(fence: Fence, created_at: datetime, ttl_s: int) -> None:
    expires_at = created_at + timedelta(seconds=ttl_s)
    assert fence.is_own(fence.hidden(expires_at), created_at, expires_at)
    assert fence.is_own(fence.hidden(expires_at), created_at, None)


@pytest.mark.parametrize("copied", [True, False])
@given(fences=st.tuples(FENCES, FENCES).filter(lambda pair: pair[0] != pair[1]), created_at=INSTANTS)
def test_the_fence_of_another_takeover_is_foreign(
    fences: tuple[Fence, Fence], created_at: datetime, copied: bool
) -> None:
    mine, others = fences
    expires_at = created_at + timedelta(hours=1)
    assert not mine.is_own(others.hidden(expires_at), created_at, expires_at if copied else None)


@given(FENCES)
def test_every_fence_is_a_thousand_years_and_less_than_a_second(fence: Fence) -> None:
    assert FENCE < fence.shift < FENCE + timedelta(seconds=1)


def test_the_length_does_not_tell_whose_fence_it_is_if_the_session_was_not_made_for_whole_seconds() -> None:
    fence = Fence.of(UUID(int=1 << 8))
    created_at = datetime(2026, 1, 1, tzinfo=UTC)
    expires_at = created_at + timedelta(hours=1) + MICROSECOND
    assert fence.is_own(fence.hidden(expires_at), created_at, expires_at)
    assert not fence.is_own(fence.hidden(expires_at), created_at, None)
