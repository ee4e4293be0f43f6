"""Webhooks and their deliveries over HTTP."""

from uuid import UUID

import pytest
from attrs import evolve

from domain.access.principal import Scope
from domain.webhooks.delivery import DeliveryState
from domain.webhooks.signature import SigningKey
from domain.webhooks.webhook import DisabledReason
from tests.support.controller import WEBHOOK_KEY
from tests.unit.http.test_authentication import Guarded
from tests.unit.http.world import World, error_of, problems_of

PATH = "/api/v1/webhooks"
URL = "https://hooks.example.com/pglambda"
HOOKS = {Scope.WRITE_WEBHOOKS}


@pytest.fixture
async def guarded(log_lines):
    guarded = Guarded()
    async with guarded.client:
        yield guarded


async def registered(client, **body):
    response = await client.post(PATH, json={"url": URL} | body)
    assert response.status_code == 201, response.text
    return response.json()


def path_of(webhook, *more):
    return "/".join((PATH, webhook["webhook_id"], *more))


async def test_a_registered_webhook_is_shown_with_its_secret_once(client):
    made = await registered(client, description="orders")
    secret = made.pop("secret")
    assert (await client.get(path_of(made))).json() == made
    assert (await client.get(PATH)).json() == {"webhooks": [made], "next_cursor": None}
    key = SigningKey(WEBHOOK_KEY.encode())
    assert secret == key.secret(UUID(made["webhook_id"]), 1)
    assert (made["enabled"], made["disabled_reason"], made["secret_version"]) == (True, None, 1)
    assert made["events"] == [
        "execution.cancelled",
        "execution.expired",
        "execution.failed",
        "execution.succeeded",
        "execution.unknown",
    ]


async def test_a_call_that_is_repeated_with_its_key_registers_one_webhook(client):
    key, body = {"Idempotency-Key": "orders"}, {"url": URL, "events": ["execution.failed"]}
    first = await client.post(PATH, json=body, headers=key)
    assert "idempotent-replayed" not in first.headers
    again = await client.post(PATH, json=body, headers=key)
    assert (again.status_code, again.json(), again.headers["idempotent-replayed"]) == (201, first.json(), "true")
    rotated = (await client.post(path_of(first.json(), "rotate"))).json()
    assert (await client.post(PATH, json=body, headers=key)).json() == rotated
    error = error_of(await client.post(PATH, json={"url": URL}, headers=key), 409)
    assert (error["code"], error["details"]) == ("IDEMPOTENCY_CONFLICT", {"idempotency_key": "orders"})
    assert len((await client.get(PATH)).json()["webhooks"]) == 1


async def test_a_secret_that_cannot_be_derived_any_more_is_not_shown_again(world, client):
    key, body = {"Idempotency-Key": "orders"}, {"url": URL}
    await client.post(PATH, json=body, headers=key)
    (stored,) = world.webhooks.webhooks.values()
    world.webhooks.webhooks[stored.webhook_id] = evolve(stored, secret=evolve(stored.secret, key_id="0" * 16))
    error = error_of(await client.post(PATH, json=body, headers=key), 409)
    assert (error["code"], error["details"]) == ("CONFLICT", {"idempotency_key": "orders"})


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"url": "http://hooks.example.com"}, "/url"),
        ({"url": "https://127.0.0.1"}, "/url"),
        ({"url": ""}, "/url"),
        ({}, "/url"),
        ({"url": URL, "events": ["webhook.test"]}, "/events/0"),
        ({"url": URL, "events": ["execution.failed"] * 6}, "/events"),
        ({"url": URL, "secret": "whsec_"}, "/secret"),
        ({"url": URL, "description": "a\0b"}, "/description"),
    ],
)
async def test_what_is_not_valid_is_refused_with_its_place(client, body, pointer):
    assert pointer in problems_of(await client.post(PATH, json=body))
    assert (await client.get(PATH)).json()["webhooks"] == []


async def test_a_change_is_checked_like_a_registration(client):
    made = await registered(client)
    assert list(problems_of(await client.patch(path_of(made), json={"url": "ftp://x"}))) == ["/url"]
    changed = await client.patch(path_of(made), json={"events": [], "enabled": False})
    assert changed.status_code == 200
    assert (changed.json()["events"], changed.json()["enabled"], changed.json()["disabled_reason"]) == (
        [],
        False,
        "owner",
    )
    enabled = await client.patch(path_of(made), json={"enabled": True, "url": "https://other.example/"})
    assert (enabled.json()["url"], enabled.json()["disabled_at"]) == ("https://other.example/", None)


