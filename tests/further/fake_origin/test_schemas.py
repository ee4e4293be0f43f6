"""The four schemas of the origin, as sources of a takeover find them."""

import psycopg
import pytest

from tests.further.fake_origin.test_generations import client_of
from tests.origin.databases import fill, origin_database, run
from tests.origin.process import running_origin
from tests.programs.origin.calls import execute, initialize, initialized, session

COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'meta' AND table_name = 'sessions'"


@pytest.mark.parametrize(("variant", "columns", "triggers"), [("a", 16, 0), ("b", 16, 2), ("c", 16, 2), ("d", 9, 0)])
def test_a_variant_has_its_columns_and_triggers(server_url, variant, columns, triggers):
    count = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = 'meta.sessions'::regclass"
    with origin_database(server_url, variant) as url, psycopg.connect(url) as connection:
        assert len(connection.execute(COLUMNS).fetchall()) == columns
        assert connection.execute(count).fetchone() == (triggers,)


def test_the_triggers_of_c_count_twice_and_hash(server_url):
    with origin_database(server_url, "c") as url, running_origin(url) as origin, client_of(origin) as client:
        request_id = initialized(client, "result = 1")
        execute(client, request_id)
        assert session(client, request_id).json()["execution_count"] == 2
        assert initialize(client, "result = '\\x'").status_code == 500
        with psycopg.connect(url) as connection:
            hashes = connection.execute("SELECT length(script_hash) FROM meta.sessions").fetchall()
    assert hashes == [(64,)]


def test_b_refuses_users_that_it_does_not_know(server_url):
    headers = {"Language-Title": "python-a", "X-User-ID": "nobody"}
    with origin_database(server_url, "b") as url, running_origin(url) as origin, client_of(origin) as client:
        response = client.post("/api/v1/initialize", json={"context": {}}, headers=headers)
    assert response.status_code == 500
    assert "violates foreign key constraint" in response.json()["error"]


def test_no_release_can_write_to_d(server_url):
    with origin_database(server_url, "d") as url, running_origin(url) as origin, client_of(origin) as client:
        response = initialize(client, "result = 1")
    assert response.status_code == 500
    assert response.json()["error"].startswith(
        "Failed to create session: Database error: error serializing parameter 3"
    )


def test_the_cleanup_of_a_fails_and_keeps_all(server_url):
    with origin_database(server_url) as url:
        fill(url, 20)
        with psycopg.connect(url, autocommit=True) as connection:
            with pytest.raises(psycopg.DatabaseError):
                connection.execute("SELECT meta.cleanup_expired_sessions()")
            assert connection.execute("SELECT count(*) FROM meta.sessions").fetchone() == (20,)


@pytest.mark.parametrize("variant", ["a", "b", "c"])
def test_a_filled_database_has_live_dead_and_used_sessions_of_a_size(server_url, variant):
    with origin_database(server_url, variant) as url:
        fill(url, 100, 2048, users=variant == "b")
        counts = """SELECT count(*), count(*) FILTER (WHERE expires_at > now()), count(*) FILTER (WHERE execution_count > 0),
            avg(length(script_content)) > 2000 FROM meta.sessions"""
        with psycopg.connect(url) as connection:
            assert connection.execute(counts).fetchone() == (100, 90, 50, True)


def test_oddities_are_rows_that_a_takeover_must_judge(server_url):
    with origin_database(server_url) as url:
        run(url, "oddities")
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM meta.sessions").fetchone() == (20,)
