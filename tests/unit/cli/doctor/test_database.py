"""The findings about a database."""

import re
from datetime import timedelta

import pytest

from domain.inspection import DatabaseUnreachable, HorizonHolder, IndexFacts, MissingRight, Obstacle, StandbyFacts
from domain.stored_facts import QueueLanguageFacts, RecordingFacts, ScheduleFacts, TakeoverFacts, WebhookFacts
from domain.takeover.stages import Stage
from entrypoints.cli.doctor.connection import judge_clock, judge_connection, judge_unreachable
from entrypoints.cli.doctor.report import Level
from entrypoints.cli.doctor.schema import (
    judge_indexes,
    judge_queue,
    judge_rights,
    judge_schedules,
    judge_schema,
    judge_webhooks,
)
from entrypoints.cli.doctor.server import (
    judge_archive,
    judge_backup,
    judge_recordings,
    judge_replication,
    judge_server,
    judge_takeover,
)
from entrypoints.cli.doctor.tables import judge_horizon, judge_slots, judge_tables
from tests.unit.cli.doctor.facts import (
    ARCHIVE,
    CLOCK,
    CONNECTION,
    INDEXES,
    NOW,
    REPLICATION,
    SCHEMA,
    SERVER,
    SESSIONS,
    STATES,
    changed,
    levels,
    seen,
    settings_of,
)

SETTINGS = settings_of()


class TestTheConnection:
    @pytest.mark.parametrize(
        ("obstacle", "remedy"),
        [
            ("address", "postgresql://user:password@host"),
            ("name", "name resolution"),
            ("network", "listen_addresses"),
            ("silence", "frozen"),
            ("tls", "sslmode"),
            ("login", r"pg_hba\.conf"),
            ("database", "createdb"),
            ("full", "max_connections"),
            ("options", "DB_SERVER_TIMEOUTS=false"),
            ("starting", "read its log"),
            ("refused", "server's own"),
        ],
    )
    def test_each_obstacle_has_a_remedy_of_its_own(self, obstacle, remedy):
        finding = judge_unreachable(DatabaseUnreachable(Obstacle(obstacle), "it said no"))
        assert finding.level is Level.PROBLEM
        assert finding.seen == f"no connection ({obstacle}): it said no"
        assert re.search(remedy, finding.remedy)
        assert finding.why.endswith("such an address." if obstacle == "address" else "503 STORAGE_UNAVAILABLE.")

    def test_an_encrypted_connection_is_ok(self):
        assert levels(judge_connection(CONNECTION, SETTINGS)) == {Level.OK}

    def test_an_unencrypted_connection_is_a_warning(self):
        found = judge_connection(changed(CONNECTION, is_encrypted=False), SETTINGS)
        assert seen(found, Level.WARNING) == ["the connection to db.example.com is not encrypted"]

    @pytest.mark.parametrize("host", ["/run/postgresql", "127.0.0.1", "localhost", "::1", "@abstract"])
    def test_a_local_connection_needs_no_encryption(self, host):
        found = judge_connection(changed(CONNECTION, is_encrypted=False, host=host), SETTINGS)
        assert levels(found) == {Level.OK}

    def test_a_pooler_that_keeps_no_prepared_statements_is_a_warning(self):
        found = judge_connection(changed(CONNECTION, is_pooled=True), SETTINGS)
        assert "DB_PREPARE" in seen(found, Level.WARNING)[0]

    def test_a_pooler_that_keeps_prepared_statements_is_ok(self):
        found = judge_connection(changed(CONNECTION, is_pooled=True, keeps_prepared=True), SETTINGS)
        assert levels(found) == {Level.OK}

    def test_a_pooler_without_prepared_statements_is_a_note(self):
        found = judge_connection(changed(CONNECTION, is_pooled=True), settings_of(DB_PREPARE="false"))
        assert seen(found, Level.NOTE)


