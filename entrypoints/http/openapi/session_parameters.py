"""The parameters of the routes of sessions."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from entrypoints.http.contract import In, Parameter, ResponseHeader
from entrypoints.http.parsing.cursors import METADATA_LENGTH_MAX
from entrypoints.http.parsing.json_faults import FILTER_VALUES_MAX
from entrypoints.http.parsing.queries import PARAMETERS_MAX, Switch
from entrypoints.http.schemas.functions import TEXT_LENGTH_MAX
from entrypoints.http.schemas.sessions import FIELD_NAMES, SCRIPT_CONTENT

FIELDS = Parameter(
    "fields",
    In.QUERY,
    Annotated[
        list[Literal[(*FIELD_NAMES, SCRIPT_CONTENT)]],  # type: ignore[valid-type]  # names
        Meta(min_length=1, max_length=PARAMETERS_MAX),
    ],
    f"Return only these fields: repeat it, or use commas. {SCRIPT_CONTENT} is returned only if it is named here.",
    ["status", "script_content"],
)

LISTED_FIELDS = Parameter(
    "fields",
    In.QUERY,
    Annotated[list[Literal[FIELD_NAMES]], Meta(min_length=1)],  # type: ignore[valid-type]  # names
    "Return only request_id and these fields of each session: repeat it, or use commas. Without it, each has all "
    "fields but its context. A page with contexts ends early, after about 8 MiB.",
    ["status", "context"],
)
METADATA = Parameter(
    "metadata",
    In.QUERY,
    Annotated[str, Meta(min_length=2, max_length=METADATA_LENGTH_MAX)],
    "Only sessions whose metadata contain this JSON object: the same names with the same values, at any depth. The "
    'number 42 is not the string "42". An array is contained if each of its items is an item of the other one. '
    f"At most {FILTER_VALUES_MAX} values, at all levels together.",
    '{"order":"4711"}',
)
TITLE_TEXT = Parameter(
    "text",
    In.QUERY,
    Annotated[str, Meta(min_length=1, max_length=TEXT_LENGTH_MAX)],
    "Only sessions whose language-title contains this text, in upper or lower case.",
    "adder",
)
PURGE = Parameter("purge", In.QUERY, Switch, "Whether to erase its executions and their responses at once.", "true")
CANCEL_RUNNING = Parameter("cancel", In.QUERY, Switch, "Whether to stop its executions that run.", "true")
KEPT_UNTIL = ResponseHeader(
    "Kept-Until",
    Annotated[datetime, Meta(tz=True)],
    "Until when the executions of the session are stored at most. Absent after a purge.",
    "2026-12-04T00:00:00Z",
    always=False,
)
