"""Syntax checks are shared fairly among owners, equal ones run once, and every wait ends."""

import asyncio
from collections.abc import Awaitable

import pytest
from attrs import define, field

from adapters.sandbox.options import KIB, SandboxOptions
from adapters.sandbox.protocol.syntax_check_queue import SyntaxCheckQueue
from adapters.sandbox.protocol.syntax_checker import TOO_HARD, SyntaxCheckResult
from adapters.sandbox.workers.channel import Ending
from adapters.sandbox.zygote.launch import LaunchFailed
from domain.errors import Overloaded
from domain.identity import ANONYMOUS, Owner
from domain.scripts.script import SyntaxFault
from tests.contracts.script_runs import script_of

NEIGHBOUR, ALICE, BOB = Owner("neighbour"), Owner("alice"), Owner("bob")
HOSTILE = [Owner(f"hostile {n}") for n in range(3)]
QUICK, SLOW, OVER = (
    SyntaxCheckResult(None, 0.001),
    SyntaxCheckResult(None, 0.3),
    SyntaxCheckResult(TOO_HARD, 0.3, Ending.CPU_LIMIT),
)
LARGE = 100 * KIB


@define(eq=False)
class ManualCheckers:
    """Checkers whose checks end when the test says so."""

    is_warm: bool = True
    limits_s: list[float] = field(factory=list)
    running: dict[str, asyncio.Future[SyntaxCheckResult]] = field(factory=dict)
    begun: list[str] = field(factory=list)

    async def check(self, source: bytes, cpu_s_max: float) -> SyntaxCheckResult:
        text = source.decode().strip()
        assert text not in self.running
        self.limits_s.append(cpu_s_max)
        self.begun.append(text)
        self.running[text] = ended = asyncio.get_running_loop().create_future()
        try:
            return await ended
        finally:
            del self.running[text]

    async def end(self, text: str, checked: SyntaxCheckResult | Exception = QUICK) -> None:
        if isinstance(checked, Exception):
            self.running[text].set_exception(checked)
        else:
            self.running[text].set_result(checked)
        await settle()

    async def end_all(self, checked: SyntaxCheckResult = QUICK) -> None:
        while self.running:
            await self.end(next(iter(self.running)), checked)


class ManualNow:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def checkers() -> ManualCheckers:
    return ManualCheckers()


@pytest.fixture
def now() -> ManualNow:
    return ManualNow()


@pytest.fixture
def open_queue(checkers, now, tmp_path):
    def open_queue(**options: object) -> SyntaxCheckQueue:
        return SyntaxCheckQueue(lambda: checkers, SandboxOptions(runtimes_dir=tmp_path, **options), now)

    return open_queue


@pytest.fixture
def queue(open_queue) -> SyntaxCheckQueue:
    return open_queue()


async def started(check: Awaitable[SyntaxFault | None]) -> "asyncio.Future[SyntaxFault | None]":
    future = asyncio.ensure_future(check)
    await settle()
    return future


async def submitted(
    queue: SyntaxCheckQueue, owner: Owner, text: str, size: int = 0
) -> "asyncio.Future[SyntaxFault | None]":
    return await started(queue.check(script_of(text + " " * (size - len(text))), owner))


