"""Endpoints of functions."""

from http import HTTPStatus

from msgspec import UnsetType, structs

from domain.functions.function import TAG_LENGTH_MAX, Function, FunctionType
from domain.functions.lists import FIRST_PLACE, FunctionFilter, FunctionPlace
from domain.functions.service import FunctionService, Registered, Write
from domain.identity import EVERY_OWNER, SHARED, Owner
from domain.scripts.language import Language
from entrypoints.http.parsing.bodies import BodyParser
from entrypoints.http.parsing.conditions import function_condition, function_match, is_known
from entrypoints.http.parsing.cursors import FunctionCursor, owner_digest, write_cursor
from entrypoints.http.parsing.functions import FunctionParser
from entrypoints.http.parsing.queries import Query, Switch
from entrypoints.http.request import Request, until_disconnect
from entrypoints.http.response import Headers, Response, etag, json_response, next_link, not_modified
from entrypoints.http.schemas.function_checks import FunctionCheck
from entrypoints.http.schemas.functions import (
    TEXT_LENGTH_MAX,
    FunctionList,
    FunctionResponse,
    RollbackEnvelope,
    VersionList,
)

SHARED_MARK = ".shared"


class FunctionEndpoints:
    """Register, read, list, check, roll back and deactivate functions."""

    def __init__(
        self, service: FunctionService, parser: FunctionParser, rollback_parser: BodyParser[RollbackEnvelope]
    ) -> None:
        self._service = service
        self._parser = parser
        self._rollback_parser = rollback_parser

    async def list(self, request: Request) -> Response:
        """Return a page of the functions that the caller may use, or of those of one owner."""
        query = _query(request)
        owner, size, cursor = query.owner("owner"), query.page_size(), query.cursor(FunctionCursor)
        language, type_ = query.choice("language", Language), query.choice("type", FunctionType)
        tag, text = query.bounded_text("tag", TAG_LENGTH_MAX), query.bounded_text("text", TEXT_LENGTH_MAX)
        start = FunctionCursor(FIRST_PLACE, language, type_, tag, text, None if owner is None else owner_digest(owner))
        _require_same_list(query, start, cursor)
        query.require_valid()
        wanted, after = _filter(_listed_owners(request, owner), cursor or start)
        found = await self._service.list(wanted, after, size)
        headers: Headers = ()
        following = None
        if found.next_after is not None:
            following = write_cursor(structs.replace(cursor or start, after=found.next_after))
            headers = next_link(request.path, {"owner": owner, "limit": size, "cursor": following})
        return json_response(FunctionList.of(found, following), headers=headers)

    async def get(self, request: Request) -> Response:
        """Return a function, at a version or at the current one."""
        query = _query(request)
        owner, version = query.owner("owner"), query.version("version")
        query.require_valid()
        function = await self._service.get(request.owner, _name(request), _readable(request, owner), version)
        mark = _etag_mark(request, owner, function)
        function_match(request, mark).require(function.language_title, function)
        tag = f"{function.tag}{mark}"
        if is_known(request, tag):
            return not_modified(tag)
        return json_response(FunctionResponse.whole(function), headers=(etag(tag),))

    async def versions(self, request: Request) -> Response:
        """Return the versions of a function that are kept."""
        found = await self._service.versions(request.owner, _name(request), _only_owner(request))
        return json_response(VersionList.of(found))

    async def put(self, request: Request) -> Response:
        """Register or replace a function."""
        write, check = _write(request)
        wanted = await self._parser.read(request)
        call = self._service.register(write, wanted, check=check)
        return _registered(request, await until_disconnect(request.receive, call))

    async def roll_back(self, request: Request) -> Response:
        """Register an older version again, as the next one."""
        write, check = _write(request)
        body = await self._rollback_parser.read(request)
        assert not isinstance(body.version, UnsetType), "the rules require it"
        call = self._service.roll_back(write, body.version, check=check)
        return _registered(request, await until_disconnect(request.receive, call))

    async def check(self, request: Request) -> Response:
        """Run the examples of a function."""
        call = self._service.check(request.owner, _name(request), _only_owner(request))
        return json_response(FunctionCheck.of(await until_disconnect(request.receive, call)))

    async def delete(self, request: Request) -> Response:
        """Deactivate a function."""
        write, _ = _write(request)
        request.function = await self._service.deactivate(write)
        return Response(204)


def _query(request: Request) -> Query:
    return Query(request.query_string, request.route.query_names)


def _name(request: Request) -> str:
    name: str = request.parameters["language_title"]
    return name


def _only_owner(request: Request) -> Owner | None:
    """Return the owner in the query, None if there is none; raises InvalidRequest or ScopeMissing."""
    query = _query(request)
    owner = query.owner("owner")
    query.require_valid()
    return _readable(request, owner)


def _readable(request: Request, owner: Owner | None) -> Owner | None:
    return None if owner is None else request.caller.may_read_functions(owner)


def _require_same_list(query: Query, start: FunctionCursor, cursor: FunctionCursor | None) -> None:
    """Report parameters that differ from those of the page with the cursor."""
    if cursor is None:
        return
    query.require_same(
        {
            "language": (start.language, cursor.language),
            "type": (start.origin, cursor.origin),
            "tag": (start.tag, cursor.tag),
            "text": (start.text, cursor.text),
        }
    )
    if cursor.listed != start.listed:
        query.add_problem("owner", "must have the value that it had on the page with this cursor")


def _filter(owners: frozenset[Owner] | None, cursor: FunctionCursor) -> tuple[FunctionFilter, FunctionPlace]:
    wanted = FunctionFilter(owners, cursor.language, cursor.origin, cursor.tag, cursor.text)
    return wanted, FunctionPlace(*cursor.after)


def _listed_owners(request: Request, owner: Owner | None) -> frozenset[Owner] | None:
    """Return the owners whose functions to list, None for all; raises ScopeMissing."""
    if owner is None:
        return frozenset({request.owner, SHARED})
    readable = request.caller.may_read_functions(owner)
    return None if readable == EVERY_OWNER else frozenset({readable})


def _etag_mark(request: Request, owner: Owner | None, function: Function) -> str:
    """Return what the ETag has behind the tag of the function.

    A shared function that was found for lack of one of the caller's own is marked. The caller's own function may get
    the same version later, and a write without an owner does not change the shared one.
    """
    is_fallback = owner is None and function.owner != request.caller.functions_owner
    return SHARED_MARK if is_fallback else ""


def _write(request: Request) -> tuple[Write, bool]:
    """Return the write that a request wants, and whether examples must hold.

    Raises InvalidRequest, ScopeMissing or FunctionsOfAnother.
    """
    query = _query(request)
    owner, check = query.owner("owner"), query.choice("check", Switch) is Switch.ON
    query.require_valid()
    caller, condition = request.caller, function_condition(request)
    allowed = caller.may_write_functions(owner or caller.functions_owner)
    origin, permit = request.actor.origin, caller.require_grants
    return Write(allowed, caller.owner, _name(request), condition, origin, permit), check


def _registered(request: Request, registered: Registered) -> Response:
    function = request.function = registered.function
    status = HTTPStatus.CREATED if registered.created else HTTPStatus.OK
    payload = FunctionResponse.whole(function, registered.warnings)
    return json_response(payload, status, (etag(function.tag),))
