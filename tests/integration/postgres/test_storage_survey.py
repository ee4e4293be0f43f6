"""What is known of what is stored: since when, and for how long it stays."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from adapters.postgres.retention.survey import StorageSurvey
from domain.identity import uuid7_at
from domain.storage.storage import Part
from tests.foreign_ids import TAKEN

DAY = timedelta(days=1)
_ADD_KEY = """
INSERT INTO meta.idempotency_keys (
    request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at
)
VALUES (gen_random_uuid(), 'alice', 'k', sha256(''), gen_random_uuid(), 'python-x', %(expires_at)s, %(expires_at)s)
"""

_ONE_ACT = """
INSERT INTO meta.audit VALUES (%(act_id)s, 'root@example', 'cli', 'keys.create', 'alice', 'k', '{}')
"""
FIRST_ACT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def survey(gateway, statements) -> StorageSurvey:
    return StorageSurvey(gateway, statements, 2 * DAY, 7, DAY, 90)


async def test_the_survey_has_the_oldest_rows_and_the_lifetime_of_sessions(storage, survey, database_url):
    began_at = storage.clock.now()
    session = await storage.add(ttl_seconds=7 * 86_400, lifetime_seconds_max=10**7)
    storage.clock.advance(DAY / 2)
    await storage.begin(session.ref)
    storage.clock.advance(DAY / 24)
    for _ in range(3):
        await storage.execute(session.ref)
        storage.clock.advance(DAY)
    await storage.add(ttl_seconds=3 * 86_400, lifetime_seconds_max=10**7)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_ADD_KEY, {"expires_at": began_at + 2 * DAY})
        connection.execute(_ONE_ACT, {"act_id": uuid7_at(FIRST_ACT, 1)})
    facts = await survey.facts()
    assert facts.oldest == {
        Part.AUDIT: FIRST_ACT,
        Part.SESSIONS: began_at,
        Part.OPEN_EXECUTIONS: began_at + DAY / 2,
        Part.HISTORY: began_at + DAY / 2 + DAY / 24,
        Part.IDEMPOTENCY_KEYS: began_at + DAY,
    }
    assert facts.session_days == pytest.approx((7 + 3) / 2 + 2)
    assert (facts.history_days, facts.key_days) == (7, 1)
    assert abs(facts.measured_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_sessions_of_another_service_are_as_old_as_their_rows_say(storage, survey, database_url):
    began_at = storage.clock.now()
    first = await storage.add(ttl_seconds=86_400, lifetime_seconds_max=10**7)
    for session_id in TAKEN:
        await storage.add_foreign(session_id, ttl_seconds=86_400 - 3600, lifetime_seconds_max=10**7)
    facts = await survey.facts()
    assert facts.oldest[Part.SESSIONS] == began_at - timedelta(hours=1)
    assert facts.session_days == pytest.approx(1 + 2)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM meta.sessions WHERE created_at IS NOT NULL")
    assert (await survey.facts()).oldest[Part.SESSIONS] == began_at == first.created_at


async def test_an_empty_database_has_sizes(survey, database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE meta.audit")
    facts = await survey.facts()
    assert (facts.oldest, facts.session_days) == ({}, None)
    assert facts.stored.size_bytes > 0
