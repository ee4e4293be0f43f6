"""A session as the origin stores it, and as it is stored here."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from attrs import field, frozen

from domain.functions.function import PinnedVersion
from domain.scripts.convention import Convention
from domain.scripts.language import LanguageTitle
from domain.scripts.limits import Limits
from domain.scripts.script import Script
from domain.takeover.languages import OriginLanguages
from domain.takeover.moving import InboundSession
from domain.takeover.owners import OwnerRule
from domain.takeover.reasons import Flag, Reason


class Expired(StrEnum):
    """Which expired sessions are taken: those within SESSION_RETENTION_SECONDS, none, or all."""

    RETAINED = "retained"
    NONE = "none"
    ALL = "all"


class Scriptless(StrEnum):
    """What becomes of a session without a script: pinned to a function of its language-title, or left."""

    PIN = "pin"
    LEAVE = "leave"


@frozen
class SourceSession:
    """A row of the origin's `meta.sessions`.

    Instants are aware and in UTC. One that is infinite, before 1970 or after 9999 is None, and `instants_fit` is false.
    A column that the table lacks is None. JSON is the text that PostgreSQL gives for it. `artifact_bytes` is the size
    of compiled_artifact.
    """

    request_id: str
    language_title: str
    user_id: str | None
    created_at: datetime | None
    expires_at: datetime | None
    last_executed_at: datetime | None
    instants_fit: bool
    execution_count: int | None
    status: str
    context: str | None = field(repr=False)
    script_content: str | None = field(repr=False)
    script_hash: str | None
    compile_options: str | None = field(repr=False)
    compile_status: str | None
    compile_error: str | None = field(repr=False)
    metadata: str | None = field(repr=False)
    artifact_bytes: int | None


@frozen
class FunctionScript:
    """A function here to which sessions without a script can be pinned."""

    pinned: PinnedVersion
    script: Script
    convention: Convention


@frozen
class TakeoverPolicy:
    """How sessions are taken. `functions` are those that `Scriptless.PIN` pins to."""

    languages: OriginLanguages
    owners: OwnerRule
    limits: Limits
    lifetime_max: timedelta
    retention: timedelta
    script_size_max: int
    context_size_max: int
    expired: Expired = Expired.RETAINED
    scriptless: Scriptless = Scriptless.LEAVE
    honours_status: bool = False
    functions: Mapping[LanguageTitle, FunctionScript] = field(factory=dict, repr=False)

    def expired_after(self, now: datetime) -> datetime | None:
        """Return the instant up to which sessions have expired so long ago that they are left; None: none is left."""
        kept = {Expired.NONE: timedelta(), Expired.RETAINED: self.retention}
        return None if self.expired is Expired.ALL else now - kept[self.expired]


@frozen
class LeftSession:
    """A session that stays with the origin."""

    request_id: str
    reason: Reason


@frozen
class AcceptedSession:
    """A session that is taken, with what is unusual about it."""

    inbound: InboundSession
    flags: tuple[Flag, ...]
