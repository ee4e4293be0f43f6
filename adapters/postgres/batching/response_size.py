"""What an answer is expected to weigh, by the answers so far."""

_FORGET = 0.9


class ResponseSize:
    """Bytes per answer: rises at once with a batch of large ones, and falls slowly."""

    def __init__(self, size_min: int) -> None:
        self._size_min = size_min
        self._expected: float = size_min

    def expect(self, _: object) -> int:
        """Return the bytes that the answer to a call is counted as."""
        return int(self._expected)

    def learn(self, answers: int, size: int) -> None:
        """Note a batch of `answers` that came to `size` bytes together."""
        self._expected = max(self._size_min, size / answers, self._expected * _FORGET)
