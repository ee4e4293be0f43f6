"""What a caller asks of sessions, and the limits that the server sets to it."""

from datetime import datetime
from uuid import UUID

from attrs import field, frozen

from domain.functions.function import Definition, Function
from domain.grants.grants import Grants
from domain.identity import Owner, SessionRef
from domain.json_text import EMPTY_OBJECT, JsonText
from domain.paging import Page
from domain.scripts.convention import Convention
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.limits import LimitsPolicy, LimitsRequest
from domain.sessions.session import LifetimePolicy, Renewal, Session, Status


@frozen
class SessionRequest:
    """A session to initialize; None takes the server's default.

    `language_title` may name a version of a function, such as `python-adder@3`; a resolved one is taken as it is.
    `convention` is that of a script of its own; a session that is pinned to a function has that of the function, and
    its grants, which `grants` may narrow.
    """

    language_title: LanguageTitle | str | None
    script_content: str | None = field(default=None, repr=False)
    context: JsonText = field(default=EMPTY_OBJECT, repr=False)
    metadata: JsonText = field(default=EMPTY_OBJECT, repr=False)
    ttl_seconds: int | None = None
    renewal: Renewal = Renewal.FIXED
    limits: LimitsRequest = field(factory=LimitsRequest)
    convention: Convention = Convention.OWN
    grants: Grants | None = None


@frozen
class SessionPolicy:
    """The server's limits of sessions: sizes in bytes, times in seconds, and the days of the history."""

    lifetime: LifetimePolicy
    limits: LimitsPolicy
    script_size_max: int
    request_timeout_s: float
    history_days: int = 7

    def open(  # noqa: PLR0913, PLR0917  # each is one property of the session
        self,
        ref: SessionRef,
        now: datetime,
        title: LanguageTitle,
        definition: Definition,
        request: SessionRequest,
        function: Function | None,
        *,
        hidden: bool = False,
        grants: Grants | None = None,
    ) -> Session:
        """Return the session that a request opens at `now`, pinned to the function if there is one."""
        length, expires_at, expires_max_at = self.lifetime.span(now, request.ttl_seconds)
        return Session(
            ref=ref,
            language_title=title,
            script_hash=definition.script.hash,
            context=request.context,
            metadata=request.metadata,
            limits=self.limits.grant(request.limits),
            renewal=request.renewal,
            ttl_seconds=length,
            expires_at=expires_at,
            expires_max_at=expires_max_at,
            function_version=None if function is None else function.version,
            function_id=None if function is None else function.function_id,
            hidden=hidden,
            convention=definition.convention,
            grants=grants,
        )


@frozen
class ListRequest:
    """A list of sessions, newest first: at most `size`, older than `after`; see SessionFilter for the filters.

    `judged_at` is the instant of the request for the first page; None for that page itself. Without `contexts` the
    context of each session is an empty object.
    """

    owner: Owner
    size: int
    after: UUID | None = None
    status: Status | None = None
    language: Language | None = None
    text: str | None = None
    metadata: JsonText | None = field(default=None, repr=False)
    judged_at: datetime | None = None
    contexts: bool = True


@frozen
class SessionList:
    """A page of sessions, and the instant at which their status was judged."""

    page: Page[Session]
    judged_at: datetime
