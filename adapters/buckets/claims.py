"""Claims in turn over buckets."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from attrs import define, field

from adapters.buckets.directory import Directory, Storage
from domain.errors import StorageUnavailable, Unavailable

Found = TypeVar("Found")

_REST_MIN = timedelta(milliseconds=50)
REST_MAX = timedelta(seconds=1)
_GROWTH = 1.3


@define
class _Rest:
    pause: timedelta
    until: datetime | None = None


@define(eq=False)
class BucketTurns:
    """Asks buckets one after the other until one has something; the next claim begins behind that one.

    A bucket that had nothing, or is away, rests for a time that grows to `rest_max`, unless it is woken. So any number
    of buckets costs an idle process one claim of each in that time.
    """

    _directory: Directory
    _rest_max: timedelta = REST_MAX
    _rests: dict[int, _Rest] = field(factory=dict, init=False)
    _last: int = field(default=-1, init=False)

    def wake(self, number: int) -> None:
        """Ask this bucket at the next claim: this process has stored something there."""
        self._rests.pop(number, None)

    async def claim(
        self, now: datetime, ask: Callable[[Storage], Awaitable[Found]], has_some: Callable[[Found], bool]
    ) -> Found | None:
        """Return what the first bucket gives that has something; None if none has.

        At most one bucket gives something, so a claim whose response was lost (`stored="unknown"`) took nothing beside.
        Raises Unavailable if that happens, or if every bucket that was asked is away.
        """
        failure: Unavailable | None = None
        was_asked = False
        for storage in self._in_turn(now):
            try:
                found = await ask(storage)
            except Unavailable as error:
                if isinstance(error, StorageUnavailable) and error.stored == "unknown":
                    self._let_rest(storage.number, now)  # else the next claim asks it first again
                    raise
                failure = error
            else:
                was_asked = True
                if has_some(found):
                    self._last = storage.number
                    self.wake(storage.number)
                    return found
            self._let_rest(storage.number, now)
        if failure is not None and not was_asked:
            raise failure
        return None

    def _in_turn(self, now: datetime) -> Sequence[Storage]:
        """Return the buckets to ask; those that are away come last, since a claim waits for each."""
        awake = [each for each in self._directory.all if not self._rests_at(each.number, now)]
        return sorted(awake, key=lambda each: (each.is_away(), each.number <= self._last, each.number))

    def _rests_at(self, number: int, now: datetime) -> bool:
        rest = self._rests.get(number)
        return rest is not None and rest.until is not None and now < rest.until

    def _let_rest(self, number: int, now: datetime) -> None:
        rest = self._rests.setdefault(number, _Rest(min(_REST_MIN, self._rest_max)))
        rest.until = now + rest.pause
        rest.pause = min(self._rest_max, rest.pause * _GROWTH)
