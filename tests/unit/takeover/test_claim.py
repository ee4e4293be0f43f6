from datetime import timedelta

import pytest

from adapters.memory.manual_clock import ManualClock
from adapters.memory.session_returns import MemoryReturnStore
from adapters.memory.store import MemoryStore
from domain.takeover.claim import CLAIM, Claim
from domain.takeover.mover_ports import TakeoverClaim, TakeoverClaims
from domain.takeover.stages import TakeoverRefused

SECOND = timedelta(seconds=1)


class Claims:
    def __init__(self, *dead: str) -> None:
        self.clock = ManualClock()
        self.store: TakeoverClaims = MemoryReturnStore(MemoryStore())
        self.dead = dead

    def of(self, holder: str) -> Claim:
        return Claim(self.store, self.clock, self.clock.monotonic_ns, holder, lambda other: other in self.dead)


async def test_one_command_at_a_time_has_the_claim():
    claims = Claims()
    mine, others = claims.of("mine"), claims.of("others")
    await mine.take()
    with pytest.raises(TakeoverRefused, match="mine"):
        await others.take()
    await others.leave()
    with pytest.raises(TakeoverRefused):
        await others.take()
    await mine.leave()
    await others.take()


async def test_a_claim_that_is_kept_does_not_end():
    claims = Claims()
    mine = claims.of("mine")
    await mine.take()
    for _ in range(10):
        claims.clock.advance(6 * SECOND)
        await mine.keep()
    with pytest.raises(TakeoverRefused):
        await claims.of("others").take()


async def test_a_claim_is_renewed_only_now_and_then():
    claims = Claims()
    mine = claims.of("mine")
    await mine.take()
    claims.clock.advance(SECOND)
    await mine.keep()
    assert await claims.store.hold("others", claims.clock.now(), claims.clock.now()) == TakeoverClaim(
        "mine", claims.clock.now() - SECOND + CLAIM
    )


async def test_a_command_that_slept_for_too_long_notices_that_another_one_has_the_claim():
    claims = Claims()
    mine, others = claims.of("mine"), claims.of("others")
    await mine.take()
    claims.clock.advance(CLAIM)
    await others.take()
    with pytest.raises(TakeoverRefused, match="others"):
        await mine.keep()


async def test_the_claim_of_a_process_that_has_ended_is_over_at_once():
    claims = Claims("killed")
    await claims.of("killed").take()
    await claims.of("next").take()


async def test_without_a_takeover_there_is_nothing_to_claim():
    class Nothing(MemoryReturnStore):
        async def hold(self, *_):
            return None

    claims = Claims()
    claims.store = Nothing(MemoryStore())
    with pytest.raises(TakeoverRefused, match="There is no takeover here"):
        await claims.of("mine").take()
