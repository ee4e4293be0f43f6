"""Endpoints of functions."""

from enum import StrEnum
from http import HTTPStatus

from domain.functions.function import FunctionType
from domain.functions.ports import FunctionFilter
from domain.functions.service import FunctionService
from domain.scripts.language import Language
from entrypoints.http.parsing.conditions import function_condition, function_match, is_known
from entrypoints.http.parsing.functions import FunctionParser
from entrypoints.http.parsing.queries import Query
from entrypoints.http.request import Request, until_disconnect
from entrypoints.http.response import Headers, Response, etag, json_response, next_link, not_modified
from entrypoints.http.schemas.function_checks import FunctionCheck
from entrypoints.http.schemas.functions import FunctionList, FunctionResponse

PAGES_MAX = 100_000


class Switch(StrEnum):
    """A parameter that is on or off."""

    ON = "true"
    OFF = "false"


class FunctionEndpoints:
    """Register, read, list, check and deactivate functions."""

    def __init__(self, service: FunctionService, parser: FunctionParser) -> None:
        self._service = service
        self._parser = parser

    async def list(self, request: Request) -> Response:
        """Return a page of the functions."""
        query = Query(request.query_string, request.route.query_names)
        wanted = FunctionFilter(query.choice("language", Language), query.choice("type", FunctionType))
        page = query.integer("page", 1, PAGES_MAX)
        per_page = query.page_size("per_page")
        query.require_valid()
        found = await self._service.list(wanted, (page - 1) * per_page, per_page)
        headers: Headers = ()
        if page * per_page < found.total and page < PAGES_MAX:
            filters: dict[str, str | int | None] = {"language": wanted.language, "type": wanted.type}
            headers = next_link(request.path, {**filters, "page": page + 1, "per_page": per_page})
        return json_response(FunctionList.of(found, page, per_page), headers=headers)

    async def get(self, request: Request) -> Response:
        """Return a function."""
        condition = function_match(request)
        function = await self._service.get(_language_title(request))
        condition.require(function.language_title, function)
        if is_known(request, function.version):
            return not_modified(function.version)
        return json_response(FunctionResponse.whole(function), headers=(etag(function.version),))

    async def put(self, request: Request) -> Response:
        """Register or replace a function."""
        query = Query(request.query_string, request.route.query_names)
        check = query.choice("check", Switch) is Switch.ON
        query.require_valid()
        condition = function_condition(request)
        wanted = await self._parser.read(request)
        call = self._service.register(request.owner, _language_title(request), wanted, condition, check=check)
        registered = await until_disconnect(request.receive, call)
        function = registered.function
        status = HTTPStatus.CREATED if registered.created else HTTPStatus.OK
        return json_response(FunctionResponse.whole(function), status, (etag(function.version),))

    async def check(self, request: Request) -> Response:
        """Run the examples of a function."""
        call = self._service.check(request.owner, _language_title(request))
        return json_response(FunctionCheck.of(await until_disconnect(request.receive, call)))

    async def delete(self, request: Request) -> Response:
        """Deactivate a function."""
        condition = function_condition(request)
        await self._service.deactivate(_language_title(request), condition)
        return Response(204)


def _language_title(request: Request) -> str:
    language_title: str = request.parameters["language_title"]
    return language_title
