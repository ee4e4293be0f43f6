"""What a takeover would take, counted session by session."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from attrs import define, field

from domain.scripts.language import Language
from domain.takeover.inspection import SessionHead
from domain.takeover.reasons import Flag, Reason
from domain.takeover.receiving import received
from domain.takeover.source_session import AcceptedSession, LeftSession, TakeoverPolicy

OWNERS_MAX = 1000
"""Owners that are counted one by one; the others are counted together."""

SCRIPTS_MAX = 20_000
"""Different scripts that are counted one by one."""

_ROW_BYTES = 400
"""What a session takes beside its context and script, with its index entries."""


@define
class ScriptUse:
    """A script, its language, the live sessions that have it, and the id of one of them."""

    language: Language
    digest: str
    size_bytes: int
    sample_id: str
    sessions: int = 1


@define
class Census:
    """Counts sessions by what becomes of them. Memory is bounded, whatever their number.

    `owners` has the first OWNERS_MAX owners, and `other_owners` the sessions of the others. `scripts` are those of live
    sessions by digest; `other_scripts` counts the live sessions whose script is not among the first SCRIPTS_MAX.
    """

    policy: TakeoverPolicy
    now: datetime
    live: int = 0
    taken_live: int = 0
    taken_ended: int = 0
    size_bytes: int = 0
    context_bytes_max: int = 0
    script_bytes_max: int = 0
    artifact_bytes_max: int = 0
    reasons: Counter[Reason] = field(factory=Counter)
    live_reasons: Counter[Reason] = field(factory=Counter)
    flags: Counter[Flag] = field(factory=Counter)
    languages: Counter[str] = field(factory=Counter)
    owners: Counter[str] = field(factory=Counter)
    other_owners: int = 0
    scripts: dict[tuple[Language, str], ScriptUse] = field(factory=dict)
    other_scripts: int = 0

    def add(
        self, heads: Iterable[SessionHead], occupied: Collection[str] = frozenset()
    ) -> Iterator[Mapping[str, object]]:
        """Count sessions, and yield facts about each one that is left or unusual.

        `occupied` are ids that sessions made here have.
        """
        for head in heads:
            found = received(head.row, self.policy, self.now)
            if isinstance(found, AcceptedSession) and head.row.request_id in occupied:
                found = LeftSession(head.row.request_id, Reason.ID_IN_USE)
            self._add(head, found)
            if isinstance(found, LeftSession):
                yield {"request_id": found.request_id, "left": found.reason}
            elif flags := list(self._flags(found, head)):
                yield {"request_id": head.row.request_id, "flags": flags}

    def _add(self, head: SessionHead, found: AcceptedSession | LeftSession) -> None:
        is_live = head.row.expires_at is None or head.row.expires_at > self.now
        self.live += is_live
        self._measure(head)
        if isinstance(found, LeftSession):
            self.reasons[found.reason] += 1
            self.live_reasons[found.reason] += is_live
            return
        self.flags.update(self._flags(found, head))
        self._add_taken(found, head, is_live=is_live)

    def _add_taken(self, found: AcceptedSession, head: SessionHead, *, is_live: bool) -> None:
        session = found.inbound.session
        self.taken_live += is_live
        self.taken_ended += not is_live
        self.size_bytes += _ROW_BYTES + (head.script_bytes + head.context_bytes) * is_live
        self.languages[session.language_title.language] += 1
        if session.ref.owner in self.owners or len(self.owners) < OWNERS_MAX:
            self.owners[session.ref.owner] += 1
        else:
            self.other_owners += 1
        if is_live and head.script_digest is not None and session.pinned is None:
            self._add_script(session.language_title.language, head.script_digest, head)

    def _add_script(self, language: Language, digest: str, head: SessionHead) -> None:
        use = self.scripts.get((language, digest))
        if use is not None:
            use.sessions += 1
        elif len(self.scripts) < SCRIPTS_MAX:
            self.scripts[language, digest] = ScriptUse(language, digest, head.script_bytes, head.row.request_id)
        else:
            self.other_scripts += 1

    def _flags(self, found: AcceptedSession, head: SessionHead) -> Iterator[Flag]:
        """Yield the flags; those about scripts and sizes come from the head, because the row has stand-ins."""
        yield from found.flags
        if found.inbound.script is not None:
            if head.context_bytes > self.policy.context_size_max:
                yield Flag.CONTEXT_OVER_LIMIT
            if head.script_bytes > self.policy.script_size_max:
                yield Flag.SCRIPT_OVER_LIMIT
            if head.hash_differs and found.inbound.session.pinned is None:
                yield Flag.HASH_DIFFERS

    def _measure(self, head: SessionHead) -> None:
        self.context_bytes_max = max(self.context_bytes_max, head.context_bytes)
        self.script_bytes_max = max(self.script_bytes_max, head.script_bytes)
        self.artifact_bytes_max = max(self.artifact_bytes_max, head.row.artifact_bytes or 0)

    @property
    def left(self) -> int:
        """The live sessions that stay with the origin."""
        return sum(self.live_reasons.values())

    def most_used_scripts(self, count: int) -> Mapping[tuple[Language, str], ScriptUse]:
        """Return the scripts that most live sessions have."""
        ranked = sorted(self.scripts.items(), key=lambda item: (-item[1].sessions, item[0]))
        return dict(ranked[:count])