async def test_an_owner_has_at_most_twenty_webhooks(client):
    for _ in range(20):
        await registered(client)
    details = error_of(await client.post(PATH, json={"url": URL}), 429)["details"]
    assert details == {"limit": "webhooks", "allowed": 20, "observed": 20}


async def test_a_rotation_shows_another_secret(client):
    made = await registered(client)
    rotated = (await client.post(path_of(made, "rotate"))).json()
    assert rotated["secret_version"] == 2
    assert rotated["secret"] != made["secret"]


async def test_a_removed_webhook_is_gone_with_its_deliveries(client):
    made = await registered(client)
    test = (await client.post(path_of(made, "test"))).json()
    assert (await client.delete(path_of(made))).status_code == 204
    assert error_of(await client.get(path_of(made)), 404)["code"] == "WEBHOOK_NOT_FOUND"
    assert error_of(await client.get(f"/api/v1/deliveries/{test['delivery_id']}"), 404)["code"] == "DELIVERY_NOT_FOUND"


@pytest.mark.parametrize("path", ["webhooks/none", "deliveries/none", "webhooks/01890000-0000-7000-8000-000000000000"])
async def test_what_is_not_there_is_not_found(client, path):
    error_of(await client.get(f"/api/v1/{path}"), 404)


async def test_a_test_waits_as_a_delivery(client):
    made = await registered(client)
    response = await client.post(path_of(made, "test"))
    delivery = response.json()
    assert response.status_code == 202
    assert (delivery["event"], delivery["state"], delivery["attempts"]) == ("webhook.test", "pending", 0)
    assert (delivery["execution_id"], delivery["request_id"]) == (None, None)
    assert (await client.get(f"/api/v1/deliveries/{delivery['delivery_id']}")).json() == delivery
    listed = (await client.get(path_of(made, "deliveries?state=pending"))).json()
    assert listed == {"deliveries": [delivery], "next_cursor": None}
    assert (await client.get(path_of(made, "deliveries?state=failed"))).json()["deliveries"] == []


async def test_a_failed_delivery_says_why_and_is_sent_again_on_demand(world, client):
    made = await registered(client)
    test = (await client.post(path_of(made, "test"))).json()
    (stored,) = world.webhooks.deliveries.values()
    failed = evolve(stored, state=DeliveryState.FAILED, attempts=10, status=500, error="no", answer="x")
    world.webhooks.deliveries[stored.delivery_id] = failed
    path = f"/api/v1/deliveries/{test['delivery_id']}"
    shown = (await client.get(path)).json()
    assert (shown["state"], shown["last_status"], shown["last_error"], shown["last_answer"]) == (
        "failed",
        500,
        "no",
        "x",
    )
    assert shown["next_attempt_at"] is None
    again = await client.post(f"{path}/redeliver")
    assert (again.status_code, again.json()["state"], again.json()["attempts"]) == (202, "pending", 0)


async def test_pages_show_every_webhook_and_every_delivery_once(client):
    made = [await registered(client) for _ in range(3)]
    tests = [(await client.post(path_of(made[0], "test"))).json()["delivery_id"] for _ in range(3)]
    for path, name, key, expected in (
        (PATH, "webhooks", "webhook_id", [each["webhook_id"] for each in made]),
        (path_of(made[0], "deliveries"), "deliveries", "delivery_id", tests),
    ):
        found, query = [], "?limit=2"
        while query:
            response = await client.get(path + query)
            found += [each[key] for each in response.json()[name]]
            following = response.json()["next_cursor"]
            assert ("link" in response.headers) == (following is not None)
            query = following and f"?limit=2&cursor={following}"
        assert found == expected[::-1]


