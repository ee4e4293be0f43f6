"""Event ids say what a reader has, and nothing else passes for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidRequest
from domain.live.position import OutputStream, Position

COUNTS = st.integers(0, 10**15 - 1)


@given(st.builds(Position, COUNTS, COUNTS, COUNTS, st.booleans()))
def test_a_position_is_read_from_its_own_text(position):
    assert Position.of(str(position)) == position


def test_a_position_is_written_as_counts_and_the_end():
    assert str(Position()) == "0.0.0"
    assert str(Position(12, 3, 1, is_end=True)) == "12.3.1.end"


@pytest.mark.parametrize(
    "event_id",
    [
        "",
        "1",
        "1.2",
        "1.2.3.",
        "1.2.3.4",
        "1.2.3.END",
        "1.2.3.end.end",
        "-1.0.0",
        "01.0.0",
        "1.0.0 ",
        " 1.0.0",
        "1.0.0\n",
        "1e3.0.0",
        "٣.0.0",
        "9" * 16 + ".0.0",
        "x" * 10_000,
    ],
)
def test_another_text_is_refused_with_advice(event_id):
    with pytest.raises(InvalidRequest) as refused:
        Position.of(event_id)
    (problem,) = refused.value.problems
    assert problem.pointer == "/event_id"
    assert "is not the id of an event" in problem.message
    assert len(problem.message) < 250


def test_a_position_moves_in_one_stream():
    position = Position(1, 2, 3).moved(OutputStream.STDOUT, 10).moved(OutputStream.STDERR, 20)
    assert (position.offset(OutputStream.STDOUT), position.offset(OutputStream.STDERR), position.progress) == (
        10,
        20,
        3,
    )
