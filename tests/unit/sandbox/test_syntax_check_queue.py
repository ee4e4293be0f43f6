"""Syntax checks go in batches, are shared fairly among owners, equal ones run once, and every wait ends."""

import asyncio
from collections.abc import Awaitable, Sequence
from itertools import count

import pytest
from attrs import define, field

from adapters.sandbox.options import KIB, SandboxOptions
from adapters.sandbox.protocol.syntax_check_queue import SyntaxCheckQueue
from adapters.sandbox.protocol.syntax_checker import TOO_HARD, CheckedScript, SyntaxCheckResult, Verdict
from adapters.sandbox.workers.channel import Ending
from adapters.sandbox.zygote.launch import LaunchFailed
from domain.errors import Overloaded
from domain.identity import ANONYMOUS, Owner
from domain.scripts.convention import Convention
from domain.scripts.script import InputForm, SyntaxFault
from tests.contracts.script_runs import script_of

NEIGHBOUR, ALICE, BOB = Owner("neighbour"), Owner("alice"), Owner("bob")
HOSTILE = [Owner(f"hostile {n}") for n in range(3)]
LARGE = 100 * KIB
PLAIN = InputForm.PLAIN


@define(eq=False)
class ManualChecker:
    """A checker whose batches end when the test says so."""

    limits_s: list[float] = field(factory=list)
    batches: list[list[CheckedScript]] = field(factory=list)
    ended: "asyncio.Future[SyntaxCheckResult] | None" = None
    is_closed: bool = False

    @property
    def running(self) -> list[CheckedScript]:
        return [] if self.ended is None else self.batches[-1]

    async def check(self, scripts: Sequence[CheckedScript], cpu_s_max: float) -> SyntaxCheckResult:
        assert self.ended is None
        self.limits_s.append(round(cpu_s_max, 3))
        self.batches.append([script.strip() if isinstance(script, str) else script for script in scripts])
        self.ended = asyncio.get_running_loop().create_future()
        try:
            return await self.ended
        finally:
            self.ended = None

    async def close(self) -> None:
        self.is_closed = True

    async def reply(self, *verdicts: Verdict, cpu_s: float = 0.001, elapsed_s: float = 0.001) -> None:
        """End the batch with these verdicts, or with that all its scripts parse."""
        await self._end(SyntaxCheckResult(verdicts or [PLAIN] * len(self.running), cpu_s, elapsed_s))

    async def end(self, ending: Ending, cpu_s: float = 0.3) -> None:
        await self._end(SyntaxCheckResult((), cpu_s, cpu_s, ending))

    async def reply_to_all(self) -> None:
        while self.running:
            await self.reply()

    async def fail(self, error: Exception) -> None:
        assert self.ended is not None
        self.ended.set_exception(error)
        await settle()

    async def _end(self, result: SyntaxCheckResult) -> None:
        assert self.ended is not None
        self.ended.set_result(result)
        await settle()


class ManualNow:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@define
class Checkers:
    """The checkers of the batchers, in the order in which a queue makes them."""

    small: ManualChecker = field(factory=ManualChecker)
    large: ManualChecker = field(factory=ManualChecker)
    slow: ManualChecker = field(factory=ManualChecker)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def checkers() -> Checkers:
    return Checkers()


@pytest.fixture
def small(checkers) -> ManualChecker:
    return checkers.small


@pytest.fixture
def slow(checkers) -> ManualChecker:
    return checkers.slow


@pytest.fixture
def large(checkers) -> ManualChecker:
    return checkers.large


@pytest.fixture
def now() -> ManualNow:
    return ManualNow()


@pytest.fixture
def open_queue(checkers, now, tmp_path):
    def open_queue(**options: object) -> SyntaxCheckQueue:
        made = iter((checkers.small, checkers.large, checkers.slow))
        return SyntaxCheckQueue(lambda: next(made), SandboxOptions(runtimes_dir=tmp_path, **options), now)

    return open_queue


@pytest.fixture
def queue(open_queue) -> SyntaxCheckQueue:
    return open_queue()


