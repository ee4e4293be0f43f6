"""The port to the buckets of a database."""

from collections.abc import Sequence
from typing import Protocol

from domain.buckets.bucket_map import Bucket


class BucketReader(Protocol):
    """Reads which buckets there are."""

    async def read(self) -> Sequence[Bucket]:
        """Return all buckets beside HOME, those that are announced among them; raises StorageUnavailable."""
        ...
