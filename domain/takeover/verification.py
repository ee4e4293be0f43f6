"""The comparison of the origin with what is stored here, row by row."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from attrs import evolve, frozen

from domain.json_equality import same_json
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.sessions.session import Renewal
from domain.takeover.moving import InboundSession, TakenState
from domain.takeover.outgoing import PENDING, outgoing_row
from domain.takeover.receiving import received
from domain.takeover.source_session import Expired, LeftSession, SourceSession, TakeoverPolicy


class Standing(StrEnum):
    """How the origin has a row: hidden by a takeover, not hidden, or expired for so long that it is not compared."""

    HIDDEN = "hidden"
    SHOWN = "shown"
    EXPIRED = "expired"


class OriginDigest(NamedTuple):
    """What the origin has of a row: two texts, and the SHA-256 of its contents; null in one that is EXPIRED."""

    request_id: str
    standing: str
    identity: str | None
    use: str | None
    content: bytes | None
    size_bytes: int


class StoredDigest(NamedTuple):
    """The same of a copy or a taken session, and what the texts do not have.

    `content` is None if the session is empty. `is_sound` is whether its script has its hash, and whether its maximum
    lifetime is the present one.
    """

    request_id: str
    state: str
    """`inbound`, or one of TakenState."""
    identity: str
    use: str
    content: bytes | None
    is_sound: bool
    owner: str
    language: str
    title: str
    spelled_title: str
    user_id: str | None
    settings: str
    """Limits, convention, version and length; `settings_of` has those of nearly all copies."""


class Verdict(StrEnum):
    """What the comparison says of a row.

    MOVED_ON: it was taken, and has been used or changed since. LEFT: it stays with the origin, for a reason. MISSING:
    it should be here. EXTRA: the origin does not have it.
    """

    SAME = "same"
    MOVED_ON = "moved-on"
    LEFT = "left"
    DIFFERS = "differs"
    MISSING = "missing"
    EXTRA = "extra"


FAULTS = frozenset({Verdict.DIFFERS, Verdict.MISSING, Verdict.EXTRA})
"""The verdicts that an operator must act on."""


@frozen
class VerifiedRow:
    """A row that is neither the same nor moved on: why it was left, or the fields that differ."""

    request_id: str
    verdict: Verdict
    reason: str | None = None
    fields: Sequence[str] = ()


@frozen
class StoredSession:
    """A session as it is stored here now.

    `state` is None for a copy that is inbound only. The counts are those of TakenSession; None for a copy.
    """

    state: TakenState | None
    inbound: InboundSession
    count_at_fence: int | None = None
    late_count: int | None = None


_OWNED_THERE = frozenset({"inbound", TakenState.RETURNED})
_MOMENT = timedelta(microseconds=1)


def agree(there: OriginDigest, here: StoredDigest) -> bool:
    """Return whether both sides have the same values, and exactly one of them serves the session."""
    return (
        there.identity == here.identity
        and there.use == here.use
        and (there.content == here.content or here.content is None)
        and here.is_sound
        and (here.state in _OWNED_THERE if there.standing == Standing.SHOWN else here.state == TakenState.OWNED)
    )


def settings_of(policy: TakeoverPolicy) -> str:
    """Return the settings of a copy that is neither closed nor pinned."""
    limits = policy.limits
    return f"{limits.timeout_ms} {limits.memory_mb} {limits.isolation} {Renewal.FIXED} {Convention.ORIGIN} 1 0"


def judged(
    row: SourceSession, standing: Standing, stored: StoredSession, policy: TakeoverPolicy, now: datetime
) -> VerifiedRow:
    """Return the verdict on a session that both sides have, from its values."""
    if standing is Standing.HIDDEN:
        row = _without_late_writes(row, outgoing_row(stored.inbound))
    if stored.state is TakenState.RETURNED and row.script_hash == stored.inbound.session.script_hash:
        row = evolve(row, script_hash=outgoing_row(stored.inbound).script_hash)  # a trigger wrote it
    alive_at = now if row.expires_at is None else row.expires_at - _MOMENT
    expected = received(row, evolve(policy, expired=Expired.ALL), alive_at)
    if isinstance(expected, LeftSession):
        return VerifiedRow(row.request_id, Verdict.DIFFERS, str(expected.reason))
    there, here = _fields(expected.inbound), _fields(stored.inbound)
    differing = [name for name, value in there.items() if value != here[name]]
    if stored.state is TakenState.RETURNED:
        differing = [name for name in differing if not _is_same_value(name, there, here)]
    fields = [
        *_ownership(standing, stored.state),
        *(name for name in differing if name not in _changeable(stored)),
        *_lost_count(expected.inbound.session.execution_count, stored),
    ]
    if fields:
        return VerifiedRow(row.request_id, Verdict.DIFFERS, fields=fields)
    is_same = stored.state is None or _UNTOLD.get(stored.state, frozenset()).issuperset(differing)
    return VerifiedRow(row.request_id, Verdict.SAME if is_same else Verdict.MOVED_ON)


def _without_late_writes(row: SourceSession, taken: SourceSession) -> SourceSession:
    """Return a hidden row without what generation 1 writes to it: a read its status, an execution PENDING."""
    status = taken.compile_status if row.compile_status == PENDING else row.compile_status
    return evolve(row, status=taken.status, compile_status=status)


def _is_same_value(name: str, there: Mapping[str, object], here: Mapping[str, object]) -> bool:
    """Return whether a JSON text has the same value; the origin's jsonb writes texts that clients sent here anew."""
    return name in _JSON_NAMES and same_json(JsonText(str(there[name])), JsonText(str(here[name])))


