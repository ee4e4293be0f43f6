"""The contracts of the routes of functions."""

from domain.access.principal import FunctionsOfAnother
from domain.environments.environment import EnvironmentNotFound, EnvironmentNotReady
from domain.errors import RuntimeUnavailable, StorageUnavailable
from domain.functions.function import (
    FunctionConditionFailed,
    FunctionConflict,
    FunctionNotFound,
    FunctionVersionNotFound,
)
from domain.scripts.language import InvalidLanguageTitle, LanguageNotServed
from domain.scripts.report import ExecutionUnknown
from domain.scripts.script import ScriptSyntaxError
from entrypoints.http.contract import ApiExample, Contract, Link, Tag
from entrypoints.http.openapi.function_parameters import (
    CHECK,
    IF_ABSENT,
    LIST_OWNER,
    READ_OWNER,
    TAG,
    TEXT,
    TYPE,
    VERSION,
    WRITE_OWNER,
)
from entrypoints.http.openapi.parameters import (
    CURSOR,
    ETAG,
    FUNCTION_TITLE,
    IF_MATCH,
    IF_NONE_MATCH,
    LANGUAGE,
    LIMIT,
    LINK,
)
from entrypoints.http.schemas.functions import FunctionResponse

_TITLE_ERRORS = (InvalidLanguageTitle, LanguageNotServed)
_OF_FUNCTION = {"language_title": "$request.path.language_title"}
_FOLLOWING = (
    Link("get_function", "Read the function.", _OF_FUNCTION),
    Link("list_function_versions", "List its versions.", _OF_FUNCTION),
    Link("put_function", "Replace the function.", _OF_FUNCTION),
    Link("check_function", "Run its examples.", _OF_FUNCTION),
    Link("delete_function", "Deactivate the function.", _OF_FUNCTION),
)

_SUMMARY = {
    "owner": "alice",
    "language": "python",
    "title": "adder",
    "language_title": FUNCTION_TITLE.example,
    "description": "Adds two numbers.",
    "type": "dynamic",
    "version": 1,
    "tags": ["arithmetic"],
    "created_at": "2026-11-25T12:00:00.000000Z",
    "updated_at": "2026-11-25T12:00:00.000000Z",
    "author": "alice",
}
_DEFINITION = {
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
    "convention": "own",
}
_FUNCTION = {
    **_SUMMARY,
    "script_hash": "64a2c5efc33e5f3d1e0e3c8bb1a1ecb1d1c7f4f2a2a6e4b0a8f9d1b2c3d4e5f6",
    **_DEFINITION,
}
_BODY = {"description": "Adds two numbers.", "tags": ["arithmetic"], **_DEFINITION}

LIST_FUNCTIONS = Contract(
    Tag.FUNCTIONS,
    "List functions",
    "Lists the registered functions without their scripts, ordered by language-title and owner. A page may be shorter "
    "than its limit although there is a next page: only next_cursor shows whether there is one.",
    parameters=(LIST_OWNER, LANGUAGE, TYPE, TAG, TEXT, LIMIT, CURSOR),
    errors=(StorageUnavailable,),
    headers=(LINK,),
    examples=(
        ApiExample(
            "python",
            "Functions in Python with a tag",
            parameters={"language": "python", "tag": "arithmetic", "limit": 20},
            response={"functions": [_SUMMARY], "next_cursor": None},
        ),
    ),
    links=(Link("list_functions", "Read the next page.", {"query.cursor": "$response.body#/next_cursor"}),),
)

GET_FUNCTION = Contract(
    Tag.FUNCTIONS,
    "Read a function",
    "Returns a registered function. To use it, initialize a session without script_content. The session keeps the "
    "version that was current at that time. Older versions can be read too, as long as they are kept. The ETag of a "
    "shared function that was found for lack of one of the caller's own ends with `.shared`.",
    parameters=(READ_OWNER, VERSION, IF_MATCH, IF_NONE_MATCH),
    errors=(*_TITLE_ERRORS, FunctionNotFound, FunctionVersionNotFound, FunctionConditionFailed, StorageUnavailable),
    headers=(ETAG,),
    examples=(ApiExample("whole", "The function", response=_FUNCTION),),
    links=_FOLLOWING,
)

