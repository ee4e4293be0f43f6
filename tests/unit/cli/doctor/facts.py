"""Facts about a healthy installation; tests change one of them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from attrs import define, evolve, field

from domain.host_facts import CertificateFacts, LanguageFacts, LayerFacts, RuntimeHostFacts, SandboxFacts
from domain.inspection import (
    ArchiveFacts,
    ClockFacts,
    ConnectionFacts,
    IndexFacts,
    ReplicationFacts,
    SchemaFacts,
    ServerFacts,
    StandbyFacts,
    TableFacts,
)
from domain.storage.storage import Part
from domain.stored_facts import AccessFacts, ScheduleFacts, WebhookFacts
from entrypoints.cli.doctor.host import HostFacts
from entrypoints.cli.doctor.report import Finding, Level
from entrypoints.settings.loading import load_settings
from entrypoints.settings.settings import Settings

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
GIB = 1024**3

CONNECTION = ConnectionFacts("db.example.com", is_encrypted=True, is_pooled=False, keeps_prepared=False)
SERVER = ServerFacts(
    version="18.6",
    version_number=180_006,
    encoding="UTF8",
    role="app",
    database="pglambda",
    process_id=7,
    connections_max=97,
    role_connections_max=-1,
    database_connections_max=-1,
    connections=3,
    lock_timeout_ms=300,
    statement_timeout_ms=500,
    tcp_user_timeout_ms=0,
    is_standby=False,
    is_read_only=False,
    has_fsync=True,
    has_full_page_writes=True,
    synchronous_commit="on",
    waits_for_standbys=True,
    has_autovacuum=True,
    transactions_unfrozen=1000,
    size_bytes=GIB,
)
SCHEMA = SchemaFacts([], [], [], 8)
INDEXES = IndexFacts({"sessions_pkey": True}, ["sessions_pkey"])
SESSIONS = TableFacts("sessions", 1000, 10, 5000, 4900, NOW, "fillfactor=80")
STATES = TableFacts("session_states", 1000, 10, 5000, 4900, NOW, "fillfactor=50 autovacuum_vacuum_threshold=2000")
CLOCK = ClockFacts(NOW, offset_ms=1.0, error_bound_ms=0.2, round_trip_ms=0.4)
REPLICATION = ReplicationFacts([StandbyFacts("second", "sync")], [])
ARCHIVE = ArchiveFacts(is_on=True, last_archived_at=NOW, last_failed_at=None, failures=0)
SANDBOX = SandboxFacts(
    [LanguageFacts("python", "3.13.1", "/usr/bin/python3", None)],
    [LayerFacts("seccomp", True, True), LayerFacts("a control group", True, False)],
    uid=64137,
)
RUNTIME_HOST = RuntimeHostFacts("http://runner:8081", "ok", ["python"])
HOST = HostFacts("/var/lib/pglambda", 100 * GIB, 200 * GIB, 65_536)


def settings_of(**variables: str) -> Settings:
    return load_settings({"DATABASE_URL": "postgresql://app@db.example.com/pglambda", **variables})


def seen(findings: Iterable[Finding], level: Level) -> list[str]:
    """Return the texts of a level; every warning and problem must have a consequence and a remedy."""
    found = list(findings)
    for each in found:
        assert each.level in (Level.OK, Level.NOTE) or (each.why and each.remedy)
    return [each.seen for each in found if each.level is level]


def levels(findings: Iterable[Finding]) -> set[Level]:
    return {each.level for each in findings}


def changed(facts: Any, **fields: Any) -> Any:
    return evolve(facts, **fields)


@define
class ManualDatabase:
    """A database with the facts of a test; a fact that is an exception is raised."""

    facts: dict[str, Any] = field(factory=dict)
    asked: list[str] = field(factory=list)

    async def connection(self):
        return self._fact("connection", CONNECTION)

    async def server(self):
        return self._fact("server", SERVER)

    async def missing_rights(self):
        return self._fact("missing_rights", [])

    async def schema(self):
        return self._fact("schema", SCHEMA)

    async def buckets(self):
        return [], []

    async def indexes(self):
        return self._fact("indexes", INDEXES)

    async def tables(self):
        return self._fact("tables", [SESSIONS])

    async def horizon_holders(self):
        return self._fact("horizon_holders", [])

    async def queue(self, count_max):
        return self._fact("queue", [])

    async def webhooks(self, key_id):
        return self._fact("webhooks", WebhookFacts())

    async def secret_keys(self):
        return self._fact("secret_keys", {})

    async def environments(self):
        return self._fact("environments", [])

    async def schedules(self, count_max):
        return self._fact("schedules", ScheduleFacts(0, None, 0))

    async def registered_hosts(self):
        return self._fact("registered_hosts", [])

    async def clock(self):
        return self._fact("clock", CLOCK)

    async def replication(self):
        return self._fact("replication", REPLICATION)

    async def archive(self):
        return self._fact("archive", ARCHIVE)

    async def last_act(self, name):
        return self._fact(f"last {name}", (NOW, "/backups/today.tar.gz"))

    async def takeover(self):
        return self._fact("takeover", None)

    async def recordings(self):
        return self._fact("recordings", None)

    async def access(self, count_max):
        return self._fact("access", AccessFacts(0, api_keys=1))

    async def stored_bytes(self):
        return self._fact("stored_bytes", {Part.HISTORY: GIB})

    def _fact(self, name, default):
        self.asked.append(name)
        fact = self.facts.get(name, default)
        if isinstance(fact, Exception):
            raise fact
        return fact


@define
class ManualHost:
    """A machine with the facts of a test."""

    facts: dict[str, Any] = field(factory=dict)

    async def sandbox(self):
        return self._fact("sandbox", SANDBOX)

    async def runtime_hosts(self):
        return self._fact("runtime_hosts", [])

    async def certificates(self, hosts):
        return self._fact("certificates", [CertificateFacts() for _ in hosts])

    async def egress(self):
        return self._fact("egress", None)

    async def missing_tools(self):
        return self._fact("missing_tools", {})

    async def origin(self):
        return self._fact("origin", None)

    def _fact(self, name, default):
        fact = self.facts.get(name, default)
        if isinstance(fact, Exception):
            raise fact
        return fact
