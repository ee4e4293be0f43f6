"""Several processes reserve parts of one limit, in any order of their steps, and with failures and deaths."""

from collections.abc import Callable, Iterator
from random import Random

import pytest
from attrs import define, evolve, field
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from domain.limits.reservation import NONE, SLOT_S, OwnPart, Proposal, Reservation, Reserved
from tests.support.quotas import new_version

NOW_S = 1000.0 * SLOT_S
ENDS_WITHIN_S = SLOT_S // 2
"""What was begun has ended by then."""
LIMIT = 4
PROCESSES = 3
STEPS = 400


def test_what_is_not_reserved_again_expires_at_the_end_of_the_next_slot():
    reserved = Reserved(version=1, slot=7, amount=3, amount_before=2)
    assert (reserved.total, reserved.expires_at_s) == (5, 9 * SLOT_S)
    assert reserved.at(6) == reserved, "the clock of another process is ahead"
    assert reserved.at(8) == evolve(reserved, slot=8, amount=0, amount_before=3)
    assert reserved.at(9) == evolve(reserved, slot=9, amount=0, amount_before=0)


def test_a_part_that_has_expired_is_not_subtracted():
    reserved = Reserved(version=1, slot=7, amount=3, amount_before=2)
    assert reserved.without(OwnPart(1, 7)).total == reserved.without(OwnPart(1, 6)).total == 4
    assert reserved.without(OwnPart(1, 5)) == reserved


def test_of_a_part_that_the_database_lost_in_a_failover_no_more_is_subtracted_than_is_reserved():
    reserved = Reserved(version=1, slot=7, amount=3, amount_before=2)
    assert reserved.without(OwnPart(8, 7)) == evolve(reserved, amount=0)
    assert reserved.without(OwnPart(8, 6)) == evolve(reserved, amount_before=0)


def proposed_by(reservation: Reservation, counted: int, now_s: float = NOW_S) -> Reserved:
    """Return what the process proposes to store."""
    proposal = reservation.propose(counted, now_s, new_version())
    assert proposal is not None
    return proposal.reserved


def exchanged(reservation: Reservation, counted: int) -> None:
    """Exchange with a store in which nobody else changes anything."""
    reservation.count_begins()
    assert reservation.settle(proposed_by(reservation, counted))


def test_half_of_what_is_free_is_reserved_or_what_callers_wait_for():
    reservation = Reservation(10, waiting=1)
    exchanged(reservation, 2)
    assert (reservation.left, reservation.known.total) == (4, 4)
    reservation.waiting = 7
    exchanged(reservation, 2)
    assert (reservation.left, reservation.known.total) == (7, 7)
    reservation.waiting = 9
    exchanged(reservation, 2)
    assert (reservation.left, reservation.known.total) == (8, 8)


def first_stored(reservation: Reservation) -> None:
    """Let the store accept what a process proposes that knows nothing."""
    proposal = reservation.propose_first(NOW_S, new_version())
    assert proposal is not None
    assert proposal.replaced == 0
    assert reservation.settle(proposal.reserved)
    assert reservation.left == 0, "nothing is counted"


@pytest.mark.parametrize(
    ("limit", "waiting", "counted", "left"), [(10, 1, 0, 5), (10, 1, 5, 5), (10, 7, 1, 7), (1, 1, 0, 1), (1, 3, 0, 1)]
)
def test_what_is_reserved_before_the_first_count_is_used_if_it_is_free(limit, waiting, counted, left):
    reservation = Reservation(limit, waiting=waiting)
    first_stored(reservation)
    reservation.count_begins()
    assert reservation.propose(counted, NOW_S, new_version()) is None
    assert (reservation.left, reservation.counted, reservation.known.total) == (left, counted, left)


@pytest.mark.parametrize(
    ("waiting", "counted", "now_s", "reserved"),
    [(1, 6, NOW_S, 2), (6, 0, NOW_S, 6), (1, 0, NOW_S + SLOT_S, 5), (0, 0, NOW_S, 0)],
)
def test_what_is_reserved_before_the_first_count_is_replaced(waiting, counted, now_s, reserved):
    """If it is not free, if callers wait for more, if the slot is over, or if nobody waits."""
    reservation = Reservation(10, waiting=1)
    first_stored(reservation)
    reservation.waiting = waiting
    reservation.count_begins()
    assert proposed_by(reservation, counted, now_s).amount == reserved


def test_what_was_begun_before_anything_was_reserved_is_in_the_first_part():
    reservation = Reservation(10)
    reservation.begin(1)  # while the store failed
    proposal = reservation.propose_first(NOW_S, new_version())
    assert proposal is not None
    assert reservation.settle(proposal.reserved)
    assert reservation.left == -1
    reservation.count_begins()
    assert reservation.propose(0, NOW_S, new_version()) is None
    assert (reservation.left, reservation.known.total) == (4, 5)


