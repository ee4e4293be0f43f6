"""The command `egress`."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import click

from domain.egress.owner_rule import OwnerEgressRule
from domain.egress.owner_rule_service import OwnerRuleService
from domain.egress.rule import EgressRule, InvalidRule
from domain.identity import EVERY_OWNER, SHARED, Owner
from entrypoints.cli.arguments import any_owner
from entrypoints.cli.consent import dry_run_option
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, table
from entrypoints.settings.egress import has_owner_rules

_NOT_IN_FORCE = (
    "Note: EGRESS is not `owners` in the environment of this command. The rules of single owners count only for "
    "controllers and runtime hosts with EGRESS=owners."
)

Result = TypeVar("Result")


def _owner(text: str) -> Owner:
    name = any_owner(text)
    if name in {SHARED, EVERY_OWNER}:
        raise click.BadParameter(f"{name} has no sessions. Use EGRESS_RULES for hosts that every owner may reach")
    return name


def _rule(text: str) -> EgressRule:
    try:
        return EgressRule.parse_ceiling(text)
    except InvalidRule as error:
        raise click.BadParameter(f"{text!r} is no egress rule: it {error}") from None


@click.group()
def egress() -> None:
    """Allow, deny and list hosts that scripts of single owners may reach.

    The rules count beside EGRESS_RULES, in controllers with EGRESS=owners.
    """


@egress.command(
    epilog=examples(
        "pglambda egress allow alice api.example.com:443",
        "pglambda egress allow alice '*.example.com:443'",
        "pglambda egress allow anonymous db.example.com:5432/tcp --dry-run",
    )
)
@click.argument("owner", type=_owner)
@click.argument("rule", type=_rule)
@dry_run_option
@output_option
@click.pass_context
def allow(context: click.Context, owner: Owner, rule: EgressRule, dry_run: bool, output: str) -> None:
    """Let scripts of OWNER reach the hosts of RULE, if their session asks for them.

    It counts at once, also for sessions that exist. To allow a rule again changes nothing.
    """

    async def use(service: OwnerRuleService) -> bool:
        return not await service.has(owner, rule) if dry_run else await service.allow(owner, rule)

    changed = _on_rules(context, use)
    if changed:
        text = f"{'Would allow' if dry_run else 'Allowed'} scripts of {owner} to reach {rule}."
    else:
        text = f"{owner} has the rule {rule} already, so nothing {'would be' if dry_run else 'was'} changed."
    _print(owner, rule, text, Output(output), changed=changed)


@egress.command(epilog=examples("pglambda egress deny alice api.example.com:443 --dry-run"))
@click.argument("owner", type=_owner)
@click.argument("rule", type=_rule)
@dry_run_option
@output_option
@click.pass_context
def deny(context: click.Context, owner: Owner, rule: EgressRule, dry_run: bool, output: str) -> None:
    """Remove RULE from those of OWNER. It must be spelled as `pglambda egress list` shows it.

    Running controllers stop to allow it within 5 seconds. Executions that run keep their connections to their end. What
    EGRESS_RULES or another rule of OWNER covers stays allowed.
    """

    async def use(service: OwnerRuleService) -> bool:
        return await service.has(owner, rule) if dry_run else await service.deny(owner, rule)

    changed = _on_rules(context, use)
    if changed:
        text = f"{'Would remove' if dry_run else 'Removed'} {rule} of {owner}."
    else:
        text = f"{owner} has no rule {rule}, so nothing {'would be' if dry_run else 'was'} changed."
    _print(owner, rule, text, Output(output), changed=changed)


@egress.command("list", epilog=examples("pglambda egress list", "pglambda egress list alice --output json"))
@click.argument("owner", type=_owner, required=False)
@output_option
@click.pass_context
def list_rules(context: click.Context, owner: Owner | None, output: str) -> None:
    """List the rules of OWNER, or of all owners."""

    async def use(service: OwnerRuleService) -> Sequence[OwnerEgressRule]:
        return [rule async for rule in service.every(owner)]

    found = [_facts(rule) for rule in _on_rules(context, use)]
    if Output(output) is Output.JSON:
        click.echo(json.dumps(found, indent=2))
    elif found:
        click.echo(table([[name.replace("_", " ") for name in found[0]], *[list(facts.values()) for facts in found]]))
    else:
        click.echo("No rules.")


def _on_rules(context: click.Context, use: Callable[[OwnerRuleService], Awaitable[Result]]) -> Result:
    with failures_reported():
        settings = settings_in_force()
        if not has_owner_rules(settings):
            click.echo(_NOT_IN_FORCE, err=True)
        with command_database(container_of(context), patient(settings)) as commands:

            async def call() -> Result:
                async with commands.database_access().opened():
                    return await use(commands.egress_rules())

            return asyncio.run(call())


def _print(owner: Owner, rule: EgressRule, text: str, output: Output, *, changed: bool) -> None:
    facts = {"owner": owner, "rule": str(rule), "changed": changed}
    click.echo(json.dumps(facts, indent=2) if output is Output.JSON else text)


def _facts(rule: OwnerEgressRule) -> dict[str, Any]:
    return {"owner": rule.owner, "rule": str(rule.rule), "created_at": f"{rule.created_at:%Y-%m-%dT%H:%M:%SZ}"}
