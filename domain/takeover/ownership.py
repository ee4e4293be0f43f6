"""Who owns a session, and the next step by which it moves: the table that commands and the front follow."""

from collections.abc import Mapping
from enum import StrEnum

from domain.takeover.ports import Holding


class View(StrEnum):
    """What the origin shows of a session.

    LIVE: it serves the session. FENCED: this takeover has hidden it. FOREIGN: another takeover has. OTHER: it has
    another session under the id of one that was made here. GONE: it has expired there, or does not exist.
    """

    LIVE = "live"
    FENCED = "fenced"
    FOREIGN = "foreign"
    OTHER = "other"
    GONE = "gone"


class Direction(StrEnum):
    """Where sessions move: HERE in the stage ADOPT, THERE in the stage BACK."""

    HERE = "here"
    THERE = "there"


class Step(StrEnum):
    """The next step of one session; each can be repeated.

    COPY: store a copy, or take the fence away from what cannot be kept here. TAKE: mark the copy as FENCING, hide the
    session at the origin, store it here. FENCE: hide it at the origin and store it here. FENCE_AGAIN: hide it there.
    OWN: store it here. GIVE_UP: forget the copy. CLOSE: stop serving it here, as RETURNING. DIVERT: mark it as
    RETURNING, so that it cannot be stored here. RETURN: write it to the origin, or take the fence away there, and mark
    it as RETURNED. REOPEN: serve it here again. REFUSE: it stays here, because the origin has its id for another
    one. LEAVE: nothing is to be done.
    """

    COPY = "copy"
    TAKE = "take"
    FENCE = "fence"
    FENCE_AGAIN = "fence_again"
    OWN = "own"
    GIVE_UP = "give_up"
    CLOSE = "close"
    DIVERT = "divert"
    RETURN = "return"
    REOPEN = "reopen"
    REFUSE = "refuse"
    LEAVE = "leave"


_Row = Mapping[View, Step]


def _row(live: Step, fenced: Step, otherwise: Step, other: Step | None = None) -> _Row:
    rest = {View.GONE: otherwise, View.FOREIGN: otherwise, View.OTHER: other or otherwise}
    return {View.LIVE: live, View.FENCED: fenced, **rest}


_HERE: Mapping[Holding, _Row] = {
    # A session that is hidden by this takeover, and unknown here, was lost by a restore of this side.
    Holding.UNKNOWN: _row(Step.COPY, Step.COPY, Step.LEAVE),
    Holding.INBOUND: _row(Step.TAKE, Step.TAKE, Step.GIVE_UP),
    Holding.FENCING: _row(Step.FENCE, Step.OWN, Step.GIVE_UP),
    # A fence that is gone was lost by a restore of the origin. What is stored here is newer, and stays.
    Holding.SERVED: _row(Step.FENCE_AGAIN, Step.LEAVE, Step.LEAVE),
    # A return that was interrupted: nobody has called the session since, so what is stored here is the newest.
    Holding.RETURNING: _row(Step.FENCE_AGAIN, Step.REOPEN, Step.REOPEN),
    Holding.RETURNED: _row(Step.COPY, Step.REOPEN, Step.LEAVE),
}

_THERE: Mapping[Holding, _Row] = {
    Holding.UNKNOWN: _row(Step.LEAVE, Step.COPY, Step.LEAVE),
    Holding.INBOUND: _row(Step.LEAVE, Step.DIVERT, Step.LEAVE),
    Holding.FENCING: _row(Step.DIVERT, Step.DIVERT, Step.GIVE_UP),
    Holding.SERVED: _row(Step.CLOSE, Step.CLOSE, Step.CLOSE, Step.REFUSE),
    Holding.RETURNING: _row(Step.RETURN, Step.RETURN, Step.RETURN),
    Holding.RETURNED: _row(Step.LEAVE, Step.DIVERT, Step.LEAVE),
}

_TABLE: Mapping[Direction, Mapping[Holding, _Row]] = {Direction.HERE: _HERE, Direction.THERE: _THERE}


def next_step(direction: Direction, holding: Holding, view: View) -> Step:
    """Return what is to be done with a session that is stored here as `holding`, and shown by the origin as `view`."""
    return _TABLE[direction][holding][view]
