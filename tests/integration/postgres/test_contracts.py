"""The repositories in PostgreSQL keep the contracts."""

from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest

from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.api_keys import PostgresApiKeyRepository
from adapters.postgres.repositories.audit import PostgresAuditReader
from adapters.postgres.repositories.egress_rules import PostgresOwnerRules
from adapters.postgres.repositories.functions import FunctionRepositoryOptions, PostgresFunctionRepository
from adapters.postgres.repositories.ownership import PostgresOwnership
from adapters.postgres.repositories.purges import PostgresSessionPurger
from adapters.postgres.repositories.recordings import PostgresRecordingStore
from adapters.postgres.repositories.schedules import PostgresScheduleRepository, ScheduleRepositoryOptions
from adapters.postgres.repositories.secrets import PostgresSecretRepository
from adapters.postgres.repositories.session_returns import PostgresReturnStore
from adapters.postgres.repositories.takeover import PostgresTakeoverStore
from adapters.postgres.repositories.webhooks import PostgresDeliveryQueue, PostgresWebhookRepository
from adapters.postgres.statements.catalogue import Statements
from domain.audit import ActName
from domain.executions.execution import ExecutionNotFound
from domain.idempotency import KEPT_FOR
from domain.takeover.ports import Holding
from tests.contracts.api_key_repository import ApiKeyRepositoryContract
from tests.contracts.execution_queue import CleanUp, ExecutionQueueContract
from tests.contracts.execution_repository import ExecutionRepositoryContract
from tests.contracts.file_repository import FileRepositoryContract
from tests.contracts.function_repository import ALICE, BOB, VERSIONS_KEPT, FunctionRepositoryContract
from tests.contracts.function_repository import EXAMINED_MAX as FUNCTIONS_EXAMINED_MAX
from tests.contracts.hidden_session_repository import HiddenSessionRepositoryContract
from tests.contracts.keyed_call_repository import KeyedCallRepositoryContract
from tests.contracts.owner_rules import RULES_MAX, OwnerRulesContract
from tests.contracts.ownership import OwnershipContract
from tests.contracts.recording_store import RecordingStoreContract
from tests.contracts.return_store import ReturnStoreContract
from tests.contracts.schedule_repository import HISTORY_MAX, ScheduleRepositoryContract
from tests.contracts.secret_repository import SecretRepositoryContract
from tests.contracts.session_purger import SessionPurgerContract
from tests.contracts.session_repository import SessionRepositoryContract
from tests.contracts.state_repository import StateRepositoryContract
from tests.contracts.storage import Storage
from tests.contracts.takeover_store import TakeoverStoreContract, id_of, inbound, owned
from tests.contracts.webhooks import WebhookCopyContract
from tests.integration.postgres.conftest import cleanup_on
from tests.integration.postgres.gateways import Rows, Run, SteeredGateway
from tests.support.acts import act


