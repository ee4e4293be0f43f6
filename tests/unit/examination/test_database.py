"""What is said of a database."""

import re
from datetime import timedelta

import pytest

from domain.inspection import DatabaseUnreachable, IndexFacts, MissingRight, Obstacle, StandbyFacts
from entrypoints.cli.diagnosis.clocks import judge_clock
from entrypoints.cli.diagnosis.finding import Level
from entrypoints.cli.diagnosis.reach import judge_connection, judge_unreached
from entrypoints.cli.diagnosis.rights import judge_rights
from entrypoints.cli.diagnosis.schema import judge_indexes, judge_schema
from entrypoints.cli.diagnosis.server import judge_server
from entrypoints.cli.diagnosis.standbys import judge_replication
from entrypoints.cli.diagnosis.tables import judge_slots, judge_tables, judge_transactions
from tests.unit.examination.facts import (
    CLOCK,
    CONNECTION,
    INDEXES,
    NOW,
    REPLICATION,
    SCHEMA,
    SERVER,
    SESSIONS,
    changed,
    levels,
    seen,
    settings_of,
)

SETTINGS = settings_of()


class TestTheWay:
    @pytest.mark.parametrize(
        ("obstacle", "remedy"),
        [
            ("address", "postgresql://user:password@host"),
            ("name", "name service"),
            ("network", "listen_addresses"),
            ("silence", "frozen"),
            ("tls", "sslmode"),
            ("login", r"pg_hba\.conf"),
            ("database", "createdb"),
            ("full", "max_connections"),
            ("options", "DB_SERVER_TIMEOUTS=false"),
            ("starting", "read its log"),
            ("refused", "own words"),
        ],
    )
    def test_each_obstacle_has_a_remedy_of_its_own(self, obstacle, remedy):
        finding = judge_unreached(DatabaseUnreachable(Obstacle(obstacle), "it said no"))
        assert finding.level is Level.PROBLEM
        assert finding.seen == f"no connection ({obstacle}): it said no"
        assert re.search(remedy, finding.remedy)
        assert finding.why.endswith("does not start." if obstacle == "address" else "503 STORAGE_UNAVAILABLE.")

    def test_an_encrypted_connection_is_well(self):
        assert levels(judge_connection(CONNECTION, SETTINGS)) == {Level.OK}

    def test_one_that_can_be_read_on_the_way_is_a_warning(self):
        found = judge_connection(changed(CONNECTION, is_encrypted=False), SETTINGS)
        assert seen(found, Level.WARNING) == ["the connection to db.example.com is not encrypted"]

    @pytest.mark.parametrize("host", ["/run/postgresql", "127.0.0.1", "localhost", "::1", "@abstract"])
    def test_one_that_stays_on_the_machine_needs_no_encryption(self, host):
        found = judge_connection(changed(CONNECTION, is_encrypted=False, host=host), SETTINGS)
        assert levels(found) == {Level.OK}

    def test_a_pooler_that_keeps_no_prepared_statements_is_a_warning(self):
        found = judge_connection(changed(CONNECTION, is_pooled=True), SETTINGS)
        assert "DB_PREPARE" in seen(found, Level.WARNING)[0]

    def test_a_pooler_that_keeps_them_is_well(self):
        found = judge_connection(changed(CONNECTION, is_pooled=True, keeps_prepared=True), SETTINGS)
        assert levels(found) == {Level.OK}

    def test_a_pooler_where_nothing_is_prepared_is_noted(self):
        found = judge_connection(changed(CONNECTION, is_pooled=True), settings_of(DB_PREPARE="false"))
        assert seen(found, Level.NOTE)


