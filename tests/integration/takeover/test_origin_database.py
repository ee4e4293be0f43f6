"""Transactions in the database of the origin, and what their failures say."""

import asyncio
import socket
from contextlib import asynccontextmanager, contextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from adapters.origin.database import OriginDatabase, OriginDatabaseOptions
from adapters.origin.statements import load_origin_statements
from domain.takeover.source import SourceAddress, SourceRefused, SourceUnavailable
from tests.faults.pgbouncer import find_pgbouncer, running_pgbouncer
from tests.faults.server import SERVICE_ROLE, running_server
from tests.origin.databases import origin_database, run

STATEMENTS = load_origin_statements()
UPDATE = "UPDATE sessions SET status = 'seen'"
COUNT = "SELECT count(*) FROM sessions WHERE status = 'seen'"


@asynccontextmanager
async def opened(url: str, schema: str = "meta", **options: int):
    address = SourceAddress(url, schema)
    async with OriginDatabase.opened(OriginDatabaseOptions(address, **options), STATEMENTS.connection) as database:
        yield database


async def refusal(url: str, statement: str = COUNT, *, schema: str = "meta", writes: bool = False, **options: int):
    """Run a statement, and return the words of its failure."""
    with pytest.raises((SourceRefused, SourceUnavailable)) as caught:
        async with opened(url, schema, **options) as database, database.transaction(writes=writes) as transaction:
            await transaction.fetch(statement)
    return str(caught.value)


@contextmanager
def role(url: str, *grants: str):
    """A role with some rights, and the address with which it connects."""
    name = f"reader_{uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
        for grant in grants:
            admin.execute(sql.SQL(grant + " TO {}").format(sql.Identifier(name)))
        yield make_conninfo(url, user=name)
        admin.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


async def test_a_transaction_commits_at_the_end_of_its_block(odd_origin_url):
    async with opened(odd_origin_url) as database:
        async with database.transaction(writes=True) as transaction:
            await transaction.fetch(UPDATE)
        assert await database.fetch(COUNT) == [(20,)]


async def fail_after_update(database: OriginDatabase) -> None:
    async with database.transaction(writes=True) as transaction:
        await transaction.fetch(UPDATE)
        raise KeyError


async def test_a_transaction_is_rolled_back_if_its_block_fails_and_the_next_one_works(odd_origin_url):
    async with opened(odd_origin_url) as database:
        with pytest.raises(KeyError):
            await fail_after_update(database)
        with pytest.raises(SourceUnavailable):
            await database.fetch("SELECT 1 / 0")
        assert await database.fetch(COUNT) == [(0,)]


async def test_a_reading_transaction_writes_nothing(odd_origin_url):
    assert "standby or read-only" in await refusal(odd_origin_url, UPDATE)


async def test_limits_hold_for_one_transaction_alone_so_that_a_pooler_may_be_between(origin_url):
    shown = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout'), current_setting('timezone')"
    async with opened(origin_url) as database:
        assert await database.fetch(shown) == [("200ms", "5s", "UTC")]
        (own,) = await database.fetch("SELECT reset_val FROM pg_settings WHERE name = 'search_path'")
        assert own == ('"$user", public',)


async def test_the_table_of_the_named_schema_is_found_and_functions_there_are_not_used(origin_url):
    with psycopg.connect(origin_url, autocommit=True) as admin:
        admin.execute('CREATE SCHEMA "Old one"')
        admin.execute('ALTER TABLE meta.sessions SET SCHEMA "Old one"')
        admin.execute("""CREATE FUNCTION "Old one".now() RETURNS text LANGUAGE sql AS $$ SELECT 'never' $$""")
    async with opened(origin_url, "Old one") as database:
        assert await database.fetch("SELECT count(*) FROM sessions WHERE expires_at > now()") == [(0,)]


async def test_another_schema_is_refused_by_name(origin_url):
    message = await refusal(origin_url, schema="other")
    assert "The schema 'other' is not one of lambda-microservice" in message
    assert "--schema" in message


async def test_a_role_that_may_not_use_the_schema_is_told_so(odd_origin_url):
    with role(odd_origin_url) as url:
        assert "or the role lacks USAGE on it" in await refusal(url)


