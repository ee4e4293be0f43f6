"""Credentials of callers: signed tokens and API keys."""

from collections.abc import Mapping
from typing import ClassVar

from attrs import define

from domain.errors import Unauthorized, Unavailable

CREDENTIAL_SIZE_MAX = 8 * 1024
"""Bytes; a longer credential is refused without parsing it."""


@define(eq=False)
class CredentialMissing(Unauthorized):
    """The request has no token and no API key."""

    code: ClassVar[str] = "UNAUTHORIZED"

    @property
    def message(self) -> str:
        return "The request has no credential. Send a token or an API key in one header: `Authorization: Bearer ...`."


@define(eq=False)
class CredentialRefused(Unauthorized):
    """The token or key is not accepted; `reason` says why, unless that would help to guess a key."""

    code: ClassVar[str] = "UNAUTHORIZED"
    reason: str

    @property
    def message(self) -> str:
        return f"The token or API key is not accepted: {self.reason}. Send a valid one."

    @property
    def details(self) -> Mapping[str, object]:
        return {"reason": self.reason}


@define(eq=False)
class JwksUnavailable(Unavailable):
    """The keys to verify tokens with have not been fetched yet."""

    code: ClassVar[str] = "KEYS_UNAVAILABLE"
    stored: str | None = "no"
    executed: str | None = "no"
    retry_after_ms: int | None = 1000

    @property
    def message(self) -> str:
        return (
            "The keys to verify tokens with cannot be fetched now, so nothing was done. Repeat the call after a moment."
        )
