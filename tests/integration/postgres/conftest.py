"""The repositories of one process, on the test's database."""

from datetime import timedelta

import pytest

from adapters.memory.manual_clock import ManualClock
from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.executions import PostgresExecutionRepository
from adapters.postgres.repositories.files import PostgresFileRepository
from adapters.postgres.repositories.functions import PostgresFunctionRepository
from adapters.postgres.repositories.hidden_sessions import PostgresHiddenSessionRepository
from adapters.postgres.repositories.keyed_executions import PostgresKeyedExecutionRepository
from adapters.postgres.repositories.keyed_sessions import PostgresKeyedSessionRepository
from adapters.postgres.repositories.queue import PostgresExecutionQueue
from adapters.postgres.repositories.schedules import PostgresScheduleRepository
from adapters.postgres.repositories.sessions import PostgresSessionRepository, SessionRepositoryOptions
from adapters.postgres.repositories.states import PostgresStateRepository
from adapters.postgres.retention.cleanup import Cleanup, Retention
from adapters.postgres.retention.entry_ender import EntryEnder, QueueLimits
from adapters.postgres.retention.history_budget import HistoryBudget
from adapters.postgres.retention.usage_counter import UsageCounter
from adapters.postgres.statements.catalogue import Statements
from domain.storage.storage import StorageBudget
from tests.contracts.session_repository import EXAMINED_MAX
from tests.contracts.storage import Storage

FEW_TURNS = QueueLimits(turns_max=16, walks_max=2)
"""A test needs few owners to go beyond them."""


def storage_on(gateway: Gateway, statements: Statements, **options: object) -> Storage:
    """Return repositories as one process has them: they share what is being written."""
    writing, clock = BatchKeys(), ManualClock()
    executions = PostgresExecutionRepository(gateway, statements.executions, clock, writing)
    return Storage(
        PostgresSessionRepository(
            gateway, statements.sessions, writing, SessionRepositoryOptions(**{"examined_max": EXAMINED_MAX} | options)
        ),
        executions,
        clock,
        hidden=PostgresHiddenSessionRepository(gateway, statements.sessions),
        functions=PostgresFunctionRepository(gateway, statements.functions),
        keyed_sessions=PostgresKeyedSessionRepository(gateway, statements.keyed_calls, writing),
        keyed_executions=PostgresKeyedExecutionRepository(gateway, statements.keyed_calls, executions, writing),
        queue=PostgresExecutionQueue(gateway, statements, executions, writing, FEW_TURNS),
        schedules=PostgresScheduleRepository(gateway, statements.schedules),
        states=PostgresStateRepository(gateway, statements.states),
        files=PostgresFileRepository(gateway, statements.files),
    )


def cleanup_on(gateway: Gateway, statements: Statements, storage: Storage) -> Cleanup:
    """Return the cleanup of one process, with a retention of a day for sessions and of seven for the history."""
    retention = Retention(sessions=timedelta(days=1), history=timedelta(days=7))
    budget = HistoryBudget.of(gateway, statements, StorageBudget(None, 7))
    usage = UsageCounter(gateway, statements.usage, storage.clock, 7)
    parts = budget, usage, EntryEnder(gateway, statements.queue_sweeps)
    return Cleanup(gateway, statements.cleanup, storage.clock, retention, *parts, files=storage.files)


@pytest.fixture
def storage(gateway: Gateway, statements: Statements) -> Storage:
    return storage_on(gateway, statements)