async def started(check: Awaitable[Verdict]) -> "asyncio.Future[Verdict]":
    future = asyncio.ensure_future(check)
    await settle()
    return future


async def submitted(queue: SyntaxCheckQueue, owner: Owner, text: str, size: int = 0) -> "asyncio.Future[Verdict]":
    return await started(queue.check(script_of(text + " " * (size - len(text))), owner))


async def waiting_batch(queue, checker, *texts, owner=ALICE):
    """Submit scripts that wait for one batch, which runs afterwards."""
    first = await submitted(queue, owner, "first")
    calls = [await submitted(queue, owner, text) for text in texts]
    await checker.reply()
    assert await first is PLAIN
    assert checker.running == list(texts)
    return calls


async def test_a_verdict_counts_for_one_convention_alone(queue, small):
    script, fault = script_of("let module"), SyntaxFault("declared already")
    calls = [await started(queue.check(script, ALICE, convention)) for convention in Convention]
    await small.reply(fault)
    assert small.running == [("let module", "origin"), ("let module", "event-first")]
    await small.reply(PLAIN, fault)
    assert await asyncio.gather(*calls) == [fault, PLAIN, fault]
    again = [await queue.check(script, ALICE, convention) for convention in Convention]
    assert (again, len(small.batches)) == ([fault, PLAIN, fault], 2)


class TestBatches:
    async def test_all_scripts_that_wait_are_the_next_batch(self, queue, small):
        calls = await waiting_batch(queue, small, "a", "b", "c")
        fault = SyntaxFault("invalid syntax", 1, 2)
        await small.reply(PLAIN, fault, PLAIN)
        assert await asyncio.gather(*calls) == [PLAIN, fault, PLAIN]
        assert small.batches == [["first"], ["a", "b", "c"]]

    async def test_a_batch_has_a_maximum_of_scripts(self, queue, small):
        calls = [await submitted(queue, ANONYMOUS, f"script {n}") for n in range(150)]
        await small.reply_to_all()
        assert await asyncio.gather(*calls) == [PLAIN] * 150
        assert [len(batch) for batch in small.batches] == [1, 64, 64, 21]

    async def test_a_batch_has_a_maximum_of_bytes(self, queue, small):
        calls = [await submitted(queue, ANONYMOUS, f"script {n}", 30 * KIB) for n in range(6)]
        await small.reply_to_all()
        assert await asyncio.gather(*calls) == [PLAIN] * 6
        assert [len(batch) for batch in small.batches] == [1, 2, 2, 1]

    async def test_scripts_that_the_checker_left_out_are_first_in_the_next_batch(self, queue, small):
        calls = await waiting_batch(queue, small, "a", "b", "c")
        later = await submitted(queue, ALICE, "d")
        await small.reply(PLAIN)
        assert small.running == ["b", "c", "d"]
        await small.reply()
        assert await asyncio.gather(*calls, later) == [PLAIN] * 4

    async def test_a_batch_may_take_the_time_of_its_slowest_script_more(self, queue, small):
        await waiting_batch(queue, small, "a", "b")
        assert small.limits_s == [0.01, 0.02]

    @pytest.mark.parametrize(
        "ending", [Ending.DIED, Ending.CPU_LIMIT, Ending.TIMED_OUT, Ending.OUTPUT_LIMIT, Ending.PROTOCOL_BROKEN]
    )
    async def test_after_a_failed_exchange_each_script_is_checked_alone(self, queue, small, ending):
        calls = await waiting_batch(queue, small, "a", "hostile", "c")
        await small.end(ending)
        later = await submitted(queue, BOB, "later")
        assert small.running == ["a"]
        await small.reply_to_all()
        assert await asyncio.gather(*calls, later) == [PLAIN] * 4
        assert [batch for batch in small.batches if len(batch) == 1][1:] == [["a"], ["hostile"], ["later"], ["c"]]

    async def test_only_the_script_that_ends_its_checker_has_the_fault(self, queue, small, slow):
        calls = await waiting_batch(queue, small, "a", "hostile", "c")
        await small.end(Ending.DIED)
        await small.reply()
        assert small.running == ["hostile"]
        await small.end(Ending.DIED)
        # Its owner is slow now, and so are the other scripts of this owner.
        assert slow.running == ["c"]
        await slow.reply()
        assert await asyncio.gather(*calls) == [PLAIN, TOO_HARD, PLAIN]

    async def test_a_script_of_another_owner_stays_among_the_small_ones(self, queue, small, slow):
        first = await submitted(queue, BOB, "first")
        hostile, innocent = await submitted(queue, ALICE, "hostile"), await submitted(queue, BOB, "innocent")
        await small.reply()
        await small.end(Ending.CPU_LIMIT)
        assert small.running == ["innocent"]
        await small.reply()
        await small.end(Ending.CPU_LIMIT)
        assert slow.running == ["hostile"]
        await slow.end(Ending.CPU_LIMIT)
        assert await asyncio.gather(first, innocent, hostile) == [PLAIN, PLAIN, TOO_HARD]

    async def test_an_unexpected_error_is_raised_in_the_calls_and_checks_go_on(self, queue, small):
        calls = await waiting_batch(queue, small, "a", "b")
        await small.fail(ZeroDivisionError())
        for call in calls:
            with pytest.raises(ZeroDivisionError):
                await call
        again = await submitted(queue, ALICE, "a")
        await small.reply()
        assert await again is PLAIN