class TestTheServer:
    def test_one_that_is_well(self):
        assert levels(judge_server(SERVER, SETTINGS)) == {Level.OK}

    @pytest.mark.parametrize(
        ("facts", "level", "said"),
        [
            ({"version": "14.2", "version_number": 140_002}, Level.PROBLEM, "PostgreSQL 14.2"),
            ({"encoding": "SQL_ASCII"}, Level.PROBLEM, "the database keeps text as SQL_ASCII"),
            (
                {"role_connections_max": 4},
                Level.PROBLEM,
                "DB_POOL_MAX x WEB_CONCURRENCY is 8, and the limit of the role app grants 4",
            ),
            (
                {"database_connections_max": 7},
                Level.PROBLEM,
                "DB_POOL_MAX x WEB_CONCURRENCY is 8, and the limit of the database pglambda grants 7",
            ),
            (
                {"connections": 90},
                Level.WARNING,
                (
                    "DB_POOL_MAX x WEB_CONCURRENCY is 8, and the server's max_connections grants 97; 90 connections are "
                    "open now"
                ),
            ),
            ({"is_standby": True}, Level.PROBLEM, "this is a standby"),
            ({"is_read_only": True}, Level.PROBLEM, "transactions are read-only by default"),
            ({"has_fsync": False, "has_full_page_writes": False}, Level.WARNING, "fsync, full_page_writes are off"),
            ({"synchronous_commit": "off"}, Level.WARNING, "synchronous_commit is off"),
            ({"has_autovacuum": False}, Level.WARNING, "autovacuum is off"),
            (
                {"transactions_unfrozen": 1_500_000_000},
                Level.WARNING,
                "1,500,000,000 transactions have not been frozen",
            ),
            (
                {"lock_timeout_ms": 0},
                Level.WARNING,
                "no lock_timeout, statement_timeout 500 ms; the service gives up after 700 ms",
            ),
            (
                {"statement_timeout_ms": 700},
                Level.WARNING,
                "lock_timeout 300 ms, statement_timeout 700 ms; the service gives up after 700 ms",
            ),
        ],
    )
    def test_one_that_is_not(self, facts, level, said):
        assert seen(judge_server(changed(SERVER, **facts), SETTINGS), level) == [said]

    def test_missing_time_limits_are_set_on_the_role(self):
        unlimited = changed(SERVER, lock_timeout_ms=0, statement_timeout_ms=0)
        found = judge_server(unlimited, settings_of(DB_SERVER_TIMEOUTS="false"))
        (finding,) = [each for each in found if each.level is Level.WARNING]
        assert finding.remedy.startswith(
            "ALTER ROLE app SET lock_timeout = '300ms'; ALTER ROLE app SET statement_timeout = '500ms', or"
        )
        assert "DB_SERVER_TIMEOUTS=true" in finding.remedy


class TestTheSchema:
    def test_one_that_is_as_it_should_be(self):
        assert levels(judge_schema(SCHEMA, SETTINGS) + judge_indexes(INDEXES)) == {Level.OK}

    def test_what_is_pending_is_a_problem_where_nobody_takes_it(self):
        pending = changed(SCHEMA, pending=["0009_more"])
        assert seen(judge_schema(pending, SETTINGS), Level.PROBLEM) == ["not taken yet: 0009_more"]
        assert levels(judge_schema(pending, settings_of(AUTO_MIGRATE="true"))) == {Level.NOTE}

    @pytest.mark.parametrize("auto", ["true", "false"])
    def test_what_only_another_role_may_take_is_a_problem_with_its_name(self, auto):
        (found,) = judge_schema(
            changed(SCHEMA, pending=["0009_more"], other_owner="boss"), settings_of(AUTO_MIGRATE=auto)
        )
        assert (found.level, found.remedy) == (
            Level.PROBLEM,
            "pglambda migrate up, with the role boss in DATABASE_URL",
        )

    def test_a_schema_of_another_role_that_lacks_nothing_is_well(self):
        assert levels(judge_schema(changed(SCHEMA, other_owner="boss"), SETTINGS)) == {Level.OK}

    def test_what_differs_and_what_is_newer_are_problems(self):
        found = judge_schema(changed(SCHEMA, differing=["0002_a"], unknown=["0099_b"]), SETTINGS)
        assert len(seen(found, Level.PROBLEM)) == 2

    def test_missing_and_invalid_indexes_are_problems_and_strange_ones_are_noted(self):
        found = judge_indexes(IndexFacts({"a": False, "own": True}, ["a", "b"]))
        assert seen(found, Level.PROBLEM) == ["indexes are missing: b", "indexes are not valid: a"]
        assert seen(found, Level.NOTE) == ["indexes that are not the service's: own"]
        assert "REINDEX INDEX CONCURRENTLY meta.a" in found[1].remedy

    def test_without_a_schema_there_is_nothing_to_say_of_indexes(self):
        assert judge_indexes(IndexFacts({}, [])) == []


class TestTheRights:
    def test_that_are_all_there(self):
        assert seen(judge_rights([], "app"), Level.OK) == ["the role app may do what the service does"]

    def test_that_are_missing_on_many_tables(self):
        of_tables = "ALL TABLES IN SCHEMA meta"
        missing = [MissingRight(right, of_tables, table) for table in "abcde" for right in ("INSERT", "SELECT")]
        (found,) = judge_rights([MissingRight("USAGE", "SCHEMA meta", ""), *missing], "app")
        assert found.level is Level.PROBLEM
        assert found.seen == "the role app lacks USAGE, INSERT, SELECT on meta.a, meta.b, meta.c and 2 more"
        assert found.remedy.startswith(
            "GRANT USAGE ON SCHEMA meta TO app; GRANT INSERT, SELECT ON ALL TABLES IN SCHEMA meta TO app ("
        )

    def test_that_is_missing_on_one_table(self):
        missing = [MissingRight("SELECT", "ALL TABLES IN SCHEMA meta", "sessions")]
        assert seen(judge_rights(missing, "app"), Level.PROBLEM) == ["the role app lacks SELECT on meta.sessions"]

    def test_to_make_the_schema(self):
        missing = [MissingRight("CREATE", "DATABASE pglambda", "")]
        assert seen(judge_rights(missing, "app"), Level.PROBLEM) == ["the role app lacks CREATE on DATABASE pglambda"]


