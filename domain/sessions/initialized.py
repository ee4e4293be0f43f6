"""A session that was initialized, as its caller is told of it."""

from datetime import datetime

from attrs import frozen

from domain.identity import SessionRef
from domain.scripts.language import LanguageTitle


@frozen
class Initialized:
    """The session's facts at its start; `syntax_checked` is whether its script was parsed.

    `replayed` says that it is told again, to a call that repeats one with the same idempotency key.
    """

    ref: SessionRef
    language_title: LanguageTitle
    expires_at: datetime
    script_hash: str
    syntax_checked: bool
    replayed: bool = False
