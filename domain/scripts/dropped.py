"""Names of a script that are no part of its session's state."""

from attrs import frozen

DROPPED_MAX = 64
"""How many names a report lists."""

NAME_SIZE_MAX = 128
"""Characters of a name, and of its type."""

TYPE_SIZE_MAX = 64
"""Characters of a type, at which workers cut it."""


@frozen
class DroppedName:
    """A name at the top level of a script whose value JSON cannot give back, and the type of the value."""

    name: str
    type: str
