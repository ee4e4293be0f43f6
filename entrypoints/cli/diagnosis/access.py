"""Who may call, and whose the sessions are."""

from collections.abc import Iterator

from domain.inspection import AccessFacts
from entrypoints.cli.diagnosis.finding import Finding, note, ok, problem, warning
from entrypoints.settings.checks import is_loopback
from entrypoints.settings.settings import Settings

SUBJECT = "access"
COUNTED_MAX = 10_000
"""So far are sessions counted."""


def judge_entrance(settings: Settings) -> list[Finding]:
    """Return what is to be said of the address and of authentication."""
    where = f"{settings.host} port {settings.port}"
    if settings.authenticated:
        found = [ok(SUBJECT, f"callers at {where} have to show a token or an API key")]
    elif is_loopback(settings.host):
        found = [
            note(
                SUBJECT,
                f"everybody on this machine may call, at {where}",
                remedy="Set JWT_SECRET (or AUTH=required, with API keys) before others can reach it.",
            )
        ]
    else:
        found = [
            warning(
                SUBJECT,
                f"everybody who reaches {where} may call",
                "They run code on this host's sandbox, and see every session.",
                "Set JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS_URL, or AUTH=required with API keys.",
            )
        ]
    return [*found, *_metrics(settings)]


def _metrics(settings: Settings) -> Iterator[Finding]:
    if settings.metrics_port is not None and not is_loopback(settings.host):
        yield note(
            SUBJECT,
            f"whoever reaches {settings.host} port {settings.metrics_port} may read the metrics",
            remedy="Let only the collector reach that port.",
        )


def judge_access(facts: AccessFacts, settings: Settings) -> list[Finding]:
    """Return what is to be said of keys and of sessions that belong to nobody."""
    if not settings.authenticated:
        return []
    return [*_keys(facts, settings), *_anonymous(facts)]


def _keys(facts: AccessFacts, settings: Settings) -> Iterator[Finding]:
    if not (facts.has_api_keys or settings.verifies_tokens):
        yield problem(
            SUBJECT,
            "authentication is required, and there is neither an API key nor a key for tokens",
            "Nobody can call.",
            "pglambda keys create --owner OWNER --scope execute:all",
        )


def _anonymous(facts: AccessFacts) -> Iterator[Finding]:
    if facts.anonymous_sessions:
        more = "more than " if facts.anonymous_sessions > COUNTED_MAX else ""
        yield warning(
            SUBJECT,
            f"{more}{min(facts.anonymous_sessions, COUNTED_MAX):,} sessions belong to `anonymous`",
            "They were made without authentication, and no caller who has to authenticate can reach them.",
            "pglambda owners move anonymous OWNER",
        )