class TestFairness:
    async def test_at_most_one_check_of_each_other_owner_precedes_a_neighbours(self, queue, small):
        await submitted(queue, ALICE, "first")
        for n in range(100):
            for owner in HOSTILE:
                await submitted(queue, owner, f"{owner} {n}")
        neighbour = await submitted(queue, NEIGHBOUR, "neighbour")
        await small.reply()
        assert small.running[:4] == [*(f"{owner} 0" for owner in HOSTILE), "neighbour"]
        assert small.running[4:7] == [f"{owner} 1" for owner in HOSTILE]
        await small.reply(*[PLAIN] * 4)
        assert await neighbour is PLAIN

    async def test_small_scripts_do_not_wait_for_large_ones(self, queue, small, large):
        for owner in (ALICE, BOB, *HOSTILE):
            await submitted(queue, owner, f"large {owner}", LARGE)
        assert large.running == ["large alice"]
        await submitted(queue, ALICE, "small")
        assert small.running == ["small"]

    async def test_large_scripts_are_checked_one_by_one(self, queue, large):
        calls = [await submitted(queue, owner, f"large {n}", LARGE) for n in range(2) for owner in (ALICE, BOB)]
        await large.reply_to_all()
        assert await asyncio.gather(*calls) == [PLAIN] * 4
        assert large.batches == [["large 0"], ["large 0"], ["large 1"], ["large 1"]]

    async def test_slow_owners_wait_only_for_each_other(self, queue, small, large, slow):
        for owner in HOSTILE:
            await submitted(queue, owner, f"{owner} first")
            await small.end(Ending.CPU_LIMIT)
        assert slow.running == [f"{HOSTILE[0]} first"]
        for owner in (*HOSTILE, NEIGHBOUR):
            await submitted(queue, owner, f"{owner} second")
        await submitted(queue, BOB, "large", LARGE)
        assert (small.running, large.running) == (["neighbour second"], ["large"])
        for number in count():
            if not slow.running:
                break
            assert slow.running == [f"{HOSTILE[number % 3]} {('first', 'second')[number // 3]}"]
            await slow.reply()

    async def test_scripts_that_wait_become_slow_with_their_owner(self, queue, small, large, slow):
        await submitted(queue, ALICE, "slow")
        waiting = [await submitted(queue, ALICE, "small")]
        waiting += [await submitted(queue, ALICE, f"large {n}", LARGE) for n in range(2)]
        await small.reply(cpu_s=0.3)
        assert (small.running, large.running, slow.running) == ([], ["large 0"], ["small"])
        await large.reply()
        await slow.reply_to_all()
        assert await asyncio.gather(*waiting) == [PLAIN] * 3
        assert slow.batches == [["small"], ["large 1"]]

    async def test_a_slow_check_of_a_small_script_is_repeated_with_the_full_time(self, queue, small, slow):
        call = await submitted(queue, ALICE, "slow")
        await small.end(Ending.CPU_LIMIT)
        assert not call.done()
        await slow.reply(cpu_s=0.1)
        assert await call is PLAIN
        assert (small.limits_s, slow.limits_s) == ([0.01], [0.15])

    async def test_a_check_that_is_too_slow_among_the_slow_ones_is_refused(self, queue, small, slow):
        call = await submitted(queue, ALICE, "slow")
        await small.end(Ending.CPU_LIMIT)
        await slow.end(Ending.CPU_LIMIT)
        assert await call == TOO_HARD

    async def test_after_a_minute_a_slow_owner_counts_like_the_others_again(self, queue, small, large, slow, now):
        await submitted(queue, ALICE, "slow")
        await small.reply(cpu_s=0.3)
        await submitted(queue, ALICE, "second")
        await submitted(queue, ALICE, "large", LARGE)
        assert (small.running, large.running, slow.running) == ([], [], ["second"])
        await slow.reply_to_all()
        now.now_s += 60
        await submitted(queue, ALICE, "third")
        await submitted(queue, ALICE, "large again", LARGE)
        assert (small.running, large.running) == (["third"], ["large again"])

    async def test_the_limit_of_a_slow_check_grows_with_the_size(self, queue, small, large):
        await submitted(queue, ALICE, "large", LARGE)
        await large.reply(cpu_s=0.05)
        await submitted(queue, ALICE, "small")
        await submitted(queue, ALICE, "second large", LARGE)
        assert (small.running, large.running) == (["small"], ["second large"])

    async def test_a_large_script_has_the_full_time_at_once(self, queue, large):
        call = await submitted(queue, ALICE, "large", LARGE)
        await large.end(Ending.CPU_LIMIT)
        assert await call == TOO_HARD
        assert large.limits_s == [0.345]


