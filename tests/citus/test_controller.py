"""A controller of a distributed database serves sessions in all buckets, and without those of a node that is away."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from adapters.postgres.statements.catalogue import Statements
from entrypoints.composition.controller import create_controller
from tests.citus.cluster import Cluster
from tests.citus.test_buckets import distribute
from tests.integration.application.conftest import NODEJS_HERE, Api, serving, settings_for
from tests.support.commands import run_command
from tests.support.folders import shared_folder
from tests.support.waiting import until, within

SCRIPT = "return event.params.a + 1;"
SECRETS_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


@pytest.fixture(scope="module")
def database(cluster: Cluster, statements: Statements) -> str:
    name = cluster.database()
    asyncio.run(distribute(cluster.url(name), statements))
    with psycopg.connect(cluster.url(name)) as connection:
        connection.execute("UPDATE meta.buckets SET from_at = '2026-01-01'")  # as if announced long ago
    return name


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    with shared_folder() as folder:
        yield folder


@pytest.fixture
async def api(cluster: Cluster, database: str, data_dir: Path) -> AsyncIterator[Api]:
    variables = {"DATABASE_NODES": "auto", "REQUEST_TIMEOUT_MS": "4000", "SECRETS_KEY": SECRETS_KEY, **NODEJS_HERE}
    settings = settings_for(cluster.url(database), data_dir, **variables)
    async with serving(create_controller(settings)) as api:
        yield api


async def test_the_clock_of_a_worker_counts_if_it_is_named_and_all_are_shown(
    cluster: Cluster, database: str, data_dir: Path
) -> None:
    source = f"127.0.0.1:{cluster.ports[1]}"
    settings = settings_for(cluster.url(database), data_dir, DATABASE_NODES="auto", CLOCK_SOURCE=source)
    async with serving(create_controller(settings)) as api:
        assert (await api.client.get("/readyz")).status_code == 200
        with psycopg.connect(cluster.url(database)) as connection:
            sources = connection.execute("SELECT source, timeline FROM meta.clock ORDER BY source").fetchall()
            groups = connection.execute(
                "SELECT groupid FROM pg_dist_node WHERE nodeport = %s", [cluster.ports[1]]
            ).fetchall()
        assert (groups[0][0], 1) in sources

        assert (await health(api))["components"]["clock"]["source"] == source

        async def shows_all() -> bool:
            return len((await health(api))["components"]["buckets"]["clock_offsets_ms"]) == 3

        await until(shows_all, 20)
        shown = (await health(api))["components"]["buckets"]["clock_offsets_ms"]
        assert set(shown) == {"home", *(f"127.0.0.1:{port}" for port in cluster.ports[1:])}
        assert all(abs(ms) < 1000 for ms in shown.values()), shown
        assert 'pglambda_node_clock_offset_seconds{node="home"' in (await api.client.get("/metrics")).text


def bucket_of(session_id: str) -> int:
    return int(session_id[-2:], 16)


async def sessions_in_both(api: Api, script: str = SCRIPT, **fields: object) -> dict[int, str]:
    """Return a session in each bucket."""
    found: dict[int, str] = {}
    for _ in range(40):
        session_id = await api.initialize("nodejs-adder", script, **fields)
        found[bucket_of(session_id)] = session_id
        if len(found) == 2:
            return found
    raise AssertionError(f"all sessions are in {set(found)}")


async def health(api: Api) -> dict:
    return (await api.client.get("/health")).json()


async def test_sessions_live_in_all_buckets_with_all_that_belongs_to_them(api: Api) -> None:
    sessions = await sessions_in_both(api)
    assert set(sessions) == {1, 2}
    for number, session_id in sessions.items():
        executed = await api.execute(session_id, a=4)
        assert (executed.status_code, executed.json()["result"]) == (200, 5)
        later = await api.client.post(
            f"/api/v1/execute/{session_id}", headers={"Prefer": "respond-async"}, json={"params": {"a": 5}}
        )
        assert later.status_code == 202, later.text
        execution_id = later.json()["execution_id"]
        assert bucket_of(execution_id) == number
        ended = (await api.client.get(f"/api/v1/executions/{execution_id}", headers={"Prefer": "wait=20"})).json()
        assert (ended["status"], ended["result"]) == ("succeeded", 6)
        history = (await api.client.get(f"/api/v1/sessions/{session_id}/executions")).json()
        assert len(history["executions"]) == 2
    measured = (await api.client.get("/metrics")).text
    assert 'pool="bucket_2_normal"' in measured
    listed = (await api.client.get("/api/v1/sessions", params={"limit": 200})).json()
    assert set(sessions.values()) <= {each["request_id"] for each in listed["sessions"]}


async def test_sessions_in_all_buckets_get_the_secrets_of_their_owner(api: Api) -> None:
    value, script = (
        "s3cr3t-of-buckets",
        "const { TOKEN } = require('pglambda').secrets; console.log(TOKEN); return TOKEN.length;",
    )
    stored = await api.client.put("/api/v1/secrets/TOKEN", json={"value": value})
    assert (stored.status_code, stored.json()["version"]) == (200, 1), stored.text
    for session_id in (await sessions_in_both(api, script, secrets=["TOKEN"])).values():
        executed = (await api.execute(session_id)).json()
        assert (executed["result"], executed["stdout"], executed["redacted"]) == (len(value), "[secret TOKEN]\n", 1)
        history = (await api.client.get(f"/api/v1/sessions/{session_id}/executions")).json()
        assert history["executions"][0]["uses"]["secrets"] == {"TOKEN": 1}
        assert value not in json.dumps(history)


async def test_a_repeated_initialize_and_calls_by_name_find_their_bucket(api: Api) -> None:
    request = {
        "headers": {"Language-Title": "nodejs-keyed", "Idempotency-Key": "once"},
        "json": {"script_content": SCRIPT},
    }
    first, again = [await api.client.post("/api/v1/initialize", **request) for _ in range(2)]
    assert first.json()["request_id"] == again.json()["request_id"]
    made = await api.client.put("/api/v1/functions/nodejs-named", json={"script_content": SCRIPT})
    assert made.status_code in {200, 201}, made.text
    for n in range(3):
        called = await api.client.post("/api/v1/functions/nodejs-named/execute", json={"params": {"a": n}})
        assert (called.status_code, called.json()["result"]) == (200, n + 1)


async def test_a_node_that_is_away_takes_down_its_own_buckets_only(api: Api, cluster: Cluster, database: str) -> None:
    sessions = await sessions_in_both(api)
    with psycopg.connect(cluster.url(database)) as connection:
        ((lost,),) = connection.execute(
            "SELECT n.nodeport FROM pg_dist_shard AS s JOIN pg_dist_placement AS p USING (shardid)"
            " JOIN pg_dist_node AS n USING (groupid) WHERE s.logicalrelid = 'bucket_2.sessions'::regclass"
        ).fetchall()
    cluster.kill(lost)

    async def is_away() -> bool:
        refused = await api.session(sessions[2])
        assert refused.status_code == 503
        assert "retry-after" in refused.headers
        error = refused.json()["error"]  # a moment after the last response it counts as busy
        return (error["code"], error["details"].get("bucket")) == ("STORAGE_UNAVAILABLE", 2)

    await until(is_away, 20)
    assert (await api.execute(sessions[1], a=1)).json()["result"] == 2
    assert {bucket_of(await api.initialize("nodejs-adder", SCRIPT)) for _ in range(8)} == {1}
    assert (await api.client.get("/readyz")).status_code == 200
    shown = (await health(api))["components"]["buckets"]
    assert [each["shard"] is None for each in shown["buckets"]] == [True, False, False]
    assert (shown["status"], [each["state"] for each in shown["buckets"]]) == (
        "degraded",
        ["serving", "serving", "away"],
    )
    assert shown["reason"] == f"The node of bucket 2 (127.0.0.1:{lost}) is away."
    assert 'pglambda_buckets_away{process="0"} 1.0' in (await api.client.get("/metrics")).text
    cluster.start(lost)

    async def serves() -> bool:
        return (await api.session(sessions[2])).status_code == 200

    await until(serves, 20)
    assert (await health(api))["components"]["buckets"]["status"] == "ok"


async def test_without_the_coordinator_the_sessions_in_buckets_are_served(api: Api, cluster: Cluster) -> None:
    sessions = await sessions_in_both(api)
    cluster.kill(cluster.ports[0])
    try:
        for session_id in sessions.values():
            executed = await api.execute(session_id, a=4)
            assert (executed.status_code, executed.json().get("result")) == (200, 5), executed.text
        made = await api.initialize("nodejs-adder", SCRIPT)
        assert bucket_of(made) in sessions
        key = {"Language-Title": "nodejs-keyed", "Idempotency-Key": "without"}
        keyed = await api.client.post("/api/v1/initialize", headers=key, json={"script_content": SCRIPT})
        assert keyed.status_code == 200, keyed.text
        assert (await api.client.get("/api/v1/sessions")).status_code == 503
        ready = await api.client.get("/readyz")
        assert (ready.status_code, ready.json()["components"]["clock"]["status"]) == (503, "ok")
    finally:
        cluster.start(cluster.ports[0])


async def test_without_the_coordinator_quotas_hold_new_sessions_up_until_the_first_count_has_failed(
    cluster: Cluster, database: str, data_dir: Path
) -> None:
    variables = {
        "DATABASE_NODES": "auto",
        "REQUEST_TIMEOUT_MS": "2000",
        "MAX_SESSIONS_PER_OWNER": "1000",
        **NODEJS_HERE,
    }
    request = {"headers": {"Language-Title": "nodejs-adder"}, "json": {"script_content": SCRIPT}}
    async with serving(create_controller(settings_for(cluster.url(database), data_dir, **variables))) as api:
        cluster.kill(cluster.ports[0])
        try:

            async def begins() -> bool:
                return (await api.client.post("/api/v1/initialize", **request)).status_code == 200

            await until(begins, 30)
            with within(2):
                made = [await api.initialize("nodejs-adder", SCRIPT) for _ in range(4)]
            assert {bucket_of(each) for each in made} <= {1, 2}
        finally:
            cluster.start(cluster.ports[0])


async def test_a_controller_that_knows_no_nodes_is_not_ready_and_refuses_calls(
    api: Api, cluster: Cluster, database: str, data_dir: Path
) -> None:
    session_id = (await sessions_in_both(api))[1]
    async with serving(create_controller(settings_for(cluster.url(database), data_dir))) as unaware:
        ready, found = await unaware.client.get("/readyz"), await unaware.session(session_id)
        key = {"Language-Title": "nodejs-keyed", "Idempotency-Key": "unaware"}
        keyed = await unaware.client.post("/api/v1/initialize", headers=key, json={"script_content": SCRIPT})
    assert ready.status_code == 503
    assert "DATABASE_NODES is not set" in ready.json()["reason"]
    for refused in (found, keyed):
        error = refused.json()["error"]
        assert (refused.status_code, error["code"]) == (503, "STORAGE_UNAVAILABLE")
        assert (error["details"]["reason"], error["details"]["stored"]) == ("nodes_unknown", "no")
        assert "DATABASE_NODES is not set" in error["message"]


def stored_sessions(**environ: str) -> int:
    """Return the size of the sessions that the command shows."""
    shown = run_command("storage", "--output", "json", **environ)
    assert shown.returncode == 0, shown.stderr
    parts: dict[str, dict[str, int]] = json.loads(shown.stdout)["parts"]
    return parts["sessions"]["size_bytes"]


def test_commands_reach_all_buckets(cluster: Cluster, database: str) -> None:
    environ = {"DATABASE_URL": cluster.url(database), "DATABASE_NODES": "auto"}
    shown = run_command("owners", "usage", "anonymous", "--output", "json", **environ)
    assert json.loads(shown.stdout)[0]["quotas"]["live_sessions"]["observed"] > 2, shown.stderr
    listed = run_command("executions", "list", "--limit", "50", "--output", "json", **environ)
    assert listed.returncode == 0, listed.stderr
    found = {bucket_of(each["execution_id"]): each for each in json.loads(listed.stdout)}
    assert set(found) == {1, 2}
    for each in found.values():
        explained = run_command("explain", each["execution_id"], **environ)
        assert (explained.returncode, each["request_id"] in explained.stdout) == (0, True), explained.stderr
        assert f"Its rows belong to bucket {bucket_of(each['execution_id'])}." in explained.stdout
    with psycopg.connect(cluster.url(database)) as connection:
        ((at_home,),) = connection.execute("SELECT pg_total_relation_size('meta.sessions')").fetchall()
    assert 0 < at_home < stored_sessions(**environ)
    refused = run_command("owners", "purge", "anonymous", "--yes", DATABASE_URL=cluster.url(database))
    assert refused.returncode == 1, "it would find what home has"
    assert "DATABASE_NODES is not set" in refused.stderr
    assert "Nothing was done" in refused.stderr
    erased = run_command("owners", "purge", "anonymous", "--yes", **environ)
    assert erased.returncode == 0, erased.stderr
    for number in (1, 2):
        with psycopg.connect(cluster.url(database)) as connection:
            ((left,),) = connection.execute(
                f"SELECT count(*) FROM bucket_{number}.sessions WHERE script_hash IS NOT NULL"
            ).fetchall()
        assert left == 0
