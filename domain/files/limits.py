"""How large files may be, and how long they are kept."""

from datetime import timedelta

from attrs import field, frozen, validators

from domain.errors import FieldTooLarge, QuotaReached
from domain.files.file import StorageFull

_positive = validators.ge(1)

RETENTION_MAX = timedelta(days=7)
"""The ring of slots has nine days: one for today, one for the day that uploads may last, and these."""


@frozen
class FileLimits:
    """Bytes of one file, of an owner's files and of all files; how long files are kept, and uploads may pause.

    None is no limit.
    """

    size_max: int = field(default=256 * 1024**2, validator=_positive)
    owner_bytes_max: int = field(default=1024**3, validator=_positive)
    bytes_max: int = field(default=20 * 1024**3, validator=_positive)
    retention: timedelta = field(default=timedelta(days=1), validator=validators.le(RETENTION_MAX))
    pause_max: timedelta = timedelta(minutes=2)

    def require_size(self, size: int) -> None:
        """Raise FieldTooLarge if one file may not be so large."""
        if size > self.size_max:
            raise FieldTooLarge("", self.size_max, size)

    def require_quota(self, stored: int) -> None:
        """Raise QuotaReached if an owner may not store so many bytes, those of the new file among them."""
        if stored > self.owner_bytes_max:
            raise QuotaReached("stored_file_bytes", self.owner_bytes_max, stored)

    def require_room(self, stored: int, size: int) -> None:
        """Raise StorageFull if all files together take `stored` bytes, and `size` more are too many."""
        if stored + size > self.bytes_max:
            raise StorageFull(self.bytes_max, stored)
