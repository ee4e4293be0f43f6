"""Bodies of functions."""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from domain.functions import function, lists
from domain.functions.function import (
    DESCRIPTION_SIZE_MAX,
    EXAMPLES_MAX,
    TAG_LENGTH_MAX,
    TAGS_MAX,
    FunctionType,
)
from domain.functions.service import FunctionVersions
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.syntax_check import ScriptWarning
from entrypoints.http.response import embedded
from entrypoints.http.schemas import fields
from entrypoints.http.schemas.grants import (
    GrantsField,
    NewEnvironmentField,
    NewFilesField,
    NewNetworkField,
    NewSecretsField,
    NewStateField,
    NewSyntaxField,
    grants_body,
)

TEXT_LENGTH_MAX = 100

_JSON_SCHEMA: dict[str, Any] = {"type": ["object", "boolean", "null"]}

Description = Annotated[
    str,
    Meta(description=f"A description of the function for people, of at most {DESCRIPTION_SIZE_MAX} bytes of UTF-8."),
]
Source = Annotated[str, Meta(description="The source of the script.")]
SourceHash = Annotated[str, Meta(description="SHA-256 of the script in UTF-8, in hexadecimal.")]
ParamsSchema = Annotated[
    Raw,
    Meta(
        description="JSON Schema (draft 2020-12) to which params must conform before the script runs; null accepts any "
        "params. References must stay within the schema. Patterns must not use look-around or back-references.",
        extra_json_schema=_JSON_SCHEMA,
    ),
]
ResultSchema = Annotated[
    Raw,
    Meta(
        description="JSON Schema of results, as information for callers. Examples are checked against it, executions "
        "are not.",
        extra_json_schema=_JSON_SCHEMA,
    ),
]
ExampleParams = Annotated[Raw, Meta(description="The JSON value that the script receives; the default is {}.")]
ExampleResult = Annotated[Raw, Meta(description="The result that the script must return for these params.")]
TagField = Annotated[str, Meta(min_length=1, max_length=TAG_LENGTH_MAX)]
Tags = Annotated[list[TagField], Meta(max_length=TAGS_MAX, description="Keywords of the function.")]
Type = Annotated[
    FunctionType, Meta(description="predefined: supplied with the service. dynamic: registered by a caller.")
]
LanguageField = Annotated[Language, Meta(description="The language of the script.")]
TitleField = Annotated[str, Meta(description="The part of the language-title after the language.")]
FunctionVersion = Annotated[
    int,
    Meta(
        ge=1, description="Increases with every replacement, also after a deactivation. The ETag contains this number."
    ),
]
RegisteredAt = Annotated[fields.Instant, Meta(description="When the first version was registered.")]
UpdatedAt = Annotated[fields.Instant, Meta(description="When this version was registered.")]
FunctionOwner = Annotated[
    str, Meta(description="The owner of the function. Everybody may use the functions of `shared`.")
]
Author = Annotated[
    str | None,
    Meta(description="The owner whose call registered this version; null if that is not recorded."),
]


class NewSchemas(Struct, forbid_unknown_fields=True):
    """The JSON Schemas of params and of results."""

    params: ParamsSchema | UnsetType = UNSET
    result: ResultSchema | UnsetType = UNSET


class NewExample(Struct, forbid_unknown_fields=True):
    """Params, and the result that the script must return for them."""

    result: ExampleResult
    params: ExampleParams | UnsetType = UNSET


class FunctionBody(Struct, forbid_unknown_fields=True):
    """A function to register."""

    script_content: Source
    description: Description = ""
    schema: NewSchemas = field(default_factory=NewSchemas)
    examples: Annotated[list[NewExample], Meta(max_length=EXAMPLES_MAX, description="Examples that can be run.")] = (
        field(default_factory=list)
    )
    tags: Tags = field(default_factory=list)
    convention: fields.ConventionField = Convention.OWN
    state: NewStateField | UnsetType = UNSET
    network: NewNetworkField | UnsetType = UNSET
    secrets: NewSecretsField | UnsetType = UNSET
    syntax: NewSyntaxField | UnsetType = UNSET
    environment: NewEnvironmentField | UnsetType = UNSET
    files: NewFilesField | UnsetType = UNSET


class FunctionEnvelope(Struct, forbid_unknown_fields=True):
    """A function to register, whose lists are not decoded yet."""

    script_content: str | UnsetType = UNSET
    description: str = ""
    schema: NewSchemas = field(default_factory=NewSchemas)
    examples: fields.RawArray | UnsetType = UNSET
    tags: fields.RawArray | UnsetType = UNSET
    convention: fields.ConventionField = Convention.OWN
    state: NewStateField | UnsetType = UNSET
    network: NewNetworkField | UnsetType = UNSET
    secrets: NewSecretsField | UnsetType = UNSET
    syntax: NewSyntaxField | UnsetType = UNSET
    environment: NewEnvironmentField | UnsetType = UNSET
    files: NewFilesField | UnsetType = UNSET