class TestTheTables:
    def test_hot_updates_are_well(self):
        assert seen(judge_tables([SESSIONS]), Level.OK) == ["meta.sessions: 98% of its updates are HOT"]

    def test_updates_that_leave_their_page_are_a_warning(self):
        found = judge_tables([changed(SESSIONS, hot_updates=1000)])
        assert seen(found, Level.WARNING) == ["meta.sessions: 20% of 5,000 updates are HOT"]

    def test_few_updates_are_not_judged(self):
        assert levels(judge_tables([changed(SESSIONS, updates=999, hot_updates=0)])) == {Level.NOTE}

    def test_a_lost_fillfactor_is_a_warning(self):
        found = judge_tables([changed(SESSIONS, options="")])
        assert seen(found, Level.WARNING) == ["meta.sessions has lost its fillfactor"]

    def test_dead_rows_are_a_warning_when_they_are_many_and_most(self):
        keys = changed(SESSIONS, name="idempotency_keys", live_rows=30_000, dead_rows=20_000)
        assert seen(judge_tables([keys]), Level.WARNING) == [
            "meta.idempotency_keys: 20,000 dead rows beside 30,000, vacuumed last on 2026-11-10 12:00Z"
        ]
        assert levels(judge_tables([changed(keys, live_rows=40_000)])) == {Level.OK}
        assert levels(judge_tables([changed(keys, live_rows=0, dead_rows=19_999)])) == {Level.OK}
        assert "vacuumed never" in judge_tables([changed(keys, last_vacuum_at=None)])[0].seen

    def test_autovacuum_that_is_off_for_a_table_is_a_warning(self):
        found = judge_tables([changed(SESSIONS, options="fillfactor=80 autovacuum_enabled=false")])
        assert seen(found, Level.WARNING) == ["autovacuum is off for meta.sessions"]

    def test_without_tables_nothing_is_wrong_with_them(self):
        assert levels(judge_tables([])) == {Level.OK}

    def test_an_old_transaction_is_a_warning(self):
        assert judge_transactions(None, NOW) == []
        assert judge_transactions(NOW - timedelta(minutes=10), NOW) == []
        assert levels(judge_transactions(NOW - timedelta(minutes=11), NOW)) == {Level.WARNING}

    def test_slots_that_nobody_reads_are_a_warning(self):
        assert judge_slots([]) == []
        assert seen(judge_slots(["a", "b"]), Level.WARNING) == ["replication slots that nobody reads: a, b"]


class TestTheClock:
    def test_a_near_one_is_well(self):
        assert levels(judge_clock(CLOCK, SETTINGS)) == {Level.OK}

    @pytest.mark.parametrize(
        ("facts", "level", "said"),
        [
            ({"offset_ms": -700.0}, Level.NOTE, "the database's clock is 700.0 ms behind this host's"),
            ({"offset_ms": 61_000.0}, Level.WARNING, "the database's clock is 61000.0 ms ahead of this host's"),
            ({"error_bound_ms": 600.0}, Level.PROBLEM, "the database's time can be known to 600 ms only"),
            ({"round_trip_ms": 101.0}, Level.WARNING, "a round trip to the database takes 101 ms"),
        ],
    )
    def test_a_far_one_is_told(self, facts, level, said):
        assert seen(judge_clock(changed(CLOCK, **facts), SETTINGS), level)[0].startswith(said)


class TestStandbys:
    def test_a_synchronous_one_is_well(self):
        assert levels(judge_replication(REPLICATION, SERVER)) == {Level.OK}

    @pytest.mark.parametrize(
        ("modes", "server", "level", "said"),
        [
            (["async", "potential"], {}, Level.WARNING, "every standby is asynchronous (s, s)"),
            ([None], {}, Level.NOTE, "there are standbys (s), and this role may not see"),
            (["quorum"], {"synchronous_commit": "local"}, Level.WARNING, "synchronous_commit is local"),
            ([], {}, Level.WARNING, "the server waits for synchronous standbys, and there is none"),
            ([], {"waits_for_standbys": False}, Level.NOTE, "no standby"),
        ],
    )
    def test_what_may_be_lost_is_told(self, modes, server, level, said):
        facts = changed(REPLICATION, standbys=[StandbyFacts("s", mode) for mode in modes])
        assert seen(judge_replication(facts, changed(SERVER, **server)), level)[0].startswith(said)
