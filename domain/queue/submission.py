"""What a caller hands over to be run later."""

from datetime import datetime, timedelta
from uuid import UUID

from attrs import field, frozen

from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionRef, uuid7_time
from domain.json_text import JsonText
from domain.queue.entry import BY_DEFAULT, EXPIRES_IN_DEFAULT, AcceptOptions, CallbackNotFound, Entry, StartWindow
from domain.webhooks.ports import WebhookRepository
from domain.webhooks.webhook import WebhookNotFound


@frozen
class Start:
    """When an execution is to start: after a delay or at an instant, and within `expires_in` after that."""

    delay: timedelta = timedelta(0)
    at: datetime | None = None
    expires_in: timedelta = EXPIRES_IN_DEFAULT

    def window(self, accepted_at: datetime) -> StartWindow:
        """Return the window of an execution that is accepted now; raises ScheduleRefused."""
        delay = self.delay if self.at is None else max(timedelta(0), self.at - accepted_at)
        return StartWindow.after(accepted_at, delay, self.expires_in)


@frozen
class Submission:
    """What a caller hands over: the params of an execution, when it is to start, and how."""

    params: JsonText = field(repr=False)
    start: Start = Start()
    options: AcceptOptions = BY_DEFAULT
    idempotency_key: IdempotencyKey | None = None
    retry_of: UUID | None = None

    def entry(self, ref: SessionRef, execution_id: UUID) -> Entry:
        """Return the entry of this execution; raises ScheduleRefused."""
        window = self.start.window(uuid7_time(execution_id))
        return Entry(ref, execution_id, self.params, self.idempotency_key, window, self.options, retry_of=self.retry_of)


async def require_callback(webhooks: WebhookRepository, owner: Owner, options: AcceptOptions) -> None:
    """Raise CallbackNotFound if the options name a webhook that the owner does not have."""
    if options.webhook_id is None:
        return
    try:
        await webhooks.find(owner, options.webhook_id)
    except WebhookNotFound:
        raise CallbackNotFound(options.webhook_id) from None
