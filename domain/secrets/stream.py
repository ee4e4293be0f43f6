"""The redaction of a text that arrives in pieces."""

from attrs import define, field

from domain.scripts.output import OUTPUT_SIZE_MAX
from domain.secrets.cuts import UNFINISHED_MAX, Cut
from domain.secrets.marks import shortened_bytes
from domain.secrets.redaction import Redaction

_UNREAD_MAX = 8
"""A stream is read on once it has this part of what it holds back, so that many small pieces do not take long."""


@define
class RedactedStream:
    """Redacts a text that arrives in pieces: whatever the pieces are, the parts together are the redacted whole.

    It holds back the characters in which a spelling may have begun. A lone surrogate stands for a byte that is not
    UTF-8, as `surrogateescape` decodes it.
    """

    _redaction: Redaction
    count: int = field(default=0, init=False)
    _held: str = field(default="", init=False, repr=False)
    _unread: list[str] = field(factory=list, init=False, repr=False)
    _unread_length: int = field(default=0, init=False)
    _left: int = field(default=OUTPUT_SIZE_MAX, init=False)
    """Bytes that may follow, if something is redacted."""

    def feed(self, piece: str) -> str:
        """Return what can be shown with this piece."""
        self._unread.append(piece)
        self._unread_length += len(piece)
        if self._unread_length * _UNREAD_MAX < len(self._held):
            return ""
        text = self._read()
        # At a place before this one, every spelling would have arrived as a whole, and none can begin a cut end.
        until = max(0, len(text) - self._redaction.length_max - UNFINISHED_MAX + 1)
        shown, count, end = self._redaction.beginning(text, until)
        self._held = text[end:]
        return self._fitting(shown, count)

    def end(self, *, is_cut: bool = False) -> str:
        """Return the rest, after the last piece, behind which more would have come if the text is cut."""
        rest = self._read()
        shown, count = self._redaction.text(rest, Cut.behind(rest, len(rest)) if is_cut else None)
        self._held = ""
        return self._fitting(shown, count)

    def _fitting(self, shown: str, count: int) -> str:
        """Return what is within the limit of redacted text."""
        self.count += count
        fitting = shortened_bytes(shown, max(0, self._left)) if self.count else shown
        # Behind a mark that does not fit comes nothing, even if it would.
        self._left = self._left - len(fitting.encode("utf-8", "surrogateescape")) if fitting == shown else 0
        return fitting

    def _read(self) -> str:
        """Return what is held back, with the pieces since."""
        text = "".join((self._held, *self._unread))
        self._unread.clear()
        self._unread_length = 0
        return text
