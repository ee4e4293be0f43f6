"""What clients were told, session by session, and what contradicts it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby

from attrs import define, field, frozen

HERE, ORIGIN = "here", "origin"


@frozen
class Run:
    """One acknowledged execution: its name, the side that ran it, and in which leg of the takeover.

    In the legs 0, 2, ... sessions move here, in the others to the origin.
    """

    call: str
    side: str
    leg: int


@define
class Session:
    """A session that was acknowledged, and the headers that its client sends.

    `unsure` are executions that may have run, or may not: their clients received no answer that tells.
    """

    session_id: str
    headers: dict[str, str] = field(factory=dict)
    runs: list[Run] = field(factory=list)
    unsure: list[str] = field(factory=list)

    @property
    def acknowledged(self) -> int:
        return len(self.runs)


@define
class Ledger:
    """The record of a drill: sessions, calls that failed, and answers that may not be."""

    sessions: dict[str, Session] = field(factory=dict)
    calls: int = 0
    refused: list[str] = field(factory=list)
    wrong: list[str] = field(factory=list)

    def lost(self, held: Mapping[str, int]) -> list[str]:
        """Return the sessions that neither side has."""
        return [f"{each} is lost" for each in self.sessions if each not in held]

    def miscounted(self, held: Mapping[str, int]) -> Iterator[str]:
        """Yield the sessions whose count is not that of their executions."""
        for session in self.sessions.values():
            count = held.get(session.session_id)
            least, most = session.acknowledged, session.acknowledged + len(session.unsure)
            if count is not None and not least <= count <= most:
                yield f"{session.session_id} counts {count} executions, where {least} to {most} can be"

    def twice(self, at_origin: Counter[str]) -> Iterator[str]:
        """Yield the executions that ran on both sides, or twice on one; `at_origin` are all runs of the origin."""
        for session in self.sessions.values():
            for run in session.runs:
                if at_origin[run.call] != (run.side == ORIGIN):
                    yield f"{run.call} answered by {run.side}, and ran {at_origin[run.call]} times at the origin"
        yield from (f"{call} ran {times} times at the origin" for call, times in at_origin.items() if times > 1)

    def wavering(self) -> Iterator[str]:
        """Yield the sessions that changed sides against the direction of the takeover."""
        for session in self.sessions.values():
            for leg, runs in groupby(session.runs, key=lambda run: run.leg):
                sides, end = [run.side for run in runs], ORIGIN if leg % 2 else HERE
                moved = sides[sides.index(end) :] if end in sides else []
                if any(side != end for side in moved):
                    yield f"{session.session_id} was served by {' '.join(sides)}"
