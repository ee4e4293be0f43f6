"""The progress that a script reports by notices of its worker."""

import time

import msgspec
from attrs import define, field

from adapters.sandbox.workers.channel import ProtocolBroken
from domain.scripts.output import OutputListener, ScriptProgress

BURST_MAX = 40
"""Notices that a worker may send at once: twice as many as guest/ lets it, so that no delay on the way matters."""
RATE_MAX = 11.0
"""Notices in a second, for as long as a worker has run; guest/ sends 10."""


class ProgressNotice(msgspec.Struct):
    """The header of a notice."""

    nonce: str
    value: float | None
    message: str


_NOTICES = msgspec.json.Decoder(ProgressNotice)


@define
class ProgressNotices:
    """Gives the listener of one execution its progress.

    A script can write notices itself, so each is checked, and a worker that sends more than the guest does has broken
    the protocol.
    """

    _nonce: str
    _listener: OutputListener | None
    _started_s: float = field(factory=time.monotonic)
    _count: int = 0

    def take(self, notice: bytes) -> None:
        """Take a notice; raises ProtocolBroken."""
        self._count += 1
        if self._count > BURST_MAX + RATE_MAX * (time.monotonic() - self._started_s):
            raise ProtocolBroken(f"{self._count} notices of progress, more than a worker sends")
        progress = self._progress(notice)
        if self._listener is not None:
            self._listener.on_progress(progress)

    def _progress(self, notice: bytes) -> ScriptProgress:
        try:
            read = _NOTICES.decode(notice)
            if read.nonce != self._nonce:
                raise ProtocolBroken("a notice of no execution of the service")
            return ScriptProgress(read.value, read.message.replace("\0", "\ufffd"))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise ProtocolBroken("a notice that cannot be read") from error
