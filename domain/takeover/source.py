"""The origin's database: its address, and its failures, for an operator."""

from typing import ClassVar

from attrs import define, field, frozen

from domain.errors import DomainError


@frozen
class SourceAddress:
    """Where the origin's tables are, and its Redis, if it is of the generation that keeps sessions there.

    `timezone` is that of instants without a zone; None if none was named.
    """

    dsn: str = field(repr=False)
    schema: str = "meta"
    timezone: str | None = None
    cache_url: str | None = field(default=None, repr=False)


REDIS = "Redis"
"""The other store of the origin."""


@define(eq=False)
class SourceUnavailable(DomainError):
    """The origin's database, or its Redis, did not serve; repeating the command may succeed."""

    code: ClassVar[str] = "SOURCE_UNAVAILABLE"
    reason: str
    store: str = field(default="database", kw_only=True)

    @property
    def message(self) -> str:
        return (
            f"The {self.store} of the origin did not serve: {self.reason} What was done before is kept. Remove the "
            "reason, and repeat the command: it continues."
        )


@define(eq=False)
class SourceRefused(DomainError):
    """The origin's database cannot be the source of a takeover as it is; `remedy` says what to do."""

    code: ClassVar[str] = "SOURCE_REFUSED"
    reason: str
    remedy: str = field(kw_only=True)

    @property
    def message(self) -> str:
        return f"{self.reason} {self.remedy}"
