"""One runtime host: what the client knows about it, and the calls to it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from uuid import UUID

import msgspec
import structlog
from attrs import Factory, define, field

from adapters.remote_runtime.connection import (
    HostConnection,
    HostLate,
    HostReply,
    HostSilent,
    HostUnreached,
    ReplyTooLarge,
    no_headers,
)
from adapters.remote_runtime.dial import Dial, KeptStream, dial
from adapters.remote_runtime.files import FileExchange
from adapters.remote_runtime.fleet import Condition, HostView, UnknownReason, ignore_change
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.replies import (
    NO_SUCH_PATH,
    Form,
    HostFull,
    OldFailure,
    ReportReader,
    RunRefused,
    ScriptNeeded,
    TreeNeeded,
    Uncertain,
    health_of,
    read_check,
    read_execute,
)
from adapters.remote_runtime.requests import execute_body
from adapters.remote_runtime.trees import HostTrees
from adapters.runtime_files import FEATURE
from adapters.runtime_protocol import CancelRequest, CheckRequest, EvictRequest, MalformedMessage
from domain.concurrency.bounded_cache import BoundedCache
from domain.concurrency.fair_turns import FairTurns
from domain.errors import Overloaded
from domain.scripts.ports import ScriptRun
from domain.scripts.report import ExecutionUnknown, ScriptReport
from domain.scripts.script import InputForm, Script
from domain.states.limits import StateLimits

_OK = 200
_NO_CONTENT = 204
_SMALL_REPLY_SIZE_MAX = 262_144
_CHECKS = "the syntax check"

_log = structlog.get_logger(__name__)


@define(eq=False)
class RemoteHost:
    """Sends runs and checks to one host, and separates runs that were not started from runs with an unknown end.

    Messages to callers of the service contain its `name` and never its address.
    """

    name: str
    connection: HostConnection
    _options: RuntimeOptions
    _trace: Callable[[], Mapping[str, str]] = no_headers
    """Returns the trace headers of the caller."""
    _on_change: Callable[[], None] = ignore_change
    _dial: Dial = dial
    state: HostView = field(factory=HostView)
    trees: HostTrees = Factory(lambda self: HostTrees(self.connection), takes_self=True)
    _kept: KeptStream = field(init=False)
    form: Form = field(default=Form.UNKNOWN, init=False)
    _reports: ReportReader = field(init=False)
    _checks: FairTurns = field(init=False)
    _sent_scripts: BoundedCache[str, bool] = field(init=False)
    _logged: Condition = field(default=Condition.CONNECTING, init=False)

    def __attrs_post_init__(self) -> None:
        options = self._options
        self._kept = KeptStream(self.connection, self.state, options, self._changed, self._dial)
        limits = StateLimits(size_max=options.state_size_max)
        self._reports = ReportReader(options.result_size_max, options.output_size_max, limits)
        self._checks = FairTurns(
            _CHECKS, options.checks_max, options.owner_checks_max, options.checks_waiting_bytes_max
        )
        self._sent_scripts = BoundedCache(options.sent_scripts_max, lambda _: 1)

    async def open(self) -> None:
        """Begin to dial the host."""
        await self.connection.open()
        self._kept.open()

    async def close(self) -> None:
        """Close every connection; the ends of runs in progress stay unknown."""
        await self._kept.close()
        await self.trees.close()
        await self.connection.close()

    def want(self) -> None:
        """Dial the host at once if it could not be reached."""
        self._kept.want()

    @property
    def is_open(self) -> bool:
        """Whether it is not closed yet."""
        return self.connection.is_open or self._kept.is_open

    async def leave(self) -> None:
        """Close every connection that has nothing in flight; called again until all are closed."""
        await self.connection.leave()
        if not self.state.in_flight:
            await self._kept.close()

    def has_script(self, script_hash: str) -> bool:
        """Return whether the host was sent this script and is of the form that keeps scripts."""
        return self.form is Form.OWN and self._sent_scripts.get(script_hash) is not None

    async def execute(self, run: ScriptRun, script: Script | None, ends_at: float, waited_ms: float) -> ScriptReport:
        """Run once, and return the report; `ends_at` is in the loop's time.

        Raises RunRefused, ScriptNeeded, TreeNeeded or what reading a given file raises, when nothing was started, and
        ExecutionUnknown.
        """
        started_at, files = time.monotonic(), None if run.files is None else FileExchange(run.files)
        try:
            return await self._report(run, script, ends_at, waited_ms, files)
        except ScriptNeeded:
            self._sent_scripts.drop(run.script_hash)
            raise
        except OldFailure as failure:
            self.form = Form.OLD
            return self._reports.read_old_failure(str(failure), _since_ms(started_at))
        except ReplyTooLarge as error:
            raise self._unknown(run, "its reply is too large", UnknownReason.INVALID) from error
        except HostSilent as error:
            reason = UnknownReason.LATE if isinstance(error, HostLate) else UnknownReason.LOST
            raise self._unknown(run, str(error), reason) from error
        except (Uncertain, MalformedMessage) as error:
            raise self._unknown(run, str(error), UnknownReason.INVALID) from error

    async def check(self, request: CheckRequest, script_hash: str, ends_at: float) -> InputForm | None:
        """Return the form of the script, None if the host did not parse it.

        Raises ScriptSyntaxError, Overloaded or RunRefused.
        """
        try:
            async with asyncio.timeout_at(ends_at):
                await self._checks.acquire(request.owner, len(request.script_content))
        except TimeoutError:
            raise Overloaded(_CHECKS) from None
        try:
            reply = await self._post_check(request, ends_at)
        finally:
            self._checks.release(request.owner)
        form = read_check(reply)
        if reply.status == _OK:
            self._learn(Form.OWN, script_hash)
        elif self.form is Form.UNKNOWN:
            self.form = Form.OLD
        return form

    async def cancel(self, execution_id: UUID) -> bool:
        """Stop an execution that was sent; return whether the host has taken that."""
        stream = self._kept.opened()
        if stream is not None and stream.cancel(execution_id):
            return True
        body = msgspec.json.encode(CancelRequest(execution_id))
        ends_at = asyncio.get_running_loop().time() + self._options.cancel_timeout_s
        try:
            reply = await self._post("/cancel", body, ends_at, _SMALL_REPLY_SIZE_MAX)
        except (RunRefused, HostSilent, ReplyTooLarge):
            return False
        return reply.status == _NO_CONTENT

    async def evict(self, session_id: UUID, ends_at: float) -> None:
        """Drop the session's warm workers, if the host can be reached and has this request."""
        body, stream = msgspec.json.encode(EvictRequest(session_id)), self._kept.opened()
        if stream is not None:
            stream.evict(body)
        if stream is not None or self.form is Form.OLD or self.state.condition is not Condition.HTTP:
            return
        try:
            await self._post("/evict", body, ends_at, _SMALL_REPLY_SIZE_MAX)
        except (RunRefused, HostSilent, ReplyTooLarge):
            return

    async def health(self, ends_at: float) -> Mapping[str, object]:
        """Describe the host; `status` is "ok", "degraded" or "failing"."""
        try:
            reply = await self.connection.get("/health", ends_at, _SMALL_REPLY_SIZE_MAX)
        except (HostUnreached, HostSilent, ReplyTooLarge) as error:
            return self._identity | {"status": "failing", "reason": str(error)}
        if self.form is Form.OLD and reply.status in NO_SUCH_PATH:
            return self._identity | {"status": "ok", "reason": "it replies, and does not report its health"}
        return health_of(reply) | self._identity

    @property
    def log_fields(self) -> Mapping[str, object]:
        """What names the host in logs: callers never see these."""
        return {"host": self.state.name or self.name, "url": self.connection.public_url}

    def _changed(self) -> None:
        condition = self.state.condition
        if condition is not self._logged and self._kept.is_open:
            self._logged = condition
            _log.info("runtime_host_changed", state=condition.value, reason=self.state.reason, **self.log_fields)
        self._on_change()

    async def _report(
        self, run: ScriptRun, script: Script | None, ends_at: float, waited_ms: float, files: FileExchange | None
    ) -> ScriptReport:
        started_at = time.monotonic()
        try:
            reply = read_execute(await self._sent(run, script, ends_at, files), self.form)
        except ReplyTooLarge as error:
            if error.status != _OK:
                raise
            report = self._reports.read_oversized(error.size, _since_ms(started_at))
        except (RunRefused, ScriptNeeded, TreeNeeded):
            if files is not None:
                files.require_unused()
            raise
        else:
            self._learn(Form.OWN if reply.is_own_form else Form.OLD, run.script_hash)
            report = self._reports.read(reply, run, _since_ms(started_at), waited_ms)
        if files is not None:
            files.settle(report)
        return report

    async def _sent(
        self, run: ScriptRun, script: Script | None, ends_at: float, files: FileExchange | None
    ) -> HostReply:
        """Send the run on the stream, or over HTTP to a host that has none."""
        try:
            stream = await self._kept.current()
            self._require_room()
            if files is not None:
                self._require_files()
            body = execute_body(run, script, ends_at - asyncio.get_running_loop().time(), self._trace())
            if stream is not None:
                self.form = Form.OWN
                return await stream.run(run.execution_id, body, ends_at, run.listener, files)
        except HostUnreached as error:
            raise RunRefused(str(error)) from error
        self.state.in_flight += 1
        try:
            return await self._post("/execute", body, ends_at, self._options.reply_size_max)
        finally:
            self.state.in_flight -= 1

    def _require_room(self) -> None:
        if self.state.is_full:
            raise HostFull("as many executions as it may get are in flight")

    def _require_files(self) -> None:
        if FEATURE not in self.state.features or self.state.condition is Condition.HTTP:
            release = f"it runs release {self.state.release!a}" if self.state.release else "it has no stream"
            raise RunRefused(f"{release}, which gives scripts no files. Update it to 0.3.0 or newer")

    async def _post_check(self, request: CheckRequest, ends_at: float) -> HostReply:
        try:
            return await self._post("/check", msgspec.json.encode(request), ends_at, _SMALL_REPLY_SIZE_MAX)
        except (HostSilent, ReplyTooLarge) as error:
            raise RunRefused(str(error)) from error

    async def _post(self, path: str, body: bytes, ends_at: float, size_max: int) -> HostReply:
        try:
            return await self.connection.post(path, body, ends_at, size_max)
        except HostUnreached as error:
            self._kept.miss(str(error))
            raise RunRefused(str(error)) from error

    @property
    def _identity(self) -> dict[str, object]:
        state = self.state
        stream: dict[str, object] = {"state": state.condition.value, "host": state.name, "window": int(state.window)}
        stream |= {"runs_max": state.runs_max, "in_flight": state.in_flight, "unknown": state.unknown}
        stream["unavailable"] = sorted(state.unavailable)
        if state.ping_s is not None:
            stream["ping_ms"] = round(state.ping_s * 1000, 3)
        return {"name": self.name, "url": self.connection.public_url, "form": self.form.value, "stream": stream}

    def _learn(self, form: Form, script_hash: str) -> None:
        self.form = form
        self._sent_scripts.put(script_hash, True)

    def _unknown(self, run: ScriptRun, text: str, reason: UnknownReason) -> ExecutionUnknown:
        self.state.lose(reason)
        _log.warning("execution_unknown", execution_id=run.execution_id, reason=text, **self.log_fields)
        return ExecutionUnknown(f"{self.name}: {text}", run.execution_id)


def _since_ms(started_at: float) -> float:
    return (time.monotonic() - started_at) * 1000
