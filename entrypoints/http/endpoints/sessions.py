"""Endpoints of sessions."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from msgspec import UNSET, structs

from domain.access.principal import ANY_READ, Principal
from domain.identity import MAX_ID, Owner
from domain.json_text import JsonText
from domain.queue.service import QueueService
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.sessions.requests import ListRequest, SessionList, SessionRequest
from domain.sessions.service import SessionService
from domain.sessions.session import SessionPatch, Status
from entrypoints.http.parsing.bodies import BodyParser, json_text
from entrypoints.http.parsing.conditions import is_known, session_condition, session_match
from entrypoints.http.parsing.cursors import SessionCursor, microseconds, owner_digest, write_cursor
from entrypoints.http.parsing.grants import asked_grants
from entrypoints.http.parsing.headers import IdempotencyKeys, idempotency_key
from entrypoints.http.parsing.queries import Query, Switch
from entrypoints.http.parsing.sessions import limits_request
from entrypoints.http.request import Request
from entrypoints.http.response import REPLAYED, Headers, Response, etag, json_response, next_link, not_modified
from entrypoints.http.schemas.fields import given, warning_bodies
from entrypoints.http.schemas.functions import TEXT_LENGTH_MAX
from entrypoints.http.schemas.grants import grants_body
from entrypoints.http.schemas.sessions import (
    CONTEXT,
    FIELD_NAMES,
    LISTED_NAMES,
    REQUEST_ID,
    SCRIPT_CONTENT,
    InitializeBody,
    InitializeResponse,
    PatchBody,
    SessionResponse,
)

_LISTS = frozenset({"fields"})
"""The place before all sessions."""

_FILTERS = ("status", "language", "text", "metadata")


class SessionEndpoints:
    """Initialize, read, change, close and list sessions."""

    def __init__(
        self,
        service: SessionService,
        initialize_parser: BodyParser[InitializeBody],
        patch_parser: BodyParser[PatchBody],
        keys: IdempotencyKeys,
        queue: QueueService,
    ) -> None:
        self._service = service
        self._queue = queue
        self._initialize_parser = initialize_parser
        self._patch_parser = patch_parser
        self._keys = keys

    async def initialize(self, request: Request) -> Response:
        """Store a new session."""
        key = self._keys.read(request)
        body = await self._initialize_parser.read(request)
        wanted = session_request(request.header(b"language-title"), body)
        require_grants(request.caller, wanted)
        hashed = None if key is None else idempotency_key(key, (wanted.language_title, body))
        created = await self._service.initialize(request.owner, wanted, hashed)
        request.created_session_id = created.ref.session_id
        payload = InitializeResponse(
            request_id=created.ref.session_id,
            status="initialized",
            language_title=str(created.language_title),
            expires_at=created.expires_at,
            script_hash=created.script_hash,
            syntax_checked=created.syntax_checked,
            warnings=warning_bodies(created.warnings),
            grants=grants_body(created.grants),
        )
        return json_response(payload, headers=REPLAYED if created.replayed else ())

    async def get(self, request: Request) -> Response:
        """Return a live session, or selected fields of it."""
        fields = _selected_fields(request) if request.query_string else None
        condition = session_match(request)
        session = await self._service.get(request.reachable_session_ref)
        condition.require(session)
        revision = session.revision
        if is_known(request, revision):
            return not_modified(revision)
        payload = SessionResponse.of(session, Status.ACTIVE)
        if fields is None:
            return json_response(payload, headers=(etag(revision),))
        picked = _picked(payload, [name for name in fields if name != SCRIPT_CONTENT])
        if SCRIPT_CONTENT in fields:
            if session.function_version is not None:
                request.caller.require_any(ANY_READ)
            script = await self._service.script(request.reachable_session_ref)
            picked[SCRIPT_CONTENT] = script and script.source
        return json_response(picked, headers=(etag(revision),))

    async def patch(self, request: Request) -> Response:
        """Replace fields of a live session."""
        condition = session_condition(request)
        body = await self._patch_parser.read(request)
        patch = SessionPatch(
            context=None if body.context is UNSET else json_text(body.context),
            metadata=None if body.metadata is UNSET else json_text(body.metadata),
            ttl_seconds=given(body.ttl_seconds),
            renewal=given(body.renewal),
        )
        session = await self._service.patch(request.session_ref, patch, condition)
        return json_response(SessionResponse.of(session, Status.ACTIVE), headers=(etag(session.revision),))

    async def delete(self, request: Request) -> Response:
        """Close a session; `cancel` stops its executions that run, `purge` erases what is stored of them all."""
        query = Query(request.query_string, request.route.query_names)
        purge, cancel = (query.choice(name, Switch) is Switch.ON for name in ("purge", "cancel"))
        query.require_valid()
        ref, condition = request.reachable_session_ref, session_condition(request)
        if purge:
            await self._service.purge(ref, request.actor, condition)
            return Response(HTTPStatus.NO_CONTENT)
        await self._service.close(ref, condition)
        if cancel:
            await self._queue.cancel_running(ref)
        kept_until = f"{self._service.kept_until():%Y-%m-%dT%H:%M:%SZ}"
        return Response(HTTPStatus.NO_CONTENT, headers=((b"kept-until", kept_until.encode()),))

    async def list(self, request: Request) -> Response:
        """Return a page of the sessions of the caller; an admin may list another owner's, or all."""
        query = Query(request.query_string, request.route.query_names, lists=_LISTS)
        size, cursor, fields = query.page_size(), query.cursor(SessionCursor), query.names("fields", FIELD_NAMES)
        owner = _listed_owner(request, query)
        start = _first_place(query, None if owner == request.owner else owner_digest(owner))
        _require_same_list(query, start, cursor)
        query.require_valid()
        place, judged_at = cursor or start, None if cursor is None else cursor.judged_at
        names = LISTED_NAMES if fields is None else tuple(dict.fromkeys((REQUEST_ID, *fields)))
        found = await self._service.list(_list_request(owner, size, place, judged_at, names))
        following = _next_cursor(place, found)
        headers: Headers = ()
        if following is not None:
            parameters = {"limit": size, "fields": None if fields is None else ",".join(fields), "cursor": following}
            headers = next_link(request.path, parameters | {"owner": query.text("owner")})
        payloads = [SessionResponse.of(each, each.status(found.judged_at)) for each in found.page.items]
        sessions = [_picked(payload, names) for payload in payloads]
        return json_response({"sessions": sessions, "next_cursor": following}, headers=headers)


