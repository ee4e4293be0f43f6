"""What is erased, moved and recorded of owners and their sessions, in several buckets."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from attrs import define, evolve, frozen
from typing_extensions import override

from adapters.buckets.directory import Directory, Storage, of_each
from adapters.buckets.webhooks import BucketWebhooks
from domain.access.owner_move import MoveStep, OwnedData, OwnerMover, OwnerPurger
from domain.audit import Act, AuditEntry, AuditReader
from domain.buckets.bucket_map import ANNOUNCED, HOME, OwnerMove
from domain.buckets.pages import merged
from domain.errors import Unavailable
from domain.idempotency import KEPT_FOR
from domain.identity import Owner, SessionRef
from domain.paging import Page
from domain.scripts.language import LanguageTitle
from domain.sessions.ports import SessionPurger
from domain.timeline import Timeline, TimelineReader

_OF_HOME = frozenset({OwnedData.FUNCTIONS, OwnedData.WEBHOOKS, OwnedData.EGRESS_RULES, OwnedData.ENVIRONMENTS})
"""Other buckets have no functions, egress rules and environments, and copies of webhooks."""

_MOVING_MAX = timedelta(days=1)
"""No move takes longer, with a wide margin."""

_KEPT = _MOVING_MAX + KEPT_FOR
"""A move is not forgotten before: keys of the former owner are found through it."""

_PAUSE_S = 600.0
_EXAMINED_MAX = 20


class TooManyMoves(RuntimeError):
    """The database knows so many moves of owners that it can remember no further one."""

    def __init__(self, moves_max: int) -> None:
        super().__init__(
            f"The database remembers {moves_max:,} moves between owners, which is the limit, so nothing was moved. "
            "Controllers forget a move once all that it moved has ended. Run the command again later."
        )


@frozen
class BucketSessionPurger(SessionPurger):
    """A session is in one bucket with all that is stored of it."""

    _directory: Directory

    @override
    async def purge(self, ref: SessionRef, act: Act) -> None:
        await self._directory.of(ref.session_id).purger.purge(ref, act)


@frozen
class BucketOwnerMover(OwnerMover):
    """Moves what an owner has in one of its buckets after the other, HOME first.

    What was moved stays in its bucket. So all controllers must know of the move before the first row has another owner.
    """

    _directory: Directory
    _sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _moves_max: int = 10_000

    @override
    async def count(self, owner: Owner) -> Mapping[OwnedData, int]:
        return _added(
            await of_each(await _storages(self._directory, owner), lambda each: each.owner_mover.count(owner))
        )

    @override
    async def collisions(self, source: Owner, target: Owner) -> Sequence[LanguageTitle]:
        return await self._directory.home.owner_mover.collisions(source, target)

    @override
    async def move(self, source: Owner, target: Owner, act: Act, *, functions: bool = True) -> AsyncIterator[MoveStep]:
        await self._announce(source, target)
        for storage in await _storages(self._directory, source):
            of_home = functions and storage.number == HOME
            async for step in storage.owner_mover.move(source, target, act, functions=of_home):
                yield _counted(storage, step)
        await _repair_copies(self._directory, act)

    @override
    async def oldest(self, owner: Owner) -> datetime | None:
        found = await of_each(await _storages(self._directory, owner), lambda each: each.owner_mover.oldest(owner))
        return min((each for each in found if each is not None), default=None)

    async def _announce(self, source: Owner, target: Owner) -> None:
        """Wait until each controller looks for what `target` has in the buckets of `source` too, or refuses to look."""
        directory = self._directory
        await directory.refresh()
        if directory.buckets.are_alike(source, target):
            return
        if len(directory.buckets.moves) >= self._moves_max:
            raise TooManyMoves(self._moves_max)
        now = directory.clock.now()
        first_at = await directory.register.announce(source, target, now)
        await self._sleep(max(0.0, (first_at + ANNOUNCED - now).total_seconds()))


@define(eq=False)
class ForgottenMoves:
    """Forgets moves of owners once all that they moved is gone, so that fewer buckets are asked for an owner."""

    _directory: Directory
    _sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Examine some moves, and pause, for ever."""
        while True:
            await self._sleep(random.uniform(_PAUSE_S / 2, _PAUSE_S))  # noqa: S311  # keeps controllers apart
            with contextlib.suppress(Unavailable):
                await self.run_once()

    async def run_once(self) -> None:
        """Examine some moves, taken at random; raises StorageUnavailable or Overloaded."""
        moves, now = self._directory.buckets.moves, self._directory.clock.now()
        for move in random.sample(moves, min(len(moves), _EXAMINED_MAX)):
            if now - move.last_at > _KEPT and not await self._has_left_something(move):
                await self._directory.register.forget(move)

    async def _has_left_something(self, move: OwnerMove) -> bool:
        """Return whether an owner that may have what was moved has anything that is older than the end of the move.

        HOME does not count: it is asked for every owner.
        """
        for owner in self._directory.buckets.heirs(move.target):
            for storage in self._directory.listing(owner)[1:]:
                oldest = await storage.owner_mover.oldest(owner)
                if oldest is not None and oldest < move.last_at + _MOVING_MAX:
                    return True
        return False


@frozen
class BucketOwnerPurger(OwnerPurger):
    """Erases what an owner has in one of its buckets after the other, HOME first."""

    _directory: Directory

    @override
    async def count(self, owner: Owner) -> Mapping[OwnedData, int]:
        return _added(
            await of_each(await _storages(self._directory, owner), lambda each: each.owner_purger.count(owner))
        )

    @override
    async def purge(self, owner: Owner, act: Act) -> AsyncIterator[MoveStep]:
        for storage in await _storages(self._directory, owner):
            async for step in storage.owner_purger.purge(owner, act):
                yield _counted(storage, step)
        await _repair_copies(self._directory, act)


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


async def _storages(directory: Directory, owner: Owner) -> Sequence[Storage]:
    """Return the storages that may have something of an owner; a command may have waited for an answer before."""
    await directory.refresh()
    return directory.listing(owner)


async def _repair_copies(directory: Directory, act: Act) -> None:
    """Let copies of webhooks follow in the buckets that have nothing else of an owner; later, if one is away."""
    with contextlib.suppress(Unavailable):
        await BucketWebhooks(directory).repair(act)


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
