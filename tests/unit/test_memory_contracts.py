"""The fake repositories keep the contracts; the switch does what tests rely on."""

from collections.abc import Callable
from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import given

from adapters.memory.announcer import MemoryAnnouncer
from adapters.memory.api_keys import MemoryApiKeyRepository
from adapters.memory.audit import MemoryAudit
from adapters.memory.egress_rules import MemoryOwnerRules
from adapters.memory.executions import MemoryExecutionRepository
from adapters.memory.files import MemoryFileRepository
from adapters.memory.functions import MemoryFunctionRepository
from adapters.memory.keyed_calls import MemoryKeyedExecutionRepository, MemoryKeyedSessionRepository
from adapters.memory.live_output import MemoryLiveOutput
from adapters.memory.manual_clock import ManualClock
from adapters.memory.origin import MemoryOriginReader, MemoryStoredReader
from adapters.memory.ownership import MemoryOwnership
from adapters.memory.queue import MemoryExecutionQueue
from adapters.memory.recordings import MemoryRecordingStore
from adapters.memory.schedules import MemoryScheduleRepository
from adapters.memory.secrets import MemorySecretRepository
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.session_returns import MemoryReturnStore
from adapters.memory.sessions import MemoryHiddenSessionRepository, MemorySessionPurger, MemorySessionRepository
from adapters.memory.states import MemoryStateRepository
from adapters.memory.store import MemoryStore
from adapters.memory.takeover import MemoryTakeoverStore
from adapters.memory.webhooks import MemoryDeliveryQueue, MemoryWebhookRepository, MemoryWebhookStore
from domain.errors import StorageUnavailable
from domain.identity import ANONYMOUS
from domain.sessions.ports import SessionFilter
from tests.contracts import queue_histories
from tests.contracts.api_key_repository import ApiKeyRepositoryContract
from tests.contracts.execution_queue import CleanUp, ExecutionQueueContract
from tests.contracts.execution_repository import ExecutionRepositoryContract, keeps_no_payloads
from tests.contracts.file_repository import FileRepositoryContract
from tests.contracts.function_repository import ADDER, ALICE, BOB, VERSIONS_KEPT, FunctionRepositoryContract
from tests.contracts.function_repository import EXAMINED_MAX as FUNCTIONS_EXAMINED_MAX
from tests.contracts.hidden_session_repository import FUNCTION, TITLE, HiddenSessionRepositoryContract
from tests.contracts.key_histories import KeyHistory, steps
from tests.contracts.keyed_call_repository import KEY, KeyedCallRepositoryContract, made_of
from tests.contracts.live_output import LiveOutputContract
from tests.contracts.origin_reader import OriginReaderContract, Store
from tests.contracts.owner_rules import RULES_MAX, OwnerRulesContract
from tests.contracts.ownership import OwnershipContract, ownership_fails_as_a_whole
from tests.contracts.recording_store import RecordingStoreContract, recording_fails_as_a_whole
from tests.contracts.return_store import ReturnStoreContract
from tests.contracts.schedule_repository import HISTORY_MAX, ScheduleRepositoryContract
from tests.contracts.secret_repository import SecretRepositoryContract
from tests.contracts.session_purger import SessionPurgerContract
from tests.contracts.session_repository import EXAMINED_MAX, SessionRepositoryContract, same
from tests.contracts.state_repository import StateRepositoryContract
from tests.contracts.storage import SCRIPT, Storage
from tests.contracts.takeover_store import TakeoverStoreContract, fails_as_a_whole, origin_id
from tests.contracts.takeover_verification import FENCE, TakeoverVerificationContract, World, clock_at
from tests.contracts.webhooks import WebhookCopyContract
from tests.unit.takeover.builders import NOW


