"""The contracts of the routes of webhooks and deliveries."""

from attrs import evolve

from domain.access.principal import ScopeMissing
from domain.errors import QuotaReached, StorageUnavailable
from domain.idempotency import IdempotencyConflict
from domain.webhooks.delivery import DeliveryNotFound, DeliveryState
from domain.webhooks.webhook import ENDS, WebhookConflict, WebhookDisabled, WebhookNotFound, WebhooksUnavailable
from entrypoints.http.contract import ApiExample, Contract, In, Link, Parameter, Tag
from entrypoints.http.openapi.parameters import CURSOR, IDEMPOTENCY_KEY, LIMIT, LINK, OWNER, REPLAYED_HEADER

_STATE = Parameter("state", In.QUERY, DeliveryState, "Only deliveries in this state.", "failed")
_OF_WEBHOOK = {"webhook_id": "$response.body#/webhook_id"}
_ID = "01a2101f-a3da-7b64-8000-000000000004"
_DELIVERY_ID = "01a2101f-a3da-7b64-8000-000000000005"
_WEBHOOK = {
    "webhook_id": _ID,
    "owner": "alice",
    "url": "https://hooks.example.com/pglambda",
    "events": sorted(ENDS),
    "description": "",
    "enabled": True,
    "disabled_reason": None,
    "disabled_at": None,
    "failing_since": None,
    "failures": 0,
    "secret_version": 1,
    "dropped": 0,
    "is_signable": True,
    "created_at": "2026-11-25T12:00:01.000000Z",
}
_DELIVERY = {
    "delivery_id": _DELIVERY_ID,
    "webhook_id": _ID,
    "event": "webhook.test",
    "execution_id": None,
    "request_id": None,
    "state": "pending",
    "created_at": "2026-11-25T12:00:02.000000Z",
    "attempts": 0,
    "last_attempt_at": None,
    "next_attempt_at": "2026-11-25T12:00:02.000000Z",
    "last_status": None,
    "last_error": None,
    "last_answer": None,
}
_SECRET = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="}
_FOLLOWING = (
    Link("get_webhook", "Read the webhook.", _OF_WEBHOOK),
    Link("patch_webhook", "Change the webhook.", _OF_WEBHOOK),
    Link("test_webhook", "Send a test message.", _OF_WEBHOOK),
    Link("list_deliveries", "List its deliveries.", _OF_WEBHOOK),
    Link("delete_webhook", "Remove the webhook.", _OF_WEBHOOK),
)
_OF_DELIVERY = {"delivery_id": "$response.body#/delivery_id"}
_AFTER_DELIVERY = (
    Link("get_delivery", "Read what became of it.", _OF_DELIVERY),
    Link("redeliver_message", "Send it again.", _OF_DELIVERY),
)

CREATE_WEBHOOK = Contract(
    Tag.WEBHOOKS,
    "Register a webhook",
    "Registers a URL that hears of the ends of asynchronous executions, by messages of the Standard Webhooks "
    "specification. The response shows the secret that verifies them. A repeated call with its Idempotency-Key "
    "registers nothing more, and returns the webhook of the first one as it is now, with its present secret. A webhook "
    "has its key until it is removed.",
    parameters=(IDEMPOTENCY_KEY,),
    headers=(REPLAYED_HEADER,),
    errors=(IdempotencyConflict, WebhookConflict, QuotaReached, WebhooksUnavailable, StorageUnavailable),
    examples=(
        ApiExample(
            "all",
            "All ends",
            body={"url": "https://hooks.example.com/pglambda"},
            response=_WEBHOOK | _SECRET,
        ),
    ),
    links=_FOLLOWING,
)

LIST_WEBHOOKS = Contract(
    Tag.WEBHOOKS,
    "List webhooks",
    "Lists the caller's webhooks, newest first.",
    parameters=(
        evolve(OWNER, description="For admins: the owner; * lists those of all owners. The default is the caller."),
        LIMIT,
        CURSOR,
    ),
    errors=(ScopeMissing, StorageUnavailable),
    headers=(LINK,),
    examples=(
        ApiExample(
            "own",
            "The caller's webhooks",
            parameters={"limit": 20},
            response={"webhooks": [_WEBHOOK], "next_cursor": None},
        ),
    ),
    links=(Link("list_webhooks", "Read the next page.", {"query.cursor": "$response.body#/next_cursor"}),),
)

