"""The origin, as one HTTP worker meets it: whose its sessions are, and which calls are passed on to it."""

from typing import Any

from dependency_injector import containers, providers

from adapters.postgres.repositories.ownership import PostgresOwnership
from domain.audit import UNNAMED
from domain.takeover.recorder import Recorder
from domain.takeover.spelling import KeptSpellings
from entrypoints.composition.first_touch import FirstTouch
from entrypoints.composition.front import Fronting
from entrypoints.composition.session_moves import TakeoverParts
from entrypoints.settings.settings import Settings


class Origin(containers.DeclarativeContainer):
    """The ownership of sessions, moves of single sessions, the front, and the recording of its calls."""

    settings = providers.Dependency(instance_of=Settings)
    database = providers.DependenciesContainer()
    ids: providers.Dependency[Any] = providers.Dependency()
    mapping: providers.Dependency[Any] = providers.Dependency()
    request_timeout_s: providers.Dependency[Any] = providers.Dependency()

    first_touch = providers.Singleton(
        FirstTouch,
        settings,
        providers.Factory(
            TakeoverParts,
            database.takeover_store,
            database.return_store,
            database.clock,
            ids,
            providers.Object(UNNAMED),
        ),
        database.functions,
    )
    ownership = providers.Singleton(
        PostgresOwnership,
        database.gateway,
        database.statements.provided.takeover,
        first_touch.provided.move,
    )
    recorder = providers.Singleton(Recorder, database.recordings, database.clock, ids)
    fronting = providers.Singleton(Fronting.of, settings, ownership, mapping, recorder)
    spellings = providers.Singleton(KeptSpellings, database.takeover_store, request_timeout_s)
