"""Parts of a limit that processes reserve, so that together they never exceed it."""

from attrs import define, evolve, field, frozen

SLOT_S = 30
"""Seconds of a slot. All processes of one database divide the time into the same slots."""

NONE = -1

_USABLE_SLOTS = 1.5
"""From the start of the slot in which a part was reserved. So what was begun has half a slot to end in."""


@frozen
class Reserved:
    """What all processes have reserved of a limit of one owner, as it is stored.

    `amount` was reserved in the slot, `amount_before` in the slot before. What no process reserves again expires at the
    end of the next slot. Each change gives it another `version`; 0 stands for no row.
    """

    version: int = 0
    slot: int = 0
    amount: int = 0
    amount_before: int = 0

    @property
    def total(self) -> int:
        """What is reserved in both slots."""
        return self.amount + self.amount_before

    @property
    def expires_at_s(self) -> int:
        """The instant from which nothing of it is reserved, in seconds of Unix time."""
        return (self.slot + 2) * SLOT_S

    def at(self, slot: int) -> "Reserved":
        """Return it without what has expired in this slot; a slot that has passed changes nothing."""
        passed = slot - self.slot
        if passed <= 0:
            return self
        return evolve(self, slot=slot, amount=0, amount_before=self.amount if passed == 1 else 0)

    def without(self, part: "OwnPart") -> "Reserved":
        """Return it without a part; one that has expired, or that a failover of the database lost, is not in it."""
        if part.slot == self.slot:
            return evolve(self, amount=max(0, self.amount - part.amount))
        if part.slot == self.slot - 1:
            return evolve(self, amount_before=max(0, self.amount_before - part.amount))
        return self


@frozen
class OwnPart:
    """What one process has reserved, and in which slot."""

    amount: int = 0
    slot: int = -1
    usable_until_s: float = field(init=False)
    """Until when something may be begun with it, in seconds of Unix time."""

    @usable_until_s.default
    def _usable_until_s(self) -> float:
        return (self.slot + _USABLE_SLOTS) * SLOT_S


@frozen
class Proposal:
    """What shall be stored instead of the version `replaced`. NONE is no version: then the store is only read."""

    replaced: int
    reserved: Reserved


@frozen
class _Sent:
    """A proposal that was sent to the store, and what the process had before."""

    reserved: Reserved
    part: OwnPart
    counted: int
    spare: int
    begun: int
    left_before: int
    left_meanwhile: int
    exact: bool
    is_first: bool = False