class TestSharing:
    async def test_equal_scripts_of_an_owner_share_a_check(self, queue, small):
        calls = [await submitted(queue, ALICE, "same") for _ in range(200)]
        fault = SyntaxFault("invalid syntax", 1, 2)
        await small.reply(fault)
        assert await asyncio.gather(*calls) == [fault] * 200
        assert small.batches == [["same"]]

    async def test_equal_scripts_of_two_owners_do_not_share_a_check(self, queue, small):
        first = await submitted(queue, ALICE, "same")
        await small.reply()
        second = await submitted(queue, BOB, "same")
        assert first.done()
        assert not second.done()
        await small.reply()
        assert await second is PLAIN
        assert small.batches == [["same"], ["same"]]

    async def test_a_result_is_kept_for_its_owner(self, queue, small):
        first = await submitted(queue, ALICE, "same")
        await small.reply(SyntaxFault("no"))
        assert await queue.check(script_of("same"), ALICE) == await first
        assert small.batches == [["same"]]

    async def test_a_script_that_was_too_hard_is_checked_again(self, queue, small, slow):
        first = await submitted(queue, ALICE, "hard")
        await small.end(Ending.DIED)
        assert await first == TOO_HARD
        await submitted(queue, ALICE, "hard")
        assert slow.running == ["hard"]

    @pytest.mark.parametrize("is_waiting", [True, False])
    async def test_when_the_first_call_is_cancelled_the_others_get_the_result(self, queue, small, is_waiting):
        if is_waiting:
            await submitted(queue, ALICE, "before")
        first, second = await submitted(queue, ALICE, "same"), await submitted(queue, ALICE, "same")
        first.cancel()
        await settle()
        assert first.cancelled()
        await small.reply_to_all()
        assert await second is PLAIN
        assert small.batches[-1] == ["same"]

    async def test_when_the_first_call_runs_out_of_time_the_others_get_the_result(self, queue, small):
        await submitted(queue, ALICE, "before")
        first = await started(asyncio.wait_for(queue.check(script_of("same"), ALICE), 0.01))
        second = await submitted(queue, ALICE, "same")
        with pytest.raises(TimeoutError):
            await first
        await small.reply_to_all()
        assert await second is PLAIN

    async def test_a_check_without_calls_does_not_begin(self, queue, small):
        await submitted(queue, ALICE, "before")
        calls = [await submitted(queue, ALICE, "same") for _ in range(2)]
        for call in calls:
            call.cancel()
        await settle()
        assert queue.waiting == 0
        await small.reply_to_all()
        assert small.batches == [["before"]]

    async def test_a_script_whose_check_was_cancelled_is_checked_when_it_comes_again(self, queue, small):
        await submitted(queue, ALICE, "before")
        withdrawn = await submitted(queue, ALICE, "same")
        withdrawn.cancel()
        again = asyncio.ensure_future(queue.check(script_of("same"), ALICE))
        await settle()
        await small.reply_to_all()
        assert await again is PLAIN
        assert small.batches == [["before"], ["same"]]

    async def test_a_check_that_has_begun_continues_without_calls_and_its_result_is_kept(self, queue, small):
        call = await submitted(queue, ALICE, "same")
        call.cancel()
        await settle()
        assert small.running == ["same"]
        await small.reply()
        assert await queue.check(script_of("same"), ALICE) is PLAIN
        assert small.batches == [["same"]]

    async def test_a_slow_check_without_calls_is_not_repeated(self, queue, small, slow):
        call = await submitted(queue, ALICE, "same")
        call.cancel()
        await settle()
        await small.end(Ending.CPU_LIMIT)
        assert slow.batches == []

    async def test_a_slow_check_that_waits_again_is_cancelled_with_its_last_call(self, queue, small, slow):
        for owner, text in ((BOB, "slow"), (ALICE, "same")):
            call = await submitted(queue, owner, text)
            await small.end(Ending.CPU_LIMIT)
        assert slow.running == ["slow"]
        call.cancel()
        await settle()
        await slow.reply_to_all()
        assert slow.batches == [["slow"]]

    async def test_a_failed_start_fails_all_calls_and_the_next_call_starts_again(self, queue, small):
        calls = [await submitted(queue, ALICE, "same") for _ in range(2)]
        await small.fail(LaunchFailed("no namespaces"))
        for call in calls:
            with pytest.raises(LaunchFailed, match="no namespaces"):
                await call
        again = await submitted(queue, ALICE, "same")
        await small.reply()
        assert await again is PLAIN


