"""The messages between controllers and runtime hosts, in JSON: in the frames of a stream, and over HTTP.

On the stream (adapters/runtime_frames.py) a RUN is an ExecuteRequest. OUTPUT and END are a Line, END with a status and
the ExecuteReply or ErrorReply. A controller uses `POST /execute` and `/cancel` if a host has no stream. Replies are in
adapters/runtime_replies.py.

| request | body | success |
|---|---|---|
| `POST /execute` | ExecuteRequest | 200 ExecuteReply |
| `POST /check` | CheckRequest | 200 CheckReply |
| `POST /evict` | EvictRequest | 204 |
| `POST /cancel` | CancelRequest | 204 |
| `GET /trees/{digest}` | | 204: the host has the packages; 404 TREE_NEEDED |
| `PUT /trees/{digest}` | packed bytes; TreeFacts in the header `tree-facts` | 204 |
| `GET /stream` | | 101, then frames |
| `GET /health` | | 200, facts for people with `status` "ok", "degraded" or "failing" |

A host that registers itself sends one request to a controller, with the same token:

| request | body | success |
|---|---|---|
| `PUT /runtime-hosts/{name}` | RegisterRequest | 204 |

Any other status has an ErrorReply. A 4xx or 503 means that nothing was started. Hosts of the old form read and write
only a part of these fields; the fields of replies are optional for their sake.
"""

from collections.abc import Mapping
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta, Raw, Struct
from typing_extensions import override

from domain.addresses import HOST_SIZE_MAX
from domain.egress.endpoints import GUARDED_MAX
from domain.egress.rule import RULE_SIZE_MAX, RULES_MAX
from domain.environments.environment import PRELOADED_MAX
from domain.grants.secrets import SECRETS_MAX
from domain.hosts.host import LANGUAGE_PATTERN, LANGUAGES_MAX, RELEASE_PATTERN, RUNS_MAX, HostState
from domain.hosts.networks import URL_SIZE_MAX
from domain.identity import Owner
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.files import COUNT_MAX, FILES_S, PATH_SIZE_MAX, PATTERNS_MAX
from domain.scripts.language import Language
from domain.scripts.limits import Isolation
from domain.scripts.syntax import Syntax

DIGEST_PATTERN = "^[0-9a-f]{64}$"
TREE_FACTS = "tree-facts"
"""The header of a request that sends packages."""

ESCAPED_BYTES = 6
"""The most bytes that JSON takes for one byte of text, as in `\\u0000`."""

TIME_LEFT_MS_MAX = 4_200_000 + int(FILES_S * 1000)
"""The longest wait of a controller: SCRIPT_TIMEOUT_MAX_MS, RUNTIME_TIMEOUT_SECONDS and files, at their upper limits."""

_CALLED: Mapping[str, tuple[Language, Convention]] = {
    str(language) if convention is Convention.OWN else f"{language}+{convention}": (language, convention)
    for language in Language
    for convention in Convention
}
_GRANTED = "+granted"
_NAMES = {called: name for name, called in _CALLED.items()}

_TimeLeft = Annotated[int, Meta(ge=0, le=TIME_LEFT_MS_MAX)]
_SessionLeft = Annotated[int, Meta(ge=0, le=1 << 53)]
_HostName = Annotated[str, Meta(min_length=1, max_length=HOST_SIZE_MAX)]
_Port = Annotated[int, Meta(ge=1, le=65_535)]
_Positive = Annotated[int, Meta(ge=1, le=1 << 31)]
_Size = Annotated[int, Meta(ge=0, le=1 << 40)]
_OwnerName = Annotated[Owner, Meta(min_length=1, max_length=512)]
_Path = Annotated[str, Meta(max_length=PATH_SIZE_MAX)]
_Message = TypeVar("_Message", bound=Struct)

FAULT_SIZE_MAX = 500
"""The most characters of a peer's text that get into errors, and so into logs and to callers."""


class MalformedMessage(Exception):
    """The bytes are not a message of this protocol."""


class LimitFields(Struct, frozen=True):
    """Wall time in milliseconds; memory in MiB that a script may use beside its interpreter."""

    timeout_ms: _Positive
    memory_mb: _Positive


class StateFields(Struct, frozen=True):
    """The state of a session for one execution, field by field `domain.scripts.ports.RunState`."""

    text: Raw
    shared: bool = False
    always: bool = False
    repl: bool = False


class EnvironmentFields(Struct, frozen=True):
    """The environment of a session, field by field `domain.scripts.environment.Environment`."""

    name: Annotated[str, Meta(max_length=64)]
    version: _Positive
    digest: Annotated[str, Meta(pattern=DIGEST_PATTERN)]
    preload: Annotated[tuple[Annotated[str, Meta(max_length=256)], ...], Meta(max_length=PRELOADED_MAX)] = ()


class TreeFacts(Struct, frozen=True):
    """The facts of a tree of packages, field by field `domain.environments.tree.StoredTree`, without its digest."""

    format: _Positive
    size: _Size
    files: _Size
    packed_size: _Size


class GivenFields(Struct, frozen=True):
    """A file that the script finds, whose bytes the host asks for on the stream."""

    path: _Path
    size: _Size


