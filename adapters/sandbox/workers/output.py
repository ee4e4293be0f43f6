"""What a script has written to one of its streams."""

from attrs import define, field


@define
class CapturedOutput:
    """Collects the first `size_max` bytes of a stream, and knows when there were more."""

    size_max: int
    size: int = field(default=0, init=False)
    _pieces: list[bytes] = field(factory=list, init=False)

    @property
    def is_exceeded(self) -> bool:
        """Whether more than `size_max` bytes came."""
        return self.size > self.size_max

    def add(self, piece: bytes) -> None:
        """Take the next piece, as far as there is room."""
        room = self.size_max - self.size
        if piece and room > 0:
            self._pieces.append(piece[:room])
        self.size += len(piece)

    def text(self) -> str:
        """Return the text; bytes that are not UTF-8, and NUL, which no database takes, become U+FFFD."""
        if not self._pieces:
            return ""
        return b"".join(self._pieces).decode("utf-8", "replace").replace("\0", "\ufffd")

    def clear(self) -> None:
        """Begin again."""
        self._pieces.clear()
        self.size = 0
