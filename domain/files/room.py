"""What all files together take, between two measurements."""

from collections.abc import Callable
from datetime import datetime

from attrs import define, field, frozen

from domain.files.limits import FileLimits


@frozen
class Measured:
    """The bytes that all files took at an instant, with their indexes; None before the first measurement."""

    size_bytes: int = 0
    measured_at: datetime | None = None


@define(eq=False)
class FileRoom:
    """Adds to the last measurement what this process has begun to store since. Other processes add their own."""

    _limits: FileLimits
    _measure: Callable[[], Measured]
    _measured: Measured = field(factory=Measured, init=False)
    _begun: int = field(default=0, init=False)

    def stored(self) -> Measured:
        """Return what all files take, with what this process has begun to store since the measurement."""
        self._look()
        return Measured(self._measured.size_bytes + self._begun, self._measured.measured_at)

    def take(self, size: int) -> datetime | None:
        """Count a file of at most so many bytes, and return when the bytes before it were measured.

        Raises StorageFull if there is no room for it.
        """
        self._look()
        self._limits.require_room(self._measured.size_bytes + self._begun, size)
        self._begun += size
        return self._measured.measured_at

    def give_back(self, size: int, measured_at: datetime | None) -> None:
        """Count so many bytes less, which were taken and not stored; a later measurement has forgotten them."""
        if measured_at == self._measured.measured_at:
            self._begun -= size

    def _look(self) -> None:
        measured = self._measure()
        if measured.measured_at != self._measured.measured_at:
            self._measured, self._begun = measured, 0
