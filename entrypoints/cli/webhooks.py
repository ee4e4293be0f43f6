"""The command `webhooks`."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import click

from domain.audit import Actor
from domain.identity import EVERY_OWNER, Owner
from domain.webhooks.delivery import Delivery, DeliveryState
from domain.webhooks.service import WebhookService
from domain.webhooks.webhook import Webhook, WebhookChanges
from entrypoints.cli.arguments import any_owner
from entrypoints.cli.consent import Loss, consent_of, require_consent, yes_option
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, table

_PAGE = 200
_LISTED_MAX = 10_000
_SHOWN = 20
_ID = "019a6c1e-3f4b-7c2d-8e9f-0a1b2c3d4e5f"

Result = TypeVar("Result")


@click.group()
def webhooks() -> None:
    """List webhooks, show what became of their messages, and send messages again.

    Owners register webhooks by the API. A message is sent by a running service.
    """


@webhooks.command("list", epilog=examples("pglambda webhooks list --owner alice"))
@click.option("--owner", type=any_owner, metavar="OWNER", help="Only webhooks of this owner.")
@output_option
@click.pass_context
def list_webhooks(context: click.Context, owner: Owner | None, output: str) -> None:
    """List webhooks, newest first, with what is wrong with them."""

    async def use(service: WebhookService, _: Actor) -> list[dict[str, Any]]:
        return [_webhook_facts(each, service) for each in await _every(service, owner)]

    found = _on_webhooks(context, use)
    if Output(output) is Output.JSON:
        click.echo(json.dumps(found, indent=2))
    elif found:
        click.echo(table([[name.replace("_", " ") for name in found[0]], *[_row(facts) for facts in found]]))
    else:
        click.echo("No webhooks.")


@webhooks.command(epilog=examples(f"pglambda webhooks show {_ID}", f"pglambda webhooks show {_ID} --state failed"))
@click.argument("webhook_id", metavar="WEBHOOK", type=click.UUID)
@click.option(
    "--state", type=click.Choice([state.value for state in DeliveryState]), help="Only messages in this state."
)
@output_option
@click.pass_context
def show(context: click.Context, webhook_id: UUID, state: str | None, output: str) -> None:
    """Show a webhook with its newest messages: their attempts, the last response, and the next attempt."""
    wanted = None if state is None else DeliveryState(state)

    async def use(service: WebhookService, _: Actor) -> tuple[dict[str, Any], Sequence[Delivery]]:
        webhook = await service.get(EVERY_OWNER, webhook_id)
        page = await service.deliveries(EVERY_OWNER, webhook_id, None, _SHOWN, wanted)
        return _webhook_facts(webhook, service), page.items

    facts, found = _on_webhooks(context, use)
    deliveries = [_delivery_facts(each) for each in found]
    if Output(output) is Output.JSON:
        click.echo(json.dumps({**facts, "deliveries": deliveries}, indent=2))
        return
    click.echo(table([(name.replace("_", " "), _shown(value)) for name, value in facts.items()]))
    if not deliveries:
        click.echo("\nNo messages.")
        return
    click.echo(f"\n{table([[name.replace('_', ' ') for name in deliveries[0]], *map(_row, deliveries)])}")


@webhooks.command(epilog=examples(f"pglambda webhooks test {_ID}"))
@click.argument("webhook_id", metavar="WEBHOOK", type=click.UUID)
@output_option
@click.pass_context
def test(context: click.Context, webhook_id: UUID, output: str) -> None:
    """Let the service send a test message soon."""
    _echo(_on_webhooks(context, lambda service, _: service.test(EVERY_OWNER, webhook_id)), output)


@webhooks.command(epilog=examples(f"pglambda webhooks redeliver {_ID}"))
@click.argument("delivery_id", metavar="DELIVERY", type=click.UUID)
@output_option
@click.pass_context
def redeliver(context: click.Context, delivery_id: UUID, output: str) -> None:
    """Let the service send a message again soon, whatever became of it."""
    _echo(_on_webhooks(context, lambda service, _: service.redeliver(EVERY_OWNER, delivery_id)), output)


@webhooks.command(epilog=examples(f"pglambda webhooks disable {_ID} --yes"))
@click.argument("webhook_id", metavar="WEBHOOK", type=click.UUID)
@yes_option
@click.pass_context
def disable(context: click.Context, webhook_id: UUID, yes: bool) -> None:
    """Disable a webhook. What waits for it fails; its owner can enable it, and send messages again."""

    async def use(service: WebhookService, actor: Actor) -> Webhook:
        found = await service.get(EVERY_OWNER, webhook_id)
        if not found.is_enabled:
            return found
        require_consent([Loss(f"This disables 1 webhook of {found.owner}: {found.url}.")], consent_of(yes=yes))
        return await service.change(EVERY_OWNER, webhook_id, WebhookChanges(enabled=False), actor)

    found = _on_webhooks(context, use)
    click.echo(f"Webhook {found.webhook_id} of {found.owner} is disabled ({found.disabled_reason}).")


def _on_webhooks(context: click.Context, use: Callable[[WebhookService, Actor], Awaitable[Result]]) -> Result:
    with failures_reported(), command_database(container_of(context), patient(settings_in_force())) as commands:

        async def call() -> Result:
            async with commands.database_access().opened():
                return await use(commands.webhooks(), commands.actor())

        return asyncio.run(call())


async def _every(service: WebhookService, owner: Owner | None) -> Sequence[Webhook]:
    found: list[Webhook] = []
    after: UUID | None = None
    while len(found) < _LISTED_MAX:
        page = await service.page(owner or EVERY_OWNER, after, _PAGE)
        found += page.items
        after = page.next_after
        if after is None:
            break
    return found


def _echo(delivery: Delivery, output: str) -> None:
    facts = _delivery_facts(delivery)
    rows = [(name.replace("_", " "), _shown(value)) for name, value in facts.items()]
    click.echo(json.dumps(facts, indent=2) if Output(output) is Output.JSON else table(rows))


def _webhook_facts(webhook: Webhook, service: WebhookService) -> dict[str, Any]:
    return {
        "id": str(webhook.webhook_id),
        "owner": webhook.owner,
        "url": webhook.url,
        "events": [event.removeprefix("execution.") for event in sorted(webhook.events)],
        "disabled": webhook.disabled_reason,
        "failures": webhook.health.failures,
        "failing_since": _instant(webhook.health.failing_since),
        "dropped": webhook.dropped,
        "signable": service.is_signable(webhook),
        "created_at": _instant(webhook.created_at),
    }


def _delivery_facts(delivery: Delivery) -> dict[str, Any]:
    is_pending = delivery.state is DeliveryState.PENDING
    return {
        "id": str(delivery.delivery_id),
        "event": delivery.event,
        "execution": None if delivery.execution_id is None else str(delivery.execution_id),
        "state": delivery.state,
        "attempts": delivery.attempts,
        "last_attempt_at": _instant(delivery.attempted_at),
        "next_attempt_at": _instant(delivery.next_at if is_pending else None),
        "last_status": delivery.status,
        "last_error": delivery.error,
    }


def _row(facts: dict[str, Any]) -> list[str]:
    return [_shown(value) for value in facts.values()]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value) or "-"
    return "" if value is None else str(value)


def _instant(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"
