"""The secrets of one run: what its script gets, and what is shown of what it writes."""

import asyncio
from collections.abc import Callable, Mapping

from attrs import define, evolve, field

from domain.scripts.output import PROGRESS_MESSAGE_LENGTH_MAX, OutputListener, ScriptProgress
from domain.scripts.report import Failure, FailureCode, ScriptReport
from domain.secrets.redaction import BYTES, RedactedStream, Redaction
from domain.secrets.values import GivenSecrets

STATE_HOLDS_SECRET = Failure(
    FailureCode.STATE_HOLDS_SECRET,
    "The state that the script left holds the value of a secret, so nothing was saved. Keep secrets out of the state: "
    "each execution gets them anew.",
)
"""Of a script whose state is not saved."""

_ASIDE_SIZE_MIN = 64 * 1024
"""Characters of the smallest report that is searched in a thread."""


@define(eq=False)
class RunSecrets:
    """The values of a run by name, and the redaction of its output, live and in its report."""

    given: GivenSecrets
    _listener: "RedactedListener | None" = field(default=None, init=False)

    @property
    def values(self) -> Mapping[str, str]:
        """The values by name."""
        return self.given.values

    def listening(self, listener: OutputListener | None) -> OutputListener | None:
        """Return what redacts for this listener while the script runs."""
        if listener is None:
            return None
        self._listener = RedactedListener(listener, self.given.redaction)
        return self._listener

    def shown_text(self, text: str) -> str:
        """Return a text of the script without secrets."""
        return self.given.redaction.text(text)[0]

    def shown(self, report: ScriptReport) -> ScriptReport:
        """Return the report without secrets, after the end of live output; a state that holds one is not saved."""
        self._end_live()
        return self._redacted(report)

    async def shown_aside(self, report: ScriptReport) -> ScriptReport:
        """Return what `shown` returns. It searches a large report in a thread, so that other calls go on."""
        self._end_live()
        if _size_of(report) < _ASIDE_SIZE_MIN:
            return self._redacted(report)
        return await asyncio.to_thread(self._redacted, report)

    def _end_live(self) -> None:
        if self._listener is not None:
            self._listener.end()

    def _redacted(self, report: ScriptReport) -> ScriptReport:
        if report.state is not None and self.given.redaction.json(report.state)[1]:
            failure = report.failure or STATE_HOLDS_SECRET
            report = evolve(report, state=None, result=None, failure=failure)
        redacted, count = self.given.redaction.report(report)
        return evolve(redacted, redacted=count) if count else report


@define(eq=False)
class RedactedListener(OutputListener):
    """Redacts for another listener. It holds back the end of each stream, in which a secret may have begun."""

    _listener: OutputListener
    _redaction: Redaction
    _stdout: RedactedStream = field(init=False)
    _stderr: RedactedStream = field(init=False)

    def __attrs_post_init__(self) -> None:
        encoded = self._redaction.of_bytes()
        self._stdout, self._stderr = RedactedStream(encoded), RedactedStream(encoded)

    def on_stdout(self, piece: bytes) -> None:
        """Take the next bytes of stdout."""
        _pass_on(self._stdout.feed(piece.decode(BYTES)), self._listener.on_stdout)

    def on_stderr(self, piece: bytes) -> None:
        """Take the next bytes of stderr."""
        _pass_on(self._stderr.feed(piece.decode(BYTES)), self._listener.on_stderr)

    def on_progress(self, progress: ScriptProgress) -> None:
        """Take the newest progress."""
        message, _ = self._redaction.text(progress.message)
        self._listener.on_progress(ScriptProgress(progress.value, message[:PROGRESS_MESSAGE_LENGTH_MAX]))

    def end(self) -> None:
        """Pass on what is held back, after the last piece."""
        _pass_on(self._stdout.end(), self._listener.on_stdout)
        _pass_on(self._stderr.end(), self._listener.on_stderr)


def _pass_on(shown: str, listen: Callable[[bytes], None]) -> None:
    if shown:
        listen(shown.encode(BYTES))


def _size_of(report: ScriptReport) -> int:
    """Return the characters of a report whose length the script decides."""
    failure = report.failure
    said = () if failure is None else (failure.message, failure.stack)
    return sum(len(each or "") for each in (report.stdout, report.stderr, report.result, report.state, *said))
