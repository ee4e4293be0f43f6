"""Endpoints of sessions."""

from typing import Any

import msgspec

from domain.identity import Owner, OwnerRefused, named_owner
from domain.scripts.language import Language
from domain.sessions.service import ListRequest, SessionList, SessionRequest, SessionService
from domain.sessions.session import Session as StoredSession
from domain.sessions.session import SessionPatch, Status, VersionMismatch
from entrypoints.http.bodies.forms import BodyForms, limits_request
from entrypoints.http.contracts.contract import query_names
from entrypoints.http.contracts.sessions import FIELD_NAMES, GET, LIST, SCRIPT_CONTENT
from entrypoints.http.middleware.caller import owner_of, reached_key, session_key
from entrypoints.http.parameters import paging
from entrypoints.http.parameters.conditions import etag, versions_wanted
from entrypoints.http.parameters.cursors import SessionCursor, microseconds, owner_digest, write_cursor
from entrypoints.http.parameters.idempotency import REPLAYED, IdempotencyKeys, idempotency_key
from entrypoints.http.parameters.queries import Query
from entrypoints.http.payloads.sessions import InitializeResponse, SessionPage, SessionResponse
from entrypoints.http.payloads.values import given, json_text
from entrypoints.http.request import Request
from entrypoints.http.response import Headers, Response, json_answer

_FILTERS = query_names(LIST.parameters)
_PICKS = query_names(GET.parameters)


class SessionEndpoints:
    """Initialize, read, change, close and list sessions."""

    def __init__(self, service: SessionService, forms: BodyForms, keys: IdempotencyKeys) -> None:
        self._service = service
        self._forms = forms
        self._keys = keys

    async def initialize(self, request: Request) -> Response:
        """Store a new session."""
        name = self._keys.name(request)
        body = await self._forms.initialize.read(request)
        wanted = SessionRequest(
            language_title=request.header(b"language-title"),
            script_content=given(body.script_content),
            context=json_text(body.context),
            metadata=json_text(body.metadata),
            ttl_seconds=given(body.ttl_seconds),
            renewal=body.renewal,
            limits=limits_request(body.limits),
        )
        key = None if name is None else idempotency_key(name, (wanted.language_title, body))
        made = await self._service.initialize(owner_of(request), wanted, key)
        request.made_session_id = made.ref.session_id
        payload = InitializeResponse(
            request_id=made.ref.session_id,
            status="initialized",
            language_title=str(made.language_title),
            expires_at=made.expires_at,
            script_hash=made.script_hash,
            syntax_checked=made.syntax_checked,
        )
        return json_answer(payload, headers=REPLAYED if made.replayed else ())

    async def get(self, request: Request) -> Response:
        """Return a live session, or the fields of it that are asked for."""
        fields = _fields(request.query_string) if request.query_string else None
        session = await self._service.get(reached_key(request))
        payload = SessionResponse.of(session, Status.ACTIVE)
        if fields is None:
            return json_answer(payload, headers=(etag(session.version),))
        picked: dict[str, Any] = {name: getattr(payload, name) for name in fields if name != SCRIPT_CONTENT}
        if SCRIPT_CONTENT in fields:
            script = await self._service.script(reached_key(request))
            picked[SCRIPT_CONTENT] = script and script.source
        return json_answer(picked, headers=(etag(session.version),))

    async def patch(self, request: Request) -> Response:
        """Replace fields of a live session."""
        versions = versions_wanted(request)
        body = await self._forms.patch.read(request)
        patch = SessionPatch(
            context=None if body.context is msgspec.UNSET else json_text(body.context),
            metadata=None if body.metadata is msgspec.UNSET else json_text(body.metadata),
            ttl_seconds=given(body.ttl_seconds),
            renewal=given(body.renewal),
        )
        session = await self._patched(request, patch, versions)
        return json_answer(SessionResponse.of(session, Status.ACTIVE), headers=(etag(session.version),))

    async def delete(self, request: Request) -> Response:
        """Close a session."""
        await self._service.close(reached_key(request))
        return Response(204)

    async def list(self, request: Request) -> Response:
        """Return a page of the caller's sessions; an admin may ask for those of another owner, or of all."""
        query = Query(request.query_string, _FILTERS)
        size, cursor = paging.page_size(query), paging.page_cursor(query, SessionCursor)
        status, language = query.choice("status", Status), query.choice("language", Language)
        owner = _listed_owner(request, query)
        if cursor is not None:
            _require_filters(query, cursor, _listed(request, owner))
            status, language = cursor.status, cursor.language
        query.require()
        after, judged_at = (cursor.after, cursor.judged_at) if cursor else (None, None)
        found = await self._service.list(ListRequest(owner, size, after, status, language, judged_at))
        following = _next_cursor(found, status, language, _listed(request, owner))
        sessions = [SessionResponse.of(session, session.status(found.judged_at)) for session in found.page.items]
        headers: Headers = ()
        if following is not None:
            parameters = {"status": status, "language": language, "limit": size, "cursor": following}
            parameters |= {"owner": query.text("owner")}
            headers = paging.next_link(request, parameters)
        return json_answer(SessionPage(sessions, following), headers=headers)

    async def _patched(self, request: Request, patch: SessionPatch, versions: tuple[int | None, ...]) -> StoredSession:
        """Change the session if it has one of these versions; each is tried, so that the check stays atomic."""
        *others, last = versions
        for version in others:
            try:
                return await self._service.patch(session_key(request), patch, version)
            except VersionMismatch:
                continue
        return await self._service.patch(session_key(request), patch, last)


def _fields(query_string: bytes) -> tuple[str, ...] | None:
    query = Query(query_string, _PICKS)
    text = query.text("fields")
    names = tuple(dict.fromkeys(text.split(","))) if text is not None else ()
    unknown = [name for name in names if name not in FIELD_NAMES and name != SCRIPT_CONTENT]
    if unknown:
        known = ", ".join((*FIELD_NAMES, SCRIPT_CONTENT))
        query.refuse("fields", f"names {', '.join(map(repr, unknown))}; the fields are: {known}")
    query.require()
    return names or None


def _listed_owner(request: Request, query: Query) -> Owner:
    """Return whose sessions to list; raises ScopeMissing."""
    named = query.text("owner")
    if named is None:
        return owner_of(request)
    try:
        return request.caller.may_list(named_owner(named))
    except OwnerRefused as error:
        query.refuse("owner", f"is no owner: {error}")
        return owner_of(request)


def _listed(request: Request, owner: Owner) -> str | None:
    return None if owner == owner_of(request) else owner_digest(owner)


def _require_filters(query: Query, cursor: SessionCursor, listed: str | None) -> None:
    kept = {"status": cursor.status, "language": cursor.language}
    for name, value in kept.items():
        if query.text(name) not in (None, value):
            query.refuse(name, "must be what it was on the page that gave the cursor, or left out")
    if cursor.listed != listed:
        query.refuse("owner", "must be what it was on the page that gave the cursor")


def _next_cursor(
    found: SessionList, status: Status | None, language: Language | None, listed: str | None
) -> str | None:
    after = found.page.next_after
    if after is None:
        return None
    return write_cursor(SessionCursor(after, microseconds(found.judged_at), status, language, listed))