async def test_a_cursor_is_for_its_own_list(client):
    first, second = [await registered(client) for _ in range(2)]
    for _ in range(2):
        await client.post(path_of(first, "test"))
    cursor = (await client.get(path_of(first, "deliveries?limit=1"))).json()["next_cursor"]
    assert "/query/cursor" in problems_of(await client.get(path_of(second, f"deliveries?cursor={cursor}")))
    assert "/query/state" in problems_of(await client.get(path_of(first, f"deliveries?state=failed&cursor={cursor}")))
    listed = (await client.get(f"{PATH}?limit=1")).json()["next_cursor"]
    assert "/query/cursor" in problems_of(await client.get(path_of(first, f"deliveries?cursor={listed}")))


async def test_a_webhook_whose_key_has_changed_says_so(world, client):
    made = await registered(client)
    (stored,) = world.webhooks.webhooks.values()
    world.webhooks.webhooks[stored.webhook_id] = evolve(stored, secret=evolve(stored.secret, key_id="0" * 16))
    assert (await client.get(path_of(made))).json()["is_signable"] is False
    assert (await client.post(path_of(made, "rotate"))).json()["is_signable"] is True


async def test_a_disabled_webhook_says_why(world, client):
    made = await registered(client)
    (stored,) = world.webhooks.webhooks.values()
    world.webhooks.webhooks[stored.webhook_id] = stored.disable(DisabledReason.FAILING, world.clock.now())
    shown = (await client.get(path_of(made))).json()
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "failing")
    assert shown["disabled_at"] is not None


async def test_nothing_is_sent_to_a_disabled_webhook_before_it_is_enabled(world, client):
    made = await registered(client)
    test = (await client.post(path_of(made, "test"))).json()
    await client.patch(path_of(made), json={"enabled": False})
    again = f"/api/v1/deliveries/{test['delivery_id']}/redeliver"
    for path in (path_of(made, "test"), again):
        error = error_of(await client.post(path), 409)
        assert (error["code"], "disabled (owner)" in error["message"]) == ("WEBHOOK_DISABLED", True)
    await client.patch(path_of(made), json={"enabled": True})
    assert (await client.post(again)).json()["state"] == "pending"


async def test_owners_see_only_their_own_and_an_admin_sees_all(guarded):
    made = (await guarded.ask("POST", PATH, HOOKS, json={"url": URL})).json()
    test = (await guarded.ask("POST", path_of(made, "test"), HOOKS)).json()
    delivery = f"/api/v1/deliveries/{test['delivery_id']}"
    for path in (path_of(made), path_of(made, "deliveries"), delivery):
        assert (await guarded.ask("GET", path, HOOKS, "bob")).status_code == 404
        assert (await guarded.ask("GET", path, {Scope.ADMIN}, "root")).status_code == 200
    assert (await guarded.ask("GET", f"{PATH}?owner=alice", HOOKS, "bob")).status_code == 403
    listed = await guarded.ask("GET", f"{PATH}?owner=*&limit=1", {Scope.ADMIN}, "root")
    assert [each["owner"] for each in listed.json()["webhooks"]] == ["alice"]
    off = await guarded.ask("PATCH", path_of(made), {Scope.ADMIN}, "root", json={"enabled": False})
    assert off.json()["enabled"] is False
    assert (await guarded.ask("POST", path_of(made, "rotate"), {Scope.ADMIN}, "root")).status_code == 404
    entry = next(iter(sorted(guarded.world.audit.entries.values(), key=lambda each: each.act_id, reverse=True)))
    assert (entry.act, entry.actor.name, entry.owner) == ("webhooks.update", "root", "alice")
    assert made["secret"] not in str(guarded.world.audit.entries)


async def test_a_cursor_of_another_owners_list_is_refused(guarded):
    for _ in range(2):
        await guarded.ask("POST", PATH, HOOKS, json={"url": URL})
    listed = (await guarded.ask("GET", f"{PATH}?owner=*&limit=1", {Scope.ADMIN}, "root")).json()["next_cursor"]
    response = await guarded.ask("GET", f"{PATH}?cursor={listed}", {Scope.ADMIN}, "root")
    assert "/query/owner" in problems_of(response)


async def test_without_a_key_no_secret_is_made_and_the_setting_is_named():
    world = World.of(signing_key=None)
    async with world.client() as client:
        error = error_of(await client.post(PATH, json={"url": URL}), 503)
        assert (error["code"], "WEBHOOK_KEY" in error["message"]) == ("WEBHOOKS_UNAVAILABLE", True)
        assert (await client.get(PATH)).json()["webhooks"] == []