@define(eq=False)
class Reservation:
    """One process's part of one limit of an owner, and what the process has used of it.

    An exchange with the store has three steps. `count_begins`; the owner's rows are counted; `propose` returns what
    shall be stored instead of `known`. The store accepts it if `known` is still stored. Then `known` has been stored
    since before the count, so each row that the count missed is in a part that `known` has. Otherwise the rows are
    counted again. While an exchange is under way there is no other. If nothing is known, `propose_first` comes before
    them: it reserves a part, or reads what is stored.

    Amounts are sessions or bytes. `left` may be begun without an exchange, `in_progress` was begun and has not ended,
    and `made` was stored since the last count began. `waiting` is what callers wait for.
    """

    limit: int
    known: Reserved = field(factory=Reserved)
    counted: int = 0
    left: int = 0
    in_progress: int = 0
    made: int = 0
    waiting: int = 0
    exact: bool = True
    """Whether the last count cannot have counted what is in `made` or `in_progress` too."""
    _begun: int = 0
    """What was begun since the last exchange."""
    _gone: int = 0
    """What was counted, and is no longer there."""
    _part: OwnPart = field(factory=OwnPart)
    _marks: tuple[int, int, bool] = (0, 0, False)
    """`made`, `_gone`, and whether something was in progress, when the count began."""
    _sent: _Sent | None = None
    _is_first: bool = False
    """Whether the part was reserved before anything was counted, and nothing was begun with it."""

    @property
    def used(self) -> int:
        """What the owner has, as far as this process knows."""
        return max(0, self.counted + self.made - self._gone) + self.in_progress

    @property
    def taken(self) -> int:
        """What the owner has with what others have reserved, as far as this process knows; at most the limit."""
        return min(self.limit, self.used + self.known.without(self._part).total)

    @property
    def is_held(self) -> bool:
        """Whether the process has reserved something, or needs to."""
        return self._part.amount > 0 or self.in_progress > 0

    @property
    def usable_until_s(self) -> float:
        """Until when `left` may be begun, in seconds of Unix time."""
        return self._part.usable_until_s

    def allows(self, amount: int, now_s: float) -> bool:
        """Return whether so much may be begun without an exchange."""
        return self.left >= amount and now_s < self._part.usable_until_s

    def begin(self, amount: int) -> None:
        """Note that the owner begins to store so much."""
        self.in_progress += amount
        self.left -= amount
        self._begun += amount

    def end(self, amount: int, *, stored: bool) -> None:
        """Note that what was begun is stored, or will not be."""
        self.in_progress -= amount
        if stored:
            self.made += amount
        else:
            self.left += amount

    def add(self, amount: int) -> None:
        """Note that so much was stored without having been begun."""
        self.made += amount
        self.left -= amount

    def remove(self, amount: int) -> None:
        """Note that so much of what was stored is gone; it can be reserved after the next count."""
        self._gone += amount

    def retire(self) -> None:
        """Note that nothing more will be begun, so that the next exchange returns what is not used."""
        self._begun = 0

    def propose_first(self, now_s: float, version: int) -> Proposal | None:
        """Return what shall be stored before the first count; None if something is known, or nothing is needed.

        If nothing is stored yet, the part is what an owner without rows would get. Nothing is begun with it before the
        count. A count below half of the limit then needs no other part.
        """
        if self.known.version or not (self.waiting or self._begun):
            return None
        part = OwnPart(max(self.limit // 2, min(self.limit, self.waiting)), int(now_s // SLOT_S))
        reserved = Reserved(version, part.slot, part.amount)
        self._marks, left = (0, 0, False), self.left
        self._sent = _Sent(reserved, part, self.counted, left, 0, left, left, self.exact, is_first=True)
        return Proposal(0, reserved)

    def count_begins(self) -> None:
        """Note that what is stored by now will be counted."""
        self._marks = self.made, self._gone, self.in_progress > 0

    def propose(self, counted: int, now_s: float, version: int) -> Proposal | None:
        """Return what shall be stored instead of `known`; None if nothing is to be changed or read.

        The part covers what is in progress, and what the count may have missed. Of what is then free it has half, or
        as much as callers wait for. It has nothing of it if nobody has begun anything since the last exchange.
        """
        made_before, _, was_adding = self._marks
        is_first, self._is_first = self._is_first, False
        others = self.known.at(int(now_s // SLOT_S)).without(self._part)
        kept = self.in_progress + self.made - made_before
        free = max(0, self.limit - counted - others.total - kept)
        is_used = self.waiting or self._begun
        spare = max(free // 2, min(free, self.waiting)) if is_used else 0
        part = OwnPart(kept + spare, others.slot)
        left = self.left if now_s < self.usable_until_s else min(0, self.left)
        sent = _Sent(
            evolve(others, version=version, amount=others.amount + part.amount),
            part,
            counted,
            spare,
            self._begun,
            left,
            min(left, spare),
            exact=not (was_adding or kept),
        )
        held = self._part.amount
        if is_first and is_used and part.slot == self._part.slot and part.amount <= held <= kept + free:
            self._take_count(sent)
            self.left = held - kept
            return None
        replaced = self.known.version
        if not part.amount and not self._part.amount:
            if not self.waiting or not others.total:
                self._take_count(sent)
                return None
            replaced, sent = NONE, evolve(sent, reserved=self.known)
        self._sent, self.left = sent, sent.left_meanwhile
        return Proposal(replaced, sent.reserved)

    def settle(self, stored: Reserved) -> bool:
        """Take what is stored after the proposal; return whether the proposal was accepted."""
        sent = self._ended()
        accepted = stored.version == sent.reserved.version
        self.known = stored
        if accepted:
            self._part, self._is_first = sent.part, sent.is_first
            self._take_count(sent)
        self.left += (sent.spare if accepted else sent.left_before) - sent.left_meanwhile
        return accepted

    def fail(self, *, is_unknown: bool) -> None:
        """Note that the proposal was not stored, or that this is unknown.

        If it is unknown, what this process had and what it proposed both count as reserved until they expire.
        """
        sent = self._ended()
        self.left += sent.left_before - sent.left_meanwhile
        if is_unknown:
            self._part = OwnPart(0, self._part.slot)
            self.left = min(0, self.left)

    def _take_count(self, sent: _Sent) -> None:
        made_before, gone_before, _ = self._marks
        self.counted, self.exact = sent.counted, sent.exact
        self.made -= made_before
        self._gone -= gone_before
        self._begun -= sent.begun

    def _ended(self) -> _Sent:
        sent, self._sent = self._sent, None
        assert sent is not None, "an exchange is under way"
        return sent