VERSIONS = Contract(
    Tag.FUNCTIONS,
    "List the versions of a function",
    "Lists the versions of a function that are kept, the newest first: who registered them, and when.",
    parameters=(READ_OWNER,),
    errors=(*_TITLE_ERRORS, FunctionNotFound, StorageUnavailable),
    examples=(
        ApiExample(
            "versions",
            "A function with one version",
            response={
                "owner": "alice",
                "language_title": FUNCTION_TITLE.example,
                "version": 1,
                "versions": [
                    {
                        "version": 1,
                        "type": "dynamic",
                        "author": "alice",
                        "registered_at": "2026-11-25T12:00:00.000000Z",
                        "script_hash": _FUNCTION["script_hash"],
                        "description": "Adds two numbers.",
                    }
                ],
            },
        ),
    ),
    links=_FOLLOWING,
)

_WRITE_ERRORS = (
    *_TITLE_ERRORS,
    FunctionsOfAnother,
    ScriptSyntaxError,
    FunctionConditionFailed,
    FunctionConflict,
    StorageUnavailable,
    RuntimeUnavailable,
    ExecutionUnknown,
    EnvironmentNotFound,
    EnvironmentNotReady,
)

PUT_FUNCTION = Contract(
    Tag.FUNCTIONS,
    "Register or replace a function",
    "Registers a function (201), or replaces it by its next version (200). A function that is already registered in "
    "this form does not change. The service parses the script, compiles the schemas, and checks that the examples "
    "conform to them. Sessions keep the version that they were initialized with.",
    parameters=(WRITE_OWNER, CHECK, IF_MATCH, IF_ABSENT),
    errors=_WRITE_ERRORS,
    headers=(ETAG,),
    examples=(
        ApiExample(
            "checked",
            "A sum, registered after its example has held",
            parameters={"check": True},
            body=_BODY,
            response=_FUNCTION,
        ),
    ),
    links=_FOLLOWING,
    other_responses={201: FunctionResponse},
)

ROLL_BACK_FUNCTION = Contract(
    Tag.FUNCTIONS,
    "Roll a function back",
    "Registers the content of an older version as the next version (200). It is checked as in a replacement. If the "
    "content is the same as the current one, nothing changes. A deactivated function is registered again (201).",
    parameters=(WRITE_OWNER, CHECK, IF_MATCH),
    errors=(*_WRITE_ERRORS, FunctionNotFound, FunctionVersionNotFound),
    headers=(ETAG,),
    examples=(
        ApiExample(
            "first",
            "Back to the first version, which is still the current one: nothing changes",
            body={"version": 1},
            response=_FUNCTION,
        ),
    ),
    links=_FOLLOWING,
    other_responses={201: FunctionResponse},
)

CHECK_FUNCTION = Contract(
    Tag.FUNCTIONS,
    "Run the examples of a function",
    "Runs the examples of the function in the sandbox, and reports which of them hold and what the others returned. "
    "All examples together have ten seconds; an example that did not run in this time does not hold.",
    parameters=(READ_OWNER,),
    errors=(
        *_TITLE_ERRORS,
        FunctionNotFound,
        StorageUnavailable,
        RuntimeUnavailable,
        ExecutionUnknown,
        EnvironmentNotFound,
        EnvironmentNotReady,
    ),
    examples=(
        ApiExample(
            "sum",
            "An example that holds",
            response={
                "language_title": FUNCTION_TITLE.example,
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
    "Deactivate a function",
    "Deactivates a function, so that it is no longer found. Sessions that were initialized from it continue to work. "
    "Deactivating it again changes nothing. Registering it again creates the next version.",
    parameters=(WRITE_OWNER, IF_MATCH),
    errors=(
        *_TITLE_ERRORS,
        FunctionsOfAnother,
        FunctionNotFound,
        FunctionConditionFailed,
        FunctionConflict,
        StorageUnavailable,
    ),
    examples=(ApiExample("deactivate", "Deactivate the function"),),
)
