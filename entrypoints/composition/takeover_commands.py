"""The commands of a takeover, whose parts are imported when a command needs them."""

import asyncio
from pkgutil import resolve_name
from typing import Any

from attrs import frozen
from dependency_injector import containers, providers

from adapters.random_ids import RandomIds
from entrypoints.composition.database import Database
from entrypoints.composition.operator import operator
from entrypoints.settings.settings import Settings


@frozen
class Later:
    """What has this name, as `module:name`; it is imported when it is called.

    Few commands need it, and all would wait for the import: together these take a third of the start-up time.
    """

    name: str

    def __call__(self, *values: Any, **named: Any) -> Any:
        return resolve_name(self.name)(*values, **named)


class TakeoverCommands(containers.DeclarativeContainer):
    """What a command of a takeover is made of; objects that use the database need it to be open."""

    settings = providers.Dependency(instance_of=Settings)
    database = providers.Container(Database, settings=settings, observe=providers.Object(None))
    ids = providers.Factory(RandomIds)
    actor = providers.Singleton(operator)

    origin_inspector = providers.Callable(Later("entrypoints.composition.takeover:origin_inspector"))
    origin_reader = providers.Callable(Later("entrypoints.composition.takeover:origin_reader"))
    origin_version = providers.Callable(Later("entrypoints.composition.takeover:origin_version"))
    origin_cache = providers.Callable(Later("entrypoints.composition.takeover:origin_cache"))
    loaded_dump = providers.Callable(Later("entrypoints.composition.takeover:loaded_dump"))
    takeover_start = providers.Callable(
        Later("domain.takeover.start:TakeoverStart"), database.takeover_store, database.clock, ids, actor
    )
    stored_reader = providers.Callable(
        Later("adapters.postgres.repositories.verification:PostgresStoredReader"),
        database.gateway,
        database.statements.provided.verification,
        database.statements.provided.takeover,
    )
    pause = providers.Object(asyncio.sleep)
    copier = providers.Callable(
        Later("domain.takeover.copying:Copier"), store=database.takeover_store, clock=database.clock
    )
    verifier = providers.Callable(
        Later("domain.takeover.verifier:Verifier"),
        stored=stored_reader,
        store=database.takeover_store,
        clock=database.clock,
    )
    takeover_policy = providers.Callable(Later("entrypoints.composition.takeover:takeover_policy"), settings)
    with_shared_functions = providers.Callable(
        Later("entrypoints.composition.takeover:with_shared_functions"), functions=database.functions
    )
    script_runners = providers.Callable(Later("entrypoints.composition.takeover_runs:script_runners"), settings)
    origin_functions = providers.Callable(Later("entrypoints.composition.takeover:origin_functions"), settings)
    function_importer = providers.Callable(
        Later("entrypoints.composition.takeover_runs:function_importer"),
        settings,
        database.functions,
        database.clock,
        ids,
        actor,
    )
    origin_sessions = providers.Callable(Later("entrypoints.composition.session_moves:origin_sessions"))
    takeover_parts = providers.Callable(
        Later("entrypoints.composition.session_moves:TakeoverParts"),
        database.takeover_store,
        database.return_store,
        database.clock,
        ids,
        actor,
        pause,
    )
    sandbox_runners = providers.Callable(Later("entrypoints.composition.takeover_runs:sandbox_runners"), settings)
    recordings = database.recordings
    record = providers.Callable(Later("domain.takeover.rehearser:record"), recordings, database.clock)
    rehearser = providers.Callable(
        Later("domain.takeover.rehearser:Rehearser"),
        recordings,
        database.takeover_store,
        database.clock,
        ids,
    )
