"""What sends webhooks; without WEBHOOK_KEY nothing does."""

import random
from collections.abc import Awaitable, Callable, Sequence

from attrs import frozen

from adapters.webhooks.sender import HttpSender, SenderOptions
from domain.clock import Clock
from domain.concurrency.background_tasks import BackgroundTasks
from domain.webhooks.dispatcher import DeliveryCounts, DeliveryDispatcher, DeliveryPolicy
from domain.webhooks.ports import DeliveryQueue
from domain.webhooks.service import leave_to_others
from entrypoints.server.lifespan import Step
from entrypoints.settings.settings import Settings
from entrypoints.settings.webhooks import address_policy, signing_key
from entrypoints.version import VERSION

_DRAIN_S = 5.0
"""The time for messages in flight at a shutdown. One that does not end is sent again by another process."""


@frozen
class Webhooks:
    """The dispatcher with its steps of a process; `wake` and `hurry` make it look for due messages, at once or soon."""

    dispatcher: DeliveryDispatcher | None = None
    wake: Callable[[], None] = leave_to_others
    hurry: Callable[[], None] = leave_to_others
    background: Sequence[Step] = ()
    shutdown: Sequence[Step] = ()
    close: Sequence[Step] = ()

    @property
    def counts(self) -> DeliveryCounts:
        """The attempts of this process."""
        return DeliveryCounts() if self.dispatcher is None else self.dispatcher.counts

    @classmethod
    def of(cls, settings: Settings, queue: DeliveryQueue, clock: Clock) -> "Webhooks":
        """Return what the settings ask for."""
        key = signing_key(settings)
        if key is None:
            return cls()
        proxy = None if settings.webhook_proxy is None else settings.webhook_proxy.reveal()
        policy, agent = DeliveryPolicy(), f"pglambda/{VERSION}"
        options = SenderOptions(
            address_policy(settings),
            connections_max=policy.webhooks_max * policy.concurrency,
            proxy=proxy,
            user_agent=agent,
        )
        sender, tasks = HttpSender(options), BackgroundTasks()
        dispatcher = DeliveryDispatcher(queue, sender, key, clock, policy, tasks, random.uniform)
        stop = _stopping(dispatcher, tasks)
        return cls(dispatcher, dispatcher.wake, dispatcher.hurry, [dispatcher.run], [stop], [sender.close])


def _stopping(dispatcher: DeliveryDispatcher, tasks: BackgroundTasks) -> Callable[[], Awaitable[None]]:
    async def stop() -> None:
        dispatcher.stop()
        await tasks.drain(_DRAIN_S)

    return stop
