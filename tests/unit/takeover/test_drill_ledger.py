"""The ledger of a takeover's drill recognises what may not happen."""

from collections import Counter

import pytest

from tests.origin.drill.ledger import HERE, ORIGIN, Ledger, Run, Session


def ledger(
    *sides: str, back: tuple[str, ...] = (), again: tuple[str, ...] = (), unsure: tuple[str, ...] = ()
) -> Ledger:
    legs = [(side, leg) for leg, each in enumerate((sides, back, again)) for side in each]
    runs = [Run(f"s {number}", side, leg) for number, (side, leg) in enumerate(legs)]
    return Ledger({"s": Session("s", {}, runs, list(unsure))})


def at_origin(record: Ledger) -> Counter[str]:
    return Counter(run.call for run in record.sessions["s"].runs if run.side == ORIGIN)


def test_a_session_that_neither_side_holds_is_lost():
    assert ledger().lost({"t": 1}) == ["s is lost"]
    assert ledger().lost({"s": 0}) == []


@pytest.mark.parametrize(
    ("acknowledged", "unsure", "count", "fits"),
    [(2, 0, 2, True), (2, 0, 1, False), (2, 0, 3, False), (2, 1, 3, True), (2, 1, 2, True), (2, 1, 4, False)],
)
def test_a_count_is_that_of_the_executions(acknowledged, unsure, count, fits):
    record = ledger(*[HERE] * acknowledged, unsure=tuple(map(str, range(unsure))))
    assert list(record.miscounted({"s": count})) == (
        [] if fits else [f"s counts {count} executions, where {acknowledged} to {acknowledged + unsure} can be"]
    )


def test_an_execution_that_ran_on_both_sides_is_found():
    record = ledger(ORIGIN, HERE)
    assert list(record.twice(at_origin(record))) == []
    assert list(record.twice(at_origin(record) + Counter(["s 1"]))) == [
        "s 1 answered by here, and ran 1 times at the origin"
    ]


def test_an_execution_that_ran_twice_at_the_origin_is_found():
    record = ledger(ORIGIN)
    assert "s 0 ran 2 times at the origin" in list(record.twice(Counter({"s 0": 2})))
    assert list(record.twice(Counter())) == ["s 0 answered by origin, and ran 0 times at the origin"]


@pytest.mark.parametrize(
    ("there", "back", "again", "found"),
    [
        ((ORIGIN, HERE, HERE), (HERE, ORIGIN), (ORIGIN, HERE), 0),
        ((HERE,), (ORIGIN, ORIGIN), (), 0),
        ((HERE, ORIGIN), (), (), 1),
        ((ORIGIN, HERE, ORIGIN, HERE), (ORIGIN, HERE), (), 2),
        ((), (ORIGIN, HERE), (), 1),
        ((HERE,), (ORIGIN,), (HERE, ORIGIN), 1),
    ],
)
def test_a_session_changes_sides_once_in_each_leg(there, back, again, found):
    assert len(list(ledger(*there, back=back, again=again).wavering())) == found