class TestBounds:
    async def test_a_check_waits_no_longer_than_the_queue_timeout(self, open_queue, small):
        queue = open_queue(queue_timeout_s=0.01)
        running = await submitted(queue, ALICE, "first")
        with pytest.raises(Overloaded, match="the syntax check"):
            await queue.check(script_of("second"), ALICE)
        await settle()
        assert queue.waiting == 0
        # What has begun is not cut short by the bound of the wait.
        await small.reply()
        assert await running is PLAIN
        assert small.batches == [["first"]]

    async def test_a_check_that_is_repeated_waits_no_longer_than_its_timeouts(self, open_queue, small, slow):
        queue = open_queue(queue_timeout_s=0.01, check_timeout_s=0.01)
        await submitted(queue, BOB, "slow")
        await small.end(Ending.CPU_LIMIT)
        call = await submitted(queue, ALICE, "same")
        await small.end(Ending.CPU_LIMIT)
        assert slow.running == ["slow"]
        with pytest.raises(Overloaded):
            await call

    async def test_calls_that_would_wait_for_too_long_by_the_measured_time_are_refused(self, queue, large):
        await self._slowly_checked(queue, large)
        waiting = [await submitted(queue, ALICE, f"more {n}", LARGE) for n in range(8)]
        assert [call.done() for call in waiting] == [False] * 7 + [True]
        with pytest.raises(Overloaded, match="the syntax check"):
            await waiting[7]
        # Another owner's check is among the next ones, whatever the first owner has waiting.
        assert not (await submitted(queue, BOB, "bob", LARGE)).done()

    async def test_the_measured_time_ends_with_the_queue(self, queue, large):
        await self._slowly_checked(queue, large)
        await large.reply_to_all()
        waiting = [await submitted(queue, ALICE, f"more {n}", LARGE) for n in range(100)]
        assert not any(call.done() for call in waiting)

    @staticmethod
    async def _slowly_checked(queue, large):
        """Make eight checks that take 0.3 s each, and leave one running."""
        for n in range(9):
            await submitted(queue, ALICE, f"slow {n}", LARGE)
        for _ in range(8):
            await large.reply(elapsed_s=0.3)

    async def test_many_checks_of_an_owner_wait(self, queue, small):
        calls = [await submitted(queue, ANONYMOUS, f"script {n}") for n in range(1000)]
        await small.reply_to_all()
        assert await asyncio.gather(*calls) == [PLAIN] * 1000

    async def test_the_bytes_of_waiting_scripts_are_limited(self, open_queue, small, large):
        queue = open_queue(checks_waiting_bytes_max=300 * KIB)
        calls = [await submitted(queue, ANONYMOUS, f"large {n}", LARGE) for n in range(3)]
        with pytest.raises(Overloaded):
            await queue.check(script_of("one more" + " " * LARGE), ANONYMOUS)
        call = await submitted(queue, ANONYMOUS, "small")
        await large.reply_to_all()
        await small.reply_to_all()
        assert await asyncio.gather(*calls, call) == [PLAIN] * 4
        again = await submitted(queue, ANONYMOUS, "one more", LARGE)
        assert not again.done()

    async def test_the_number_of_small_waiting_scripts_is_limited(self, open_queue):
        queue = open_queue(checks_waiting_bytes_max=64 * KIB)
        for n in range(4):
            await submitted(queue, ANONYMOUS, f"script {n}")
        with pytest.raises(Overloaded):
            await queue.check(script_of("one more"), ANONYMOUS)

    async def test_a_flood_of_one_owner_leaves_room_for_others(self, open_queue):
        queue = open_queue(checks_waiting_bytes_max=160 * KIB)
        flood = [await submitted(queue, ALICE, f"script {n}") for n in range(20)]
        assert [call.done() for call in flood] == [False] * 8 + [True] * 12
        assert all(isinstance(call.exception(), Overloaded) for call in flood if call.done())
        await submitted(queue, BOB, "bob 1")
        assert not (await submitted(queue, BOB, "bob 2")).done()

    async def test_slow_checks_that_have_no_room_among_the_slow_ones_are_refused(self, open_queue, small, slow):
        queue = open_queue(checks_waiting_bytes_max=16 * KIB)
        calls = []
        for owner in (ALICE, BOB):
            calls.append(await submitted(queue, owner, "slow"))
            await small.end(Ending.CPU_LIMIT)
        with pytest.raises(Overloaded):
            await calls[1]
        await slow.reply()
        assert await calls[0] is PLAIN
        assert not (await submitted(queue, NEIGHBOUR, "small")).done()

    async def test_a_check_that_the_host_had_no_time_for_says_nothing_about_the_script(self, queue, small):
        call = await submitted(queue, ALICE, "same")
        await small.end(Ending.TIMED_OUT, cpu_s=0.001)
        with pytest.raises(Overloaded):
            await call
        again = await submitted(queue, ALICE, "same")
        await small.reply()
        assert await again is PLAIN

    async def test_closing_fails_the_waiting_calls(self, queue, checkers):
        calls = [await submitted(queue, ALICE, f"script {n}") for n in range(3)]
        await queue.close()
        for call in calls:
            with pytest.raises(LaunchFailed, match="stopping"):
                await call
        assert checkers.small.batches == [["script 0"]]
        assert all(checker.is_closed for checker in (checkers.small, checkers.large, checkers.slow))
