"""The stages of a takeover, and which command leads from one to another."""

from collections.abc import Mapping
from enum import StrEnum


class Stage(StrEnum):
    """How far a takeover has come.

    LOOK: the origin owns every session of its own, and creates new ones. OPEN: new sessions are created here. ADOPT:
    sessions of the origin move here. BACK: sessions move to the origin, which creates new ones again. FINISHED: the
    origin owns nothing; if its database is restored, ADOPT hides its sessions again.
    """

    LOOK = "look"
    OPEN = "open"
    ADOPT = "adopt"
    BACK = "back"
    FINISHED = "finished"


class StageCommand(StrEnum):
    """A command that changes the stage."""

    OPEN = "open"
    ADOPT = "adopt"
    BACK = "back"
    FINISH = "finish"


class TakeoverRefused(RuntimeError):
    """A command of the takeover cannot run now; the text says why, and what to do."""


NO_TAKEOVER = "There is no takeover here. Run `pglambda takeover copy` or `takeover open` first."


_NEXT: Mapping[StageCommand, Mapping[Stage, Stage]] = {
    StageCommand.OPEN: {
        Stage.LOOK: Stage.OPEN,
        Stage.OPEN: Stage.OPEN,
        Stage.ADOPT: Stage.ADOPT,
        Stage.BACK: Stage.OPEN,
    },
    StageCommand.ADOPT: {Stage.OPEN: Stage.ADOPT, Stage.ADOPT: Stage.ADOPT, Stage.FINISHED: Stage.ADOPT},
    StageCommand.BACK: {Stage.OPEN: Stage.BACK, Stage.ADOPT: Stage.BACK, Stage.BACK: Stage.BACK},
    StageCommand.FINISH: {
        Stage.LOOK: Stage.LOOK,
        Stage.OPEN: Stage.FINISHED,
        Stage.ADOPT: Stage.FINISHED,
        Stage.BACK: Stage.LOOK,
        Stage.FINISHED: Stage.FINISHED,
    },
}

_ADVICE: Mapping[StageCommand, str] = {
    StageCommand.OPEN: "The takeover is finished. Run `pglambda takeover copy` to begin another one.",
    StageCommand.ADOPT: (
        "Sessions move here only after new ones are created here. Run `pglambda takeover open` first, and watch for a "
        "while."
    ),
    StageCommand.BACK: (
        "There is nothing to return before `open`. After `finish`, run `pglambda takeover adopt` first: it continues "
        "the takeover."
    ),
}


def require_end_here(stage: Stage) -> None:
    """Raise TakeoverRefused if the end of a takeover would leave sessions to the origin, which is lost."""
    if stage in {Stage.LOOK, Stage.BACK}:
        raise TakeoverRefused(
            f"In the stage {stage} the end of a takeover leaves its sessions to the origin, which is lost. Run "
            "`takeover open --origin-lost` and `takeover adopt --origin-lost` first: they keep what is stored here."
        )


def next_stage(command: StageCommand, stage: Stage) -> Stage:
    """Return the stage in which a command works; raises TakeoverRefused.

    The command that ends a takeover leads to LOOK if the origin keeps its sessions: before `open`, and after a return.
    """
    following = _NEXT[command].get(stage)
    if following is None:
        raise TakeoverRefused(f"`takeover {command}` does not run in the stage {stage}. {_ADVICE[command]}")
    return following
