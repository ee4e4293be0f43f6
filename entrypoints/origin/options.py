"""The options of the origin's API."""

from attrs import frozen

from domain.scripts.convention import Convention


@frozen
class OriginOptions:
    """How the origin's clients are served.

    New sessions have the calling `convention`. If `lenient`, initialize accepts a title that no runtime serves, and a
    session without a script for which no function is registered. The origin accepts both, and each execution fails.
    A caller with more than `functions_max` functions cannot list them in the order of the origin.
    """

    convention: Convention = Convention.ORIGIN
    lenient: bool = False
    functions_max: int = 1000
