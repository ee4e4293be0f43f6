"""The grant of secrets: values of the owner that the script of a session may read by their names."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Self

from attrs import frozen

from domain.errors import Problem
from domain.scripts.language import Language

SECRETS_MAX = 16
"""Secrets of one session."""

NAME_PATTERN = "^[A-Z][A-Z0-9_]{0,63}$"
NAME_RULE = "must begin with A to Z, and have at most 64 of A to Z, 0 to 9 and _"

_NAME = re.compile(NAME_PATTERN)


def is_secret_name(text: str) -> bool:
    """Return whether a secret can have this name."""
    return _NAME.fullmatch(text) is not None


@frozen
class SecretsGrant:
    """The names of secrets, in the order of the request."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Return the grant with these facts."""
        return cls(tuple(facts["names"]))

    def facts(self) -> Mapping[str, Any]:
        """Return the grant as JSON values."""
        return {"names": list(self.names)}

    def problems(self, _language: Language) -> Iterator[Problem]:
        """Yield why the grant names too many secrets, one twice, or one that cannot be."""
        if len(self.names) > SECRETS_MAX:
            yield Problem("", f"names {len(self.names)} secrets; the limit is {SECRETS_MAX}")
        for at, name in enumerate(self.names):
            if not is_secret_name(name):
                yield Problem(f"/{at}", NAME_RULE)
            elif name in self.names[:at]:
                yield Problem(f"/{at}", f"must be absent: {name} is named before")

    def excess(self, granted: "SecretsGrant") -> Iterator[Problem]:
        """Yield the secrets that the function does not grant."""
        for at, name in enumerate(self.names):
            if name not in granted.names:
                yield Problem(f"/{at}", f"must be absent: the function of the session does not grant {name}")
