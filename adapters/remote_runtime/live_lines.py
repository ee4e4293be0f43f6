"""The lines of a streamed reply: what a script writes while it runs, and then the reply."""

from attrs import define, field

from adapters.remote_runtime.connection import HostReply
from adapters.remote_runtime.replies import Uncertain
from adapters.runtime_protocol import Line, MalformedMessage, ProgressFields, decode
from domain.scripts.output import OutputListener, ScriptProgress


@define(eq=False)
class LiveLines:
    """Gives the lines of a stream to a listener, except the last one, which has the reply."""

    _listener: OutputListener
    _reply: HostReply | None = field(default=None, init=False)

    def take(self, line: bytes) -> None:
        """Take the next line; raises MalformedMessage."""
        read = decode(Line, line)
        if read.status is not None:
            self._reply = HostReply(read.status, bytes(read.reply))
        if read.stdout:
            self._listener.on_stdout(read.stdout.encode())
        if read.stderr:
            self._listener.on_stderr(read.stderr.encode())
        if read.progress is not None:
            self._listener.on_progress(_progress(read.progress))

    def reply(self) -> HostReply:
        """Return the reply; raises Uncertain if the stream ended without it."""
        if self._reply is None:
            raise Uncertain("its stream ended before the report")
        return self._reply


def _progress(fields: ProgressFields) -> ScriptProgress:
    try:
        return ScriptProgress(fields.value, fields.message)
    except ValueError as error:
        raise MalformedMessage(str(error)) from error
