"""What callers show to be known: signed tokens and API keys."""

from collections.abc import Mapping
from typing import ClassVar

from attrs import define

from domain.errors import Unauthorized, Unavailable

CREDENTIAL_SIZE_MAX = 8 * 1024
"""Bytes; anything longer is refused unread."""


@define(eq=False)
class CredentialMissing(Unauthorized):
    """The request carries no token or key."""

    code: ClassVar[str] = "UNAUTHORIZED"

    @property
    def message(self) -> str:
        return "Send a token or an API key: `Authorization: Bearer ...`, in one header."


@define(eq=False)
class CredentialRefused(Unauthorized):
    """The token or key is not good; `reason` says why, as far as that helps nobody to guess one."""

    code: ClassVar[str] = "UNAUTHORIZED"
    reason: str

    @property
    def message(self) -> str:
        return f"The token or API key is not accepted: {self.reason}."

    @property
    def details(self) -> Mapping[str, object]:
        return {"reason": self.reason}


@define(eq=False)
class JwksUnavailable(Unavailable):
    """The keys that tokens are verified with could not be fetched yet."""

    code: ClassVar[str] = "KEYS_UNAVAILABLE"
    stored: str | None = "no"
    executed: str | None = "no"
    retry_after_ms: int | None = 1000

    @property
    def message(self) -> str:
        return "The keys to verify tokens with cannot be fetched now. Repeat the call after a moment."
