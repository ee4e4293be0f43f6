import pytest
from attrs import evolve

from domain.takeover.cached import CacheCensus, Disagreement, read_cached
from domain.takeover.source_session import SourceSession
from tests.unit.takeover.builders import ID, NOW
from tests.unit.takeover.test_cached import value

ROW = read_cached(value())
EXPIRED = "2026-07-17T08:00:00Z"


def census(text: str, row: SourceSession | None = None, *, hidden: bool = False) -> tuple[CacheCensus, list]:
    found = CacheCensus(NOW)
    lines = list(found.add({ID: text}, {} if row is None else {ID: row}, {ID} if hidden else ()))
    return found, lines


def test_a_key_that_equals_its_row_is_counted_alone():
    assert census(value(), ROW) == (CacheCensus(NOW, keys=1), [])


def test_keys_without_a_row_are_told_while_they_live():
    assert census(value()) == (
        CacheCensus(NOW, keys=1, without_row=1), [{"request_id": ID, "redis": "without_row"}]
    )  # fmt: skip
    assert census(value(expires_at=EXPIRED)) == (CacheCensus(NOW, keys=1, ended=1), [])


def test_keys_of_sessions_that_have_moved_are_told_while_they_live():
    assert census(value(), ROW, hidden=True) == (
        CacheCensus(NOW, keys=1, hidden=1), [{"request_id": ID, "redis": "hidden"}]
    )  # fmt: skip
    assert census(value(expires_at=EXPIRED), ROW, hidden=True)[0].hidden == 0


def test_what_is_no_session_is_told():
    assert census("{}", ROW) == (
        CacheCensus(NOW, keys=1, unreadable=1), [{"request_id": ID, "redis": "unreadable"}]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"execution_count": 4}, Disagreement.COUNT),
        ({"expires_at": None}, Disagreement.EXPIRY),
        ({"context": '{"a": 2}'}, Disagreement.CONTENT),
    ],
)
def test_keys_that_differ_are_told_by_how(changes, difference):
    found, lines = census(value(), evolve(ROW, **changes))
    counts = {"row": changes.get("execution_count", 3), "redis": 3}
    assert found.differing == {difference: 1}
    assert lines == [{"request_id": ID, "redis": [difference], "counts": counts}]
