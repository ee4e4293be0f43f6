"""Bodies of webhooks and deliveries."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from domain.paging import Page
from domain.webhooks import delivery, webhook
from domain.webhooks.address import URL_SIZE_MAX
from domain.webhooks.delivery import DeliveryState
from domain.webhooks.service import Issued
from domain.webhooks.webhook import DESCRIPTION_SIZE_MAX, ENDS, DisabledReason, Event
from entrypoints.http.schemas import fields
from entrypoints.http.schemas.fields import Instant

EndName = Literal[
    "execution.succeeded", "execution.failed", "execution.cancelled", "execution.expired", "execution.unknown"
]
Url = Annotated[
    str,
    Meta(
        max_length=URL_SIZE_MAX,
        description="Where messages are sent by POST: https://, with the name of a host on the public Internet.",
    ),
]
Events = Annotated[
    list[EndName],
    Meta(
        max_length=len(ENDS),
        description="The ends of asynchronous executions of which the webhook hears. If it is empty, the webhook hears "
        "only of executions that name it as callback.",
    ),
]
Description = Annotated[str, Meta(max_length=DESCRIPTION_SIZE_MAX, description="A text of the owner.")]
Enabled = Annotated[
    bool,
    Meta(
        description="Whether messages are sent. Those about events while it is false are stored as failed, and can be "
        "sent later."
    ),
]
WebhookId = Annotated[UUID, Meta(description="The id of the webhook.")]
SecretText = Annotated[
    str,
    Meta(description="The secret that verifies messages. It is shown in this response only. Store it in the receiver."),
]


class WebhookBody(Struct, forbid_unknown_fields=True):
    """A webhook to register. Without events it hears of all of them."""

    url: Url
    events: Events | UnsetType = UNSET
    description: Description = ""
    enabled: Enabled = True


class WebhookPatchBody(Struct, forbid_unknown_fields=True):
    """Fields of a webhook that change; the others stay."""

    url: Url | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    enabled: Enabled | UnsetType = UNSET


class WebhookEnvelope(Struct, forbid_unknown_fields=True):
    """A body whose URL and events have parsers of their own."""

    url: str | UnsetType = UNSET
    events: fields.RawArray | UnsetType = UNSET
    description: str = ""
    enabled: bool = True


class WebhookPatchEnvelope(Struct, forbid_unknown_fields=True):
    """As WebhookEnvelope, for changes."""

    url: str | UnsetType = UNSET
    events: fields.RawArray | UnsetType = UNSET
    description: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class WebhookResponse(Struct):
    """A webhook, without its secret."""

    webhook_id: WebhookId
    owner: Annotated[str, Meta(description="The owner of the webhook.")]
    url: Url
    events: Events
    description: Description
    enabled: Enabled
    disabled_reason: Annotated[
        DisabledReason | None,
        Meta(
            description="Why it gets no messages. owner: a call has disabled it. gone: its receiver has responded "
            "with status 410. failing: attempts have failed for five days. null while it is enabled."
        ),
    ]
    disabled_at: Annotated[Instant | None, Meta(description="When it was disabled.")]
    failing_since: Annotated[
        Instant | None,
        Meta(
            description="Since when it counts as failing: three attempts in a row had failed within a day. After five "
            "days without a success it is disabled."
        ),
    ]
    failures: Annotated[int, Meta(ge=0, description="Failed attempts since the last success.")]
    dropped: Annotated[
        int,
        Meta(ge=0, description="Messages that were removed unsent: it had more than 10,000, or they were 7 days old."),
    ]
    secret_version: Annotated[int, Meta(ge=1, description="The version of the secret; a rotation raises it.")]
    is_signable: Annotated[
        bool,
        Meta(
            description="false if the operator has changed WEBHOOK_KEY: then messages fail until the secret is rotated."
        ),
    ]
    created_at: Annotated[Instant, Meta(description="When it was registered.")]

    @classmethod
    def of(cls, kept: webhook.Webhook, *, is_signable: bool) -> "WebhookResponse":
        """Return the body of a webhook."""
        return cls(
            kept.webhook_id,
            kept.owner,
            kept.url,
            [str(event) for event in sorted(kept.events)],  # type: ignore[misc]  # TEST is not among them
            kept.description,
            kept.is_enabled,
            kept.disabled_reason,
            kept.disabled_at,
            kept.health.failing_since,
            kept.health.failures,
            kept.dropped,
            kept.secret.version,
            is_signable,
            kept.created_at,
        )


class WebhookWithSecret(WebhookResponse):
    """A webhook with its new secret, which is not shown again."""

    secret: SecretText

    @classmethod
    def issued(cls, issued: Issued) -> "WebhookWithSecret":
        """Return the body of a webhook that has got a secret."""
        shown = WebhookResponse.of(issued.webhook, is_signable=True)
        return cls(**msgspec.structs.asdict(shown), secret=issued.secret)


class WebhookPage(Struct):
    """A page of webhooks; `next_cursor` is null on the last page."""

    webhooks: Annotated[list[WebhookResponse], Meta(description="The webhooks of this page, newest first.")]
    next_cursor: fields.NextCursor


class DeliveryResponse(Struct):
    """A message to a webhook, and its attempts."""

    delivery_id: Annotated[
        UUID, Meta(description="The id of the message, which receivers get as webhook-id, the same in all attempts.")
    ]
    webhook_id: WebhookId
    event: Annotated[Event, Meta(description="What the message reports.")]
    execution_id: Annotated[UUID | None, Meta(description="The execution that has ended; null for a test.")]
    request_id: Annotated[UUID | None, Meta(description="The session of the execution; null for a test.")]
    state: Annotated[
        DeliveryState,
        Meta(description="pending: an attempt is due at next_attempt_at. delivered: the receiver has responded 2xx."),
    ]
    created_at: Annotated[Instant, Meta(description="When the event happened.")]
    attempts: Annotated[int, Meta(ge=0, description="Attempts that were made.")]
    last_attempt_at: Annotated[Instant | None, Meta(description="When the last attempt was made.")]
    next_attempt_at: Annotated[Instant | None, Meta(description="When the next attempt is due; null without one.")]
    last_status: Annotated[int | None, Meta(description="The status of the last response; null without a response.")]
    last_error: Annotated[str | None, Meta(description="Why the last attempt failed; null if it did not.")]
    last_answer: Annotated[str | None, Meta(description="The begin of the last response, at most 200 characters.")]

    @classmethod
    def of(cls, kept: delivery.Delivery) -> "DeliveryResponse":
        """Return the body of a delivery."""
        return cls(
            kept.delivery_id,
            kept.webhook_id,
            kept.event,
            kept.execution_id,
            kept.request_id,
            kept.state,
            kept.created_at,
            kept.attempts,
            kept.attempted_at,
            kept.next_at if kept.state is DeliveryState.PENDING else None,
            kept.status,
            kept.error,
            kept.answer,
        )


class DeliveryPage(Struct):
    """A page of deliveries; `next_cursor` is null on the last page."""

    deliveries: Annotated[list[DeliveryResponse], Meta(description="The deliveries of this page, newest first.")]
    next_cursor: fields.NextCursor

    @classmethod
    def of(cls, page: Page[delivery.Delivery], following: str | None) -> "DeliveryPage":
        """Return the body of a page."""
        return cls([DeliveryResponse.of(each) for each in page.items], following)