class TestFairness:
    async def test_at_most_one_check_of_each_other_owner_precedes_a_neighbours(self, queue, checkers):
        for n in range(14):
            for owner in HOSTILE:
                await submitted(queue, owner, f"{owner} {n}")
        submitted_after = len(checkers.begun)
        neighbour = await submitted(queue, NEIGHBOUR, "small")
        while "small" not in checkers.running:
            await checkers.end(next(iter(checkers.running)))
        assert checkers.begun.index("small") - submitted_after <= len(HOSTILE)
        await checkers.end("small")
        assert await neighbour is None

    async def test_an_owner_has_one_check_at_a_time(self, queue, checkers):
        for n in range(5):
            await submitted(queue, ALICE, f"alice {n}")
        await submitted(queue, BOB, "bob")
        assert list(checkers.running) == ["alice 0", "bob"]
        await checkers.end_all()
        assert checkers.begun == ["alice 0", "bob", "alice 1", "alice 2", "alice 3", "alice 4"]

    async def test_small_scripts_do_not_wait_for_large_ones(self, queue, checkers):
        for owner in (ALICE, BOB, *HOSTILE):
            await submitted(queue, owner, f"large {owner}", LARGE)
        assert list(checkers.running) == ["large alice"]
        await submitted(queue, ALICE, "small")
        assert list(checkers.running) == ["large alice", "small"]

    async def test_slow_owners_wait_only_for_each_other(self, queue, checkers):
        for n in range(3):
            for owner in HOSTILE:
                await submitted(queue, owner, f"{owner} {n}")
        # The first of each show what they are. All others are checked one at a time, also those that waited already.
        for owner in HOSTILE:
            await checkers.end(f"{owner} 0", OVER)
        assert list(checkers.running) == [f"{HOSTILE[0]} 0"]
        for owner in (NEIGHBOUR, ALICE):
            await submitted(queue, owner, f"small {owner}")
        await submitted(queue, BOB, "large", LARGE)
        assert list(checkers.running) == [f"{HOSTILE[0]} 0", "small neighbour", "small alice", "large"]

    async def test_a_slow_check_of_a_small_script_is_repeated_with_the_full_time(self, queue, checkers):
        call = await submitted(queue, ALICE, "slow")
        await checkers.end("slow", OVER)
        assert not call.done()
        await checkers.end("slow", SLOW)
        assert await call is None
        brief_s, whole_s = checkers.limits_s
        assert (round(brief_s, 3), round(whole_s, 3)) == (0.01, 0.15)

    async def test_a_check_that_is_too_slow_among_the_slow_ones_is_refused(self, queue, checkers):
        call = await submitted(queue, ALICE, "slow")
        for _ in range(2):
            await checkers.end("slow", OVER)
        assert await call == TOO_HARD

    async def test_slow_owners_take_turns(self, queue, checkers):
        for owner in HOSTILE:
            slow = await submitted(queue, owner, f"{owner} first")
            await checkers.end(f"{owner} first", SLOW)
            assert await slow is None
        for n in range(2):
            for owner in HOSTILE[::-1]:
                await submitted(queue, owner, f"{owner} {n}")
        await checkers.end_all()
        assert checkers.begun[3:] == [f"{owner} {n}" for n in range(2) for owner in HOSTILE[::-1]]

    async def test_after_a_minute_a_slow_owner_counts_like_the_others_again(self, queue, checkers, now):
        await submitted(queue, ALICE, "slow")
        await checkers.end("slow", SLOW)
        await submitted(queue, ALICE, "second")
        await submitted(queue, ALICE, "large", LARGE)
        assert list(checkers.running) == ["second"]
        await checkers.end_all()
        now.now_s += 60
        await submitted(queue, ALICE, "third")
        await submitted(queue, ALICE, "large again", LARGE)
        assert list(checkers.running) == ["third", "large again"]

    async def test_the_limit_of_a_slow_check_grows_with_the_size(self, queue, checkers):
        await submitted(queue, ALICE, "large", LARGE)
        await checkers.end("large", SyntaxCheckResult(None, 0.05))
        await submitted(queue, ALICE, "small")
        await submitted(queue, ALICE, "second large", LARGE)
        assert list(checkers.running) == ["small", "second large"]

    async def test_a_large_script_has_the_full_time_at_once(self, queue, checkers):
        call = await submitted(queue, ALICE, "large", LARGE)
        await checkers.end("large", OVER)
        assert await call == TOO_HARD
        assert [round(limit_s, 2) for limit_s in checkers.limits_s] == [0.35]

    async def test_a_warm_checker_is_preferred(self, tmp_path):
        cold, warm = ManualCheckers(is_warm=False), ManualCheckers()
        made = iter([warm, cold, cold, cold])
        queue = SyntaxCheckQueue(lambda: next(made), SandboxOptions(runtimes_dir=tmp_path))
        for text in "abc":
            call = await submitted(queue, ALICE, text)
            await warm.end_all()
            assert await call is None
        assert (warm.begun, cold.begun) == (["a", "b", "c"], [])