def _ownership(standing: Standing, state: TakenState | None) -> Iterator[str]:
    if standing is Standing.SHOWN and state is TakenState.OWNED:
        yield "served by both"
    if standing is Standing.HIDDEN and state in {None, TakenState.RETURNED}:
        yield "served by neither"


def _lost_count(count_there: int, stored: StoredSession) -> Iterator[str]:
    """Yield the count if the side that serves the session lacks an execution that the other side has counted."""
    count, fence, late = stored.inbound.session.execution_count, stored.count_at_fence or 0, stored.late_count
    if stored.state is TakenState.RETURNED and count_there < count:
        yield "execution_count"
    if stored.state is TakenState.OWNED:
        unsettled = late is None or count_there <= fence + late
        if count < fence + (late or 0) or not unsettled:
            yield "execution_count"


_BY_USE = frozenset({"execution_count", "last_executed_at", "closed_at", "owner", "expires_max_at", "limits"})
"""A session that was taken keeps its limits and its maximum lifetime when the settings change."""
_BY_OWNER = frozenset({"version", "ttl_seconds", "renewal", "context", "metadata", "expires_at"})
_BY_RETURN = frozenset({"version", "ttl_seconds", "renewal"})
_JSON_NAMES = frozenset({"context", "metadata"})
_BY_EMPTYING = frozenset({"script", "script_hash", "context", "metadata", "leftovers"})
_BY_PURGE = frozenset({"user_id", "version"})
_UNTOLD = {TakenState.RETURNED: frozenset({"closed_at", "version"})}
"""A return closes the session here; that alone is no use."""


def _changeable(stored: StoredSession) -> frozenset[str]:
    """Return the fields that may differ: by executions, by changes of the owner, by a return, or by emptying."""
    session, state = stored.inbound.session, stored.state
    emptied = _BY_EMPTYING if session.script_hash is None else frozenset()
    if state in {None, TakenState.FENCING}:
        return emptied
    if session.script_hash is None:
        emptied |= _BY_PURGE
    if state is TakenState.RETURNED:
        return _BY_USE | _BY_RETURN | emptied
    return _BY_USE | emptied | (_BY_OWNER if session.version > 1 else frozenset())


def _fields(inbound: InboundSession) -> Mapping[str, object]:
    session, original = inbound.session, inbound.original
    return {
        "owner": session.ref.owner,
        "language": session.language_title.language,
        "title": session.language_title.title,
        "script_hash": session.script_hash,
        "script": None if inbound.script is None else inbound.script.source,
        "context": session.context,
        "metadata": session.metadata,
        "limits": session.limits,
        "renewal": session.renewal,
        "ttl_seconds": session.ttl_seconds,
        "created_at": session.created_at,
        "expires_at": session.expires_at,
        "expires_max_at": session.expires_max_at,
        "closed_at": session.closed_at,
        "last_executed_at": session.last_executed_at,
        "execution_count": session.execution_count,
        "version": session.version,
        "function": (session.function_id, session.function_version),
        "convention": session.convention,
        "language_title": original.spelled_title,
        "user_id": original.user_id,
        "leftovers": original.leftovers,
    }
