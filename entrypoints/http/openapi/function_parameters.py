"""The parameters of the routes of functions."""

from typing import Annotated

from msgspec import Meta

from domain.functions.function import TAG_LENGTH_MAX, FunctionType
from domain.identity import OWNER_SIZE_MAX
from entrypoints.http.contract import In, Parameter
from entrypoints.http.schemas.functions import TEXT_LENGTH_MAX

TYPE = Parameter(
    "type",
    In.QUERY,
    FunctionType,
    "Only functions that were supplied with the service (predefined), or registered by callers (dynamic).",
    "predefined",
)
TAG = Parameter(
    "tag",
    In.QUERY,
    Annotated[str, Meta(min_length=1, max_length=TAG_LENGTH_MAX)],
    "Only functions with this tag.",
    "arithmetic",
)
TEXT = Parameter(
    "text",
    In.QUERY,
    Annotated[str, Meta(min_length=1, max_length=TEXT_LENGTH_MAX)],
    "Only functions whose language-title or description contains this text, in upper or lower case.",
    "adds",
)
CHECK = Parameter(
    "check", In.QUERY, bool, "Run the examples first, and register the function only if all of them hold.", True
)
_OWNER_FIELD = Annotated[str, Meta(min_length=1, max_length=OWNER_SIZE_MAX)]
READ_OWNER = Parameter(
    "owner",
    In.QUERY,
    _OWNER_FIELD,
    "The owner of the function: the caller, shared, or, for admins, any owner. The default is the caller's function, "
    "or else the shared one.",
    "shared",
)
LIST_OWNER = Parameter(
    "owner",
    In.QUERY,
    _OWNER_FIELD,
    "Only functions of this owner: the caller, shared, or, for admins, any owner; * lists those of all owners. The "
    "default is the functions of the caller and the shared ones.",
    "shared",
)
WRITE_OWNER = Parameter(
    "owner",
    In.QUERY,
    _OWNER_FIELD,
    "The owner of the function: the caller, which is the default and needs the scope write:functions, or shared, which "
    "needs write:shared-functions. While authentication is off, the default is shared.",
    "shared",
)
VERSION = Parameter(
    "version",
    In.QUERY,
    Annotated[int, Meta(ge=1, le=10**18 - 1)],
    "A version that is kept; the default is the current one.",
    1,
)
IF_ABSENT = Parameter(
    "If-None-Match",
    In.HEADER,
    Annotated[str, Meta(pattern=r"^\*$")],
    "Register the function only if no function is registered under this language-title.",
    "*",
)