def test_nothing_is_reserved_before_the_count_if_something_is_known_or_nobody_waits():
    reservation = Reservation(10)
    assert reservation.propose_first(NOW_S, new_version()) is None
    reservation.waiting, reservation.known = 1, Reserved(version=new_version())
    assert reservation.propose_first(NOW_S, new_version()) is None


def test_what_is_not_used_between_two_exchanges_is_returned():
    reservation = Reservation(10, waiting=1)
    exchanged(reservation, 0)
    reservation.waiting = 0
    reservation.begin(1)
    reservation.end(1, stored=True)
    exchanged(reservation, 1)
    assert (reservation.is_held, reservation.left) == (True, 4)
    exchanged(reservation, 1)
    assert (reservation.is_held, reservation.left, reservation.known.total) == (False, 0, 0)
    assert reservation.propose(1, NOW_S, new_version()) is None, "there is nothing to store"


def test_what_ended_while_it_was_counted_stays_reserved():
    reservation = Reservation(10, waiting=2)
    exchanged(reservation, 0)
    reservation.begin(2)
    reservation.count_begins()
    reservation.end(2, stored=True)
    assert reservation.settle(proposed_by(reservation, 0))
    assert (reservation.used, reservation.exact) == (2, False)
    assert reservation.known.total == 2 + reservation.left == 2 + 4


def test_what_is_removed_may_be_reserved_after_the_next_count():
    reservation = Reservation(1, waiting=1)
    reservation.count_begins()
    assert reservation.propose(1, NOW_S, new_version()) is None
    assert (reservation.used, reservation.left) == (1, 0)
    reservation.remove(1)
    assert (reservation.used, reservation.left) == (0, 0)
    exchanged(reservation, 0)
    assert (reservation.used, reservation.left) == (0, 1)


def test_while_a_proposal_is_under_way_no_more_begins_than_it_reserves():
    reservation = Reservation(10, waiting=8)
    exchanged(reservation, 0)
    reservation.count_begins()
    proposed = proposed_by(reservation, 9)
    assert reservation.left == 1
    reservation.begin(1)
    assert reservation.settle(proposed)
    assert (reservation.left, reservation.known.total) == (0, 1)