def memory_storage(store: MemoryStore, webhooks: MemoryWebhookStore | None = None) -> Storage:
    clock, ids, functions = ManualClock(), SequentialIds(), MemoryFunctionRepository()
    store.functions, files = functions.functions, MemoryFileRepository()
    store.on_counted = lambda finished: files.complete_outputs(finished, clock.now())
    store.on_erased = files.remove_outputs
    sessions, executions = MemorySessionRepository(store, EXAMINED_MAX), MemoryExecutionRepository(store, clock)
    announcer = MemoryAnnouncer(webhooks or MemoryWebhookStore(), ids)
    queue = MemoryExecutionQueue(store, executions, ids, announcer=announcer)
    return Storage(
        sessions,
        executions,
        clock,
        ids,
        hidden=MemoryHiddenSessionRepository(store),
        functions=functions,
        keyed_sessions=MemoryKeyedSessionRepository(store, sessions),
        keyed_executions=MemoryKeyedExecutionRepository(store, executions),
        queue=queue,
        schedules=MemoryScheduleRepository(store, queue),
        states=MemoryStateRepository(store),
        files=files,
    )


class TestMemorySessionRepository(SessionRepositoryContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return memory_storage(MemoryStore())


class TestMemoryStateRepository(StateRepositoryContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return memory_storage(MemoryStore())


class TestMemoryFileRepository(FileRepositoryContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return memory_storage(MemoryStore())


class TestMemoryWebhooks(WebhookCopyContract):
    @pytest.fixture
    def store(self) -> MemoryWebhookStore:
        return MemoryWebhookStore()

    @pytest.fixture
    def audit(self) -> MemoryAudit:
        return MemoryAudit()

    @pytest.fixture
    def webhooks(self, store: MemoryWebhookStore, audit: MemoryAudit) -> MemoryWebhookRepository:
        return MemoryWebhookRepository(store, audit)

    @pytest.fixture
    def deliveries(self, store: MemoryWebhookStore) -> MemoryDeliveryQueue:
        return MemoryDeliveryQueue(store)


async def test_while_its_failure_is_set_the_store_of_webhooks_raises_it() -> None:
    store = MemoryWebhookStore(failure=StorageUnavailable())
    with pytest.raises(StorageUnavailable):
        await MemoryDeliveryQueue(store).find(ALICE, UUID(int=1))
    with pytest.raises(StorageUnavailable):
        await MemoryWebhookRepository(store).page(ALICE, None, 1)


class TestMemoryHiddenSessionRepository(HiddenSessionRepositoryContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return memory_storage(MemoryStore())


class TestMemoryScheduleRepository(ScheduleRepositoryContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def storage(self, store: MemoryStore) -> Storage:
        return memory_storage(store)

    @pytest.fixture
    def schedules(self, store: MemoryStore, storage: Storage) -> MemoryScheduleRepository:
        assert storage.queue is not None
        return MemoryScheduleRepository(store, storage.queue, HISTORY_MAX)


class TestMemoryExecutionRepository(ExecutionRepositoryContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return memory_storage(MemoryStore())


class TestMemoryLiveOutput(LiveOutputContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def storage(self, store: MemoryStore) -> Storage:
        return memory_storage(store)

    @pytest.fixture
    def output(self, store: MemoryStore) -> MemoryLiveOutput:
        return MemoryLiveOutput(store)


class TestMemorySessionPurger(SessionPurgerContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def storage(self, store: MemoryStore) -> Storage:
        return memory_storage(store)

    @pytest.fixture
    def audit(self) -> MemoryAudit:
        return MemoryAudit()

    @pytest.fixture
    def purger(self, store: MemoryStore, audit: MemoryAudit) -> MemorySessionPurger:
        return MemorySessionPurger(store, audit)


class TestMemoryApiKeyRepository(ApiKeyRepositoryContract):
    @pytest.fixture
    def audit(self, keys: MemoryApiKeyRepository) -> MemoryAudit:
        return keys.audit

    @pytest.fixture
    def keys(self) -> MemoryApiKeyRepository:
        return MemoryApiKeyRepository()


class TestMemorySecretRepository(SecretRepositoryContract):
    @pytest.fixture
    def audit(self, secrets: MemorySecretRepository) -> MemoryAudit:
        return secrets.audit

    @pytest.fixture
    def secrets(self) -> MemorySecretRepository:
        return MemorySecretRepository()


class TestMemoryOwnerRules(OwnerRulesContract):
    @pytest.fixture
    def rules(self) -> MemoryOwnerRules:
        return MemoryOwnerRules(RULES_MAX)

    @pytest.fixture
    def audit(self, rules: MemoryOwnerRules) -> MemoryAudit:
        return rules.audit


class TestMemoryTakeoverStore(TakeoverStoreContract):
    @pytest.fixture
    def memory(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def storage(self, memory: MemoryStore) -> Storage:
        return memory_storage(memory)

    @pytest.fixture
    def store(self, memory: MemoryStore) -> MemoryTakeoverStore:
        return MemoryTakeoverStore(memory)

    async def test_a_store_with_a_failure_fails_every_call(self, memory, storage, store):
        memory.failure = StorageUnavailable()
        await fails_as_a_whole(store, storage)


class TestMemoryRecordingStore(RecordingStoreContract):
    @pytest.fixture
    def memory(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def storage(self, memory: MemoryStore) -> Storage:
        return memory_storage(memory)

    @pytest.fixture
    def store(self, memory: MemoryStore) -> MemoryTakeoverStore:
        return MemoryTakeoverStore(memory)

    @pytest.fixture
    def recordings(self, memory: MemoryStore, store: MemoryTakeoverStore) -> MemoryRecordingStore:
        return MemoryRecordingStore(memory, store)

    async def test_a_store_with_a_failure_fails_every_call(self, memory, recordings, storage):
        memory.failure = StorageUnavailable()
        await recording_fails_as_a_whole(recordings, storage)


class TestMemoryOwnership(OwnershipContract):
    @pytest.fixture
    def memory(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def storage(self, memory: MemoryStore) -> Storage:
        return memory_storage(memory)

    @pytest.fixture
    def store(self, memory: MemoryStore) -> MemoryTakeoverStore:
        return MemoryTakeoverStore(memory)

    @pytest.fixture
    def ownership(self, memory: MemoryStore, store: MemoryTakeoverStore) -> MemoryOwnership:
        return MemoryOwnership(memory, store)

    async def test_a_store_with_a_failure_fails_every_look(self, memory, ownership):
        memory.failure = StorageUnavailable()
        await ownership_fails_as_a_whole(ownership)

    async def test_sessions_that_are_to_be_moved_on_are_noted(self, ownership):
        await ownership.settle(origin_id(1))
        assert ownership.settled == [origin_id(1)]


class TestMemoryOriginReader(OriginReaderContract):
    @pytest.fixture
    def reader(self) -> MemoryOriginReader:
        return MemoryOriginReader()

    @pytest.fixture
    def store(self, reader: MemoryOriginReader) -> Store:
        return lambda row: reader.rows.update({row.request_id: row})


class TestMemoryReturnStore(ReturnStoreContract):
    @pytest.fixture
    def memory(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def storage(self, memory: MemoryStore) -> Storage:
        return memory_storage(memory)

    @pytest.fixture
    def store(self, memory: MemoryStore) -> MemoryTakeoverStore:
        return MemoryTakeoverStore(memory)

    @pytest.fixture
    def returns(self, memory: MemoryStore) -> MemoryReturnStore:
        return MemoryReturnStore(memory)


class TestMemoryTakeoverVerification(TakeoverVerificationContract):
    @pytest.fixture
    def world(self) -> World:
        memory = MemoryStore()
        storage = clock_at(memory_storage(memory), NOW)
        reader = MemoryOriginReader(shift=FENCE.shift)
        return World(
            storage,
            MemoryTakeoverStore(memory),
            MemoryStoredReader(memory),
            reader,
            lambda row: reader.rows.update({row.request_id: row}),
            lambda request_id: reader.rows.pop(request_id) and None,
        )


class TestMemoryKeyedCallRepository(KeyedCallRepositoryContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return memory_storage(MemoryStore())


class TestMemoryExecutionQueue(ExecutionQueueContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def sent(self) -> MemoryWebhookStore:
        return MemoryWebhookStore()

    @pytest.fixture
    def storage(self, store: MemoryStore, sent: MemoryWebhookStore) -> Storage:
        return memory_storage(store, sent)

    @pytest.fixture
    def purger(self, store: MemoryStore, sent: MemoryWebhookStore) -> MemorySessionPurger:
        return MemorySessionPurger(store, MemoryAudit(), sent)

    @pytest.fixture
    def webhooks(self, sent: MemoryWebhookStore) -> MemoryWebhookRepository:
        return MemoryWebhookRepository(sent)

    @pytest.fixture
    def deliveries(self, sent: MemoryWebhookStore) -> MemoryDeliveryQueue:
        return MemoryDeliveryQueue(sent)

    @pytest.fixture
    def audit(self, storage: Storage) -> MemoryAudit:
        assert isinstance(storage.queue, MemoryExecutionQueue)
        return storage.queue.audit

    @pytest.fixture
    def clean_up(self, storage: Storage) -> CleanUp:
        async def clean_up() -> None:
            storage.queue.end_overdue(storage.clock.now())

        return clean_up


@given(history=steps)
async def test_a_key_is_what_the_rules_say_after_any_history(history):
    await (await KeyHistory.of(memory_storage(MemoryStore()))).follow(history)


@given(history=queue_histories.steps)
async def test_every_execution_of_a_queue_is_what_the_rules_say_after_any_history(history):
    await queue_histories.follows(memory_storage(MemoryStore()), history)


async def test_a_history_without_payloads_stores_none():
    store, clock = MemoryStore(), ManualClock()
    sessions, executions = MemorySessionRepository(store), MemoryExecutionRepository(store, clock, full=False)
    await keeps_no_payloads(Storage(sessions, executions, clock))


async def test_a_store_with_a_failure_fails_every_call():
    store = MemoryStore()
    storage = memory_storage(store)
    session = await storage.add()
    execution = await storage.begin(session.ref)
    store.failure = StorageUnavailable()
    now = storage.clock.now()
    for call in (
        storage.add(),
        storage.sessions.get(session.ref),
        storage.sessions.script(session.ref),
        storage.sessions.update(session.ref, same),
        storage.sessions.page(ANONYMOUS, SessionFilter(now), None, 1),
        storage.begin(session.ref),
        storage.executions.withdraw(execution.execution_id, session.ref),
        storage.executions.finish(storage.finished(execution)),
        storage.executions.page(session.ref, None, 1),
        storage.executions.get(ANONYMOUS, execution.execution_id),
        storage.hidden.open(session, SCRIPT),
        storage.hidden.refs(ANONYMOUS, TITLE, FUNCTION),
        storage.hidden.key_holder(ANONYMOUS, TITLE, FUNCTION, KEY, now),
        storage.keyed_executions.begin(*storage.request(session.ref), KEY),
        storage.keyed_executions.withdraw(execution.execution_id, session.ref, KEY),
        storage.keyed_executions.finish(storage.finished(execution), KEY),
        storage.keyed_sessions.initialize(made_of(session), session, SCRIPT, KEY),
        storage.keyed_sessions.initialized(ANONYMOUS, KEY, now),
    ):
        with pytest.raises(StorageUnavailable):
            await call


class TestMemoryFunctionRepository(FunctionRepositoryContract):
    @pytest.fixture
    def audit(self, functions: MemoryFunctionRepository) -> MemoryAudit:
        return functions.audit

    @pytest.fixture
    def functions(self) -> MemoryFunctionRepository:
        return MemoryFunctionRepository(VERSIONS_KEPT, FUNCTIONS_EXAMINED_MAX)

    @pytest.fixture
    def move_to_bob(self, functions: MemoryFunctionRepository) -> Callable[[], None]:
        def move() -> None:
            moved = functions.functions.pop((ALICE, ADDER))
            functions.functions[BOB, ADDER] = evolve(moved, owner=BOB)

        return move
