"""Over any history: never live after the end, never revived, the end never moves back."""

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.errors import DomainError, InvalidRequest
from domain.sessions.session import Renewal, Session, SessionPatch, Status
from tests.unit.domain.builders import START, session_at

spans = st.integers(min_value=0, max_value=200_000_000).map(lambda us: timedelta(microseconds=us))
lengths = st.integers(min_value=1, max_value=120)


class SessionHistory(RuleBasedStateMachine):
    @initialize(length=lengths, renewal=st.sampled_from(Renewal))
    def open(self, length: int, renewal: Renewal) -> None:
        self.now = START
        self.session = session_at(ttl_seconds=length, lifetime_seconds_max=300, renewal=renewal)
        self.ended = False

    def _become(self, session: Session) -> None:
        assert session.expires_at >= self.session.expires_at
        assert session.version >= self.session.version
        assert session.execution_count >= self.session.execution_count
        self.session = session

    @rule(span=spans)
    def time_passes(self, span: timedelta) -> None:
        self.now += span

    @rule()
    def execute(self) -> None:
        try:
            session = self.session.admit(self.now)
        except DomainError:
            assert self.session.status(self.now) is not Status.ACTIVE
            return
        if session.renewal is Renewal.SLIDING:
            owed_at = self.now + 0.9 * timedelta(seconds=session.ttl_seconds)
            assert session.expires_at >= min(owed_at, session.expires_max_at)
        self._become(session)

    @rule(length=st.none() | lengths, renewal=st.none() | st.sampled_from(Renewal))
    def patch(self, length: int | None, renewal: Renewal | None) -> None:
        try:
            self._become(self.session.patch(SessionPatch(ttl_seconds=length, renewal=renewal), self.now))
        except InvalidRequest:
            assert length is not None
            assert self.now + timedelta(seconds=length) < self.session.expires_at
        except DomainError:
            assert self.session.status(self.now) is not Status.ACTIVE

    @rule()
    def close(self) -> None:
        self._become(self.session.close(self.now))
        assert self.session.status(self.now) is not Status.ACTIVE

    @invariant()
    def an_ended_session_stays_ended(self) -> None:
        live = self.session.status(self.now) is Status.ACTIVE
        assert not (live and self.ended)
        assert not (live and self.now >= self.session.expires_at)
        assert self.session.expires_at <= self.session.expires_max_at
        self.ended = self.ended or not live


TestSessionHistory = SessionHistory.TestCase
TestSessionHistory.settings = settings(stateful_step_count=15)