class TestPostgresSessionRepository(SessionRepositoryContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage


class TestPostgresHiddenSessionRepository(HiddenSessionRepositoryContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage


class TestPostgresKeyedCallRepository(KeyedCallRepositoryContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage


class TestPostgresExecutionQueue(ExecutionQueueContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage

    @pytest.fixture
    def purger(self, gateway: Gateway, statements: Statements, storage: Storage) -> PostgresSessionPurger:
        return PostgresSessionPurger(gateway, statements.purges, storage.clock, KEPT_FOR, rows_max=2)

    @pytest.fixture
    def webhooks(self, database_url: str, gateway: Gateway, statements: Statements) -> PostgresWebhookRepository:
        with psycopg.connect(database_url) as connection:
            connection.execute("TRUNCATE meta.webhooks, meta.deliveries")
        return PostgresWebhookRepository(gateway, statements.webhooks)

    @pytest.fixture
    def deliveries(self, gateway: Gateway, statements: Statements) -> PostgresDeliveryQueue:
        return PostgresDeliveryQueue(gateway, statements.webhooks)

    @pytest.fixture
    def audit(self, gateway: Gateway, statements: Statements) -> PostgresAuditReader:
        return PostgresAuditReader(gateway, statements.audit)

    @pytest.fixture
    def clean_up(self, gateway: Gateway, statements: Statements, storage: Storage) -> CleanUp:
        return cleanup_on(gateway, statements, storage).run_once


class TestPostgresScheduleRepository(ScheduleRepositoryContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage

    @pytest.fixture
    def schedules(self, gateway: Gateway, statements: Statements) -> PostgresScheduleRepository:
        options = ScheduleRepositoryOptions(history_max=HISTORY_MAX)
        return PostgresScheduleRepository(gateway, statements.schedules, options)


class TestPostgresExecutionRepository(ExecutionRepositoryContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage


class TestPostgresStateRepository(StateRepositoryContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage


class TestPostgresFileRepository(FileRepositoryContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage


class TestPostgresFunctionRepository(FunctionRepositoryContract):
    @pytest.fixture
    def audit(self, gateway: Gateway, statements: Statements) -> PostgresAuditReader:
        return PostgresAuditReader(gateway, statements.audit)

    @pytest.fixture
    def functions(self, database_url: str, gateway: Gateway, statements: Statements) -> PostgresFunctionRepository:
        with psycopg.connect(database_url) as connection:
            connection.execute("TRUNCATE meta.functions, meta.function_versions")
        options = FunctionRepositoryOptions(versions_kept=VERSIONS_KEPT, examined_max=FUNCTIONS_EXAMINED_MAX)
        return PostgresFunctionRepository(gateway, statements.functions, options)

    @pytest.fixture
    def move_to_bob(self, database_url: str) -> Callable[[], None]:
        def move() -> None:
            with psycopg.connect(database_url) as other:
                other.execute("UPDATE meta.functions SET owner = %s WHERE owner = %s", (BOB, ALICE))

        return move


class TestPostgresWebhooks(WebhookCopyContract):
    @pytest.fixture
    def audit(self, gateway: Gateway, statements: Statements) -> PostgresAuditReader:
        return PostgresAuditReader(gateway, statements.audit)

    @pytest.fixture(autouse=True)
    def _empty(self, database_url: str) -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute("TRUNCATE meta.webhooks, meta.deliveries, meta.audit")

    @pytest.fixture
    def webhooks(self, gateway: Gateway, statements: Statements) -> PostgresWebhookRepository:
        return PostgresWebhookRepository(gateway, statements.webhooks)

    @pytest.fixture
    def deliveries(self, gateway: Gateway, statements: Statements) -> PostgresDeliveryQueue:
        return PostgresDeliveryQueue(gateway, statements.webhooks)


class TestPostgresTakeoverStore(TakeoverStoreContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage

    @pytest.fixture
    def store(self, gateway: Gateway, statements: Statements) -> PostgresTakeoverStore:
        return PostgresTakeoverStore(gateway, statements.takeover)


class TestPostgresReturnStore(ReturnStoreContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage

    @pytest.fixture
    def store(self, gateway: Gateway, statements: Statements) -> PostgresTakeoverStore:
        return PostgresTakeoverStore(gateway, statements.takeover)

    @pytest.fixture
    def returns(self, gateway: Gateway, statements: Statements) -> PostgresReturnStore:
        return PostgresReturnStore(gateway, statements.session_returns)


class TestPostgresRecordingStore(RecordingStoreContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage

    @pytest.fixture
    def store(self, gateway: Gateway, statements: Statements) -> PostgresTakeoverStore:
        return PostgresTakeoverStore(gateway, statements.takeover)

    @pytest.fixture
    def recordings(self, gateway: Gateway, statements: Statements) -> PostgresRecordingStore:
        return PostgresRecordingStore(gateway, statements.recordings)


class TestPostgresOwnership(OwnershipContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage

    @pytest.fixture
    def store(self, gateway: Gateway, statements: Statements) -> PostgresTakeoverStore:
        return PostgresTakeoverStore(gateway, statements.takeover)

    @pytest.fixture
    def settled(self) -> list[UUID]:
        return []

    @pytest.fixture
    def ownership(self, gateway: Gateway, statements: Statements, settled: list[UUID]) -> PostgresOwnership:
        async def settle(session_id: UUID) -> None:
            settled.append(session_id)

        return PostgresOwnership(gateway, statements.takeover, settle)

    @pytest.mark.parametrize("state", ["returning", "returned"])
    async def test_a_session_that_moves_back_is_found_at_every_step(
        self, state, storage, store, ownership, database_url
    ):
        copy = inbound(storage)
        await owned(store, storage, copy)
        with psycopg.connect(database_url) as other:
            other.execute("UPDATE meta.taken_sessions SET state = %s", (state,))
        assert await ownership.of(id_of(copy)) is Holding(state)

    async def test_a_session_is_moved_on_by_what_can_do_it(self, ownership, settled):
        await ownership.settle(UUID(int=1))
        assert settled == [UUID(int=1)]


class TestPostgresSessionPurger(SessionPurgerContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage

    @pytest.fixture
    def purger(self, gateway: Gateway, statements: Statements, storage: Storage) -> PostgresSessionPurger:
        return PostgresSessionPurger(gateway, statements.purges, storage.clock, KEPT_FOR, rows_max=2)

    @pytest.fixture
    def audit(self, gateway: Gateway, statements: Statements) -> PostgresAuditReader:
        return PostgresAuditReader(gateway, statements.audit)

    async def test_an_execution_that_finishes_during_the_first_step_is_erased(
        self, storage: Storage, gateway: Gateway, statements: Statements
    ) -> None:
        steered = SteeredGateway(gateway)
        session = await storage.add(ALICE)
        running = await storage.begin(session.ref)
        await storage.close(session)

        async def meet_a_finish(_: Run) -> Rows:
            """Find the open record gone, and do not see the row of the finish that has removed it."""
            await storage.executions.finish(storage.finished(running))
            return [(True, 0)]

        steered.steps["purge_session"] = [meet_a_finish]
        purger = PostgresSessionPurger(steered, statements.purges, storage.clock, KEPT_FOR)
        await purger.purge(session.ref, act(ActName.SESSIONS_PURGE))
        with pytest.raises(ExecutionNotFound):
            await storage.executions.get(ALICE, running.execution_id)


class TestPostgresApiKeyRepository(ApiKeyRepositoryContract):
    @pytest.fixture
    def audit(self, gateway: Gateway, statements: Statements) -> PostgresAuditReader:
        return PostgresAuditReader(gateway, statements.audit)

    @pytest.fixture
    def keys(self, gateway: Gateway, statements: Statements) -> PostgresApiKeyRepository:
        return PostgresApiKeyRepository(gateway, statements.api_keys)


class TestPostgresSecretRepository(SecretRepositoryContract):
    @pytest.fixture
    def audit(self, gateway: Gateway, statements: Statements) -> PostgresAuditReader:
        return PostgresAuditReader(gateway, statements.audit)

    @pytest.fixture
    def secrets(self, gateway: Gateway, statements: Statements) -> PostgresSecretRepository:
        return PostgresSecretRepository(gateway, statements.secrets)


class TestPostgresOwnerRules(OwnerRulesContract):
    @pytest.fixture
    def audit(self, gateway: Gateway, statements: Statements) -> PostgresAuditReader:
        return PostgresAuditReader(gateway, statements.audit)

    @pytest.fixture
    def rules(self, gateway: Gateway, statements: Statements) -> PostgresOwnerRules:
        return PostgresOwnerRules(gateway, statements.egress_rules, RULES_MAX)
