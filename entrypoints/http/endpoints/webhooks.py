"""Endpoints of webhooks and their deliveries."""

from http import HTTPStatus
from uuid import UUID

from attrs import define

from domain.identity import Owner
from domain.webhooks.delivery import DeliveryState
from domain.webhooks.service import Issued, WebhookService
from domain.webhooks.webhook import Webhook
from entrypoints.http.parsing.cursors import DeliveryCursor, WebhookCursor, owner_digest, write_cursor
from entrypoints.http.parsing.headers import IdempotencyKeys, idempotency_key
from entrypoints.http.parsing.queries import Query
from entrypoints.http.parsing.webhooks import WebhookParser
from entrypoints.http.request import Request
from entrypoints.http.response import REPLAYED, Headers, Response, json_response, next_link
from entrypoints.http.schemas.webhooks import (
    DeliveryPage,
    DeliveryResponse,
    WebhookPage,
    WebhookResponse,
    WebhookWithSecret,
)


@define(eq=False)
class WebhookEndpoints:
    """Register, read, list, change, rotate, remove and test webhooks; read deliveries, and send them again."""

    _service: WebhookService
    _parser: WebhookParser
    _keys: IdempotencyKeys

    async def create(self, request: Request) -> Response:
        """Register a webhook, once under one key, and show its secret."""
        key = self._keys.read(request)
        wanted = await self._parser.request(request)
        payload = wanted.url, sorted(wanted.events), wanted.description, wanted.enabled
        issued = await self._service.register(request.owner, wanted, request.actor, idempotency_key(key, payload))
        return self._with_secret(issued, HTTPStatus.CREATED)

    async def get(self, request: Request) -> Response:
        """Return a webhook."""
        return self._shown(await self._service.get(request.caller.reach, _webhook_id(request)))

    async def list(self, request: Request) -> Response:
        """Return a page of the caller's webhooks; an admin may list another owner's, or all."""
        query = Query(request.query_string, request.route.query_names)
        size, cursor, owner = query.page_size(), query.cursor(WebhookCursor), _listed_owner(request, query)
        listed = None if owner == request.owner else owner_digest(owner)
        if cursor is not None and cursor.listed != listed:
            query.add_problem("owner", "must have the value that it had on the page with this cursor")
        query.require_valid()
        page = await self._service.page(owner, None if cursor is None else cursor.after, size)
        following = None if page.next_after is None else write_cursor(WebhookCursor(page.next_after, listed))
        headers: Headers = ()
        if following is not None:
            headers = next_link(request.path, {"owner": query.text("owner"), "limit": size, "cursor": following})
        webhooks = [self._response(webhook) for webhook in page.items]
        return json_response(WebhookPage(webhooks, following), headers=headers)

    async def patch(self, request: Request) -> Response:
        """Change a webhook."""
        changes = await self._parser.changes(request)
        owner, webhook_id = request.caller.reach, _webhook_id(request)
        return self._shown(await self._service.change(owner, webhook_id, changes, request.actor))

    async def delete(self, request: Request) -> Response:
        """Remove a webhook with its deliveries."""
        await self._service.remove(request.caller.reach, _webhook_id(request), request.actor)
        return Response(HTTPStatus.NO_CONTENT)

    async def rotate(self, request: Request) -> Response:
        """Give a webhook its next secret, and show it."""
        issued = await self._service.rotate(request.owner, _webhook_id(request), request.actor)
        return self._with_secret(issued, HTTPStatus.OK)

    async def test(self, request: Request) -> Response:
        """Send a test message soon."""
        delivery = await self._service.test(request.caller.reach, _webhook_id(request))
        return json_response(DeliveryResponse.of(delivery), HTTPStatus.ACCEPTED)

    async def deliveries(self, request: Request) -> Response:
        """Return a page of the deliveries of a webhook, newest first."""
        query, webhook_id = Query(request.query_string, request.route.query_names), _webhook_id(request)
        size, cursor, state = query.page_size(), query.cursor(DeliveryCursor), query.choice("state", DeliveryState)
        if cursor is not None:
            query.require_same({"state": (state, cursor.state)})
            if cursor.webhook_id != webhook_id:
                query.add_problem("cursor", "must be the unchanged next_cursor of an earlier response to the same list")
        query.require_valid()
        place = cursor or DeliveryCursor(webhook_id, None, state)
        owner = request.caller.reach
        page = await self._service.deliveries(owner, webhook_id, place.after, size, place.state)
        following = None
        headers: Headers = ()
        if page.next_after is not None:
            following = write_cursor(DeliveryCursor(webhook_id, page.next_after, place.state))
            headers = next_link(request.path, {"limit": size, "cursor": following})
        return json_response(DeliveryPage.of(page, following), headers=headers)

    async def delivery(self, request: Request) -> Response:
        """Return a delivery."""
        delivery = await self._service.delivery(request.caller.reach, request.parameters["delivery_id"])
        return json_response(DeliveryResponse.of(delivery))

    async def redeliver(self, request: Request) -> Response:
        """Send a message again soon."""
        delivery = await self._service.redeliver(request.caller.reach, request.parameters["delivery_id"])
        return json_response(DeliveryResponse.of(delivery), HTTPStatus.ACCEPTED)

    def _response(self, webhook: Webhook) -> WebhookResponse:
        return WebhookResponse.of(webhook, is_signable=self._service.is_signable(webhook))

    def _shown(self, webhook: Webhook) -> Response:
        return json_response(self._response(webhook))

    def _with_secret(self, issued: Issued, status: HTTPStatus) -> Response:
        return json_response(WebhookWithSecret.issued(issued), status, REPLAYED if issued.replayed else ())


def _webhook_id(request: Request) -> UUID:
    webhook_id: UUID = request.parameters["webhook_id"]
    return webhook_id


def _listed_owner(request: Request, query: Query) -> Owner:
    """Return the owner whose webhooks to list; raises ScopeMissing."""
    named = query.owner("owner")
    return request.owner if named is None else request.caller.may_list(named)
