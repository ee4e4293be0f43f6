"""Schedules over HTTP."""

from datetime import UTC, datetime, timedelta
from itertools import chain
from uuid import UUID

import pytest
from attrs import evolve

from domain.access.principal import Principal, Scope
from domain.identity import Owner
from tests.unit.http.world import World, error_of, initialized, problems_of

URL = "/api/v1/schedules"
ALICE = Owner("alice")


def text_of(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


async def created(client, **body):
    session_id = body.pop("request_id", None) or await initialized(client)
    timing = {} if {"cron", "run_at", "interval_seconds"} & set(body) else {"interval_seconds": 60}
    target = {} if "function" in body else {"request_id": session_id}
    return await client.post(URL, json={"name": "nightly", **target, **timing, **body})


async def test_a_schedule_is_read_as_it_was_created(client, world):
    session_id = await initialized(client)
    retry = {"max_attempts": 3, "on": ["timeout"]}
    webhook = (await client.post("/api/v1/webhooks", json={"url": "https://hooks.example.com/"})).json()
    options = {"params": {"a": 1}, "jitter_seconds": 0, "priority": 5, "callback": webhook["webhook_id"]}
    response = await created(client, request_id=session_id, **options, retry=retry, expires_in_seconds=60)
    assert (response.status_code, response.headers["etag"]) == (201, '"1"')
    now = world.clock.now()
    schedule = {
        "schedule_id": response.json()["schedule_id"],
        "name": "nightly",
        "user_id": "anonymous",
        "request_id": session_id,
        "function": None,
        **options,
        "cron": None,
        "time_zone": None,
        "interval_seconds": 60,
        "run_at": None,
        "catch_up": "once",
        "overlap": "skip",
        "expires_in_seconds": 60,
        "retry": retry,
        "collect": False,
        "paused": False,
        "end_reason": None,
        "next_times": [text_of(now + timedelta(minutes=n)) for n in range(1, 6)],
        "last_execution_id": None,
        "created_at": response.json()["created_at"],
        "version": 1,
    }
    assert response.json() == schedule
    read = await client.get(response.headers["location"])
    assert (read.status_code, read.json(), read.headers["etag"]) == (200, schedule, '"1"')
    known = await client.get(response.headers["location"], headers={"If-None-Match": '"1"'})
    assert known.status_code == 304


async def test_a_call_that_is_repeated_with_its_key_creates_one_schedule(client, world):
    key, body = {"Idempotency-Key": "nightly"}, {"name": "nightly", "request_id": await initialized(client)}
    body |= {"run_at": text_of(world.clock.now() + timedelta(seconds=60))}
    first = await client.post(URL, json=body, headers=key)
    assert "idempotent-replayed" not in first.headers
    world.clock.advance(timedelta(seconds=120))  # a new schedule with this time would be refused
    again = await client.post(URL, json=body, headers=key)
    assert (again.status_code, again.json(), again.headers["idempotent-replayed"]) == (201, first.json(), "true")
    assert again.headers["location"] == first.headers["location"]
    error = error_of(await client.post(URL, json=body | {"name": "other"}, headers=key), 409)
    assert (error["code"], error["details"]) == ("IDEMPOTENCY_CONFLICT", {"idempotency_key": "nightly"})
    assert len((await client.get(URL)).json()["schedules"]) == 1


async def test_fields_are_replaced_one_by_one(client):
    url = (await created(client, cron="30 2 * * *", time_zone="Europe/Berlin")).headers["location"]
    moved = (await client.patch(url, json={"time_zone": "Asia/Tokyo"})).json()
    assert (moved["cron"], moved["time_zone"], moved["version"]) == ("30 2 * * *", "Asia/Tokyo", 2)
    other = (await client.patch(url, json={"cron": "0 1 * * *", "overlap": "queue", "params": [1]})).json()
    assert (other["cron"], other["time_zone"], other["overlap"], other["params"]) == (
        "0 1 * * *",
        "Asia/Tokyo",
        "queue",
        [1],
    )
    session_id = await initialized(client)
    again = (await client.patch(url, json={"interval_seconds": 10, "request_id": session_id, "name": "x"})).json()
    assert (again["cron"], again["interval_seconds"], again["request_id"]) == (None, 10, session_id)
    refused = error_of(await client.patch(url, json={"time_zone": "Asia/Tokyo"}), 400)
    assert "only with a cron expression" in refused["message"]
    assert (await client.get(url)).json() == again


@pytest.mark.parametrize("cron", ["@daily", "foo", ""])
async def test_what_is_no_cron_expression_is_told_what_one_is(client, cron):
    assert "five fields (minute, hour, " in error_of(await created(client, cron=cron), 400)["message"]


async def test_a_callback_must_exist_and_can_be_removed(client, world):
    refused = error_of(await created(client, callback=str(UUID(int=7))), 400)
    assert refused["message"].startswith(f"Nothing was accepted: you have no webhook {UUID(int=7)}")
    webhook = (await client.post("/api/v1/webhooks", json={"url": "https://hooks.example.com/"})).json()["webhook_id"]
    retry = {"max_attempts": 2, "on": ["timeout"]}
    url = (await created(client, callback=webhook, retry=retry)).headers["location"]
    await client.delete(f"/api/v1/webhooks/{webhook}")
    assert "callback" in error_of(await client.patch(url, json={"name": "x"}), 400)["message"]
    changed = (await client.patch(url, json={"callback": None, "retry": None})).json()
    assert (changed["callback"], changed["retry"], changed["version"]) == (None, None, 2)


async def test_what_is_collected_is_replaced_and_removed(client):
    session_id = await initialized(client, files={"size_mb": 1})
    response = await created(client, request_id=session_id, collect=["plots/*.png"])
    url = response.headers["location"]
    assert response.json()["collect"] == ["plots/*.png"]
    assert (await client.patch(url, json={"name": "x"})).json()["collect"] == ["plots/*.png"]
    for collect in (True, False):
        assert (await client.patch(url, json={"collect": collect})).json()["collect"] is collect


async def test_what_cannot_be_collected_is_refused_with_its_place(client):
    assert problems_of(await created(client, collect=True)).keys() == {"/collect"}
    for body, pointer in (
        ({"collect": ["../a"]}, "/collect/0"),
        ({"collect": [f"{'a' * 250}/{'b' * 250}"] * 9}, "/collect"),
        ({"files": [{"path": "a", "text": "b"}]}, "/files"),
    ):
        assert problems_of(await created(client, **body)).keys() == {pointer}


async def test_a_single_time_is_kept_in_utc(client, world):
    at = world.clock.now() + timedelta(hours=1)
    given = (at.replace(tzinfo=None) + timedelta(hours=2)).isoformat() + "+02:00"
    schedule = (await created(client, run_at=given)).json()
    assert schedule["run_at"] == text_of(at)
    assert schedule["next_times"] == [text_of(at)]


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({"name": "x"}, {"/request_id", "/cron"}),
        ({"request_id": str(UUID(int=1)), "function": "python-x", "interval_seconds": 10}, {"/name", "/function"}),
        ({"name": "x", "function": "python-x", "cron": "* * * * *", "run_at": "2030-01-01T00:00:00Z"}, {"/run_at"}),
        ({"name": "x", "function": "python-x", "interval_seconds": 9}, {"/interval_seconds", "/cron"}),
        ({"name": "x", "function": "python-x", "interval_seconds": 10, "time_zone": "UTC"}, {"/time_zone"}),
        (
            {"name": "a\0b", "function": "x", "interval_seconds": 10, "extra": 1},
            {"/name", "/request_id", "/function", "/extra"},
        ),
        ({"name": "x", "function": "python-x", "run_at": "2030-01-01T00:00:00"}, {"/run_at", "/cron"}),
        ({"name": "x", "function": "python-x", "run_at": "2030-02-30T00:00:00Z"}, {"/run_at", "/cron"}),
        ({"name": "x" * 101, "callback": "x", "function": "python-x"}, {"/name", "/callback", "/cron"}),
        ({"name": "x", "function": "python-x", "run_at": "9999-12-31T23:59:59-12:00"}, {"/run_at"}),
        ({"name": "x", "function": "python-x", "run_at": "0001-01-01T00:00:00+12:00"}, {"/run_at"}),
    ],
)
async def test_a_body_that_contradicts_itself_is_refused(client, body, problems):
    assert set(problems_of(await client.post(URL, json=body))) == problems


