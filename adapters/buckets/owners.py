"""What is erased, moved and recorded of owners and their sessions, in several buckets."""

from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import UUID

from attrs import evolve, frozen
from typing_extensions import override

from adapters.buckets.directory import Directory, Storage, of_each
from domain.access.owner_move import MoveStep, OwnedData, OwnerMover, OwnerPurger
from domain.audit import Act, AuditEntry, AuditReader
from domain.buckets.bucket_map import HOME
from domain.buckets.pages import merged
from domain.identity import Owner, SessionRef
from domain.paging import Page
from domain.scripts.language import LanguageTitle
from domain.sessions.ports import SessionPurger
from domain.timeline import Timeline, TimelineReader

_OF_HOME = frozenset({OwnedData.FUNCTIONS, OwnedData.WEBHOOKS})
"""Other buckets have no functions, and copies of webhooks."""


@frozen
class BucketSessionPurger(SessionPurger):
    """A session is in one bucket with all that is stored of it."""

    _directory: Directory

    @override
    async def purge(self, ref: SessionRef, act: Act) -> None:
        await self._directory.of(ref.session_id).purger.purge(ref, act)


@frozen
class BucketOwnerMover(OwnerMover):
    """Moves what an owner has in one bucket after the other, HOME first."""

    _directory: Directory

    @override
    async def count(self, owner: Owner) -> Mapping[OwnedData, int]:
        return _added(await of_each(self._directory.all, lambda each: each.owner_mover.count(owner)))

    @override
    async def collisions(self, source: Owner, target: Owner) -> Sequence[LanguageTitle]:
        return await self._directory.home.owner_mover.collisions(source, target)

    @override
    async def move(self, source: Owner, target: Owner, act: Act, *, functions: bool = True) -> AsyncIterator[MoveStep]:
        for storage in self._directory.all:
            of_home = functions and storage.number == HOME
            async for step in storage.owner_mover.move(source, target, act, functions=of_home):
                yield _counted(storage, step)


@frozen
class BucketOwnerPurger(OwnerPurger):
    """Erases what an owner has in one bucket after the other, HOME first."""

    _directory: Directory

    @override
    async def count(self, owner: Owner) -> Mapping[OwnedData, int]:
        return _added(await of_each(self._directory.all, lambda each: each.owner_purger.count(owner)))

    @override
    async def purge(self, owner: Owner, act: Act) -> AsyncIterator[MoveStep]:
        for storage in self._directory.all:
            async for step in storage.owner_purger.purge(owner, act):
                yield _counted(storage, step)


@frozen
class BucketTimeline(TimelineReader):
    """What is stored about an id is in its bucket."""

    _directory: Directory

    @override
    async def read(self, identifier: UUID) -> Timeline:
        storage = self._directory.of(identifier)
        return evolve(await storage.timeline.read(identifier), bucket=storage.number)


@frozen
class BucketAudit(AuditReader):
    """An act is recorded in each bucket in which it did something; its numbers are added."""

    _directory: Directory

    @override
    async def page(self, after: UUID | None, size: int) -> Page[AuditEntry]:
        pages = await of_each(self._directory.all, lambda each: each.audit.page(after, size))
        acts: dict[UUID, AuditEntry] = {}
        for entry in (entry for page in pages for entry in page.items):
            known = acts.get(entry.act_id)
            acts[entry.act_id] = entry if known is None else _one_act(known, entry)
        ends = [Page[AuditEntry]([], page.next_after) for page in pages]
        return merged([Page(list(acts.values()), None), *ends], size, lambda entry: entry.act_id)


def _one_act(one: AuditEntry, other: AuditEntry) -> AuditEntry:
    added = {name: _sum(one.details.get(name), detail) for name, detail in other.details.items()}
    return evolve(one, details={**one.details, **added})


def _sum(known: object, detail: object) -> object:
    if isinstance(known, int) and isinstance(detail, int) and not isinstance(detail, bool):
        return known + detail
    return detail


def _added(counts: Sequence[Mapping[OwnedData, int]]) -> Mapping[OwnedData, int]:
    home, *others = counts
    return {part: number + sum(each[part] for each in others if part not in _OF_HOME) for part, number in home.items()}


def _counted(storage: Storage, step: MoveStep) -> MoveStep:
    """Return the step without copies, which do not count as objects of the owner."""
    return step if storage.number == HOME or step.part not in _OF_HOME else evolve(step, moved=0)
