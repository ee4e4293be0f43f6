"""Reads of the server's clock are found in every form."""

import pytest

from tests.sql_clocks import clock_reads


@pytest.mark.parametrize(
    "read",
    [
        "now()",
        "NOW ()",
        "pg_catalog.now()",
        'pg_catalog."now"()',
        "current_timestamp",
        "CURRENT_TIMESTAMP(3)",
        "current_date",
        "current_time",
        "localtime",
        "localtimestamp",
        "clock_timestamp()",
        "statement_timestamp()",
        "transaction_timestamp()",
        "timeofday()",
        "age(s.created_at)",
        "age(coalesce(s.created_at, s.updated_at))",
        "age(timestamp '2001-01-01')",
        "uuidv7()",
        "uuidv7(interval '1 s')",
        "uuid_generate_v1()",
        "'now'",
        "'now'::timestamptz",
        "timestamptz 'now'",
        "timestamp with time zone 'NOW'",
        "date 'today'",
        "CAST('tomorrow' AS date)",
        "s.expires_at > 'yesterday'",
        "s.expires_at > ' now '",
        "'Today 12:00'::timestamptz",
        "'04:05 yesterday'::timestamp",
        "'tomorrow allballs'::timestamptz",
        "'now'::time",
        "E'now'::timestamptz",
        "E'it\\'s', 'now'::timestamptz",
        "'it''s', 'now'::timestamptz",
        "$$now$$::timestamptz",
        "$when$today 12:00$when$::timestamptz",
        "'to'\n  'day'::date",
        "tstzrange('now', NULL)",
        "DEFAULT 'now'",
        "$$ BEGIN RETURN 'now'::timestamptz; END $$",
        "$$ BEGIN RETURN now(); END $$",
        "EXECUTE 'SELECT ''now''::timestamptz'",
        "'--', 'now'",
        "/* it's */ 'now'",
        "COMMENT ON TABLE t IS 'read now'; SELECT 'now'::date",
        "COMMENT ON TABLE t IS NULL; SELECT 'now'::date",
    ],
)
def test_a_read_of_the_clock_is_found(read):
    assert len(clock_reads(f"SELECT {read};")) == 1


@pytest.mark.parametrize(
    "text",
    [
        ":now::timestamptz",
        "SELECT c.now, k.known AS now FROM c",
        "o.deadline_at > :now",
        "age(e.ended_at, e.started_at)",
        "age(coalesce(e.ended_at, :now), e.started_at)",
        "storage(1), page(2)",
        "'known', 'unknown', 'snow'",
        "'2026-01-01'::timestamptz",
        "'infinity'::timestamptz",
        "'allballs'::time",
        "-- it is asked 'now' and then",
        "/* 'now' */ SELECT 1",
        "COMMENT ON TABLE t IS 'As each controller tells now and then.';",
        "COMMENT ON TABLE t IS 'As each controller tells; '\n'it''s read now and then.';",
        "current_setting('server_version')",
        "gen_random_uuid()",
        "$$ BEGIN PERFORM c.now; END $$",
    ],
)
def test_a_statement_that_does_not_read_the_clock_is_accepted(text):
    assert clock_reads(text) == []
