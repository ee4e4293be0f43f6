"""The bodies of requests to runtime hosts."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from adapters.runtime_protocol import (
    CheckRequest,
    EnvironmentFields,
    ExecuteRequest,
    FilesFields,
    GivenFields,
    Granted,
    LimitFields,
    StateFields,
    granted_name,
    language_name,
)
from domain.identity import Owner
from domain.scripts.convention import Convention
from domain.scripts.files import RunFiles
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRun
from domain.scripts.script import Script
from domain.scripts.syntax import Syntax


def execute_body(run: ScriptRun, script: Script | None, time_left_s: float, trace: Mapping[str, str]) -> bytes:
    """Return a run as JSON; without a script the host has it, and finds it by its hash."""
    grants = granted_of(run)
    return msgspec.json.encode(
        ExecuteRequest(
            request_id=run.ref.session_id,
            params=Raw(run.params.encode()),
            context=Raw(run.context.encode()),
            script_content=None if script is None else script.source,
            execution_id=run.execution_id,
            owner=run.ref.owner,
            language=language_name(run.language, run.convention) if grants is None else granted_name(run.language),
            isolation=run.limits.isolation,
            limits=LimitFields(run.limits.timeout_ms, run.limits.memory_mb),
            time_left_ms=_whole_ms(time_left_s),
            session_left_ms=_whole_ms(run.session_left.total_seconds()),
            script_hash=run.script_hash,
            live=run.listener is not None,
            grants=grants,
            traceparent=trace.get("traceparent"),
            tracestate=trace.get("tracestate"),
        )
    )


def check_request(
    language: Language, script: Script, owner: Owner, convention: Convention, syntax: Syntax | None
) -> CheckRequest:
    """Return the request to parse a script."""
    if syntax is None:
        return CheckRequest(language_name(language, convention), owner, script.source, modules=True)
    grants = Granted(convention, syntax=syntax)
    return CheckRequest(granted_name(language), owner, script.source, modules=True, grants=grants)


def granted_of(run: ScriptRun) -> Granted | None:
    """Return what a run has beside its params and its context; None if that is nothing."""
    state = run.state
    optional = (state, run.environment, run.syntax, run.files)
    if not run.network and not run.secrets and all(each is None for each in optional):
        return None
    fields = None
    if state is not None:
        fields = StateFields(Raw(state.text.encode()), state.is_shared, state.saves_failures, state.is_repl)
    return Granted(
        run.convention,
        fields,
        tuple(map(str, run.network)),
        dict(run.secrets),
        environment=_environment_of(run),
        syntax=run.syntax,
        files=None if run.files is None else _files_of(run.files),
        guarded=run.guarded,
    )


def _files_of(files: RunFiles) -> FilesFields:
    given, sink = tuple(GivenFields(each.path, each.size) for each in files.given), files.sink
    return FilesFields(files.size_mb, given, sink is not None, None if sink is None else sink.patterns)


def _environment_of(run: ScriptRun) -> EnvironmentFields | None:
    own = run.environment
    return None if own is None else EnvironmentFields(own.name, own.version, own.digest, own.preload)


def _whole_ms(time_s: float) -> int:
    return max(0, int(time_s * 1000))
