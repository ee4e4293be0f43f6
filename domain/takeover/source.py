"""The origin's database: its address, and its failures, for an operator."""

from attrs import define, field, frozen


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


class SourceFailure(RuntimeError):
    """A failure of what the origin stores, for an operator: no caller of the API gets it."""

    @property
    def message(self) -> str:
        """What happened, why, and what to do next."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.message


@define(eq=False)
class SourceUnavailable(SourceFailure):
    """The origin's database, or its Redis, did not serve; repeating the command may succeed."""

    reason: str
    store: str = field(default="database", kw_only=True)
    sent: bool = field(default=True, kw_only=True)
    """Whether a statement may have reached the server."""

    @property
    def message(self) -> str:
        return (
            f"The {self.store} of the origin did not serve: {self.reason} What was done before is kept. Remove the "
            "reason, and repeat the command: it continues."
        )


@define(eq=False)
class SourceRefused(SourceFailure):
    """The origin's database cannot be the source of a takeover as it is; `remedy` says what to do."""

    reason: str
    remedy: str = field(kw_only=True)

    @property
    def message(self) -> str:
        return f"{self.reason} {self.remedy}"


class AddressRefused(SourceRefused):
    """An address of the origin has a wrong form."""