def test_a_proposal_that_is_not_accepted_leaves_what_was_reserved():
    reservation = Reservation(10, waiting=8)
    exchanged(reservation, 0)
    reservation.count_begins()
    proposed_by(reservation, 9)
    other = Reserved(version=new_version(), slot=int(NOW_S // SLOT_S), amount=10)
    assert not reservation.settle(other)
    assert (reservation.left, reservation.known, reservation.counted) == (8, other, 0)
    assert reservation.taken == 2


def test_a_proposal_that_failed_leaves_what_was_reserved_and_an_unknown_one_leaves_nothing():
    reservation = Reservation(10, waiting=8)
    exchanged(reservation, 0)
    for is_unknown, left in ((False, 8), (True, 0)):
        reservation.count_begins()
        proposed_by(reservation, 0)
        reservation.fail(is_unknown=is_unknown)
        assert reservation.left == left
    reservation.waiting = 8
    exchanged(reservation, 0)
    assert (reservation.known.total, reservation.left) == (10, 2), "the old part expires"


def test_what_was_reserved_long_ago_is_not_used():
    reservation = Reservation(10, waiting=1)
    exchanged(reservation, 0)
    assert reservation.usable_until_s == NOW_S + 1.5 * SLOT_S
    reservation.count_begins()
    late_s = reservation.usable_until_s
    assert reservation.allows(1, late_s - 1)
    assert not reservation.allows(1, late_s)
    assert proposed_by(reservation, 0, late_s).amount == 5
    assert reservation.left == 0, "until it is stored"
    reservation.fail(is_unknown=False)
    assert reservation.left == 0


def test_the_store_is_read_while_callers_wait_for_what_others_have_reserved():
    taken = Reserved(version=new_version(), slot=int(NOW_S // SLOT_S), amount=10)
    reservation = Reservation(10, known=taken, waiting=1)
    for stored, accepted in ((taken, True), (evolve(taken, version=new_version(), amount=1), False)):
        reservation.count_begins()
        assert reservation.propose(0, NOW_S, new_version()) == Proposal(NONE, taken)
        assert reservation.settle(stored) is accepted
    assert reservation.known.total == 1


@define(eq=False)
class Process:
    """A process, and how far its exchange with the store is."""

    reservation: Reservation
    counted: int | None = None
    proposed: Proposal | None = None
    answer: Reserved | None = None
    counting: bool = False
    storing: list[float] = field(factory=list)
    """When each session was begun that has not ended."""

    def finish(self) -> None:
        """End the exchange."""
        self.counting, self.counted, self.proposed, self.answer = False, None, None, None


@define(eq=False)
class Fleet:
    """Processes over one stored row. A step of one of them is the least that can come between two steps of another."""

    now_s: float = NOW_S
    rows: int = 0
    stored: Reserved = field(factory=Reserved)
    left_behind: list[float] = field(factory=list)
    """When each session was begun whose process died meanwhile."""
    processes: list[Process] = field(factory=lambda: [Process(Reservation(LIMIT)) for _ in range(PROCESSES)])

    @property
    def storing(self) -> int:
        """What may still be stored."""
        return len(self.left_behind) + sum(len(each.storing) for each in self.processes)

    def begin(self, process: Process, amount: int) -> None:
        reservation = process.reservation
        if reservation.allows(amount, self.now_s):
            reservation.begin(amount)
            process.storing += [self.now_s] * amount
            reservation.waiting = 0
        else:
            reservation.waiting = amount

    def end(self, process: Process, *, stored: bool) -> None:
        if process.storing:
            process.storing.pop(0)
            self.rows += stored
            process.reservation.end(1, stored=stored)

    def remove(self, process: Process) -> None:
        if self.rows:
            self.rows -= 1
            process.reservation.remove(1)

    def die(self, process: Process) -> None:
        """Start another process in the place of one, whose statements may still take effect."""
        self.left_behind += process.storing
        self.processes[self.processes.index(process)] = Process(Reservation(LIMIT))

    def end_for_the_dead(self, *, stored: bool) -> None:
        if self.left_behind:
            self.left_behind.pop(0)
            self.rows += stored

    def exchange(self, process: Process) -> None:
        """Take the next step of an exchange: propose a first part, begin to count, count, propose, store, hear of it."""
        reservation = process.reservation
        if not process.counting and process.proposed is None:
            process.proposed = reservation.propose_first(self.now_s, new_version())
            if process.proposed is None:
                process.counting = True
                reservation.count_begins()
        elif process.counting and process.counted is None:
            process.counted = self.rows
        elif process.proposed is None:
            assert process.counted is not None
            process.proposed = reservation.propose(process.counted, self.now_s, new_version())
            if process.proposed is None:
                process.finish()
        elif process.answer is None:
            if self.stored.version in (0, process.proposed.replaced):
                self.stored = process.proposed.reserved
            process.answer = self.stored
        else:
            reservation.settle(process.answer)
            process.finish()

    def lose(self, process: Process, *, is_unknown: bool) -> None:
        """Let the response of the store be lost; that nothing was stored is known only if that is so."""
        if process.proposed is not None:
            process.reservation.fail(is_unknown=is_unknown or process.answer is not None)
            process.finish()

    def advance(self, span_s: float) -> None:
        self.now_s += span_s
        if self.now_s >= self.stored.expires_at_s:
            self.stored = Reserved()  # the row is removed
        before_s = self.now_s - ENDS_WITHIN_S
        self.left_behind = [each for each in self.left_behind if each > before_s]
        for process in self.processes:
            while process.storing and process.storing[0] <= before_s:
                self.end(process, stored=False)
            if span_s >= 1:  # no statement takes so long
                self.lose(process, is_unknown=False)

    def steps(self, random: Random) -> Iterator[None]:
        """Take random steps. Each history has weights of its own, so that some have many of a kind."""
        choices: dict[Callable[[Process], None], float] = {
            self.exchange: 12,
            lambda each: self.begin(each, random.choice((1, 1, 2, LIMIT))): 4,
            lambda each: self.end(each, stored=True): 3,
            lambda each: self.end(each, stored=False): 1,
            lambda each: self.lose(each, is_unknown=random.random() < 0.5): 1,
            lambda _: self.end_for_the_dead(stored=random.random() < 0.7): 1,
            lambda _: self.advance(random.choice((0.1, 0.1, 1, 5, 16, 31))): 0.5,
            self.remove: 0.5,
            self.die: 0.2,
        }
        weights = [random.random() * weight for weight in choices.values()]
        for step in random.choices(list(choices), weights, k=STEPS):
            step(random.choice(self.processes))
            yield

    def fill(self) -> None:
        """Let all ask after what the dead had reserved has expired."""
        for span_s in (ENDS_WITHIN_S, 2 * SLOT_S):
            self.advance(span_s)
        for _ in range(6 * LIMIT):
            for process in self.processes:
                for _ in range(6):
                    self.exchange(process)
                self.begin(process, 1)
                self.end(process, stored=True)


@given(st.integers(0, 2**64))
@settings(phases=[Phase.explicit, Phase.generate])
def test_processes_never_exceed_a_limit_whatever_fails_and_reach_it_when_all_ask(seed: int):
    """A seed is not shrunk: a shorter history is found no faster than read."""
    fleet, random = Fleet(rows=seed % (LIMIT + 1)), Random(seed)
    for _ in fleet.steps(random):
        assert fleet.rows + fleet.storing <= LIMIT
    fleet.fill()
    assert fleet.rows == LIMIT