GET_WEBHOOK = Contract(
    Tag.WEBHOOKS,
    "Read a webhook",
    "Returns a webhook without its secret. If it was disabled, the response says why.",
    errors=(WebhookNotFound, StorageUnavailable),
    examples=(ApiExample("webhook", "The webhook", response=_WEBHOOK),),
    links=_FOLLOWING,
)

PATCH_WEBHOOK = Contract(
    Tag.WEBHOOKS,
    "Change a webhook",
    "Changes the fields that the body has. Enabling a disabled webhook ends the count of its failures. What waits for "
    "a webhook that is disabled fails, and can be sent again later.",
    errors=(WebhookNotFound, WebhookConflict, StorageUnavailable),
    examples=(
        ApiExample(
            "failures",
            "Only failures",
            body={"events": ["execution.failed"]},
            response=_WEBHOOK | {"events": ["execution.failed"]},
        ),
    ),
    links=_FOLLOWING,
)

DELETE_WEBHOOK = Contract(
    Tag.WEBHOOKS,
    "Remove a webhook",
    "Removes a webhook with all its deliveries. Messages that wait are not sent.",
    errors=(WebhookNotFound, StorageUnavailable),
    examples=(ApiExample("remove", "Remove the webhook"),),
)

ROTATE_WEBHOOK = Contract(
    Tag.WEBHOOKS,
    "Rotate the secret of a webhook",
    "Gives a webhook a new secret, and shows it once. For 24 hours messages have a signature by each of the two "
    "secrets, so that receivers can change over.",
    errors=(WebhookNotFound, WebhookConflict, WebhooksUnavailable, StorageUnavailable),
    examples=(ApiExample("rotate", "The new secret", response=_WEBHOOK | {"secret_version": 2} | _SECRET),),
    links=_FOLLOWING,
)

TEST_WEBHOOK = Contract(
    Tag.WEBHOOKS,
    "Test a webhook",
    "Sends a message with the event webhook.test soon, and returns its delivery, unless the webhook is disabled. Read "
    "the delivery for the result.",
    errors=(WebhookNotFound, WebhookDisabled, WebhooksUnavailable, StorageUnavailable),
    examples=(ApiExample("test", "The delivery of the test", response=_DELIVERY),),
    links=_AFTER_DELIVERY,
)

LIST_DELIVERIES = Contract(
    Tag.WEBHOOKS,
    "List the deliveries of a webhook",
    "Lists messages to a webhook, newest first: those that wait, and those that have ended. They are kept for 7 days, "
    "and at most 10,000 of each webhook.",
    parameters=(_STATE, LIMIT, CURSOR),
    errors=(WebhookNotFound, StorageUnavailable),
    headers=(LINK,),
    examples=(
        ApiExample(
            "pending",
            "What waits",
            parameters={"state": "pending", "limit": 20},
            response={"deliveries": [_DELIVERY], "next_cursor": None},
        ),
    ),
    links=(
        Link(
            "list_deliveries",
            "Read the next page.",
            {"webhook_id": "$request.path.webhook_id", "query.cursor": "$response.body#/next_cursor"},
        ),
    ),
)

GET_DELIVERY = Contract(
    Tag.WEBHOOKS,
    "Read a delivery",
    "Returns what became of a message: its attempts, the last response, and when the next attempt is due.",
    errors=(DeliveryNotFound, StorageUnavailable),
    examples=(ApiExample("delivery", "A message that waits", response=_DELIVERY),),
    links=_AFTER_DELIVERY,
)

REDELIVER = Contract(
    Tag.WEBHOOKS,
    "Send a message again",
    "Makes a message due now, with all its attempts, whatever became of it. It has the same webhook-id, so a receiver "
    "that has it already can tell.",
    errors=(DeliveryNotFound, WebhookDisabled, WebhooksUnavailable, StorageUnavailable),
    examples=(ApiExample("again", "The delivery waits", response=_DELIVERY),),
    links=_AFTER_DELIVERY,
)
