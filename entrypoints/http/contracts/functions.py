"""What callers are told of the operations on functions."""

from typing import Annotated

from msgspec import Meta

from domain.errors import InvalidRequest, RuntimeUnavailable, StorageUnavailable
from domain.functions.function import FunctionConditionFailed, FunctionConflict, FunctionNotFound, FunctionType
from domain.scripts.language import InvalidLanguageTitle, LanguageNotServed
from domain.scripts.report import ExecutionUnknown
from domain.scripts.script import ScriptSyntaxError
from entrypoints.http.contracts.contract import ApiExample, Contract, In, Link, Parameter, Tag
from entrypoints.http.contracts.parameters import ETAG, FUNCTION_NAME, IF_MATCH, LANGUAGE, LINK
from entrypoints.http.parameters import paging
from entrypoints.http.payloads.functions import FunctionResponse

TYPE = Parameter(
    "type", In.QUERY, FunctionType, "Functions that came with the service, or that callers registered.", "predefined"
)
PAGE = Parameter("page", In.QUERY, Annotated[int, Meta(ge=1, le=100_000)], "Which page, from 1 on.", 1)
PER_PAGE = Parameter(
    "per_page",
    In.QUERY,
    Annotated[int, Meta(ge=1, le=paging.SIZE_MAX)],
    f"How many functions a page has at most; {paging.SIZE} where it is left out.",
    20,
)
CHECK = Parameter("check", In.QUERY, bool, "Run the examples first, and register only if all of them hold.", True)
IF_NONE_MATCH = Parameter(
    "If-None-Match",
    In.HEADER,
    Annotated[str, Meta(pattern=r"^\*$")],
    "Register it only if nothing is registered under the title.",
    "*",
)

_NAMES = (InvalidLanguageTitle, LanguageNotServed)
_OF_FUNCTION = {"language_title": "$request.path.language_title"}
_FOLLOWING = (
    Link("function", "Read it.", _OF_FUNCTION),
    Link("put_function", "Replace it.", _OF_FUNCTION),
    Link("check_function", "Run its examples.", _OF_FUNCTION),
    Link("delete_function", "Deactivate it.", _OF_FUNCTION),
)

_SUMMARY = {
    "language": "python",
    "title": "adder",
    "language_title": FUNCTION_NAME.example,
    "description": "Adds two numbers.",
    "type": "dynamic",
    "version": 1,
    "tags": ["arithmetic"],
    "created_at": "2026-11-25T12:00:00.000000Z",
    "updated_at": "2026-11-25T12:00:00.000000Z",
}
_MADE = {
    "script_content": "def handle(params):\n    return params['a'] + params['b']\n",
    "schema": {
        "params": {
            "type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
            "required": ["a", "b"],
        },
        "result": {"type": "number"},
    },
    "examples": [{"params": {"a": 5, "b": 3}, "result": 8}],
}
_FUNCTION = {
    **_SUMMARY,
    "script_hash": "64a2c5efc33e5f3d1e0e3c8bb1a1ecb1d1c7f4f2a2a6e4b0a8f9d1b2c3d4e5f6",
    **_MADE,
}
_BODY = {"description": "Adds two numbers.", "tags": ["arithmetic"], **_MADE}

LIST_FUNCTIONS = Contract(
    Tag.FUNCTIONS,
    "Lists the registered functions in the order of their language-titles, without their scripts.",
    parameters=(LANGUAGE, TYPE, PAGE, PER_PAGE),
    errors=(InvalidRequest, StorageUnavailable),
    headers=(LINK,),
    examples=(
        ApiExample(
            "python",
            "What is registered in Python",
            parameters={"language": "python", "page": 1, "per_page": 20},
            answer={"total": 1, "page": 1, "per_page": 20, "functions": [_SUMMARY]},
        ),
    ),
    links=(Link("function", "Read the first one.", {"language_title": "$response.body#/functions/0/language_title"}),),
)

GET_FUNCTION = Contract(
    Tag.FUNCTIONS,
    "Answers a registered function whole. A session is initialized from it by leaving out script_content; it keeps the "
    "version that was current then.",
    errors=(*_NAMES, FunctionNotFound, StorageUnavailable),
    headers=(ETAG,),
    examples=(ApiExample("whole", "The function", answer=_FUNCTION),),
    links=_FOLLOWING,
)

PUT_FUNCTION = Contract(
    Tag.FUNCTIONS,
    "Registers a function (201), or replaces it by its next version (200); what is registered so already changes "
    "nothing. The script is parsed, the schemas are compiled, and examples must fit them. Sessions keep the version "
    "that they were initialized with.",
    parameters=(CHECK, IF_MATCH, IF_NONE_MATCH),
    errors=(
        *_NAMES,
        ScriptSyntaxError,
        FunctionConditionFailed,
        FunctionConflict,
        StorageUnavailable,
        RuntimeUnavailable,
        ExecutionUnknown,
    ),
    headers=(ETAG,),
    examples=(
        ApiExample(
            "checked",
            "A sum, once its example has held",
            parameters={"check": True},
            body=_BODY,
            answer=_FUNCTION,
        ),
    ),
    links=_FOLLOWING,
    also={201: FunctionResponse},
)

CHECK_FUNCTION = Contract(
    Tag.FUNCTIONS,
    "Runs the function's examples in the sandbox, and tells which hold and what the others gave. Together they may take "
    "ten seconds; what was not run by then does not hold.",
    errors=(*_NAMES, FunctionNotFound, StorageUnavailable, RuntimeUnavailable, ExecutionUnknown),
    examples=(
        ApiExample(
            "sum",
            "An example that holds",
            answer={
                "language_title": FUNCTION_NAME.example,
                "version": 1,
                "holds": True,
                "examples": [
                    {
                        "index": 0,
                        "holds": True,
                        "reason": None,
                        "params": {"a": 5, "b": 3},
                        "expected": 8,
                        "result": 8,
                        "error": None,
                        "stdout": "",
                        "stderr": "",
                        "execution_time_ms": 0.9,
                    }
                ],
            },
        ),
    ),
    links=_FOLLOWING,
)

DELETE_FUNCTION = Contract(
    Tag.FUNCTIONS,
    "Deactivates a function: it is no longer found, and sessions that were initialized from it go on. Doing so again "
    "changes nothing, and registering it again goes on with the next version.",
    parameters=(IF_MATCH,),
    errors=(InvalidRequest, *_NAMES, FunctionNotFound, FunctionConditionFailed, FunctionConflict, StorageUnavailable),
    examples=(ApiExample("deactivate", "Deactivate the function"),),
)