class FilesFields(Struct, frozen=True, omit_defaults=True):
    """The files of one execution: `domain.scripts.files.RunFiles`. Without `collects` the script leaves none."""

    size_mb: Annotated[int, Meta(ge=1, le=4096)]
    given: Annotated[tuple[GivenFields, ...], Meta(max_length=COUNT_MAX)] = ()
    collects: bool = False
    patterns: Annotated[tuple[_Path, ...], Meta(max_length=PATTERNS_MAX)] | None = None


class Granted(Struct, frozen=True, omit_defaults=True):
    """What a run has beside its params and its context, and its calling convention."""

    convention: Convention = Convention.OWN
    state: StateFields | None = None
    network: Annotated[tuple[Annotated[str, Meta(max_length=RULE_SIZE_MAX)], ...], Meta(max_length=RULES_MAX)] = ()
    """Egress rules, which the host judges by its own settings too."""
    secrets: Annotated[dict[str, str], Meta(max_length=SECRETS_MAX)] = {}
    """The values of secrets by name. Only hosts whose way no other machine can read get them."""
    environment: EnvironmentFields | None = None
    """The host has its packages, or is sent them."""
    syntax: Syntax | None = None
    files: FilesFields | None = None
    """Only hosts whose welcome names them get runs with files, and only on a stream."""
    guarded: Annotated[tuple[tuple[_HostName, _Port], ...], Meta(max_length=GUARDED_MAX)] = ()
    """What belongs to the service at the ports of the rules, which no script reaches, whatever the host allows."""

    @override
    def __repr__(self) -> str:
        return f"Granted(convention={self.convention}, network={self.network}, secrets of {sorted(self.secrets)})"


class ExecuteRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One execution to run; `script_content` only if the host may lack the script of this hash.

    Times are durations, because the clocks of two machines need not agree. `time_left_ms` is how long the controller
    still waits for the reply, `session_left_ms` how long the session still lives. The controller measures them when it
    sends the request. The host counts them on its own monotonic clock, from the head of the request.

    `language` is a name of `language_name`; of a run with `grants` it is a name of `granted_name`, which a host of an
    earlier release refuses. With `live`, a stream carries the output while the script runs. Hosts of the old form read
    `request_id`, `params`, `context` and `script_content` alone.
    """

    request_id: UUID
    params: Raw
    context: Raw
    script_content: str | None = None
    execution_id: UUID
    owner: _OwnerName
    language: str
    isolation: Isolation
    limits: LimitFields
    time_left_ms: _TimeLeft
    session_left_ms: _SessionLeft
    script_hash: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    live: bool = False
    grants: Granted | None = None
    traceparent: Annotated[str, Meta(max_length=64)] | None = None
    tracestate: Annotated[str, Meta(max_length=512)] | None = None


class CheckRequest(Struct, frozen=True, omit_defaults=True):
    """A script to parse; `language` is a name of `language_name`, or with `grants` of `granted_name`.

    With `modules` the controller knows the form MODULE.
    """

    language: str
    owner: _OwnerName
    script_content: str
    modules: bool = False
    grants: Granted | None = None


class EvictRequest(Struct, frozen=True):
    """A session that has ended."""

    request_id: UUID


class CancelRequest(Struct, frozen=True):
    """An execution to stop, wherever it is: on its way, queued, running or ended."""

    execution_id: UUID


class RegisterRequest(Struct, frozen=True, kw_only=True):
    """A host at its start, every REGISTERED_EVERY_S, when it drains and when it ends: `domain.hosts.host.Registration`.

    `boot_id` is a new one at each start, so that a controller can tell the next process from a second one.
    """

    boot_id: UUID
    url: Annotated[str, Meta(max_length=URL_SIZE_MAX)]
    languages: Annotated[list[Annotated[str, Meta(pattern=LANGUAGE_PATTERN)]], Meta(max_length=LANGUAGES_MAX)]
    runs_max: Annotated[int, Meta(ge=1, le=RUNS_MAX)]
    release: Annotated[str, Meta(pattern=RELEASE_PATTERN)]
    state: HostState


def decode(message_type: type[_Message], body: bytes | Raw) -> _Message:
    """Return the message in the body; raises MalformedMessage."""
    try:
        return msgspec.json.decode(body, type=message_type)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(str(error)[:FAULT_SIZE_MAX]) from error


def language_name(language: Language, convention: Convention) -> str:
    """Return the name of a language, followed by `+` and the calling convention unless that is OWN: `python+origin`.

    A host of an earlier release refuses such a language. It would ignore a further member, and run the script under
    OWN.
    """
    return _NAMES[language, convention]


def granted_name(language: Language) -> str:
    """Return the name of a language for runs with grants, whose convention stands in the grants: `python+granted`."""
    return f"{language}{_GRANTED}"


def language_called(name: str) -> tuple[Language, Convention]:
    """Return the language and the calling convention of a name; raises MalformedMessage."""
    called = _CALLED.get(name)
    if called is None:
        raise MalformedMessage(f"language must be one of {', '.join(_CALLED)}")
    return called


def json_text(raw: Raw) -> JsonText:
    """Return an embedded value as JSON text; raises MalformedMessage if it is not UTF-8."""
    try:
        return JsonText(bytes(raw).decode())
    except UnicodeDecodeError as error:
        raise MalformedMessage(str(error)) from error
