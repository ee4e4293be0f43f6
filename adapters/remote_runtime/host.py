"""One runtime host: what is known of it, and what it is asked."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from uuid import UUID

import msgspec
from attrs import define, field

from adapters.remote_runtime.connection import HostConnection, HostReply, HostSilent, HostUnreached, ReplyTooLarge
from adapters.remote_runtime.messages import CheckRequest, EvictRequest, MalformedReply, write_execute
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.replies import (
    NO_SUCH_PATH,
    Form,
    OldFailure,
    RunRefused,
    ScriptNeeded,
    Uncertain,
    read_check,
    read_execute,
)
from adapters.remote_runtime.reports import ReportReader
from domain.concurrency.fair_turns import FairTurns
from domain.errors import Overloaded
from domain.identity import Owner
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRun
from domain.scripts.report import ExecutionUnknown, ScriptReport
from domain.scripts.script import Script

_OK = 200
_SMALL_ANSWER_SIZE_MAX = 262_144
_CHECKS = "the syntax check"


@define(eq=False)
class RemoteHost:
    """Sends runs and checks to one host, and tells apart what was not started from what is not known.

    Callers of the service are told its `name` and never its address.
    """

    name: str
    connection: HostConnection
    _options: RuntimeOptions
    form: Form = field(default=Form.UNKNOWN, init=False)
    _reports: ReportReader = field(init=False)
    _checks: FairTurns = field(init=False)
    _held: OrderedDict[str, None] = field(factory=OrderedDict, init=False)
    _unreached_until: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        options = self._options
        self._reports = ReportReader(options.result_size_max, options.output_size_max)
        self._checks = FairTurns(
            _CHECKS, options.checks_max, options.owner_checks_max, options.checks_waiting_bytes_max
        )

    @property
    def is_cooling(self) -> bool:
        """Whether the host could not be reached a moment ago."""
        return time.monotonic() < self._unreached_until

    def holds(self, script_hash: str) -> bool:
        """Return whether the host was sent this script and is of the form that keeps it."""
        return self.form is Form.OWN and script_hash in self._held

    async def execute(self, run: ScriptRun, script: Script | None, ends_at: float, waited_ms: float) -> ScriptReport:
        """Run once, and return the report; `ends_at` is in the loop's time.

        Raises Overloaded, Refused or ScriptNeeded when nothing was started, and ExecutionUnknown.
        """
        started_at = time.monotonic()
        body = write_execute(run, script, ends_at - asyncio.get_running_loop().time())
        try:
            answer = await self._post("/execute", body, ends_at, self._options.answer_size_max)
            ended = read_execute(answer, self.form)
            self._learn(Form.OWN if ended.is_own_form else Form.OLD, run.script_hash)
            return self._reports.read(ended, _since_ms(started_at), waited_ms)
        except ScriptNeeded:
            self._held.pop(run.script_hash, None)
            raise
        except OldFailure as failure:
            self.form = Form.OLD
            return self._reports.read_old_failure(str(failure), _since_ms(started_at))
        except ReplyTooLarge as error:
            if error.status == _OK:
                return self._reports.read_oversized(error.size, _since_ms(started_at))
            raise self._unknown(run, "its answer is too large") from error
        except (Uncertain, HostSilent, MalformedReply) as error:
            raise self._unknown(run, str(error)) from error

    async def check(self, language: Language, script: Script, owner: Owner, ends_at: float) -> bool:
        """Parse the script; raises ScriptSyntaxError, Overloaded or Refused."""
        try:
            async with asyncio.timeout_at(ends_at):
                await self._checks.acquire(owner, len(script.source))
        except TimeoutError:
            raise Overloaded(_CHECKS) from None
        try:
            answer = await self._sent_check(CheckRequest(language, owner, script.source), ends_at)
        finally:
            self._checks.release(owner)
        parsed = read_check(answer)
        if answer.status == _OK:
            self._learn(Form.OWN, script.hash)
        elif self.form is Form.UNKNOWN:
            self.form = Form.OLD
        return parsed

    async def evict(self, session_id: UUID, ends_at: float) -> None:
        """Drop what is kept warm for a session, if the host can be reached and understands."""
        if self.form is Form.OLD or self.is_cooling:
            return
        try:
            await self._post("/evict", msgspec.json.encode(EvictRequest(session_id)), ends_at, _SMALL_ANSWER_SIZE_MAX)
        except (RunRefused, HostSilent, ReplyTooLarge):
            return

    async def health(self, ends_at: float) -> Mapping[str, object]:
        """Describe the host; `status` is "ok", "degraded" or "failing"."""
        try:
            answer = await self.connection.get("/health", ends_at, _SMALL_ANSWER_SIZE_MAX)
        except (HostUnreached, HostSilent, ReplyTooLarge) as error:
            return self._identity | {"status": "failing", "reason": str(error)}
        if self.form is Form.OLD and answer.status in NO_SUCH_PATH:
            return self._identity | {"status": "ok", "reason": "it answers, and has no health to tell"}
        return _described(answer) | self._identity

    async def _sent_check(self, request: CheckRequest, ends_at: float) -> HostReply:
        try:
            return await self._post("/check", msgspec.json.encode(request), ends_at, _SMALL_ANSWER_SIZE_MAX)
        except (HostSilent, ReplyTooLarge) as error:
            raise RunRefused(str(error)) from error

    async def _post(self, path: str, body: bytes, ends_at: float, size_max: int) -> HostReply:
        try:
            return await self.connection.post(path, body, ends_at, size_max)
        except HostUnreached as error:
            self._unreached_until = time.monotonic() + self._options.cooldown_s
            raise RunRefused(str(error)) from error

    @property
    def _identity(self) -> dict[str, object]:
        return {"name": self.name, "url": self.connection.public_url, "form": self.form.value}

    def _learn(self, form: Form, script_hash: str) -> None:
        self.form = form
        self._held[script_hash] = None
        self._held.move_to_end(script_hash)
        if len(self._held) > self._options.held_max:
            self._held.popitem(last=False)

    def _unknown(self, run: ScriptRun, reason: str) -> ExecutionUnknown:
        return ExecutionUnknown(f"{self.name}: {reason}", run.execution_id)


def _described(answer: HostReply) -> dict[str, object]:
    if answer.status != _OK:
        return {"status": "degraded", "reason": f"it answered {answer.status} to a question for its health"}
    try:
        described = msgspec.json.decode(answer.body, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {"status": "ok"}
    status = described.get("status")
    return described | {"status": status if status in ("degraded", "failing") else "ok"}


def _since_ms(started_at: float) -> float:
    return (time.monotonic() - started_at) * 1000