@pytest.mark.parametrize("timing", [{"cron": "0 0 30 2 *"}, {"cron": "0 0 * * *", "time_zone": "Mars"}])
async def test_a_timing_that_is_never_due_is_refused(client, timing):
    error = error_of(await created(client, **timing), 400)
    assert error["message"].startswith("The schedule was not stored: its ")


async def test_params_have_a_limit(client):
    error = error_of(await created(client, params="a" * 65_600), 413)
    assert error["details"] == {"pointer": "/params", "limit": 65_536, "observed": 65_602}


async def test_a_change_under_another_version_fails(client):
    url = (await created(client)).headers["location"]
    old = {"If-Match": '"7"'}
    for call in (
        client.patch(url, json={"name": "y"}, headers=old),
        client.delete(url, headers=old),
        client.post(f"{url}/pause", headers=old),
        client.post(f"{url}/resume", headers=old),
        client.get(url, headers=old),
    ):
        assert error_of(await call, 412)["details"] == {"version": 1}


async def test_it_is_paused_resumed_and_run(client, world):
    url = (await created(client)).headers["location"]
    paused = await client.post(f"{url}/pause")
    assert (paused.json()["paused"], paused.json()["next_times"], paused.headers["etag"]) == (True, [], '"2"')
    run = await client.post(f"{url}/run")
    assert (run.status_code, run.json()["status"]) == (202, "queued")
    assert run.headers["location"] == f"/api/v1/executions/{run.json()['execution_id']}"
    resumed = (await client.post(f"{url}/resume")).json()
    assert (resumed["paused"], resumed["version"]) == (False, 3)
    at = text_of(world.clock.now())
    firing = {"due_at": at, "last_due_at": at, "due_times": 1, "state": "fired", "settled_at": at, "reason": None}
    listed = await client.get(f"{url}/firings")
    assert listed.json() == {
        "firings": [firing | {"execution_id": run.json()["execution_id"], "manual": True}],
        "next_before": None,
    }


