"""The command `doctor`, and the checks that it runs."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from domain.audit import ActName
from domain.host_facts import CertificateFacts
from domain.hosts.host import RegisteredHost
from domain.inspection import ClockFacts, DatabaseUnreachable, HorizonHolder, InspectionFailed, Obstacle
from domain.stored_facts import AccessFacts
from entrypoints.cli.database import command_database
from entrypoints.cli.doctor import (
    buckets,
    connection,
    egress,
    environments,
    host,
    runtime_hosts,
    schema,
    secrets,
    server,
    surroundings,
    tables,
)
from entrypoints.cli.doctor.report import Finding, Level, Subject, as_json, as_table, worst
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option
from entrypoints.server.data_dir import DataDirError
from entrypoints.server.database import ServerFailed
from entrypoints.settings.environment import SettingsError
from entrypoints.settings.settings import Settings
from entrypoints.settings.webhooks import signing_key

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands, DatabaseInspector
    from entrypoints.composition.runners import HostInspector

_TIMEOUT_S = 10.0
_SANDBOX_TIMEOUT_S = 40.0
"""As root, the first check copies the interpreters."""

_QUEUE_COUNT_MAX = 100_000

_DATABASE_TIMEOUT_S = 60.0
"""The time limit of all checks of a database, including connection attempts to several hosts."""


@click.command(
    epilog=examples(
        "pglambda doctor",
        "pglambda doctor --output json",
        "DATABASE_URL=postgresql://app@db.example.com/pglambda pglambda doctor",
    )
)
@output_option
@click.pass_context
def doctor(context: click.Context, output: str) -> None:
    """Check the installation, and say what to do.

    The checks cover the database (connection, server, rights, schema, indexes, tables, clock, standbys, backups), this
    host (the sandbox and its layers, interpreters, disk), runtime hosts, and the settings. Each finding is ok, a note,
    a warning or a problem. Warnings and problems come with the consequence and the remedy. The command changes nothing.
    The exit status is 1 if there is a problem, and 2 if the settings are wrong.

    Run the command as the user of the service: for another user the sandbox, the disk and the embedded database are not
    checked. If no service runs, the command starts the embedded server until it ends. Every check has a time limit of
    some seconds.
    """
    with failures_reported():
        settings, container = settings_in_force(), container_of(context)
    other_user = surroundings.judge_user(surroundings.user_facts(settings))
    findings = [
        *([] if other_user is None else [other_user]),
        *([] if other_user and settings.embedded else _database_findings(container, settings)),
        *asyncio.run(check_host(container(settings=settings), is_other_user=other_user is not None)),
    ]
    click.echo(as_json(findings) if Output(output) is Output.JSON else as_table(findings))
    if worst(findings) is Level.PROBLEM:
        context.exit(1)


def _database_findings(container: "type[Commands]", settings: Settings) -> Sequence[Finding]:
    try:
        if settings.embedded and not container(settings=settings).embedded_postgres().exists:
            seen = f"there is no database under {settings.data_dir} yet"
            return [connection.DATABASE.note(seen, remedy="`pglambda serve` creates it when it starts.")]
        with command_database(container, settings) as commands:
            return asyncio.run(check_database(commands))
    except (DataDirError, ServerFailed) as error:
        reason, remedy = str(error), "Correct what the reason names, start `pglambda serve`, and run the command again."
    except PermissionError as error:
        reason, remedy = f"this user may not read {error.filename}", "Run the command as the user of the service."
    return [connection.DATABASE.problem(reason, "The service does not start without it.", remedy)]


async def check_database(commands: "Commands") -> Sequence[Finding]:
    """Run the checks of the database; if it is not reachable, the only finding says why."""

    async def run() -> Sequence[Finding]:
        try:
            async with commands.database_inspection() as inspector:
                checks = database_checks(inspector, commands.host_inspector(), commands.settings())
                return [finding for check in checks for finding in await check.findings()]
        except SettingsError as error:
            return [connection.judge_unreachable(DatabaseUnreachable(Obstacle.ADDRESS, str(error)))]
        except DatabaseUnreachable as failure:
            return [connection.judge_unreachable(failure)]

    return await _guarded(connection.DATABASE, _DATABASE_TIMEOUT_S, run)


async def check_host(commands: "Commands", *, is_other_user: bool = False) -> Sequence[Finding]:
    """Run the checks of this machine and of the runtime hosts, all at the same time.

    For another user than the service's these are only the checks whose result is the same for every user.
    """
    checks = host_checks(commands.host_inspector(), commands.settings(), is_other_user=is_other_user)
    found = await asyncio.gather(*(check.findings() for check in checks))
    return [finding for findings in found for finding in findings]


@frozen
class Check:
    """Reads facts and judges them, within a time limit. A check that fails does not stop the others."""

    subject: Subject
    judge: Callable[..., Iterable[Finding]]
    reads: Sequence[Callable[[], Awaitable[Any]]] = ()
    timeout_s: float = _TIMEOUT_S

    async def findings(self) -> Sequence[Finding]:
        """Return the findings; a failure of the check itself is a warning."""

        async def run() -> Sequence[Finding]:
            return list(self.judge(*[await read() for read in self.reads]))

        return await _guarded(self.subject, self.timeout_s, run)


def database_checks(database: "DatabaseInspector", machine: "HostInspector", settings: Settings) -> Sequence[Check]:
    """Return the checks of a database in the order of the report; they share one connection.

    `machine` looks at the certificates of the runtime hosts that are in the database.
    """
    key = signing_key(settings)
    return [
        Check(connection.DATABASE, partial(connection.judge_connection, settings=settings), [database.connection]),
        Check(server.SERVER, partial(server.judge_server, settings=settings), [database.server]),
        Check(connection.CLOCK, partial(_clock, settings), [database.clock, database.horizon_holders]),
        Check(
            schema.RIGHTS,
            lambda missing, facts: [schema.judge_rights(missing, facts)],
            [database.missing_rights, database.server],
        ),
        Check(schema.SCHEMA, partial(schema.judge_schema, settings=settings), [database.schema]),
        Check(schema.SCHEMA, schema.judge_indexes, [database.indexes]),
        Check(buckets.BUCKETS, partial(buckets.judge_buckets, settings=settings), [database.buckets]),
        Check(tables.TABLES, tables.judge_tables, [database.tables]),
        Check(
            schema.QUEUE,
            lambda languages, clock: schema.judge_queue(languages, clock.now),
            [partial(database.queue, _QUEUE_COUNT_MAX), database.clock],
        ),
        Check(
            schema.WEBHOOKS,
            lambda facts, clock: schema.judge_webhooks(facts, clock.now, has_key=key is not None),
            [partial(database.webhooks, None if key is None else key.key_id), database.clock],
        ),
        Check(
            secrets.SECRETS,
            lambda counts: secrets.judge_secrets(counts, secrets.key_facts(settings, os.environ)),
            [database.secret_keys],
        ),
        Check(
            environments.ENVIRONMENTS,
            lambda found, clock: environments.judge_environments(found, clock.now, settings),
            [database.environments, database.clock],
        ),
        Check(schema.SCHEDULES, schema.judge_schedules, [partial(database.schedules, _QUEUE_COUNT_MAX)]),
        Check(
            server.REPLICATION,
            lambda facts, of: [server.judge_replication(facts, of), *tables.judge_slots(facts.idle_slots)],
            [database.replication, database.server],
        ),
        Check(server.BACKUPS, lambda facts: [server.judge_archive(facts)], [database.archive]),
        Check(
            server.BACKUPS,
            lambda last, clock: [server.judge_backup(last, clock)],
            [partial(database.last_act, ActName.DATABASE_BACKUP), database.clock],
        ),
        Check(
            runtime_hosts.RUNTIME_HOSTS,
            lambda hosts, clock: runtime_hosts.judge_registered(hosts, clock.now, settings),
            [database.registered_hosts, database.clock],
        ),
        Check(
            runtime_hosts.RUNTIME_HOSTS,
            lambda found: runtime_hosts.judge_certificates(*found),
            [partial(_certificates, database, machine, settings)],
        ),
        Check(server.TAKEOVER, server.judge_takeover, [database.takeover, database.clock]),
        Check(server.TAKEOVER, server.judge_recordings, [database.recordings, database.clock]),
        Check(host.ACCESS, partial(host.judge_access, settings=settings), [partial(_access, database)]),
        Check(host.DISK, partial(host.judge_stored, settings=settings), [database.stored_bytes]),
    ]


def host_checks(inspector: "HostInspector", settings: Settings, *, is_other_user: bool = False) -> Sequence[Check]:
    """Return the checks of this machine in the order of the report."""
    sandbox = Check(host.SANDBOX, host.judge_sandbox, [inspector.sandbox], _SANDBOX_TIMEOUT_S)
    disk = Check(host.DISK, partial(host.judge_host, settings=settings), [partial(host.host_facts, settings)])
    reach = Check(
        egress.EGRESS, partial(egress.judge_egress, settings=settings), [inspector.egress], _SANDBOX_TIMEOUT_S
    )
    builds = Check(
        environments.ENVIRONMENTS,
        partial(environments.judge_builds, settings=settings),
        [inspector.missing_tools, partial(host.host_facts, settings)],
    )
    of_user = [] if is_other_user else [sandbox, reach, disk, builds]
    return [
        Check(surroundings.VARIABLES, partial(surroundings.judge_names, os.environ)),
        Check(host.ACCESS, partial(host.judge_address, settings)),
        Check(surroundings.VARIABLES, partial(surroundings.judge_origin_clients, settings)),
        *of_user[:2],
        Check(runtime_hosts.RUNTIME_HOSTS, runtime_hosts.judge_runtime_hosts, [inspector.runtime_hosts]),
        Check(host.ORIGIN, host.judge_origin, [inspector.origin]),
        *of_user[2:],
    ]


def _clock(settings: Settings, facts: ClockFacts, holders: Sequence[HorizonHolder]) -> Iterable[Finding]:
    return [*connection.judge_clock(facts, settings), *tables.judge_horizon(holders, facts.now)]


async def _certificates(
    database: "DatabaseInspector", machine: "HostInspector", settings: Settings
) -> tuple[Sequence[RegisteredHost], Sequence[CertificateFacts]]:
    clock = await database.clock()
    used = runtime_hosts.used_hosts(await database.registered_hosts(), clock.now, settings)
    return used, await machine.certificates(used)


async def _access(database: "DatabaseInspector") -> AccessFacts | None:
    """Return None while migrations are pending: the tables may not exist, and another check reports that."""
    return None if (await database.schema()).pending else await database.access(host.COUNT_MAX + 1)


async def _guarded(
    subject: Subject, timeout_s: float, run: Callable[[], Awaitable[Sequence[Finding]]]
) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(timeout_s):
            return await run()
    except TimeoutError:
        reason = f"the check did not end within {timeout_s:g} s"
    except InspectionFailed as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001  # a bug in one check must not hide the others
        reason = f"{type(error).__name__}: {error}"
    return [
        subject.warning(
            f"could not be checked: {reason}",
            "Its state is unknown.",
            "Remove the reason, and run `pglambda doctor` again.",
        )
    ]
