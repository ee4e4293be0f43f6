"""Bodies of secrets. No response has a value."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from domain.identity import OWNER_SIZE_MAX
from domain.scripts.language import PINNED_SIZE_MAX
from domain.secrets import secret
from domain.secrets.secret import FUNCTIONS_MAX, VALUE_SIZE_MAX, VALUE_SIZE_MIN
from entrypoints.http.schemas.fields import Instant, SecretName

SecretValue = Annotated[
    str,
    Meta(
        min_length=1,
        description=f"The value: {VALUE_SIZE_MIN} to {VALUE_SIZE_MAX:,} bytes of UTF-8. It is stored sealed, and no "
        "response shows it.",
        extra_json_schema={"format": "password", "writeOnly": True},
    ),
]
LimitedTo = Annotated[
    str,
    Meta(
        description="A function as OWNER/LANGUAGE-TITLE, or as OWNER/LANGUAGE-TITLE@VERSION for one version of it.",
        max_length=OWNER_SIZE_MAX + 1 + PINNED_SIZE_MAX,
    ),
]
Functions = Annotated[
    list[LimitedTo] | None,
    Meta(
        description=f"Functions to whose sessions the secret is limited, at most {FUNCTIONS_MAX}; null lets every "
        "session of the owner have it.",
    ),
]


class SecretBody(Struct, forbid_unknown_fields=True):
    """A value to store."""

    value: SecretValue
    functions: Functions = None


class SecretEnvelope(Struct, forbid_unknown_fields=True):
    """A body as it is parsed: rules say what is missing."""

    value: str | UnsetType = UNSET
    functions: list[str] | None = None


class SecretResponse(Struct):
    """What is known of a secret, without its value."""

    name: SecretName
    version: Annotated[int, Meta(ge=1, description="How often a value was stored under the name.")]
    functions: Functions
    created_at: Annotated[Instant, Meta(description="When the version was stored.")]
    author: Annotated[str, Meta(description="Who stored the version.")]
    uses: Annotated[int, Meta(ge=0, description="Executions that have got it, by up to 5 seconds late.")]
    last_used_at: Annotated[
        Instant | None,
        Meta(description="When an execution got it last, by up to 5 seconds late; null before the first."),
    ]
    is_openable: Annotated[
        bool,
        Meta(description="false if the operator no longer has the key that sealed it: then no execution can have it."),
    ]

    @classmethod
    def of(cls, known: secret.StoredSecret, *, is_openable: bool) -> "SecretResponse":
        """Return the body for a secret."""
        functions = None if known.functions is None else [str(each) for each in known.functions]
        name, version, created_at, author = known.ref.name, known.version, known.created_at, known.author
        return cls(name, version, functions, created_at, author, known.uses, known.last_used_at, is_openable)


class SecretList(Struct):
    """The secrets of the caller, by name."""

    secrets: Annotated[list[SecretResponse], Meta(description="All of them, at most 1,000.")]
