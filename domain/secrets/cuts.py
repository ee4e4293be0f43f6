"""Places at which texts of scripts were cut, perhaps within a secret."""

import re
from collections.abc import Iterable, Iterator

from attrs import frozen

from domain.scripts.report import ELLIPSIS

LENGTH_MIN = 4
"""Characters of the shortest beginning of a spelling that is looked for.

Fewer are at the ends of many texts by chance, and tell next to nothing of a value: it has at least 8.
"""

_COMPARED_LENGTH = 16
_COMPARED_MAX = 16
_UNFINISHED = re.compile("(?:\ufffd|[\udc80-\udcff]{1,3})\\Z")
"""A character of which the cut has left some bytes: decoded with `replace`, or with `surrogateescape`."""
UNFINISHED_MAX = 3
"""Characters as which an unfinished one is decoded, at most."""


@frozen
class Cut:
    """A cut of a text: `at` ends what was written whole, `end` also the rest of a character that the cut divides."""

    at: int
    end: int

    @classmethod
    def behind(cls, text: str, end: int) -> "Cut":
        """Return the cut behind so many characters of a text."""
        unfinished = _UNFINISHED.search(text, max(0, end - UNFINISHED_MAX), end)
        return cls(end if unfinished is None else unfinished.start(), end)

    @classmethod
    def of_long(cls, text: str, length_max: int) -> "Cut | None":
        """Return the cut of a text that a worker has cut, if it has more than so many characters; else None.

        The worker writes an ellipsis behind it, and the service may add more. Node.js counts UTF-16.
        """
        if len(text.encode("utf-16-le", "surrogatepass")) <= 2 * length_max:
            return None
        place = text.rfind(ELLIPSIS)
        return cls.behind(text, len(text) if place < 0 else place)

    def head(self, text: str, start: int, spellings: Iterable[str]) -> tuple[int, str] | None:
        """Return where the longest text from `start` to the cut begins that begins a spelling, and that spelling."""
        heads = ((place, each) for each in spellings if (place := self._place(text, start, each)) is not None)
        return min(heads, default=None)

    def _place(self, text: str, start: int, spelling: str) -> int | None:
        """Return where the longest end of the text that begins the spelling is, of those from `start` on.

        A long opening of the spelling that is there very often counts as one, lest the search take quadratic time.
        """
        first = max(start, self.at - len(spelling) + 1)
        if text[max(first, self.at - LENGTH_MIN) : self.at] not in spelling:
            return None
        for count, place in enumerate(_occurrences(text, spelling[:_COMPARED_LENGTH], first, self.at)):
            if count == _COMPARED_MAX or spelling.startswith(text[place : self.at]):
                return place
        shorter = range(max(first, self.at - _COMPARED_LENGTH + 1), self.at - LENGTH_MIN + 1)
        return next((place for place in shorter if spelling.startswith(text[place : self.at])), None)


def _occurrences(text: str, part: str, start: int, end: int) -> Iterator[int]:
    while (place := text.find(part, start, end)) >= 0:
        yield place
        start = place + 1
