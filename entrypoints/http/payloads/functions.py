"""Bodies of functions, by their field names in JSON."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from domain.functions import function
from domain.functions.function import FunctionType
from domain.functions.ports import FunctionPage
from domain.json_text import JsonText
from domain.scripts.language import Language
from entrypoints.http.payloads import fields
from entrypoints.http.payloads.values import embedded

DESCRIPTION_SIZE_MAX = 4096
TAGS_MAX = 16
TAG_LENGTH_MAX = 64
EXAMPLES_MAX = 16
EXAMPLES_SIZE_MAX = 256 * 1024

_JSON_SCHEMA: dict[str, Any] = {"type": ["object", "boolean", "null"]}

Description = Annotated[
    str, Meta(description=f"What the function does, for people; at most {DESCRIPTION_SIZE_MAX} bytes of UTF-8.")
]
Source = Annotated[str, Meta(description="The script's source.")]
SourceHash = Annotated[str, Meta(description="SHA-256 of the script's UTF-8 bytes in hexadecimal.")]
ParamsSchema = Annotated[
    Raw,
    Meta(
        description="JSON Schema (draft 2020-12) that params must fit before anything runs; null fits everything. "
        "References stay within it, and patterns have neither look-around nor back-references.",
        extra_json_schema=_JSON_SCHEMA,
    ),
]
ResultSchema = Annotated[
    Raw,
    Meta(
        description="JSON Schema of results: what callers may expect. Examples are held to it, executions are not.",
        extra_json_schema=_JSON_SCHEMA,
    ),
]
ExampleParams = Annotated[Raw, Meta(description="What the script is executed with: any JSON value, by default {}.")]
ExampleResult = Annotated[Raw, Meta(description="The result that these params must give.")]
TagField = Annotated[str, Meta(min_length=1, max_length=TAG_LENGTH_MAX)]
Tags = Annotated[list[TagField], Meta(max_length=TAGS_MAX, description="Words to find it by.")]
Type = Annotated[
    FunctionType, Meta(description="predefined: as it came with the service; dynamic: registered by a caller.")
]
LanguageField = Annotated[Language, Meta(description="The language of the script.")]
TitleField = Annotated[str, Meta(description="What follows the language in the language-title.")]
FunctionVersion = Annotated[
    int, Meta(ge=1, description="Moves with every replacement, also over a deactivation; its number is the ETag.")
]
RegisteredAt = Annotated[fields.Instant, Meta(description="When the first version was registered.")]
UpdatedAt = Annotated[fields.Instant, Meta(description="When this version was registered.")]


class NewSchemas(Struct, forbid_unknown_fields=True):
    """What params and result must be."""

    params: ParamsSchema | UnsetType = UNSET
    result: ResultSchema | UnsetType = UNSET


class NewExample(Struct, forbid_unknown_fields=True):
    """An execution that shows what the function does."""

    result: ExampleResult
    params: ExampleParams | UnsetType = UNSET


class FunctionBody(Struct, forbid_unknown_fields=True):
    """A function to register."""

    script_content: Source
    description: Description = ""
    schema: NewSchemas = field(default_factory=NewSchemas)
    examples: Annotated[list[NewExample], Meta(max_length=EXAMPLES_MAX, description="Runnable examples.")] = field(
        default_factory=list
    )
    tags: Tags = field(default_factory=list)


class FunctionEnvelope(Struct, forbid_unknown_fields=True):
    """A function to register, whose lists have not been looked at."""

    script_content: str | UnsetType = UNSET
    description: str = ""
    schema: NewSchemas = field(default_factory=NewSchemas)
    examples: fields.RawArray | UnsetType = UNSET
    tags: fields.RawArray | UnsetType = UNSET


class ExampleEnvelope(Struct, forbid_unknown_fields=True):
    """An example that may lack its result."""

    params: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET


class FunctionSummaryResponse(Struct, kw_only=True):
    """A function as lists show it."""

    language: LanguageField
    title: TitleField
    language_title: fields.Title
    description: Description
    type: Type
    version: FunctionVersion
    tags: Tags
    created_at: RegisteredAt
    updated_at: UpdatedAt

    @classmethod
    def of(cls, kept: function.FunctionSummary) -> "FunctionSummaryResponse":
        """Return the payload of a function's summary."""
        return cls(**_summary(kept))


class FunctionSchemas(Struct):
    """What params must be, and what results are; null where nothing is said."""

    params: ParamsSchema
    result: ResultSchema


class FunctionExample(Struct):
    """Params, and the result that they must give."""

    params: ExampleParams
    result: ExampleResult


class FunctionResponse(FunctionSummaryResponse, kw_only=True):
    """A function with its script, schemas and examples."""

    script_hash: SourceHash
    script_content: Source
    schema: FunctionSchemas
    examples: Annotated[list[FunctionExample], Meta(description="Runnable examples.")]

    @classmethod
    def whole(cls, kept: function.Function) -> "FunctionResponse":
        """Return the payload of a function."""
        made = kept.definition
        return cls(
            **_summary(function.FunctionSummary.of(kept)),
            script_hash=made.script.hash,
            script_content=made.script.source,
            schema=FunctionSchemas(_or_null(made.schema.params), _or_null(made.schema.result)),
            examples=[FunctionExample(embedded(one.params), embedded(one.result)) for one in made.examples],
        )


class FunctionList(Struct):
    """A page of functions, and how many there are on all pages."""

    total: Annotated[int, Meta(ge=0, description="Functions on all pages.")]
    page: Annotated[int, Meta(ge=1, description="Which page this is, from 1 on.")]
    per_page: Annotated[int, Meta(ge=1, description="How many functions a page has at most.")]
    functions: Annotated[list[FunctionSummaryResponse], Meta(description="In the order of their language-titles.")]

    @classmethod
    def of(cls, found: FunctionPage, page: int, per_page: int) -> "FunctionList":
        """Return the payload of a page."""
        return cls(found.total, page, per_page, [FunctionSummaryResponse.of(one) for one in found.items])


def _summary(kept: function.FunctionSummary) -> dict[str, Any]:
    return {
        "language": kept.language_title.language,
        "title": kept.language_title.title,
        "language_title": str(kept.language_title),
        "description": kept.description,
        "type": kept.type,
        "version": kept.version,
        "tags": list(kept.tags),
        "created_at": kept.created_at,
        "updated_at": kept.updated_at,
    }


def _or_null(text: JsonText | None) -> Raw:
    return embedded("null" if text is None else text)