async def test_a_run_that_is_repeated_with_its_key_runs_once(client):
    url = (await created(client)).headers["location"]
    key = {"Idempotency-Key": "tonight"}
    first, again = [await client.post(f"{url}/run", headers=key) for _ in range(2)]
    assert (again.status_code, again.json()["execution_id"]) == (202, first.json()["execution_id"])
    assert again.headers["location"] == first.headers["location"]
    other = (await created(client, request_id=first.json()["request_id"])).headers["location"]
    error = error_of(await client.post(f"{other}/run", headers=key), 409)
    assert error["code"] == "IDEMPOTENCY_CONFLICT"


async def test_firings_have_pages(client, world):
    url = (await created(client)).headers["location"]
    for _ in range(3):
        world.clock.advance(timedelta(seconds=1))
        await client.post(f"{url}/run")
    first = (await client.get(f"{url}/firings", params={"limit": 2})).json()
    second = (await client.get(f"{url}/firings", params={"limit": 2, "before": first["next_before"]})).json()
    assert (len(first["firings"]), len(second["firings"]), second["next_before"]) == (2, 1, None)


async def test_two_firings_of_one_instant_stand_on_one_page(client, world):
    url = (await created(client)).headers["location"]
    schedule_id = UUID(url.rpartition("/")[2])
    for _ in range(3):
        world.clock.advance(timedelta(seconds=1))
        await client.post(f"{url}/run")
    world.store.firings[schedule_id] += [evolve(each, manual=False) for each in world.store.firings[schedule_id]]
    pages, before = [], {}
    while before is not None:
        page = (await client.get(f"{url}/firings", params={"limit": 1} | before)).json()
        pages.append([(each["due_at"], each["manual"]) for each in page["firings"]])
        before = page["next_before"] and {"before": page["next_before"]}
    assert [len(page) for page in pages] == [2, 2, 2]
    assert len(set(chain.from_iterable(pages))) == 6


async def test_schedules_have_pages(client):
    made = [(await created(client)).json()["schedule_id"] for _ in range(3)]
    first = await client.get(URL, params={"limit": 2})
    assert first.headers["link"].endswith('rel="next"')
    second = await client.get(URL, params={"limit": 2, "cursor": first.json()["next_cursor"]})
    found = [each["schedule_id"] for page in (first, second) for each in page.json()["schedules"]]
    assert found == made[::-1]


async def test_an_admin_lists_the_schedules_of_others():
    world = World.of(caller=Principal(ALICE, frozenset(Scope)))
    async with world.client() as client:
        made = [(await created(client)).json()["schedule_id"] for _ in range(2)]
        first = (await client.get(URL, params={"owner": "*", "limit": 1})).json()
        assert [each["schedule_id"] for each in first["schedules"]] == made[:0:-1]
        assert (await client.get(URL, params={"owner": "bob"})).json()["schedules"] == []
        other = await client.get(URL, params={"owner": "bob", "cursor": first["next_cursor"]})
    assert set(problems_of(other)) == {"/query/owner"}


async def test_a_deleted_schedule_is_gone(client):
    url = (await created(client)).headers["location"]
    assert (await client.delete(url)).status_code == 204
    for call in (client.get(url), client.delete(url), client.get(f"{url}/firings"), client.post(f"{url}/run")):
        assert error_of(await call, 404)["code"] == "SCHEDULE_NOT_FOUND"
    assert error_of(await client.get(f"{URL}/nonsense"), 404)["code"] == "SCHEDULE_NOT_FOUND"


async def test_a_schedule_needs_the_scope_of_the_language():
    world = World.of(caller=Principal(ALICE, frozenset(Scope)))
    async with world.client() as client:
        session_id = await initialized(client)
    limited = World.of(caller=Principal(ALICE, frozenset({Scope.WRITE_SCHEDULES, Scope.EXECUTE_NODEJS})))
    limited.store.sessions.update(world.store.sessions)
    async with limited.client() as client:
        error = error_of(await created(client, request_id=session_id), 403)
    assert error["details"] == {"needed_scopes": ["execute:python", "execute:all"]}
