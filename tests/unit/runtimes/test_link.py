"""One end of a stream, whose peer takes what the test wants."""

import asyncio

import pytest
from attrs import define, field

from adapters.runtime_frames import FrameParser
from adapters.runtime_link import TAKEN_MIN, FrameLink, FrameReceiver
from tests.support.waiting import until

UNSENT = 1 << 30


@define(eq=False)
class SlowTransport(asyncio.Transport):
    """Its peer takes some bytes between two looks at what is unsent."""

    taken: int
    unsent: int = UNSENT
    looks: int = 0
    is_aborted: bool = False

    def set_write_buffer_limits(self, high=None, low=None):
        """Keep all."""

    def get_write_buffer_size(self):
        self.looks += 1
        unsent, self.unsent = self.unsent, self.unsent - self.taken * (self.looks % 2)
        return unsent

    def abort(self):
        self.is_aborted = True


@define(eq=False)
class Receiver(FrameReceiver):
    """Keeps why the stream was lost."""

    reasons: list[str] = field(factory=list)

    def on_frame(self, frame):
        """Take no note."""

    def on_lost(self, reason):
        self.reasons.append(reason)


def stalled(taken: int) -> tuple[FrameLink, SlowTransport, Receiver]:
    """Return a link whose peer takes so many bytes in each time of the limit."""
    receiver, transport = Receiver(), SlowTransport(taken)
    link = FrameLink(FrameParser({}), receiver, 0.001)
    link.connection_made(transport)
    link.pause_writing()
    return link, transport, receiver


@pytest.mark.parametrize("taken", [0, 1, TAKEN_MIN - 1])
async def test_a_peer_that_takes_too_little_is_disconnected(taken):
    link, transport, receiver = stalled(taken)
    await until(lambda: transport.is_aborted)
    link.connection_lost(None)
    assert receiver.reasons == [f"it took {taken} bytes in 0.001 s, and {TAKEN_MIN} are the least"]


async def test_a_peer_that_takes_enough_stays():
    link, transport, _ = stalled(TAKEN_MIN)
    await until(lambda: transport.looks > 9)
    assert not transport.is_aborted
    link.connection_lost(None)
