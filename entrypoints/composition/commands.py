"""What the commands of an operator work with."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from attrs import define, frozen
from msgspec.structs import replace

from adapters.embedded_postgres.server import EmbeddedPostgres
from adapters.jwt.issuer import issue_token
from adapters.jwt.keys import WrongKey
from adapters.postgres.migrations.down import DestructionRefused
from adapters.postgres.migrations.migration import (
    Migration,
    MigrationsDiffer,
    StepForbidden,
    UnknownMigration,
    UnsupportedServer,
)
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.statements import load_statements
from adapters.sandbox.selftest.corpus import load_attacks
from adapters.sandbox.selftest.trials import SelfTest
from adapters.system_clock import SystemClock
from domain.access.api_key_service import ApiKeyService
from domain.access.owner_move import OwnerMover
from domain.access.principal import Scope
from domain.identity import Owner
from domain.scripts.language import Language
from domain.timeline import RetentionTimes, TimelineReader
from entrypoints.cli.diagnosis.ports import DatabaseExamination, HostExamination
from entrypoints.cli.wiring import DownStep, Migrations, MigrationState, Storage
from entrypoints.composition.command_access import command_keys, command_owners
from entrypoints.composition.command_examination import command_database_examination
from entrypoints.composition.command_explain import command_chronicler
from entrypoints.composition.command_explain import keeping as explained_keeping
from entrypoints.composition.command_host import CommandHostExamination
from entrypoints.composition.command_storage import CommandStorage
from entrypoints.composition.controller import create_controller
from entrypoints.composition.options import embedded_options, gateway_options, sandbox_options
from entrypoints.composition.tokens import claim_rules
from entrypoints.http.openapi.document import rendered
from entrypoints.server.database_server import DatabaseServer
from entrypoints.server.launcher import launch
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings

_REFUSALS = (DestructionRefused, MigrationsDiffer, StepForbidden, UnknownMigration, UnsupportedServer)


def embedded_postgres(settings: Settings) -> DatabaseServer:
    """Return the server under DATA_DIR."""
    return EmbeddedPostgres(embedded_options(settings), launch)


def migrations(settings: Settings) -> Migrations:
    """Return the migrations of the settings' database; raises SettingsError when DATABASE_URL is no address."""
    dsn = gateway_options(settings).dsn
    return CommandMigrations(MigrationRunner(dsn, load_statements().migrations, SystemClock()))


def storage(settings: Settings, disk: Path | None) -> Storage:
    """Return what looks at the settings' database."""
    return CommandStorage(settings, disk)


def token(settings: Settings, owner: Owner, scopes: frozenset[Scope], lifetime: timedelta) -> str:
    """Return a token that JWT_SECRET signs; raises RuntimeError when that is no secret to sign with."""
    assert settings.jwt_secret is not None
    span = SystemClock().now(), lifetime
    try:
        return issue_token(settings.jwt_secret.reveal(), owner, scopes, claim_rules(settings), span)
    except WrongKey as error:
        raise RuntimeError(f"JWT_SECRET: {error}") from error


def keys(settings: Settings) -> AbstractAsyncContextManager[ApiKeyService]:
    """Return the API keys of the settings' database, while they are looked at."""
    return command_keys(settings)


def owners(settings: Settings) -> AbstractAsyncContextManager[OwnerMover]:
    """Return what moves the belongings of owners in the settings' database."""
    return command_owners(settings)


def database_examination(settings: Settings) -> AbstractAsyncContextManager[DatabaseExamination]:
    """Return what looks at the settings' database, while it is looked at."""
    return command_database_examination(settings)


def host_examination(settings: Settings) -> HostExamination:
    """Return what looks at this machine."""
    return CommandHostExamination(settings)


def chronicler(settings: Settings) -> AbstractAsyncContextManager[TimelineReader]:
    """Return what reads the stories of ids in the settings' database."""
    return command_chronicler(settings)


def keeping(settings: Settings) -> RetentionTimes:
    """Return how long what has ended is kept."""
    return explained_keeping(settings)


def document(settings: Settings) -> str:
    """Return the OpenAPI document of a controller with these settings, as text; nothing is connected for it."""
    reachable = settings.database_url or Secret("postgresql:///")
    return rendered(create_controller(replace(settings, database_url=reachable)).document())


def self_test(settings: Settings, languages: Sequence[Language]) -> SelfTest:
    """Return the attacks in these languages on a sandbox like the service's."""
    return SelfTest(sandbox_options(settings, tuple(languages)), load_attacks(languages))


@frozen
class NumberedState(MigrationState):
    """A migration's name with its number, and when it was applied."""

    name: str
    applied_at: datetime | None


@define
class CommandMigrations:
    """Migrations as commands see them: by name, with refusals as a text for operators."""

    _runner: MigrationRunner

    async def status(self) -> Sequence[MigrationState]:
        """Return every migration in order."""
        with _told():
            return [
                NumberedState(f"{each.version:04d}_{each.name}", each.applied_at)
                for each in await self._runner.status()
            ]

    async def up(self, to: int | None = None, *, dry_run: bool = False) -> Sequence[str]:
        """Apply what is missing, up to a number or to the newest; return the names, also of a dry run."""
        with _told():
            return _names(await self._runner.up(to, dry_run=dry_run))

    async def down(
        self, to: int | None = None, *, dry_run: bool = False, destroy: Collection[str] = ()
    ) -> Sequence[DownStep]:
        """Take back what is above a number, or the newest alone; return the steps, also of a dry run."""
        with _told():
            return await self._runner.down(to, dry_run=dry_run, destroy=destroy)


def _names(steps: Sequence[Migration]) -> Sequence[str]:
    return [str(step) for step in steps]


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except _REFUSALS as error:
        raise RuntimeError(str(error)) from error