class TestSharing:
    async def test_equal_scripts_of_an_owner_share_a_check(self, queue, checkers):
        calls = [await submitted(queue, ALICE, "same") for _ in range(200)]
        fault = SyntaxFault("invalid syntax", 1, 2)
        await checkers.end("same", SyntaxCheckResult(fault, 0.001))
        assert await asyncio.gather(*calls) == [fault] * 200
        assert checkers.begun == ["same"]

    async def test_equal_scripts_of_two_owners_do_not_share_a_check(self, queue, checkers):
        first = await submitted(queue, ALICE, "same")
        await checkers.end("same")
        second = await submitted(queue, BOB, "same")
        assert first.done()
        assert not second.done()
        await checkers.end("same")
        assert await second is None
        assert checkers.begun == ["same", "same"]

    async def test_a_result_is_kept_for_its_owner(self, queue, checkers):
        first = await submitted(queue, ALICE, "same")
        await checkers.end("same", SyntaxCheckResult(SyntaxFault("no"), 0.001))
        assert await queue.check(script_of("same"), ALICE) == await first
        assert checkers.begun == ["same"]

    async def test_a_script_that_was_too_hard_is_checked_again(self, queue, checkers):
        first = await submitted(queue, ALICE, "hard")
        await checkers.end("hard", SyntaxCheckResult(TOO_HARD, 0.001, Ending.DIED))
        assert await first == TOO_HARD
        await submitted(queue, ALICE, "hard")
        assert checkers.begun == ["hard", "hard"]

    @pytest.mark.parametrize("is_waiting", [True, False])
    async def test_when_the_first_call_is_cancelled_the_others_get_the_result(self, queue, checkers, is_waiting):
        if is_waiting:
            await submitted(queue, ALICE, "before")
        first, second = await submitted(queue, ALICE, "same"), await submitted(queue, ALICE, "same")
        first.cancel()
        await settle()
        assert first.cancelled()
        await checkers.end_all()
        assert await second is None
        assert checkers.begun.count("same") == 1

    async def test_when_the_first_call_runs_out_of_time_the_others_get_the_result(self, queue, checkers):
        await submitted(queue, ALICE, "before")
        first = await started(asyncio.wait_for(queue.check(script_of("same"), ALICE), 0.01))
        second = await submitted(queue, ALICE, "same")
        with pytest.raises(TimeoutError):
            await first
        await checkers.end_all()
        assert await second is None

    async def test_a_check_without_calls_does_not_begin(self, queue, checkers):
        await submitted(queue, ALICE, "before")
        calls = [await submitted(queue, ALICE, "same") for _ in range(2)]
        for call in calls:
            call.cancel()
        await settle()
        assert queue.waiting == 0
        await checkers.end_all()
        assert checkers.begun == ["before"]

    async def test_a_script_whose_check_was_cancelled_is_checked_when_it_comes_again(self, queue, checkers):
        await submitted(queue, ALICE, "before")
        withdrawn = await submitted(queue, ALICE, "same")
        withdrawn.cancel()
        again = asyncio.ensure_future(queue.check(script_of("same"), ALICE))
        await settle()
        await checkers.end_all()
        assert await again is None
        assert checkers.begun == ["before", "same"]

    async def test_a_check_that_has_begun_continues_without_calls_and_its_result_is_kept(self, queue, checkers):
        call = await submitted(queue, ALICE, "same")
        call.cancel()
        await settle()
        assert list(checkers.running) == ["same"]
        await checkers.end("same")
        assert await queue.check(script_of("same"), ALICE) is None
        assert checkers.begun == ["same"]

    async def test_a_slow_check_without_calls_is_not_repeated(self, queue, checkers):
        call = await submitted(queue, ALICE, "same")
        call.cancel()
        await settle()
        await checkers.end("same", OVER)
        assert checkers.begun == ["same"]

    async def test_a_slow_check_that_waits_again_is_cancelled_with_its_last_call(self, queue, checkers):
        slow = await submitted(queue, BOB, "slow")
        call = await submitted(queue, ALICE, "same")
        for text in ("slow", "same"):
            await checkers.end(text, OVER)
        assert list(checkers.running) == ["slow"]
        call.cancel()
        await settle()
        await checkers.end_all()
        assert slow.done()
        assert checkers.begun == ["slow", "same", "slow"]

    async def test_a_failed_start_fails_all_calls_and_the_next_call_starts_again(self, queue, checkers):
        calls = [await submitted(queue, ALICE, "same") for _ in range(2)]
        await checkers.end("same", LaunchFailed("no namespaces"))
        for call in calls:
            with pytest.raises(LaunchFailed, match="no namespaces"):
                await call
        again = await submitted(queue, ALICE, "same")
        await checkers.end("same")
        assert await again is None


