"""Endpoints of schedules."""

from http import HTTPStatus
from uuid import UUID

from domain.schedules.service import ScheduleService, ScheduleView
from entrypoints.http.parsing.bodies import BodyParser
from entrypoints.http.parsing.conditions import is_known, schedule_condition, schedule_match
from entrypoints.http.parsing.cursors import ScheduleCursor, owner_digest, write_cursor
from entrypoints.http.parsing.headers import IdempotencyKeys, idempotency_key
from entrypoints.http.parsing.queries import Query
from entrypoints.http.request import Request
from entrypoints.http.response import (
    REPLAYED,
    Headers,
    Response,
    etag,
    execution_path,
    json_response,
    next_link,
    not_modified,
)
from entrypoints.http.schemas.asynchronous import AcceptedResponse
from entrypoints.http.schemas.schedules import (
    FiringList,
    ScheduleFields,
    SchedulePage,
    ScheduleResponse,
)


class ScheduleEndpoints:
    """Create, read, change, pause, resume, run and delete schedules."""

    def __init__(
        self,
        service: ScheduleService,
        parser: BodyParser[ScheduleFields],
        patch_parser: BodyParser[ScheduleFields],
        keys: IdempotencyKeys,
    ) -> None:
        self._service = service
        self._parser = parser
        self._patch_parser = patch_parser
        self._keys = keys

    async def create(self, request: Request) -> Response:
        """Store a new schedule, once under one key."""
        key = self._keys.read(request)
        body = await self._parser.read(request)
        permit = request.caller.require_language
        hashed = None if key is None else idempotency_key(key, body)
        view = await self._service.create(request.owner, body.plan(), request.actor, permit, hashed)
        location = (b"location", f"{request.path}/{view.schedule.schedule_id}".encode())
        return _shown(view, HTTPStatus.CREATED, (location, *(REPLAYED if view.replayed else ())))

    async def get(self, request: Request) -> Response:
        """Return a schedule."""
        condition = schedule_match(request)
        view = await self._service.get(request.caller.reach, _id(request))
        condition.require(view.schedule)
        if is_known(request, view.schedule.version):
            return not_modified(view.schedule.version)
        return _shown(view)

    async def list(self, request: Request) -> Response:
        """Return a page of the schedules of the caller; an admin may list another owner's, or all."""
        query = Query(request.query_string, request.route.query_names)
        size, cursor, named = query.page_size(), query.cursor(ScheduleCursor), query.owner("owner")
        query.require_valid()
        owner = request.owner if named is None else request.caller.may_list(named)
        listed = None if owner == request.owner else owner_digest(owner)
        if cursor is not None and cursor.listed != listed:
            query.add_problem("owner", "must have the value that it had on the page with this cursor")
            query.require_valid()
        page = await self._service.page(owner, None if cursor is None else cursor.after, size)
        following = None if page.next_after is None else write_cursor(ScheduleCursor(page.next_after, listed))
        headers: Headers = ()
        if following is not None:
            headers = next_link(request.path, {"limit": size, "cursor": following, "owner": named})
        return json_response(SchedulePage([*map(ScheduleResponse.of, page.items)], following), headers=headers)

    async def patch(self, request: Request) -> Response:
        """Replace fields of a schedule."""
        condition = schedule_condition(request)
        body = await self._patch_parser.read(request)
        permit = request.caller.require_language
        view = await self._service.change(request.owner, _id(request), body.applied, request.actor, permit, condition)
        return _shown(view)

    async def delete(self, request: Request) -> Response:
        """Delete a schedule with its firings."""
        condition = schedule_condition(request)
        await self._service.remove(request.caller.reach, _id(request), request.actor, condition)
        return Response(HTTPStatus.NO_CONTENT)

    async def pause(self, request: Request) -> Response:
        """Let a schedule fire nothing."""
        condition = schedule_condition(request)
        return _shown(await self._service.pause(request.caller.reach, _id(request), request.actor, condition))

    async def resume(self, request: Request) -> Response:
        """Let a schedule fire again."""
        condition = schedule_condition(request)
        return _shown(await self._service.resume(request.caller.reach, _id(request), request.actor, condition))

    async def run(self, request: Request) -> Response:
        """Accept an execution of a schedule now, once under one key."""
        schedule_id = _id(request)
        key = idempotency_key(self._keys.read(request), ("run", schedule_id))
        accepted = await self._service.run(request.owner, schedule_id, request.caller.require_language, key)
        request.created_session_id, request.execution_id = accepted.ref.session_id, accepted.execution_id
        location = (b"location", execution_path(accepted.execution_id))
        return json_response(AcceptedResponse.of(accepted), HTTPStatus.ACCEPTED, (location,))

    async def firings(self, request: Request) -> Response:
        """Return the newest firings of a schedule."""
        query = Query(request.query_string, request.route.query_names)
        size, before = query.page_size(), query.instant("before")
        query.require_valid()
        found = await self._service.firings(request.caller.reach, _id(request), before, size + FiringList.TIED_MAX)
        return json_response(FiringList.of(found, size))


def _id(request: Request) -> UUID:
    schedule_id: UUID = request.parameters["schedule_id"]
    return schedule_id


def _shown(view: ScheduleView, status: HTTPStatus = HTTPStatus.OK, headers: Headers = ()) -> Response:
    return json_response(ScheduleResponse.of(view), status, (etag(view.schedule.version), *headers))
