"""The members of bodies that say what a script may use: one type for requests, and one for responses."""

from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from domain.egress.rule import RULE_SIZE_MAX, RULES_MAX
from domain.environments.environment import PINNED_PATTERN
from domain.grants.grants import Grants
from domain.grants.state import SaveOn, StateMode
from domain.scripts.syntax import Syntax
from entrypoints.http.schemas.fields import SecretName, given

Mode = Annotated[
    StateMode,
    Meta(
        description="exclusive: one execution of the session runs at a time, and may change the state. shared: any "
        "number run at a time, and none changes it."
    ),
]
SavedOn = Annotated[
    SaveOn,
    Meta(
        description="success: the state is saved if the script succeeds. always: also after an error of the script. "
        "Nothing is saved after a script was stopped."
    ),
]
Repl = Annotated[
    bool,
    Meta(description="Whether names that the script defines at its top level are kept as far as JSON can hold them."),
]


class NewState(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A state that the executions of the session share. An empty object grants none."""

    mode: Mode | UnsetType = UNSET
    save_on: SavedOn | UnsetType = UNSET
    repl: Repl | UnsetType = UNSET


NewStateField = Annotated[
    NewState | None,
    Meta(
        description="A state of the session: a JSON object that its executions read and change. The default is none. A "
        "session without script_content has that of its function."
    ),
]


Rule = Annotated[
    str,
    Meta(
        description="A host and a port, such as api.example.com:443. Connections to it are TLS with this host's name. "
        "With /tcp behind it, such as db.example.com:5432/tcp, they carry any bytes.",
        max_length=RULE_SIZE_MAX,
    ),
]


class NewNetwork(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Hosts that the script may reach. An empty object grants none."""

    allow: Annotated[list[Rule], Meta(description="The rules, at most 16.", max_length=RULES_MAX)] | UnsetType = UNSET


NewNetworkField = Annotated[
    NewNetwork | None,
    Meta(
        description="Hosts that the script may reach, as far as EGRESS_RULES of the server allow them. The default is "
        "none. A session without script_content has those of its function, which it may narrow; an empty object takes "
        "none of them."
    ),
]


NewSecretsField = Annotated[
    list[SecretName] | None,
    Meta(
        description="Names of secrets of the owner that the script may read, at most 16. The default is none. A "
        "session without script_content has those of its function, which it may narrow; an empty list takes none of "
        "them.",
    ),
]


class NewSyntax(StrEnum):
    """A syntax that a caller can ask for."""

    TYPESCRIPT = "typescript"


NewSyntaxField = Annotated[
    NewSyntax | None,
    Meta(
        description="typescript: the script is TypeScript; its types are removed. Only for Node.js. The default is the "
        "syntax of the language. Whether a script is an ES module is found by its text."
    ),
]


NewEnvironmentField = Annotated[
    str | None,
    Meta(
        description="Packages that the script may import, by the name of an environment such as data, or with a "
        "version such as data@3. Without one the session gets the newest version that is ready, and keeps it. The "
        "default is none. A session without script_content has that of its function.",
        extra_json_schema={"pattern": PINNED_PATTERN},
    ),
]


FilesSize = Annotated[
    int, Meta(ge=1, le=4096, description="MiB that all files of an execution may take together, in and out.")
]


class NewFiles(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Files that executions give to the script and take from it. An empty object asks for the size of the server."""

    size_mb: FilesSize | UnsetType = UNSET


NewFilesField = Annotated[
    NewFiles | None,
    Meta(
        description="A folder /files in which the script finds files, and leaves some. Without size_mb it has "
        "SCRIPT_FILES_MB of the server; at most SCRIPT_FILES_MAX_MB. The default is none. A session without "
        "script_content has that of its function, whose size it may lower."
    ),
]


class GrantedFiles(Struct):
    """Files that executions give to the script and take from it; a function may have no size of its own."""

    size_mb: FilesSize | UnsetType = UNSET


class GrantedNetwork(Struct):
    """Hosts that the script may reach."""

    allow: Annotated[list[Rule], Meta(description="The rules.")]


class GrantedState(Struct):
    """The state that the executions of the session share."""

    mode: Mode
    save_on: SavedOn
    repl: Repl


GrantedSyntax = Annotated[
    Syntax,
    Meta(
        description="What the script is written in: TypeScript, an ES module, or an ES module in TypeScript. Absent if "
        "it is that of the language."
    ),
]


class GrantsBody(Struct):
    """What the script may use beside its params and its context."""

    state: GrantedState | UnsetType = UNSET
    network: GrantedNetwork | UnsetType = UNSET
    secrets: Annotated[list[SecretName], Meta(description="The names of secrets.")] | UnsetType = UNSET
    syntax: GrantedSyntax | UnsetType = UNSET
    environment: Annotated[str, Meta(description="The packages that the script may import.")] | UnsetType = UNSET
    files: GrantedFiles | UnsetType = UNSET


GrantsField = Annotated[
    GrantsBody, Meta(description="What the script may use beside its params and its context. Absent if nothing.")
]


def grants_body(grants: Grants | None) -> GrantsBody | UnsetType:
    """Return the member `grants` of a response; absent without any."""
    if grants is None:
        return UNSET
    state, network, secrets, syntax = grants.state, grants.network, grants.secrets, grants.run_syntax
    files = grants.files
    return GrantsBody(
        state=UNSET if state is None else GrantedState(state.mode, state.save_on, state.repl),
        network=UNSET if network is None else GrantedNetwork([str(rule) for rule in network.allow]),
        secrets=UNSET if secrets is None else list(secrets.names),
        syntax=UNSET if syntax is None else syntax,
        environment=UNSET if grants.environment is None else str(grants.environment),
        files=UNSET if files is None else GrantedFiles(UNSET if files.size_mb is None else files.size_mb),
    )


def is_given(member: Struct | UnsetType | None) -> bool:
    """Return whether a request asks for a member: null and an empty object ask for nothing."""
    return isinstance(member, Struct) and any(
        given(getattr(member, each)) is not None for each in member.__struct_fields__
    )