def session_request(language_title: str | None, body: InitializeBody) -> SessionRequest:
    """Return the session that a body asks for."""
    return SessionRequest(
        language_title=language_title,
        script_content=given(body.script_content),
        context=json_text(body.context),
        metadata=json_text(body.metadata),
        ttl_seconds=given(body.ttl_seconds),
        renewal=body.renewal,
        limits=limits_request(body.limits),
        convention=given(body.convention) or Convention.OWN,
        grants=asked_grants(body),
    )


def require_grants(caller: Principal, wanted: SessionRequest) -> None:
    """Raise ScopeMissing unless the caller may give its own script what it asks for; a function gives it by itself."""
    if wanted.script_content is not None:
        caller.require_grants(wanted.grants)


def _selected_fields(request: Request) -> tuple[str, ...] | None:
    query = Query(request.query_string, request.route.query_names, lists=_LISTS)
    names = query.names("fields", (*FIELD_NAMES, SCRIPT_CONTENT))
    query.require_valid()
    return names


def _picked(payload: SessionResponse, names: Sequence[str]) -> dict[str, Any]:
    """Return these fields, but those that are absent of this session."""
    found = ((name, getattr(payload, name)) for name in names)
    return {name: value for name, value in found if value is not UNSET}


def _listed_owner(request: Request, query: Query) -> Owner:
    """Return the owner whose sessions to list; raises ScopeMissing."""
    named = query.owner("owner")
    return request.owner if named is None else request.caller.may_list(named)


def _first_place(query: Query, digest: str | None) -> SessionCursor:
    """Return the place before all sessions of a list with the filters of the query."""
    status, language = query.choice("status", Status), query.choice("language", Language)
    text, metadata = query.bounded_text("text", TEXT_LENGTH_MAX), query.metadata()
    return SessionCursor(MAX_ID, 0, status, language, text, metadata, digest)


def _require_same_list(query: Query, start: SessionCursor, cursor: SessionCursor | None) -> None:
    """Report parameters that differ from those of the page with the cursor."""
    if cursor is None:
        return
    query.require_same({name: (getattr(start, name), getattr(cursor, name)) for name in _FILTERS})
    if cursor.listed != start.listed:
        query.add_problem("owner", "must have the value that it had on the page with this cursor")


def _list_request(
    owner: Owner, size: int, place: SessionCursor, judged_at: datetime | None, fields: Sequence[str]
) -> ListRequest:
    return ListRequest(
        owner,
        size,
        place.after,
        place.status,
        place.language,
        place.text,
        None if place.metadata is None else JsonText(place.metadata),
        judged_at,
        contexts=CONTEXT in fields,
    )


def _next_cursor(place: SessionCursor, found: SessionList) -> str | None:
    after = found.page.next_after
    if after is None:
        return None
    return write_cursor(structs.replace(place, after=after, judged_at_us=microseconds(found.judged_at)))