async def test_a_missing_right_is_told_with_the_way_to_its_grant(odd_origin_url):
    with role(odd_origin_url, "GRANT USAGE ON SCHEMA meta") as url:
        message = await refusal(url)
    assert "permission denied for table sessions" in message
    assert "prints the GRANT" in message


async def test_a_row_that_is_locked_is_waited_for_briefly(odd_origin_url):
    with psycopg.connect(odd_origin_url) as holder:
        holder.execute("SELECT 1 FROM meta.sessions FOR UPDATE")
        message = await refusal(odd_origin_url, UPDATE, writes=True)
    assert "another transaction holds a lock" in message
    assert "it continues" in message


async def test_a_statement_ends_at_its_time_limit(origin_url):
    message = await refusal(origin_url, "SELECT pg_sleep(30)", statement_timeout_ms=50)
    assert "longer than its limit" in message


async def test_a_server_that_falls_silent_does_not_hold_the_command(origin_url):
    async with silent_after_greeting(origin_url) as url:
        message = await refusal(url, "SELECT 1", statement_timeout_ms=100, connect_timeout_s=2)
    assert "did not serve" in message


async def test_a_connection_that_was_lost_is_made_again(origin_url):
    async with opened(origin_url) as database:
        ((process_id,),) = await database.fetch("SELECT pg_backend_pid()")
        with psycopg.connect(origin_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [process_id])
        with pytest.raises(SourceUnavailable):
            await database.fetch("SELECT 1")
        assert await database.fetch("SELECT 1") == [(1,)]


async def test_a_database_that_is_not_in_utf_8_is_refused(server_url):
    name = f"origin_{uuid4().hex}"
    create = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL(create).format(sql.Identifier(name)))
        message = await refusal(make_conninfo(server_url, dbname=name))
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    assert "has the encoding SQL_ASCII" in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dbname": "nothing"}, "does not exist"),
        ({"user": "nobody"}, "does not exist"),
        ({"host": "/nowhere"}, "there is no connection"),
    ],
)
async def test_why_there_is_no_connection_is_told(server_url, change, words):
    assert words in await refusal(make_conninfo(server_url, **change))


async def test_an_address_that_is_none_is_refused_without_its_text():
    message = await refusal("postgres://user:pass word@:x:/")
    assert "neither a PostgreSQL URL" in message
    assert "pass word" not in message


@asynccontextmanager
async def silent_after_greeting(url: str):
    """The address of a proxy that passes on what comes at the beginning, and nothing after the first statement."""
    folder = conninfo_to_dict(url)["host"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server, from_server = None, None
        from_server, to_server = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        to_server.write(await reader.read(65536))
        writer.write(await from_server.read(65536))
        await reader.read(65536)  # the first statement
        await reader.read()  # until the client leaves
        to_server.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, family=socket.AF_INET)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield make_conninfo(url, host="127.0.0.1", port=port, sslmode="disable", gssencmode="disable")


@pytest.mark.skipif(find_pgbouncer() is None, reason="pgbouncer is not installed")
async def test_a_pooler_that_changes_the_connection_with_each_transaction_may_be_between():
    with running_server() as server, origin_database(server.dsn()) as url:
        name = conninfo_to_dict(url)["dbname"]
        with psycopg.connect(url, autocommit=True) as admin:
            run(url, "oddities")
            admin.execute(sql.SQL("GRANT USAGE ON SCHEMA meta TO {}").format(sql.Identifier(SERVICE_ROLE)))
            admin.execute(sql.SQL("GRANT ALL ON meta.sessions TO {}").format(sql.Identifier(SERVICE_ROLE)))
        with running_pgbouncer(server, prepared_statements_max=0) as port:
            pooled = server.dsn(name, SERVICE_ROLE, port)
            async with opened(pooled) as one, opened(pooled) as other:
                async with one.transaction(writes=True) as transaction, other.transaction() as reading:
                    await transaction.fetch(UPDATE)
                    assert await reading.fetch(COUNT) == [(0,)]
                assert await other.fetch(COUNT) == [(20,)]
                assert await one.fetch("SELECT current_setting('statement_timeout')") == [("5s",)]
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(SERVICE_ROLE)))