class TestTheServer:
    def test_a_healthy_server_is_ok(self):
        assert levels(judge_server(SERVER, SETTINGS)) == {Level.OK}

    @pytest.mark.parametrize(
        ("facts", "level", "text"),
        [
            ({"version": "14.2", "version_number": 140_002}, Level.PROBLEM, "PostgreSQL 14.2"),
            ({"encoding": "SQL_ASCII"}, Level.PROBLEM, "the database stores text as SQL_ASCII"),
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
    def test_a_fault_of_the_server_has_its_level(self, facts, level, text):
        assert seen(judge_server(changed(SERVER, **facts), SETTINGS), level) == [text]

    def test_the_remedy_for_missing_time_limits_sets_them_on_the_role(self):
        unlimited = changed(SERVER, lock_timeout_ms=0, statement_timeout_ms=0)
        found = judge_server(unlimited, settings_of(DB_SERVER_TIMEOUTS="false"))
        (finding,) = [each for each in found if each.level is Level.WARNING]
        assert finding.remedy.startswith(
            "ALTER ROLE app SET lock_timeout = '300ms'; ALTER ROLE app SET statement_timeout = '500ms', or"
        )
        assert "DB_SERVER_TIMEOUTS=true" in finding.remedy

    def test_nodes_need_a_limit_for_clients_that_take_no_results_unless_the_service_sets_it(self):
        nodes = {"DATABASE_NODES": "auto", "DB_SERVER_TIMEOUTS": "false"}
        (finding,) = [each for each in judge_server(SERVER, settings_of(**nodes)) if each.level is Level.WARNING]
        assert (finding.seen, finding.remedy) == (
            "no tcp_user_timeout, and DB_SERVER_TIMEOUTS=false",
            "ALTER ROLE app SET tcp_user_timeout = '700ms', at the coordinator.",
        )
        for settings in ({"DATABASE_NODES": "auto"}, {"DB_SERVER_TIMEOUTS": "false"}):
            assert levels(judge_server(SERVER, settings_of(**settings))) == {Level.OK}
        limited = changed(SERVER, tcp_user_timeout_ms=700)
        assert levels(judge_server(limited, settings_of(**nodes))) == {Level.OK}


class TestTheSchema:
    def test_a_complete_schema_is_ok(self):
        assert levels([*judge_schema(SCHEMA, SETTINGS), *judge_indexes(INDEXES)]) == {Level.OK}

    def test_pending_migrations_are_a_problem_unless_the_service_applies_them(self):
        pending = changed(SCHEMA, pending=["0009_more"])
        assert seen(judge_schema(pending, SETTINGS), Level.PROBLEM) == ["migrations are pending: 0009_more"]
        assert levels(judge_schema(pending, settings_of(AUTO_MIGRATE="true"))) == {Level.NOTE}

    @pytest.mark.parametrize("auto", ["true", "false"])
    def test_pending_migrations_of_another_role_are_a_problem_with_its_name(self, auto):
        (found,) = judge_schema(
            changed(SCHEMA, pending=["0009_more"], other_owner="boss"), settings_of(AUTO_MIGRATE=auto)
        )
        assert (found.level, found.remedy) == (
            Level.PROBLEM,
            "pglambda migrate up, with the role boss in DATABASE_URL",
        )

    def test_a_complete_schema_of_another_role_is_ok(self):
        assert levels(judge_schema(changed(SCHEMA, other_owner="boss"), SETTINGS)) == {Level.OK}

    def test_changed_and_unknown_migrations_are_problems(self):
        found = judge_schema(changed(SCHEMA, differing=["0002_a"], unknown=["0099_b"]), SETTINGS)
        assert len(seen(found, Level.PROBLEM)) == 2

    def test_migrations_of_a_newer_release_beside_which_this_one_works_are_a_note(self):
        found = judge_schema(changed(SCHEMA, newer=["0099_b"]), SETTINGS)
        assert [(each.level, each.seen) for each in found] == [
            (Level.NOTE, "a newer release has applied migrations: 0099_b")
        ]

    def test_missing_and_invalid_indexes_are_problems_and_foreign_ones_a_note(self):
        found = judge_indexes(IndexFacts({"a": False, "own": True}, ["a", "b"]))
        assert seen(found, Level.PROBLEM) == ["indexes are missing: b", "indexes are not valid: a"]
        assert seen(found, Level.NOTE) == ["indexes that the service does not need: own"]
        assert "REINDEX INDEX CONCURRENTLY meta.a" in found[1].remedy

    def test_without_a_schema_there_are_no_findings_about_indexes(self):
        assert judge_indexes(IndexFacts({}, [])) == []


class TestTheRights:
    def test_a_role_with_all_rights_is_ok(self):
        assert judge_rights([], SERVER).seen == "the role app has all rights that the service needs"

    def test_missing_rights_on_many_tables_are_one_problem(self):
        of_tables = "ALL TABLES IN SCHEMA meta"
        missing = [MissingRight(right, of_tables, table) for table in "abcde" for right in ("INSERT", "SELECT")]
        found = judge_rights([MissingRight("USAGE", "SCHEMA meta", ""), *missing], SERVER)
        assert found.level is Level.PROBLEM
        assert found.seen == "the role app lacks USAGE, INSERT, SELECT on meta.a, meta.b, meta.c and 2 more"
        assert found.remedy.startswith(
            "GRANT USAGE ON SCHEMA meta TO app; GRANT INSERT, SELECT ON ALL TABLES IN SCHEMA meta TO app ("
        )

    def test_a_missing_right_names_its_table(self):
        missing = [MissingRight("SELECT", "ALL TABLES IN SCHEMA meta", "sessions")]
        assert judge_rights(missing, SERVER).seen == "the role app lacks SELECT on meta.sessions"

    def test_rights_that_buckets_alone_lack_are_given_by_the_migrations(self):
        tables = "ALL TABLES IN SCHEMA bucket_1"
        found = judge_rights([MissingRight("SELECT", tables, "sessions")], SERVER)
        assert found.seen == "the role app lacks SELECT on bucket_1.sessions"
        assert found.remedy.startswith("Run `pglambda migrate up` as the owner")

    def test_a_missing_right_to_create_the_schema_names_the_database(self):
        missing = [MissingRight("CREATE", "DATABASE pglambda", "")]
        assert judge_rights(missing, SERVER).seen == "the role app lacks CREATE on DATABASE pglambda"


class TestTheTables:
    def test_hot_updates_are_ok(self):
        assert seen(judge_tables([SESSIONS]), Level.OK) == ["meta.sessions: 98% of its updates are HOT"]

    def test_updates_that_are_not_hot_are_a_warning(self):
        found = judge_tables([changed(SESSIONS, hot_updates=1000)])
        assert seen(found, Level.WARNING) == ["meta.sessions: 20% of 5,000 updates are HOT"]

    def test_few_updates_are_not_judged(self):
        assert levels(judge_tables([changed(SESSIONS, updates=999, hot_updates=0)])) == {Level.NOTE}

    def test_a_lost_fillfactor_is_a_warning(self):
        found = judge_tables([changed(SESSIONS, options="")])
        assert seen(found, Level.WARNING) == ["meta.sessions has lost its fillfactor"]

    def test_updates_of_states_are_judged_once_there_are_enough(self):
        assert seen(judge_tables([STATES]), Level.OK) == ["meta.session_states: 98% of its updates are HOT"]
        (found,) = judge_tables([changed(STATES, hot_updates=2999)])
        assert found.seen == "meta.session_states: 60% of 5,000 updates are HOT"
        assert "a fillfactor other than 50" in found.remedy
        assert levels(judge_tables([changed(STATES, hot_updates=3000)])) == {Level.OK}
        assert judge_tables([changed(STATES, updates=999, hot_updates=0)])[0].seen == "the tables have few dead rows"

    def test_states_that_have_lost_their_fillfactor_are_a_warning(self):
        found = judge_tables([changed(STATES, options="fillfactor=80")])
        assert seen(found, Level.WARNING) == ["meta.session_states has lost its fillfactor"]

    def test_many_dead_rows_are_a_warning_if_they_are_a_large_share(self):
        keys = changed(SESSIONS, name="idempotency_keys", live_rows=30_000, dead_rows=20_000)
        assert seen(judge_tables([keys]), Level.WARNING) == [
            "meta.idempotency_keys: 20,000 dead rows, 30,000 live rows, vacuumed last on 2026-11-10 12:00Z"
        ]
        assert levels(judge_tables([changed(keys, live_rows=40_000)])) == {Level.OK}
        assert levels(judge_tables([changed(keys, live_rows=0, dead_rows=19_999)])) == {Level.OK}
        assert "vacuumed never" in judge_tables([changed(keys, last_vacuum_at=None)])[0].seen

    def test_autovacuum_that_is_off_for_a_table_is_a_warning(self):
        found = judge_tables([changed(SESSIONS, options="fillfactor=80 autovacuum_enabled=false")])
        assert seen(found, Level.WARNING) == ["autovacuum is off for meta.sessions"]

    def test_without_tables_the_finding_is_ok(self):
        assert levels(judge_tables([])) == {Level.OK}

    def test_what_keeps_dead_rows_for_more_than_five_minutes_is_named_with_its_age(self):
        assert list(judge_horizon([], NOW)) == []
        process = HorizonHolder("process", "4711", "psql", "idle in transaction", NOW - timedelta(minutes=5), 812)
        assert list(judge_horizon([process], NOW)) == []
        (found,) = judge_horizon([changed(process, since=NOW - timedelta(minutes=7))], NOW)
        assert found.level is Level.WARNING
        assert found.seen == (
            "the process 4711 (psql, idle in transaction) keeps dead rows since 2026-11-10 11:53:00Z, "
            "7 min and 812 transactions ago"
        )
        assert "pg_terminate_backend(4711)" in found.remedy

    @pytest.mark.parametrize(
        ("kind", "remedy"),
        [("replication slot", "pg_drop_replication_slot('x')"), ("standby", "hot_standby_feedback")],
    )
    def test_a_holder_that_does_not_say_since_when_is_judged_by_its_age_in_transactions(self, kind, remedy):
        holder = HorizonHolder(kind, "x", "", "idle", None, 100_000)
        assert list(judge_horizon([holder], NOW)) == []
        (found,) = judge_horizon([changed(holder, transactions=100_001)], NOW)
        assert found.seen == f"the {kind} x (idle) keeps dead rows since 100,001 transactions ago"
        assert remedy in found.remedy

    def test_a_prepared_transaction_is_ended_by_its_name(self):
        holder = HorizonHolder("prepared transaction", "x", "", "", NOW - timedelta(hours=1), 3)
        (found,) = judge_horizon([holder], NOW)
        assert "ROLLBACK PREPARED 'x'" in found.remedy

    def test_only_the_first_holders_are_named(self):
        holder = HorizonHolder("process", "4711", "", "", NOW - timedelta(hours=1), 3)
        assert len(list(judge_horizon([holder] * 9, NOW))) == 3

    def test_a_queue_that_is_taken_is_ok_and_one_that_waits_for_long_is_a_warning(self):
        assert list(judge_queue([QueueLanguageFacts("python", 0, None, 0)], NOW)) == []
        waiting = QueueLanguageFacts("python", 1200, NOW - timedelta(minutes=5), 3)
        assert seen(judge_queue([waiting], NOW), Level.OK) == ["1,200 executions of python wait, and 3 run"]
        late = changed(waiting, due_at=NOW - timedelta(minutes=6))
        assert seen(judge_queue([late], NOW), Level.WARNING) == [
            "1,200 executions of python wait, the oldest since 2026-11-10 11:54:00Z"
        ]

    def test_webhooks_that_were_disabled_for_failing_are_a_note(self):
        assert list(judge_webhooks(WebhookFacts(due_at=NOW - timedelta(hours=1)), NOW, has_key=True)) == []
        assert seen(judge_webhooks(WebhookFacts(disabled=1200), NOW, has_key=True), Level.NOTE) == [
            "1,200 webhooks are disabled, because their receivers were gone or failed for five days"
        ]

    def test_messages_that_this_installation_cannot_sign_or_does_not_send_are_a_warning(self):
        facts = WebhookFacts(unsignable=1200)
        assert seen(judge_webhooks(facts, NOW, has_key=True), Level.WARNING) == [
            "the secrets of 1,200 webhooks follow from another WEBHOOK_KEY"
        ]
        assert seen(judge_webhooks(facts, NOW, has_key=False), Level.WARNING) == [
            "the secrets of 1,200 webhooks cannot be derived, because WEBHOOK_KEY is not set"
        ]
        late = WebhookFacts(due_at=NOW - timedelta(minutes=61))
        assert seen(judge_webhooks(late, NOW, has_key=True), Level.WARNING) == [
            "a message to a webhook could be sent since 2026-11-10 10:59:00Z"
        ]

    def test_schedules_that_are_late_are_a_warning_and_unknown_zones_a_note(self):
        assert list(judge_schedules(ScheduleFacts(0, None, 0))) == []
        found = list(judge_schedules(ScheduleFacts(1200, NOW - timedelta(minutes=6), 3)))
        assert seen(found, Level.WARNING) == ["1,200 schedules are late, the first since 2026-11-10 11:54:00Z"]
        assert seen(found, Level.NOTE) == ["3 schedules have ended, because a controller does not know their time zone"]

    def test_replication_slots_without_a_reader_are_a_warning(self):
        assert list(judge_slots([])) == []
        assert seen(judge_slots(["a", "b"]), Level.WARNING) == ["replication slots have no reader: a, b"]


class TestTheClock:
    def test_a_close_clock_is_ok(self):
        assert levels(judge_clock(CLOCK, SETTINGS)) == {Level.OK}

    @pytest.mark.parametrize(
        ("facts", "level", "text"),
        [
            ({"offset_ms": -700.0}, Level.NOTE, "the database's clock is 700.0 ms behind this host's"),
            ({"offset_ms": 61_000.0}, Level.WARNING, "the database's clock is 61000.0 ms ahead of this host's"),
            ({"correction_ms": 900.0}, Level.NOTE, "the service's time is 0.900 s ahead of the clock of this server"),
            ({"correction_ms": -60e3}, Level.WARNING, "the service's time is 60.000 s behind the clock of this server"),
            ({"error_bound_ms": 600.0}, Level.PROBLEM, "the database's time is known to 600 ms only"),
            ({"round_trip_ms": 101.0}, Level.WARNING, "a round trip to the database takes 101 ms"),
        ],
    )
    def test_a_fault_of_the_clock_has_its_level(self, facts, level, text):
        assert seen(judge_clock(changed(CLOCK, **facts), SETTINGS), level)[0].startswith(text)


class TestStandbys:
    def test_a_synchronous_standby_is_ok(self):
        assert judge_replication(REPLICATION, SERVER).level is Level.OK

    @pytest.mark.parametrize(
        ("modes", "server", "level", "text"),
        [
            (["async", "potential"], {}, Level.WARNING, "every standby is asynchronous (s, s)"),
            ([None], {}, Level.NOTE, "there are standbys (s), and this role may not see"),
            (["quorum"], {"synchronous_commit": "local"}, Level.WARNING, "synchronous_commit is local"),
            ([], {}, Level.WARNING, "the server waits for synchronous standbys, and there is none"),
            ([], {"waits_for_standbys": False}, Level.NOTE, "no standby"),
        ],
    )
    def test_a_possible_loss_has_its_level(self, modes, server, level, text):
        facts = changed(REPLICATION, standbys=[StandbyFacts("s", mode) for mode in modes])
        assert seen([judge_replication(facts, changed(SERVER, **server))], level)[0].startswith(text)


class TestBackups:
    def test_a_server_that_archives_is_ok(self):
        assert seen([judge_archive(ARCHIVE)], Level.OK) == [
            "the server archives its WAL, the last time at 2026-11-10 12:00:00Z"
        ]
        assert judge_archive(changed(ARCHIVE, last_archived_at=None)).level is Level.OK

    def test_a_server_that_does_not_archive_is_a_note(self):
        off = changed(ARCHIVE, is_on=False, last_failed_at=NOW + timedelta(hours=1))
        assert seen([judge_archive(off)], Level.NOTE)[0].startswith("the WAL is not archived")

    @pytest.mark.parametrize("archived_at", [None, NOW - timedelta(seconds=1)])
    def test_a_failed_attempt_after_the_last_success_is_a_problem(self, archived_at):
        failing = changed(ARCHIVE, last_archived_at=archived_at, last_failed_at=NOW, failures=3)
        assert "cannot archive its WAL since 2026-11-10 12:00:00Z" in seen([judge_archive(failing)], Level.PROBLEM)[0]

    def test_a_failure_before_the_last_success_is_over(self):
        assert judge_archive(changed(ARCHIVE, last_failed_at=NOW - timedelta(seconds=1))).level is Level.OK

    @pytest.mark.parametrize(
        ("days", "level"), [(0, Level.OK), (7, Level.OK), (7.01, Level.WARNING)], ids=["now", "a week", "more"]
    )
    def test_the_age_of_the_last_backup_decides(self, days, level):
        found = judge_backup((NOW - timedelta(days=days), "/backups/today.tar.gz"), CLOCK)
        assert "(/backups/today.tar.gz)" in seen([found], level)[0]

    def test_no_recorded_backup_is_a_note(self):
        assert seen([judge_backup(None, CLOCK)], Level.NOTE) == ["no backup by `pglambda backup` is recorded"]


class TestATakeover:
    FACTS = TakeoverFacts(unserved=0, stage=Stage.ADOPT, stage_at=NOW, held_until=None)

    def found(self, **facts):
        return list(judge_takeover(changed(self.FACTS, **facts), CLOCK))

    def test_without_one_there_is_no_finding(self):
        assert list(judge_takeover(None, CLOCK)) == []

    def test_its_stage_is_a_note(self):
        (finding,) = self.found()
        assert finding.level is Level.NOTE
        assert "in the stage adopt since" in finding.seen

    @pytest.mark.parametrize(("stage", "remedy"), [(Stage.ADOPT, "adopt"), (Stage.BACK, "back")])
    def test_sessions_that_nobody_serves_and_no_command_moves_are_a_warning(self, stage, remedy):
        for held_until in (None, CLOCK.now):
            (finding,) = self.found(unserved=1200, stage=stage, held_until=held_until)
            assert finding.level is Level.WARNING
            assert "1,200 sessions are served by neither side" in finding.seen
            assert finding.remedy == f"pglambda takeover {remedy}"

    def test_a_command_that_moves_them_is_no_warning(self):
        (finding,) = self.found(unserved=1200, held_until=CLOCK.now + timedelta(seconds=1))
        assert finding.level is Level.NOTE


class TestRecordedCalls:
    FACTS = RecordingFacts(calls=0, oldest_at=None, until=None)

    def found(self, **facts):
        return list(judge_recordings(changed(self.FACTS, **facts), CLOCK))

    def test_without_any_there_is_no_finding(self):
        assert list(judge_recordings(None, CLOCK)) == self.found() == self.found(until=CLOCK.now) == []

    def test_a_recording_that_is_going_on_is_a_note(self):
        (finding,) = self.found(until=CLOCK.now + timedelta(seconds=1))
        assert (finding.level, "record calls until" in finding.seen) == (Level.NOTE, True)

    @pytest.mark.parametrize(("hours", "level"), [(25, Level.NOTE), (26, Level.WARNING)])
    def test_payloads_that_stay_longer_than_a_day_are_a_warning(self, hours, level):
        (finding,) = self.found(calls=1200, oldest_at=CLOCK.now - timedelta(hours=hours))
        assert finding.level is level
        assert "1,200 recorded calls" in finding.seen
        assert "takeover rehearse --discard" in finding.remedy
