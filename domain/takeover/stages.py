"""The stages of a takeover."""

from enum import StrEnum


class Stage(StrEnum):
    """How far a takeover has come.

    LOOK and FRONT: the origin owns every session of its own, and creates new ones. OPEN: new sessions are created here.
    ADOPT: sessions of the origin move here. BACK: sessions move to the origin, which creates new ones again. FINISHED:
    the origin owns nothing.
    """

    LOOK = "look"
    FRONT = "front"
    OPEN = "open"
    ADOPT = "adopt"
    BACK = "back"
    FINISHED = "finished"