class TestBounds:
    async def test_a_check_waits_no_longer_than_the_queue_timeout(self, open_queue, checkers):
        queue = open_queue(queue_timeout_s=0.01)
        running = await submitted(queue, ALICE, "first")
        with pytest.raises(Overloaded, match="the syntax check"):
            await queue.check(script_of("second"), ALICE)
        await settle()
        assert queue.waiting == 0
        # What has begun is not cut short by the bound of the wait.
        await checkers.end("first")
        assert await running is None
        assert checkers.begun == ["first"]

    async def test_a_check_that_is_repeated_waits_no_longer_than_its_timeouts(self, open_queue, checkers):
        queue = open_queue(queue_timeout_s=0.01, check_timeout_s=0.01)
        await submitted(queue, BOB, "slow")
        call = await submitted(queue, ALICE, "same")
        for text in ("slow", "same"):
            await checkers.end(text, OVER)
        with pytest.raises(Overloaded):
            await call

    async def test_many_checks_of_an_owner_wait(self, queue, checkers):
        calls = [await submitted(queue, ANONYMOUS, f"script {n}") for n in range(300)]
        await checkers.end_all()
        assert await asyncio.gather(*calls) == [None] * 300

    async def test_the_bytes_of_waiting_scripts_are_limited(self, open_queue, checkers):
        queue = open_queue(checks_waiting_bytes_max=300 * KIB)
        calls = [await submitted(queue, ANONYMOUS, f"large {n}", LARGE) for n in range(4)]
        with pytest.raises(Overloaded):
            await queue.check(script_of("one more" + " " * LARGE), ANONYMOUS)
        small = await submitted(queue, ANONYMOUS, "small")
        await checkers.end_all()
        assert await asyncio.gather(*calls, small) == [None] * 5

    async def test_the_number_of_small_waiting_scripts_is_limited(self, open_queue):
        queue = open_queue(checks_waiting_bytes_max=64 * KIB)
        for n in range(5):
            await submitted(queue, ANONYMOUS, f"script {n}")
        with pytest.raises(Overloaded):
            await queue.check(script_of("one more"), ANONYMOUS)

    async def test_a_flood_of_one_owner_leaves_room_for_others(self, open_queue):
        queue = open_queue(checks_waiting_bytes_max=160 * KIB)
        flood = [await submitted(queue, ALICE, f"script {n}") for n in range(20)]
        assert [call.done() for call in flood] == [False] * 9 + [True] * 11
        assert all(isinstance(call.exception(), Overloaded) for call in flood if call.done())
        await submitted(queue, BOB, "bob 1")
        assert not (await submitted(queue, BOB, "bob 2")).done()

    async def test_a_check_that_the_host_had_no_time_for_says_nothing_about_the_script(self, queue, checkers):
        call = await submitted(queue, ALICE, "same")
        await checkers.end("same", SyntaxCheckResult(None, 0.001, Ending.TIMED_OUT))
        with pytest.raises(Overloaded):
            await call
        again = await submitted(queue, ALICE, "same")
        await checkers.end("same")
        assert await again is None

    async def test_closing_fails_the_waiting_calls(self, queue, checkers):
        calls = [await submitted(queue, ALICE, f"script {n}") for n in range(3)]
        await queue.close()
        for call in calls:
            with pytest.raises(LaunchFailed, match="stopping"):
                await call
        assert checkers.begun == ["script 0"]
