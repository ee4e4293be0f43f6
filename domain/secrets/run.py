"""The secrets of one run: what its script gets, and what is shown of what it writes."""

import asyncio
import codecs
from collections.abc import Callable, Mapping

from attrs import define, evolve, field

from domain.scripts.output import PROGRESS_MESSAGE_LENGTH_MAX, OutputListener, ScriptProgress
from domain.scripts.report import Failure, FailureCode, ScriptReport
from domain.secrets.marks import shortened
from domain.secrets.redaction import Redaction
from domain.secrets.stream import RedactedStream
from domain.secrets.values import GivenSecrets

STATE_HOLDS_SECRET = Failure(
    FailureCode.STATE_HOLDS_SECRET,
    "The state that the script left holds the value of a secret, so nothing was saved. Keep secrets out of the state: "
    "each execution gets them anew. With repl, a name that begins with _ is no part of the state.",
)
"""Of a script whose state is not saved."""

_Decoder = codecs.getincrementaldecoder("utf-8")
_ESCAPED = "surrogateescape"
"""The handling of bytes that are not UTF-8: lone surrogates stand for them."""

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
        self._end_live(report)
        return self._redacted(report)

    async def shown_aside(self, report: ScriptReport) -> ScriptReport:
        """Return what `shown` returns. It searches a large report in a thread, so that other calls go on."""
        self._end_live(report)
        if _size_of(report) < _ASIDE_SIZE_MIN:
            return self._redacted(report)
        return await asyncio.to_thread(self._redacted, report)

    def _end_live(self, report: ScriptReport) -> None:
        if self._listener is not None:
            self._listener.end(is_cut=report.is_output_cut)

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
    _stdout: "_RedactedBytes" = field(init=False)
    _stderr: "_RedactedBytes" = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._stdout = _RedactedBytes(RedactedStream(self._redaction), self._listener.on_stdout)
        self._stderr = _RedactedBytes(RedactedStream(self._redaction), self._listener.on_stderr)

    def on_stdout(self, piece: bytes) -> None:
        """Take the next bytes of stdout."""
        self._stdout.feed(piece)

    def on_stderr(self, piece: bytes) -> None:
        """Take the next bytes of stderr."""
        self._stderr.feed(piece)

    def on_progress(self, progress: ScriptProgress) -> None:
        """Take the newest progress."""
        message, _ = self._redaction.text(progress.message)
        self._listener.on_progress(ScriptProgress(progress.value, shortened(message, PROGRESS_MESSAGE_LENGTH_MAX)))

    def end(self, *, is_cut: bool) -> None:
        """Pass on what is held back, after the last piece; `is_cut` says that the script was stopped."""
        self._stdout.end(is_cut=is_cut)
        self._stderr.end(is_cut=is_cut)


@define(eq=False)
class _RedactedBytes:
    """Redacts the bytes of a stream, and passes them on. Those that are not UTF-8 stay as they are."""

    _stream: RedactedStream
    _listen: Callable[[bytes], None]
    _decoder: codecs.IncrementalDecoder = field(factory=lambda: _Decoder(_ESCAPED), init=False)

    def feed(self, piece: bytes) -> None:
        self._pass_on(self._stream.feed(self._decoder.decode(piece)))

    def end(self, *, is_cut: bool) -> None:
        self._pass_on(self._stream.feed(self._decoder.decode(b"", final=True)))
        self._pass_on(self._stream.end(is_cut=is_cut))

    def _pass_on(self, shown: str) -> None:
        if shown:
            self._listen(shown.encode("utf-8", _ESCAPED))


def _size_of(report: ScriptReport) -> int:
    """Return the characters of a report whose length the script decides."""
    failure = report.failure
    said = () if failure is None else (failure.message, failure.stack)
    return sum(len(each or "") for each in (report.stdout, report.stderr, report.result, report.state, *said))
