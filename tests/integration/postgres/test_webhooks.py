"""Messages to webhooks: made by the end of an execution, claimed by one process, kept for a while, moved and erased."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest
from attrs import define, evolve, field

from adapters.memory.manual_clock import no_jitter
from adapters.memory.sequential_ids import SequentialIds
from adapters.postgres.gateway import Gateway
from adapters.postgres.gateway_options import GatewayOptions
from adapters.postgres.inspection import DatabaseInspector
from adapters.postgres.repositories.owner_mover import OwnerMoverOptions, PostgresOwnerMover
from adapters.postgres.repositories.purges import PostgresOwnerPurger, PostgresSessionPurger
from adapters.postgres.repositories.webhooks import PostgresDeliveryQueue, PostgresWebhookRepository
from adapters.postgres.retention.deliveries import DeliveryRetention
from adapters.postgres.statements.catalogue import Statements
from domain.access.owner_move import OwnedData
from domain.audit import ActName
from domain.cleanup import DeliveryStats
from domain.concurrency.background_tasks import BackgroundTasks
from domain.idempotency import KEPT_FOR as KEYS_KEPT_FOR
from domain.idempotency import IdempotencyKey
from domain.identity import ANONYMOUS, EVERY_OWNER, NO_ID, SessionRef, uuid7_time
from domain.queue.entry import AcceptOptions, RetryCause, RetryPolicy
from domain.scripts.report import Failure, FailureCode
from domain.stored_facts import WebhookFacts
from domain.webhooks.delivery import KEPT_FOR, KEPT_MAX, Delivery, DeliveryNotFound, DeliveryState, Reply
from domain.webhooks.dispatcher import DeliveryDispatcher, DeliveryPolicy
from domain.webhooks.ports import DeliveryClaim
from domain.webhooks.signature import SigningKey
from domain.webhooks.webhook import (
    ENDS,
    DisabledReason,
    Event,
    SecretVersion,
    Webhook,
    WebhookChanges,
    WebhookNotFound,
)
from tests.contracts.execution_queue import LONG, QueueOfOne
from tests.contracts.storage import ALICE, BOB, Storage, report_of
from tests.integration.postgres.conftest import cleanup_on
from tests.support.acts import act
from tests.support.waiting import until

HOUR = timedelta(hours=1)
UPDATE = ActName.WEBHOOKS_UPDATE
KEY = SigningKey(b"k" * 32)
_MOVE_ENDS = """
INSERT INTO meta.deliveries (delivery_id, request_id, webhook_id, execution_id, event, payload, state, next_at, error)
SELECT d.* FROM meta.deliveries_of(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) AS d
ON CONFLICT (delivery_id, request_id) DO NOTHING
"""


@pytest.fixture(autouse=True)
def _empty(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("TRUNCATE meta.webhooks, meta.deliveries")


@pytest.fixture
def webhooks(gateway: Gateway, statements: Statements) -> PostgresWebhookRepository:
    return PostgresWebhookRepository(gateway, statements.webhooks)


@pytest.fixture
def deliveries(gateway: Gateway, statements: Statements) -> PostgresDeliveryQueue:
    return PostgresDeliveryQueue(gateway, statements.webhooks)


@pytest.fixture
def retention(gateway: Gateway, statements: Statements, storage: Storage) -> DeliveryRetention:
    return DeliveryRetention(gateway, statements.cleanup, storage.clock, kept_max=3)


@pytest.fixture
def mover(gateway: Gateway, statements: Statements, storage: Storage) -> PostgresOwnerMover:
    return PostgresOwnerMover(gateway, statements, storage.clock)


@pytest.fixture
def purger(
    gateway: Gateway, statements: Statements, storage: Storage, mover: PostgresOwnerMover
) -> PostgresOwnerPurger:
    return PostgresOwnerPurger(gateway, statements.purges, storage.clock, mover, OwnerMoverOptions(2, 3))


@pytest.fixture
def session_purger(gateway: Gateway, statements: Statements, storage: Storage) -> PostgresSessionPurger:
    return PostgresSessionPurger(gateway, statements.purges, storage.clock, KEYS_KEPT_FOR, rows_max=2)


End = Callable[..., UUID]


@pytest.fixture
def end(database_url: str, storage: Storage) -> End:
    """Do what a statement does that ends an execution."""

    def run(owner: Any = ALICE, callback: UUID | None = None, status: str = "succeeded", **facts: Any) -> UUID:
        now = facts.get("at", storage.clock.now())
        execution_id = facts.get("execution_id") or storage.ids.new(now)
        request_id = facts.get("request_id") or storage.ids.new(now)
        values = (facts.get("title", "python-x"), 1, facts.get("error"), facts.get("result"))
        with psycopg.connect(database_url) as connection:
            connection.execute(_MOVE_ENDS, (owner, callback, request_id, execution_id, status, now, *values))
        return execution_id

    return run


def webhook_of(storage: Storage, owner: Any, **facts: Any) -> Webhook:
    made = {"events": ENDS, "secret": SecretVersion("0123456789abcdef")} | facts
    return Webhook(storage.ids.new(storage.clock.now()), owner, "https://example.com/", **made)


async def added(webhooks: PostgresWebhookRepository, storage: Storage, owner: Any = ALICE, **facts: Any) -> Webhook:
    webhook = webhook_of(storage, owner, **facts)
    await webhooks.add(webhook, 20, act(ActName.WEBHOOKS_CREATE))
    return webhook


async def is_waiting(database_url: str) -> bool:
    waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        return (await connection.execute(waiting)).rowcount > 0


async def messages(deliveries: PostgresDeliveryQueue, webhook: Webhook) -> list[Delivery]:
    return list((await deliveries.page(EVERY_OWNER, webhook.webhook_id, None, 100, None)).items)


async def test_the_end_of_an_execution_makes_a_message_for_each_webhook_that_hears_of_it(
    webhooks, deliveries, storage, end
):
    hears, other, silent, theirs = [
        await added(webhooks, storage, owner, events=events)
        for owner, events in ((ALICE, ENDS), (ALICE, {Event.SUCCEEDED}), (ALICE, {Event.FAILED}), (BOB, ENDS))
    ]
    execution_id = end(result='{"sum": 8.10, "n": null}')
    assert await messages(deliveries, silent) == await messages(deliveries, theirs) == []
    (first,), (second,) = await messages(deliveries, hears), await messages(deliveries, other)
    assert first.delivery_id != second.delivery_id
    assert (first.event, first.execution_id, first.state) == (Event.SUCCEEDED, execution_id, DeliveryState.PENDING)
    assert first.next_at == storage.clock.now()
    assert abs(uuid7_time(first.delivery_id) - storage.clock.now()) < timedelta(milliseconds=1)
    assert first.delivery_id.version == 7
    assert first.delivery_id.int & 0xFF == 0
    assert first.payload.endswith(',"result":{"sum": 8.10, "n": null}}}')
    assert json.loads(first.payload) == {
        "type": "execution.succeeded",
        "timestamp": f"{storage.clock.now():%Y-%m-%dT%H:%M:%S.%f}Z",
        "data": {
            "execution_id": str(execution_id),
            "request_id": str(first.request_id),
            "status": "succeeded",
            "language_title": "python-x",
            "attempt": 1,
            "result": {"sum": 8.1, "n": None},
        },
    }


async def test_a_webhook_without_events_hears_only_of_executions_that_name_it(webhooks, deliveries, storage, end):
    named, theirs = await added(webhooks, storage, events=frozenset()), await added(webhooks, storage, BOB)
    end(), end(callback=named.webhook_id), end(callback=theirs.webhook_id)
    assert len(await messages(deliveries, named)) == 1
    assert await messages(deliveries, theirs) == []


async def test_an_end_that_is_sent_twice_makes_one_message(webhooks, deliveries, storage, end):
    webhook = await added(webhooks, storage)
    execution_id, request_id = storage.ids.new(storage.clock.now()), storage.ids.new(storage.clock.now())
    for _ in range(2):
        end(execution_id=execution_id, request_id=request_id)
    assert len(await messages(deliveries, webhook)) == 1


async def test_a_message_to_a_disabled_webhook_is_stored_as_failed(webhooks, deliveries, storage, end):
    off = {"disabled_reason": DisabledReason.OWNER, "disabled_at": storage.clock.now()}
    webhook = await added(webhooks, storage, **off)
    end()
    (message,) = await messages(deliveries, webhook)
    assert (message.state, message.error) == ("failed", "the webhook was disabled")


async def test_a_failure_is_in_the_message_whatever_characters_its_text_has(webhooks, deliveries, storage, end):
    webhook = await added(webhooks, storage)
    error = '{"code":"SCRIPT_ERROR","message":"half \\ud83d and NUL \\u0000"}'
    end(status="failed", error=error, result='"\\ud83d"')
    (message,) = await messages(deliveries, webhook)
    assert f',"error":{error},"result":"\\ud83d"}}}}' in message.payload
    assert json.loads(message.payload)["data"]["error"]["code"] == "SCRIPT_ERROR"


async def test_a_large_result_is_replaced_by_its_url_and_the_message_stays_small(webhooks, deliveries, storage, end):
    webhook = await added(webhooks, storage)
    fits, large = f'"{"ä" * 4095}"', f'"{"ä" * 4096}"'
    end(result=fits, error=json.dumps({"message": "x" * 8000}))
    execution_id = end(result=large, error=json.dumps({"message": "x" * 9000}))
    second, first = await messages(deliveries, webhook)
    assert json.loads(first.payload)["data"]["result"] == "ä" * 4095
    assert len(first.payload.encode()) <= 20_000
    data = json.loads(second.payload)["data"]
    assert data["result_url"] == f"/api/v1/executions/{execution_id}"
    assert "result" not in data
    assert "error" not in data


async def test_claims_at_the_same_time_get_each_webhook_once(webhooks, deliveries, storage, end):
    made = [await added(webhooks, storage) for _ in range(10)]
    end()
    now = storage.clock.now()
    claim = DeliveryClaim(now, now + HOUR, 10, 10, 10, NO_ID)
    found = await asyncio.gather(*(deliveries.claim(claim) for _ in range(6)))
    turns = [turn for claimed in found for turn in claimed.turns]
    assert sorted(turn.webhook.webhook_id for turn in turns) == [webhook.webhook_id for webhook in made]
    assert [len(turn.deliveries) for turn in turns] == [1] * 10


async def test_webhooks_that_pause_do_not_keep_claims_from_those_behind_them(
    webhooks, deliveries, storage, end, database_url
):
    with psycopg.connect(database_url) as connection:
        connection.execute(
            """
            WITH made AS (
                INSERT INTO meta.webhooks (webhook_id, owner, url, events, key_id, claimed_until)
                SELECT gen_random_uuid(), 'carol', 'https://example.com/', '{}', 'k', 'infinity'
                FROM generate_series(1, 700)
                RETURNING webhook_id
            )
            INSERT INTO meta.deliveries (delivery_id, request_id, webhook_id, event, payload, next_at)
            SELECT gen_random_uuid(), gen_random_uuid(), m.webhook_id, 'webhook.test', '{}', '-infinity' FROM made AS m
            """
        )
    webhook = await added(webhooks, storage)
    end()
    found, after = [], NO_ID
    for _ in range(4):
        claimed = await deliveries.claim(
            DeliveryClaim(storage.clock.now(), storage.clock.now() + HOUR, 10, 10, 10, after)
        )
        found += [turn.webhook.webhook_id for turn in claimed.turns]
        after = claimed.reached
    assert found == [webhook.webhook_id]


async def test_old_deliveries_are_removed(webhooks, deliveries, storage, end, retention):
    webhook = await added(webhooks, storage)
    for age in (timedelta(days=9), KEPT_FOR + HOUR, KEPT_FOR - HOUR):
        end(at=storage.clock.now() - age)
    assert [await retention.remove_old(1) for _ in range(3)] == [1, 1, 0]
    (kept,) = await messages(deliveries, webhook)
    assert kept.created_at > storage.clock.now() - KEPT_FOR


async def test_of_each_webhook_the_newest_deliveries_are_kept(webhooks, deliveries, storage, end, retention):
    webhook, other = await added(webhooks, storage), await added(webhooks, storage, BOB)
    for minutes in range(5):
        end(at=storage.clock.now() + timedelta(minutes=minutes))
    end(BOB)
    newest = (await messages(deliveries, webhook))[:3]
    assert [await retention.trim(1) for _ in range(3)] == [1, 1, 0]
    assert await messages(deliveries, webhook) == newest
    assert len(await messages(deliveries, other)) == 1


async def test_a_webhook_counts_messages_that_were_removed_unsent(webhooks, deliveries, storage, end, retention):
    webhook = await added(webhooks, storage)
    for minutes in range(6):
        end(at=storage.clock.now() + timedelta(minutes=minutes))
    oldest = (await messages(deliveries, webhook))[-1]
    await deliveries.record(evolve(oldest, state=DeliveryState.DELIVERED, attempts=1), webhook, webhook)
    assert await retention.trim(10) == 3
    assert (await webhooks.find(ALICE, webhook.webhook_id)).dropped == 2
    assert (await retention.stats()).dropped == 2


async def test_messages_that_grow_old_unsent_are_counted_too(webhooks, deliveries, storage, end, retention):
    webhook = await added(webhooks, storage)
    for hours in (1, 2):
        end(at=storage.clock.now() - KEPT_FOR - hours * HOUR)
    sent, _ = await messages(deliveries, webhook)
    await deliveries.record(evolve(sent, state=DeliveryState.DELIVERED, attempts=1), webhook, webhook)
    assert await retention.remove_old(10) == 2
    assert (await webhooks.find(ALICE, webhook.webhook_id)).dropped == 1


async def test_a_message_that_was_stored_while_its_webhook_was_disabled_or_removed_ends(  # noqa: PLR0917  # fixtures
    webhooks, deliveries, storage, end, retention, database_url
):
    enabled, disabled, removed = [await added(webhooks, storage) for _ in range(3)]
    end()
    with psycopg.connect(
        database_url, autocommit=True
    ) as connection:  # as the statement leaves it whose snapshot is older
        connection.execute(
            "UPDATE meta.webhooks SET disabled_reason = 'owner' WHERE webhook_id = %s", [disabled.webhook_id]
        )
        connection.execute("DELETE FROM meta.webhooks WHERE webhook_id = %s", [removed.webhook_id])
        assert [await retention.settle(2) for _ in range(2)] == [1, 0]
        left = connection.execute("SELECT webhook_id, state FROM meta.deliveries ORDER BY webhook_id").fetchall()
    assert left == [(enabled.webhook_id, "pending"), (disabled.webhook_id, "failed")]
    assert (await messages(deliveries, disabled))[0].error == "the webhook was disabled"


@pytest.mark.parametrize("ends", ["disabled", "gone", "removed"])
async def test_a_webhook_with_very_many_messages_ends_at_once_and_its_messages_soon(  # noqa: PLR0917  # fixtures
    webhooks, deliveries, storage, retention, database_url, ends
):
    webhook, made = await added(webhooks, storage), 12_000
    insert = """
        INSERT INTO meta.deliveries (delivery_id, request_id, webhook_id, event, payload, next_at)
        SELECT gen_random_uuid(), gen_random_uuid(), %s, 'webhook.test', '{}', 'epoch' FROM generate_series(1, %s)
        """
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(insert, [webhook.webhook_id, made])
        if ends == "disabled":
            off = WebhookChanges(enabled=False)
            await webhooks.update(
                ALICE, webhook.webhook_id, lambda stored: off.apply(stored, storage.clock.now()), act(UPDATE)
            )
        elif ends == "gone":
            first = (await messages(deliveries, webhook))[0]
            gone = webhook.after_failure(storage.clock.now(), is_gone=True)
            assert await deliveries.record(evolve(first, attempts=1, error="gone"), webhook, gone)
        else:
            await webhooks.remove(ALICE, webhook.webhook_id, act(UPDATE))
        counted = "SELECT count(*) FROM meta.deliveries WHERE state = 'pending'"
        ((left,),) = connection.execute(counted).fetchall()
        assert made - 5001 <= left <= made - 5000
        while await retention.settle(1000):
            pass
        states = dict(connection.execute("SELECT state, count(*) FROM meta.deliveries GROUP BY state").fetchall())
    assert states == ({} if ends == "removed" else {"failed": made})


async def test_more_messages_than_are_kept_are_counted_to_the_last_one(
    webhooks, storage, gateway, statements, database_url
):
    webhook, made = await added(webhooks, storage), 12_345
    with psycopg.connect(database_url) as connection:
        connection.execute(
            """
            INSERT INTO meta.deliveries (delivery_id, request_id, webhook_id, event, payload, next_at)
            SELECT gen_random_uuid(), gen_random_uuid(), %s, 'webhook.test', '{}', 'epoch'
            FROM generate_series(1, %s)
            """,
            [webhook.webhook_id, made],
        )
    retention = DeliveryRetention(gateway, statements.cleanup, storage.clock)
    assert (await retention.stats()).pending == made
    while await retention.trim(1000):
        pass
    assert (await webhooks.find(ALICE, webhook.webhook_id)).dropped == made - KEPT_MAX
    stats = await retention.stats()
    assert (stats.pending, stats.dropped) == (KEPT_MAX, made - KEPT_MAX)


async def test_a_message_is_not_late_while_its_receiver_wants_a_pause(webhooks, deliveries, storage, end, retention):
    webhook, now = await added(webhooks, storage), storage.clock.now()
    end(at=now - 2 * HOUR)
    await deliveries.claim(DeliveryClaim(now, now + HOUR, 10, 10, 10, NO_ID))
    await deliveries.release(webhook.webhook_id, now + HOUR, now + 3 * HOUR)
    assert (await retention.stats()).oldest_due_at == now + 3 * HOUR


async def test_a_record_waits_for_the_webhook_before_it_locks_the_message(
    webhooks, deliveries, storage, end, database_url
):
    webhook = await added(webhooks, storage)
    end()
    (message,) = await messages(deliveries, webhook)
    after = webhook.after_failure(storage.clock.now())
    done = evolve(message, state=DeliveryState.DELIVERED, attempts=1)
    async with await psycopg.AsyncConnection.connect(database_url) as disabling:
        locked = "SELECT FROM meta.webhooks WHERE webhook_id = %s FOR UPDATE"
        await disabling.execute(locked, [webhook.webhook_id])
        recording = asyncio.ensure_future(deliveries.record(done, webhook, after))
        await until(partial(is_waiting, database_url), 30)
        await disabling.execute("SELECT FROM meta.deliveries FOR UPDATE NOWAIT")
    assert await recording
    assert (await messages(deliveries, webhook))[0].state is DeliveryState.DELIVERED


async def test_a_message_that_a_later_release_has_made_is_sent_and_listed(
    webhooks, deliveries, storage, end, database_url
):
    webhook, now = await added(webhooks, storage), storage.clock.now()
    end()
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE meta.deliveries SET event = 'session.closed'")
    (turn,) = (await deliveries.claim(DeliveryClaim(now, now + HOUR, 10, 10, 10, NO_ID))).turns
    (message,) = await messages(deliveries, webhook)
    assert turn.deliveries == [message]
    assert message.event == "session.closed"


@define(eq=False)
class SlowSender:
    """Responds once it is released."""

    sent: list[str] = field(factory=list)
    released: asyncio.Event = field(factory=asyncio.Event)

    async def send(self, url, headers, payload):
        self.sent.append(headers["webhook-id"])
        await self.released.wait()
        return Reply(200)


def process_of(deliveries, sender, storage):
    """Return a dispatcher and its tasks."""
    tasks, policy = BackgroundTasks(), DeliveryPolicy()
    return DeliveryDispatcher(deliveries, sender, KEY, storage.clock, policy, tasks, no_jitter), tasks


async def test_a_clock_that_jumps_ahead_sends_a_message_again_and_counts_one_attempt(
    webhooks, deliveries, storage, end
):
    webhook, sender = await added(webhooks, storage, secret=SecretVersion(KEY.key_id)), SlowSender()
    end()
    (first, first_tasks), (second, second_tasks) = [process_of(deliveries, sender, storage) for _ in range(2)]
    assert await first.send_due() == 1
    await until(lambda: sender.sent)
    assert await second.send_due() == 0
    storage.clock.advance(HOUR)
    assert await second.send_due() == 1
    await until(lambda: len(sender.sent) == 2)
    sender.released.set()
    await first_tasks.drain(10)
    await second_tasks.drain(10)
    (message,) = await messages(deliveries, webhook)
    assert sender.sent == [str(message.delivery_id)] * 2
    assert (message.state, message.attempts) == (DeliveryState.DELIVERED, 1)
    assert await first.send_due() == 0


async def test_a_clock_that_was_set_back_holds_up_no_webhook_that_is_free(webhooks, deliveries, storage, end):
    await added(webhooks, storage, secret=SecretVersion(KEY.key_id))
    sender = SlowSender()
    sender.released.set()
    dispatcher, tasks = process_of(deliveries, sender, storage)
    for hours in (0, -1):
        storage.clock.advance(hours * HOUR)
        end()
        assert await dispatcher.send_due() == 1
        await tasks.drain(10)
    assert len(set(sender.sent)) == 2


async def test_stats_count_what_waits_and_what_fails(webhooks, deliveries, storage, end, retention):
    assert await retention.stats() == DeliveryStats(0, None, 0, 0, 0)
    off = {"disabled_reason": DisabledReason.GONE, "disabled_at": storage.clock.now()}
    await added(webhooks, storage, BOB, **off)
    webhook = await added(webhooks, storage)
    end(), end(at=storage.clock.now() - HOUR)
    (_, message), before = await messages(deliveries, webhook), webhook
    for _ in range(3):
        webhook = webhook.after_failure(storage.clock.now())
    await deliveries.record(evolve(message, attempts=1), before, webhook)
    assert await retention.stats() == DeliveryStats(2, storage.clock.now() - HOUR, 1, 1, 0)


async def test_an_end_that_nobody_recorded_is_reported_once_no_attempt_follows(
    webhooks, deliveries, storage, gateway, statements
):
    webhook, process, session = (
        await added(webhooks, storage, ANONYMOUS),
        QueueOfOne(storage),
        await storage.add(**LONG),
    )
    policy = RetryPolicy(2, frozenset({RetryCause.UNKNOWN}))
    await process.accept(evolve(process.entry(session.ref), options=AcceptOptions(retry=policy)))
    for reported in (0, 1):
        claimed = await process.claim_one()
        storage.clock.advance(claimed.execution.deadline_at - storage.clock.now())
        await cleanup_on(gateway, statements, storage).run_once()
        assert len(await messages(deliveries, webhook)) == reported
        storage.clock.advance(timedelta(seconds=5))
    (message,) = await messages(deliveries, webhook)
    assert (message.event, message.execution_id) == (Event.UNKNOWN, claimed.entry.execution_id)
    assert json.loads(message.payload)["data"]["attempt"] == 2


async def test_a_cancel_of_what_could_not_start_is_reported(webhooks, deliveries, storage):
    webhook, process, session = (
        await added(webhooks, storage, ANONYMOUS),
        QueueOfOne(storage),
        await storage.add(**LONG),
    )
    entry = await process.add(session)
    claimed = await process.claim_one()
    await process.cancel(entry.execution_id)
    assert await messages(deliveries, webhook) == []
    await process.queue.put_back(claimed, storage.clock.now())
    (message,) = await messages(deliveries, webhook)
    assert (message.event, message.execution_id) == (Event.CANCELLED, entry.execution_id)


async def test_texts_of_scripts_stay_as_they_are_in_messages(webhooks, deliveries, storage):
    webhook, process, session = (
        await added(webhooks, storage, ANONYMOUS),
        QueueOfOne(storage),
        await storage.add(**LONG),
    )
    for message in ("half \ud800 and nul \0", "\U0001f600" * 5000):
        await process.add(session)
        failure = Failure(FailureCode.SCRIPT_ERROR, message)
        await process.finish(await process.claim_one(), report_of(result=None, failure=failure))
        newest, *_ = await messages(deliveries, webhook)
        assert json.loads(newest.payload)["data"]["error"] == {"code": "SCRIPT_ERROR", "message": message[:600]}


async def test_doctor_sees_webhooks_that_get_no_messages(webhooks, storage, end, database_url, statements):
    for reason in DisabledReason:
        await added(webhooks, storage, disabled_reason=reason, disabled_at=storage.clock.now())
    await added(webhooks, storage)
    end()
    async with DatabaseInspector.connected(GatewayOptions(database_url), statements) as inspector:
        assert await inspector.webhooks("0123456789abcdef") == WebhookFacts(2, 0, storage.clock.now())
        assert await inspector.webhooks("another") == await inspector.webhooks(None)
        assert (await inspector.webhooks(None)).unsignable == 1


async def test_a_purged_session_leaves_no_message(webhooks, deliveries, storage, end, session_purger):
    webhook = await added(webhooks, storage)
    session, other = await storage.add(ALICE), await storage.add(ALICE)
    for each in (session, session, session, other):
        end(request_id=each.ref.session_id, result='"secret"')
    await session_purger.purge(session.ref, act(ActName.SESSIONS_PURGE))
    assert [each.request_id for each in await messages(deliveries, webhook)] == [other.ref.session_id]


async def test_a_session_of_which_only_messages_are_left_is_purged_too(
    webhooks, deliveries, storage, end, session_purger
):
    webhook = await added(webhooks, storage)
    ref = SessionRef(ALICE, storage.ids.new(storage.clock.now()))
    end(request_id=ref.session_id)
    await session_purger.purge(ref, act(ActName.SESSIONS_PURGE))
    assert await messages(deliveries, webhook) == []


async def test_a_purged_owner_has_no_webhook_and_no_message(webhooks, deliveries, storage, end, purger):
    mine, theirs = await added(webhooks, storage), await added(webhooks, storage, BOB)
    end(), end(BOB)
    (message,) = await messages(deliveries, mine)
    assert (await purger.count(ALICE))[OwnedData.WEBHOOKS] == 1
    async for _ in purger.purge(ALICE, act(ActName.OWNERS_PURGE, SequentialIds())):
        pass
    assert (await purger.count(ALICE))[OwnedData.WEBHOOKS] == 0
    with pytest.raises(WebhookNotFound):
        await webhooks.find(ALICE, mine.webhook_id)
    with pytest.raises(DeliveryNotFound):
        await deliveries.find(EVERY_OWNER, message.delivery_id)
    assert len(await messages(deliveries, theirs)) == 1


async def test_webhooks_move_with_their_owner(webhooks, deliveries, storage, end, mover):
    webhook = await added(webhooks, storage)
    end()
    steps = [step async for step in mover.move(ALICE, BOB, act(ActName.OWNERS_MOVE, SequentialIds()))]
    assert sum(step.moved for step in steps if step.part is OwnedData.WEBHOOKS) == 1
    assert (await webhooks.find(BOB, webhook.webhook_id)).url == webhook.url
    (message,) = (await deliveries.page(BOB, webhook.webhook_id, None, 10, None)).items
    assert message.owner == BOB


async def test_a_webhook_gives_up_a_key_that_the_new_owner_has_used(webhooks, storage, mover):
    taken, free = IdempotencyKey("taken", "a" * 64), IdempotencyKey("free", "a" * 64)
    theirs, *ours = [webhook_of(storage, owner) for owner in (BOB, ALICE, ALICE)]
    for webhook, key in zip((theirs, *ours), (taken, taken, free), strict=True):
        assert await webhooks.add(webhook, 20, act(ActName.WEBHOOKS_CREATE), key)
    _ = [step async for step in mover.move(ALICE, BOB, act(ActName.OWNERS_MOVE, SequentialIds()))]
    assert {(await webhooks.find(EVERY_OWNER, each.webhook_id)).owner for each in ours} == {BOB}
    found = [await webhooks.registered(BOB, key) for key in (taken, free)]
    assert [each.webhook_id for each in found] == [theirs.webhook_id, ours[1].webhook_id]
