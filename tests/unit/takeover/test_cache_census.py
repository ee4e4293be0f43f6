from datetime import UTC, datetime
from hashlib import md5

from attrs import evolve

from domain.takeover.cache_census import CacheCensus, CachedRow
from domain.takeover.cached import Disagreement
from tests.unit.takeover.builders import NOW
from tests.unit.takeover.test_cached import value

DIGEST = md5(b"return 1;", usedforsecurity=False).hexdigest()
ROW = CachedRow("nodejs-adder", datetime(2026, 7, 17, 9, tzinfo=UTC), 3, DIGEST)


def census(value_: str, row: CachedRow | None = None) -> CacheCensus:
    found = CacheCensus(NOW)
    found.add({"a": value_}, {} if row is None else {"a": row})
    return found


def test_a_key_that_equals_its_row_is_counted_alone():
    assert census(value(), ROW) == CacheCensus(NOW, keys=1)


def test_keys_without_a_row_are_counted_while_they_live():
    assert census(value()).without_row == 1
    assert census(value(expires_at="2026-07-17T08:00:00Z")).without_row == 0


def test_what_is_no_session_is_counted():
    assert census("{}", ROW).unreadable == 1


def test_keys_that_differ_are_counted_by_how():
    for row, difference in (
        (evolve(ROW, execution_count=4), Disagreement.COUNT),
        (evolve(ROW, expires_at=None), Disagreement.EXPIRY),
        (evolve(ROW, language_title="nodejs-x"), Disagreement.CONTENT),
        (evolve(ROW, script_digest="0"), Disagreement.CONTENT),
        (evolve(ROW, script_digest=None), Disagreement.CONTENT),
    ):
        assert census(value(), row).differing == {difference: 1}
    without = value(script_content=None)
    assert census(without, evolve(ROW, script_digest=None)).differing == {}
    assert census(without, ROW).differing == {Disagreement.CONTENT: 1}
