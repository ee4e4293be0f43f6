"""How much an owner may have: sessions, bytes and calls."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, Protocol

from attrs import define

from domain.errors import LimitReached
from domain.identity import Owner

_REMEDIES: Mapping[str, str] = {
    "live_sessions": "Close sessions that are not needed, or let them expire",
    "stored_bytes": "Close sessions that are not needed; what has expired counts until it is removed",
    "concurrent_calls": "Wait for one of them to end",
    "fair_share": "The rest is for others, as long as the server is crowded. Wait for one of yours to end",
}


@define(eq=False)
class QuotaReached(LimitReached):
    """The owner has as much as is granted to each; nothing was begun.

    `limit` names what it is, `where` the place it is of, if there are several; `observed` is what the owner has.
    """

    code: ClassVar[str] = "RATE_LIMITED"
    limit: str
    allowed: int
    observed: int
    where: str = ""
    retry_after_ms: int | None = None

    @property
    def message(self) -> str:
        what = self.limit.replace("_", " ") + (f" of {self.where}" if self.where else "")
        return f"An owner may have {self.allowed} ({what}), and you have {self.observed}. {_REMEDIES[self.limit]}."

    @property
    def details(self) -> Mapping[str, object]:
        facts = {"limit": self.limit, "allowed": self.allowed, "observed": self.observed}
        return facts if self.retry_after_ms is None else facts | {"retry_after_ms": self.retry_after_ms}


class Quotas(Protocol):
    """Grants owners what they may have."""

    async def require_room(self, owner: Owner, size: int) -> None:
        """Raise QuotaReached unless the owner may have one more session, of about `size` bytes."""
        ...

    def adding(self, owner: Owner, size: int) -> AbstractContextManager[None]:
        """Return what to be in while the session is made; it counts from the beginning, unless making it fails."""
        ...

    def closed(self, owner: Owner) -> None:
        """Take note that a session of the owner is no longer live."""
        ...


class Unlimited(Quotas):
    """Grants everything."""

    async def require_room(self, owner: Owner, size: int) -> None:  # noqa: ARG002  # there is room for all
        return

    def adding(self, owner: Owner, size: int) -> AbstractContextManager[None]:  # noqa: ARG002  # nobody is counted
        return nullcontext()

    def closed(self, owner: Owner) -> None:  # noqa: ARG002  # nobody is counted
        return
