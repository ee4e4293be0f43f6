"""Secrets of owners: what is stored of them, which functions may have them, and the errors about them."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from attrs import define, evolve, field, frozen

from domain.errors import Conflict, Forbidden, NotFound, Unavailable
from domain.grants.ports import Pin
from domain.identity import Owner
from domain.scripts.language import LanguageTitle

VALUE_SIZE_MIN = 8
"""Bytes of UTF-8 of the shortest value: shorter ones stand in many texts by chance, and cannot be redacted."""

VALUE_SIZE_MAX = 65_536
"""Bytes of UTF-8 of the longest value."""

FUNCTIONS_MAX = 32
"""Functions to which a secret can be limited."""


_KEY_ID_LENGTH = 16


def key_id_of(key: bytes) -> str:
    """Return the name of a key, which tells nothing of it."""
    return hashlib.sha256(key).hexdigest()[:_KEY_ID_LENGTH]


def named_function(text: str) -> tuple[Owner, LanguageTitle, int | None]:
    """Return the owner, title and version in a text such as `alice/python-adder@3`; raises ValueError."""
    owner, _, pinned = text.rpartition("/")
    title, _, version = pinned.partition("@")
    return Owner(owner), LanguageTitle.of(title), int(version) if version else None


@frozen(cache_hash=True)
class SecretRef:
    """The owner and the name of a secret."""

    owner: Owner
    name: str


@frozen
class FunctionLimit:
    """A function whose sessions may have a secret, at any version or at one.

    It is known by its id, so a later function of the same owner and title is another one.
    """

    function_id: UUID
    owner: Owner
    language_title: LanguageTitle
    version: int | None = None

    def __str__(self) -> str:
        version = "" if self.version is None else f"@{self.version}"
        return f"{self.owner}/{self.language_title}{version}"

    @classmethod
    def of(cls, function_id: UUID, text: str) -> "FunctionLimit":
        """Return the limit with this id and this text; the text is the one of `str`."""
        return cls(function_id, *named_function(text))

    def covers(self, pin: Pin) -> bool:
        """Return whether a session that is pinned to this version of a function may have the secret."""
        return pin.function_id == self.function_id and self.version in {None, pin.version}


@frozen
class Sealed:
    """A value that only the key with `key_id` opens."""

    key_id: str
    nonce: bytes = field(repr=False)
    content: bytes = field(repr=False)


@frozen
class StoredSecret:
    """What is known of a secret without its value. `functions` of None lets every session of the owner have it.

    `created_at` and `author` are those of the present version. `uses` and `last_used_at` may be late by 5 s.
    """

    ref: SecretRef
    version: int
    key_id: str
    created_at: datetime
    author: str
    functions: tuple[FunctionLimit, ...] | None = None
    last_used_at: datetime | None = None
    uses: int = 0

    def require_pin(self, pin: Pin | None) -> None:
        """Raise SecretNotAllowed unless a session with this pin may have the secret."""
        if self.functions is not None and not (pin and any(each.covers(pin) for each in self.functions)):
            raise SecretNotAllowed(self.ref.name, tuple(map(str, self.functions)))


@frozen
class SealedSecret:
    """A secret with its sealed value."""

    secret: StoredSecret
    sealed: Sealed

    def moved(self, owner: Owner, sealed: Sealed) -> "SealedSecret":
        """Return the secret as one of another owner. Limits to functions of the former owner follow it."""
        former, limits = self.secret.ref.owner, self.secret.functions
        functions = limits and tuple(evolve(each, owner=owner) if each.owner == former else each for each in limits)
        return self.resealed(
            sealed, evolve(self.secret, ref=SecretRef(owner, self.secret.ref.name), functions=functions)
        )

    def resealed(self, sealed: Sealed, secret: StoredSecret | None = None) -> "SealedSecret":
        """Return the secret sealed by another key."""
        return SealedSecret(evolve(secret or self.secret, key_id=sealed.key_id), sealed)


@define(eq=False)
class SecretNotFound(NotFound):
    """The owner has no secret of this name."""

    code: ClassVar[str] = "SECRET_NOT_FOUND"
    name: str

    @property
    def message(self) -> str:
        return (
            f"You have no secret {self.name}, so nothing was done. Store it by PUT /api/v1/secrets/{self.name}, or "
            "correct the name; GET /api/v1/secrets lists your secrets."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"secret": self.name}


@define(eq=False)
class SecretNotAllowed(Forbidden):
    """The secret is limited to functions, and the session is not pinned to one of them."""

    code: ClassVar[str] = "SECRET_NOT_ALLOWED"
    name: str
    functions: tuple[str, ...]

    @property
    def message(self) -> str:
        return (
            f"The secret {self.name} is limited to sessions of {', '.join(self.functions) or 'no function'}, so "
            "nothing was done. Use such a session, or store the secret again with other functions."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"secret": self.name, "functions": list(self.functions)}


@define(eq=False)
class SecretConflict(Conflict):
    """The secret changes all the time, so this change found no moment."""

    code: ClassVar[str] = "CONFLICT"

    @property
    def message(self) -> str:
        return "Other calls were changing the secret at the same time, so nothing was changed. Repeat the call."


@define(eq=False)
class SecretsUnavailable(Unavailable):
    """The installation cannot seal or open a secret; `reason` says why, and what to do."""

    code: ClassVar[str] = "SECRETS_UNAVAILABLE"
    reason: str
    name: str | None = None
    stored: str | None = "no"
    executed: str | None = "no"

    @property
    def message(self) -> str:
        what = "Secrets" if self.name is None else f"The secret {self.name}"
        return f"{what} cannot be used: {self.reason}"

    @property
    def details(self) -> Mapping[str, object]:
        named = {} if self.name is None else {"secret": self.name}
        return {**super().details, **named}


def without_key() -> SecretsUnavailable:
    """Return the error of an installation without any key."""
    return SecretsUnavailable(
        "no SECRETS_KEY is set. Ask the operator to set it, the same for all controllers: openssl rand -base64 32"
    )


def key_is_absent(key_id: str, name: str | None = None) -> SecretsUnavailable:
    """Return the error of a row whose key is not set."""
    return SecretsUnavailable(
        f"the row was sealed by key {key_id}, which is not set. Ask the operator to add it to SECRETS_KEY; if it is "
        "lost, store the secret again.",
        name,
    )


def row_is_altered(name: str) -> SecretsUnavailable:
    """Return the error of a row that its key does not open as the one of its owner, name and version."""
    return SecretsUnavailable(
        "the row does not belong to this owner, name and version, or was altered. Store the secret again.", name
    )
