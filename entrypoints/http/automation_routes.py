"""The rows of schedules and webhooks in the table of routes."""

from functools import partial

from entrypoints.http.endpoints.schedules import ScheduleEndpoints
from entrypoints.http.endpoints.webhooks import WebhookEndpoints
from entrypoints.http.openapi import schedules as contracts
from entrypoints.http.openapi.webhooks import (
    CREATE_WEBHOOK,
    DELETE_WEBHOOK,
    GET_DELIVERY,
    GET_WEBHOOK,
    LIST_DELIVERIES,
    LIST_WEBHOOKS,
    PATCH_WEBHOOK,
    REDELIVER,
    ROTATE_WEBHOOK,
    TEST_WEBHOOK,
)
from entrypoints.http.route import Access, Route, RouteClass
from entrypoints.http.schemas.asynchronous import AcceptedResponse
from entrypoints.http.schemas.schedules import (
    FiringList,
    ScheduleBody,
    SchedulePage,
    SchedulePatch,
    ScheduleResponse,
)
from entrypoints.http.schemas.webhooks import (
    DeliveryPage,
    DeliveryResponse,
    WebhookBody,
    WebhookPage,
    WebhookPatchBody,
    WebhookResponse,
    WebhookWithSecret,
)

_SCHEDULES = "/api/v1/schedules"
_SCHEDULE = "/api/v1/schedules/{schedule_id}"

_own = partial(Route, access=Access.OWNER, route_class=RouteClass.SESSIONS)
_webhooks = partial(Route, access=Access.WEBHOOKS, route_class=RouteClass.SESSIONS)
_schedule = partial(Route, access=Access.WRITE_SCHEDULES, route_class=RouteClass.SESSIONS)


# Columns: method, path, endpoint, name, contract, type of the body, type of the response.


def webhook_routes(webhooks: WebhookEndpoints) -> tuple[Route, ...]:
    """Return the routes of webhooks."""
    every, one = "/api/v1/webhooks", "/api/v1/webhooks/{webhook_id}"
    delivery = "/api/v1/deliveries/{delivery_id}"
    rotate, test, deliveries, redeliver = f"{one}/rotate", f"{one}/test", f"{one}/deliveries", f"{delivery}/redeliver"
    create, patch, many = webhooks.create, webhooks.patch, webhooks.deliveries
    secret, shown, message = WebhookWithSecret, WebhookResponse, DeliveryResponse
    return (
        _webhooks("POST", every, create, "create_webhook", CREATE_WEBHOOK, WebhookBody, secret, status=201),
        _webhooks("GET", every, webhooks.list, "list_webhooks", LIST_WEBHOOKS, None, WebhookPage),
        _webhooks("GET", one, webhooks.get, "get_webhook", GET_WEBHOOK, None, shown),
        _webhooks("PATCH", one, patch, "patch_webhook", PATCH_WEBHOOK, WebhookPatchBody, shown),
        _webhooks("DELETE", one, webhooks.delete, "delete_webhook", DELETE_WEBHOOK, status=204),
        _webhooks("POST", rotate, webhooks.rotate, "rotate_webhook", ROTATE_WEBHOOK, None, secret),
        _webhooks("POST", test, webhooks.test, "test_webhook", TEST_WEBHOOK, None, message, status=202),
        _webhooks("GET", deliveries, many, "list_deliveries", LIST_DELIVERIES, None, DeliveryPage),
        _webhooks("GET", delivery, webhooks.delivery, "get_delivery", GET_DELIVERY, None, message),
        _webhooks("POST", redeliver, webhooks.redeliver, "redeliver_message", REDELIVER, None, message, status=202),
    )


def schedule_routes(schedules: ScheduleEndpoints) -> tuple[Route, ...]:
    """Return the routes of schedules."""
    create, get, patch = schedules.create, schedules.get, schedules.patch
    pause, resume, run, firings = (f"{_SCHEDULE}/{each}" for each in ("pause", "resume", "run", "firings"))
    return (
        _schedule(
            "POST",
            _SCHEDULES,
            create,
            "create_schedule",
            contracts.CREATE,
            ScheduleBody,
            ScheduleResponse,
            201,
        ),
        _own("GET", _SCHEDULES, schedules.list, "list_schedules", contracts.LIST, None, SchedulePage),
        _own("GET", _SCHEDULE, get, "get_schedule", contracts.GET, None, ScheduleResponse),
        _schedule("PATCH", _SCHEDULE, patch, "patch_schedule", contracts.PATCH, SchedulePatch, ScheduleResponse),
        _schedule("DELETE", _SCHEDULE, schedules.delete, "delete_schedule", contracts.DELETE, status=204),
        _schedule("POST", pause, schedules.pause, "pause_schedule", contracts.PAUSE, None, ScheduleResponse),
        _schedule("POST", resume, schedules.resume, "resume_schedule", contracts.RESUME, None, ScheduleResponse),
        _schedule("POST", run, schedules.run, "run_schedule", contracts.RUN, None, AcceptedResponse, status=202),
        _own("GET", firings, schedules.firings, "list_firings", contracts.FIRINGS, None, FiringList),
    )
