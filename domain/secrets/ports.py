"""Ports to secrets: what seals values, and what is stored."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen

from domain.audit import Act
from domain.identity import Owner
from domain.secrets.secret import Sealed, SealedSecret, SecretRef, StoredSecret


class Sealer(Protocol):
    """Seals values by the first of several keys, and opens them by any.

    A value is sealed for one version of one secret, and opens as nothing else.
    """

    @property
    def key_ids(self) -> Sequence[str]:
        """The ids of the keys; the first one seals."""
        ...

    def seal(self, ref: SecretRef, version: int, value: str) -> Sealed:
        """Return the sealed value; sealing it again gives another text."""
        ...

    def open(self, ref: SecretRef, version: int, sealed: Sealed) -> str:
        """Return the value.

        Raises SecretsUnavailable if the key is not set, if the value was sealed for another secret or version, or if it
        was altered.
        """
        ...


@frozen
class SecretUses:
    """How often a secret was given to scripts since the last record, and when last."""

    count: int
    last_at: datetime


class SecretRepository(Protocol):
    """Stores secrets. Every method may raise StorageUnavailable or Overloaded, as in SessionRepository.

    In place of an owner EVERY_OWNER stands for all owners in `key_counts` and `sealed`.
    """

    async def read(self, refs: Collection[SecretRef]) -> Mapping[SecretRef, SealedSecret]:
        """Return those of the secrets that exist, as all acknowledged writes left them."""
        ...

    async def page(self, owner: Owner) -> Sequence[StoredSecret]:
        """Return the secrets of an owner by name, at most 1,000."""
        ...

    async def put(
        self, ref: SecretRef, change: Callable[[StoredSecret | None], SealedSecret], owner_max: int, act: Act
    ) -> StoredSecret:
        """Store what `change` makes of the present version, with the record of the act, and return it.

        Its uses are those of the present version. `change` may be called several times. Raises QuotaReached for a new
        secret if the owner has `owner_max`, SecretConflict, or what `change` raises. Calls at the same moment may
        exceed `owner_max`.
        """
        ...

    async def remove(self, ref: SecretRef, act: Act) -> None:
        """Remove a secret, and record the act; raises SecretNotFound."""
        ...

    async def record_uses(self, uses: Mapping[SecretRef, SecretUses]) -> None:
        """Add uses, and keep the latest instant; an unknown secret changes nothing.

        Uses of a secret that another transaction has locked may be dropped.
        """
        ...

    async def key_counts(self, owner: Owner) -> Mapping[str, int]:
        """Return how many secrets each key has sealed, by the id of the key."""
        ...

    async def sealed(
        self, owner: Owner, except_key: str | None, after: SecretRef | None, size: int
    ) -> Sequence[SealedSecret]:
        """Return at most `size` secrets behind `after`, in the order of owners and names; not those of `except_key`."""
        ...

    async def reseal(
        self, changes: Collection[tuple[SealedSecret, SealedSecret]], act: Act, owner: Owner | None, subject: str
    ) -> int:
        """Replace secrets by others, and return how many were.

        A secret that has another version or another key than the first of its pair stays. So does one that would get
        the name of another. The act is recorded once for all calls, with their number: for the owner that had the
        secrets, where None is all owners, and about the subject.
        """
        ...