class ExampleEnvelope(Struct, forbid_unknown_fields=True):
    """An example that may lack its result."""

    params: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET


class FunctionSummaryResponse(Struct, kw_only=True):
    """A function without its script."""

    owner: FunctionOwner
    language: LanguageField
    title: TitleField
    language_title: fields.Title
    description: Description
    type: Type
    version: FunctionVersion
    tags: Tags
    created_at: RegisteredAt
    updated_at: UpdatedAt
    author: Author

    @classmethod
    def of(cls, kept: lists.FunctionSummary) -> "FunctionSummaryResponse":
        """Return the body for the summary of a function."""
        return cls(**_summary(kept))


class FunctionSchemas(Struct):
    """The JSON Schemas of params and of results; null for a schema that was not given."""

    params: ParamsSchema
    result: ResultSchema


class FunctionExample(Struct):
    """Params, and the result that the script must return for them."""

    params: ExampleParams
    result: ExampleResult


class FunctionResponse(FunctionSummaryResponse, kw_only=True):
    """A function with its script, schemas and examples."""

    script_hash: SourceHash
    script_content: Source
    schema: FunctionSchemas
    examples: Annotated[list[FunctionExample], Meta(description="Examples that can be run.")]
    convention: fields.ConventionField
    grants: GrantsField | UnsetType = UNSET
    warnings: fields.Warnings | UnsetType = UNSET

    @classmethod
    def whole(cls, kept: function.Function, warnings: Sequence[ScriptWarning] = ()) -> "FunctionResponse":
        """Return the body for a function, with the warnings of its registration."""
        definition = kept.definition
        return cls(
            **_summary(lists.FunctionSummary.of(kept)),
            script_hash=definition.script.hash,
            script_content=definition.script.source,
            schema=FunctionSchemas(_or_null(definition.schema.params), _or_null(definition.schema.result)),
            examples=[FunctionExample(embedded(one.params), embedded(one.result)) for one in definition.examples],
            convention=definition.convention,
            grants=grants_body(definition.grants),
            warnings=fields.warning_bodies(warnings),
        )


KeptVersion = Annotated[int, Meta(ge=1, le=10**18 - 1, description="A version that is kept.")]


class RollbackBody(Struct, forbid_unknown_fields=True):
    """The version to register again."""

    version: KeptVersion


class RollbackEnvelope(Struct, forbid_unknown_fields=True):
    """The version to register again, which may be absent."""

    version: KeptVersion | UnsetType = UNSET


class VersionResponse(Struct, kw_only=True):
    """A version of a function."""

    version: FunctionVersion
    type: Type
    author: Author
    registered_at: UpdatedAt
    script_hash: SourceHash
    description: Description

    @classmethod
    def of(cls, kept: lists.FunctionVersion) -> "VersionResponse":
        """Return the body for a version."""
        return cls(
            version=kept.version,
            type=kept.type,
            author=kept.author,
            registered_at=kept.registered_at,
            script_hash=kept.script_hash,
            description=kept.description,
        )


class VersionList(Struct, kw_only=True):
    """The versions of a function that are kept."""

    owner: FunctionOwner
    language_title: fields.Title
    version: Annotated[int, Meta(ge=1, description="The current version.")]
    versions: Annotated[list[VersionResponse], Meta(description="The versions that are kept, the newest first.")]

    @classmethod
    def of(cls, found: FunctionVersions) -> "VersionList":
        """Return the body for the versions of a function."""
        kept = found.function
        return cls(
            owner=kept.owner,
            language_title=str(kept.language_title),
            version=kept.version,
            versions=[VersionResponse.of(each) for each in found.versions],
        )


class FunctionList(Struct):
    """A page of functions; `next_cursor` is null on the last page."""

    functions: Annotated[
        list[FunctionSummaryResponse],
        Meta(description="The functions of this page, ordered by language-title and owner."),
    ]
    next_cursor: fields.NextCursor

    @classmethod
    def of(cls, found: lists.FunctionPage, next_cursor: str | None) -> "FunctionList":
        """Return the body for a page."""
        return cls([FunctionSummaryResponse.of(one) for one in found.items], next_cursor)


def _summary(kept: lists.FunctionSummary) -> dict[str, Any]:
    return {
        "owner": kept.owner,
        "language": kept.language_title.language,
        "title": kept.language_title.title,
        "language_title": str(kept.language_title),
        "description": kept.description,
        "type": kept.type,
        "version": kept.version,
        "tags": list(kept.tags),
        "created_at": kept.created_at,
        "updated_at": kept.updated_at,
        "author": kept.author,
    }


def _or_null(text: JsonText | None) -> Raw:
    return embedded("null" if text is None else text)
