"""Every setting of the service: its name, type, bounds, default and meaning."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from domain.scripts.limits import Isolation
from entrypoints.settings.secret import Secret

KIBI = 1024
MEBI = 1024 * KIBI


class LogLevel(StrEnum):
    """The least severe events that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How log lines look; auto is console on a terminal and JSON elsewhere."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


class SandboxRequirement(StrEnum):
    """The least isolation that is acceptable: the full sandbox, or workers under a user id of their own on top."""

    STANDARD = "standard"
    SEPARATE_UID = "separate-uid"


class Traces(StrEnum):
    """Whether spans are recorded, and how they are sent."""

    NONE = "none"
    OTLP = "otlp"


class HistoryMode(StrEnum):
    """What is kept of executions: payloads too, or ids, instants, outcomes, figures and counts alone."""

    FULL = "full"
    SUMMARY = "summary"


class Idempotency(StrEnum):
    """Whether calls may have keys; their answers are kept for that."""

    ON = "on"
    OFF = "off"


class AuthenticationMode(StrEnum):
    """Who may call: everybody, or those with a token or an API key."""

    NONE = "none"
    REQUIRED = "required"


Port = Annotated[int, Meta(ge=0, le=65535)]
Bytes = Annotated[int, Meta(ge=1, le=64 * MEBI)]
Milliseconds = Annotated[int, Meta(ge=1, le=3_600_000)]
Wait = Annotated[float, Meta(ge=0, le=3600)]
Lifetime = Annotated[int, Meta(ge=1, le=366 * 86_400)]
Urls = tuple[str, ...]
Texts = tuple[str, ...]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings, read once; a field's name in capitals is the name of its variable."""

    host: Annotated[str, Meta(min_length=1, max_length=253, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="TCP port to listen on; 0 takes a free one.")] = 8080
    auth: Annotated[
        AuthenticationMode | None,
        Meta(description="Who may call; left out: required where a JWT_ key is set, else none, on loopback only."),
    ] = None
    jwt_secret: Annotated[Secret | None, Meta(description="Verifies tokens of HS256; at least 32 bytes.")] = None
    jwt_public_key: Annotated[
        Secret | None, Meta(description="Verifies tokens of RS256, ES256 or EdDSA; a public key in PEM.")
    ] = None
    jwt_jwks_url: Annotated[
        str | None, Meta(description="Where the issuer publishes its keys; https, or http on loopback.")
    ] = None
    jwt_issuer: Annotated[str | None, Meta(description="What iss of a token must be; left out: anything.")] = None
    jwt_audience: Annotated[
        str | None, Meta(description="What aud of a token must name; left out: only tokens without aud are taken.")
    ] = None
    web_concurrency: Annotated[int, Meta(ge=1, le=64, description="HTTP worker processes.")] = 1
    max_connections: Annotated[
        int,
        Meta(
            ge=16,
            le=65_536,
            description="Connections that one HTTP worker process keeps; then new ones replace unused ones.",
        ),
    ] = 4096
    allowed_hosts: Annotated[
        Texts,
        Meta(description="Names of this server in Host, * for any; left out: this machine's on loopback, else any."),
    ] = ()
    cors_origins: Annotated[
        Texts, Meta(description="Origins whose pages may call and read answers, * for any; left out: none.")
    ] = ()
    trusted_proxies: Annotated[
        Texts, Meta(description="Addresses and networks of proxies whose X-Forwarded-For and -Proto are believed.")
    ] = ()

    rate_limits: Annotated[
        Texts,
        Meta(description="Calls of each owner as CLASS=CALLS/SECONDS, e.g. execute=100/60,functions=60/60; none."),
    ] = ()
    max_concurrent_per_owner: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)] | None,
        Meta(description="Executions of one owner inside all controllers, those that wait included; any number."),
    ] = None
    max_sessions_per_owner: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)] | None,
        Meta(description="Live sessions of one owner; left out: any number."),
    ] = None
    max_stored_mb_per_owner: Annotated[
        Annotated[int, Meta(ge=1, le=1_048_576)] | None,
        Meta(description="MiB that all sessions of one owner take until they are removed; left out: any size."),
    ] = None

    database_url: Annotated[
        Secret | None, Meta(description="PostgreSQL to use; left out: the embedded server under DATA_DIR.")
    ] = None
    data_dir: Annotated[Path, Meta(description="Folder of the embedded server.")]
    auto_migrate: Annotated[bool, Meta(description="Migrate at start; on for the embedded server only.")]
    db_pool_max: Annotated[int, Meta(ge=2, le=200, description="Database connections per process.")] = 8
    db_prepare: Annotated[bool, Meta(description="Prepare statements; off behind a pooler that cannot keep them.")] = (
        True
    )
    db_server_timeouts: Annotated[
        bool, Meta(description="Send time limits as start-up options; off behind PgBouncer, which refuses them.")
    ] = True

    session_expiry_seconds: Annotated[
        int, Meta(ge=1, le=86_400, description="Length of a session that asks for none.")
    ] = 3600
    session_retention_seconds: Annotated[
        Lifetime, Meta(description="How long an ended session can be told from one that never was.")
    ] = 86_400
    session_max_lifetime_seconds: Annotated[
        Lifetime, Meta(description="Absolute maximum of a session's life, renewals included.")
    ] = 2_592_000
    history: Annotated[
        HistoryMode, Meta(description="What the history keeps of executions: all, or a summary without payloads.")
    ] = HistoryMode.FULL
    idempotency: Annotated[
        Idempotency, Meta(description="Whether calls may have an Idempotency-Key; off, no answers are kept.")
    ] = Idempotency.ON
    history_retention_days: Annotated[int, Meta(ge=1, le=30, description="Days that executions are kept.")] = 7
    storage_max_gb: Annotated[
        Annotated[float, Meta(gt=0, le=1_048_576)] | None,
        Meta(description="What may be stored, in GiB; over it the oldest history goes first. Left out: any size."),
    ] = None

    max_script_size: Annotated[Bytes, Meta(description="Script, in bytes of UTF-8.")] = MEBI
    max_context_size: Annotated[Bytes, Meta(description="Context, in bytes of JSON.")] = 256 * KIBI
    max_params_size: Annotated[Bytes, Meta(description="Parameters of one execution, in bytes of JSON.")] = MEBI
    max_batch_items: Annotated[int, Meta(ge=1, le=10_000, description="Items of one batch.")] = 1000
    max_batch_size: Annotated[Bytes, Meta(description="Body of one batch, in bytes of JSON.")] = 8 * MEBI
    max_result_size: Annotated[Bytes, Meta(description="Result of one execution, in bytes of JSON.")] = MEBI

    request_timeout_ms: Annotated[
        int, Meta(ge=100, le=60_000, description="Budget of a request, the script's own time not counted.")
    ] = 2000
    queue_timeout_ms: Annotated[Milliseconds, Meta(description="Longest wait for a worker.")] = 2000
    script_timeout_ms: Annotated[Milliseconds, Meta(description="Wall time of a script that asks for none.")] = 5000
    script_timeout_max_ms: Annotated[Milliseconds, Meta(description="Longest wall time that is granted.")] = 60_000
    script_memory_mb: Annotated[
        int, Meta(ge=16, le=65_536, description="Memory in MiB of a script that asks for none.")
    ] = 128
    script_memory_max_mb: Annotated[int, Meta(ge=16, le=65_536, description="Most memory in MiB that is granted.")] = (
        512
    )

    isolation: Annotated[Isolation, Meta(description="Life of a worker: its session's, or one execution.")] = (
        Isolation.SESSION
    )
    sandbox_uid: Annotated[
        Annotated[int, Meta(ge=1, le=4_294_967_293)] | None,
        Meta(description="User id of workers when the service is root."),
    ] = None
    sandbox_level: Annotated[SandboxRequirement, Meta(description="Least isolation that is acceptable.")] = (
        SandboxRequirement.STANDARD
    )
    max_warm_workers: Annotated[int, Meta(ge=1, le=4096, description="Workers kept for their sessions.")] = 128
    max_executions: Annotated[int, Meta(ge=1, le=4096, description="Executions that run at once on a host.")] = 32
    max_executions_per_owner: Annotated[
        Annotated[int, Meta(ge=1, le=4096)] | None,
        Meta(
            description="Executions of one owner that run at once on a host; more wait. Left out: a fair share of all."
        ),
    ] = None
    sandbox_memory_mb: Annotated[
        Annotated[int, Meta(ge=64, le=16_777_216)] | None,
        Meta(description="Memory in MiB of all workers together; left out: half of the host's."),
    ] = None
    nodejs_path: Annotated[Path | None, Meta(description="Node.js >= 20 to use instead of the packaged one.")] = None

    nodejs_runtime_url: Annotated[Urls, Meta(description="Hosts that run Node.js; none: this one.")] = ()
    python_runtime_url: Annotated[Urls, Meta(description="Hosts that run Python; none: this one.")] = ()
    runtime_timeout_seconds: Annotated[
        float, Meta(gt=0, le=600, description="What a runtime host may add to the script's limit.")
    ] = 5
    runtime_token: Annotated[Secret | None, Meta(description="Shared with runtime hosts.")] = None
    runtime_mappings_file: Annotated[Path | None, Meta(description="More prefixes and patterns of titles.")] = None

    log_level: Annotated[LogLevel, Meta(description="Least severe events that are logged.")] = LogLevel.INFO
    log_format: Annotated[LogFormat, Meta(description="Look of log lines.")] = LogFormat.AUTO
    metrics_port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None,
        Meta(description="Port on HOST for /metrics alone, open to whoever reaches it; left out: on PORT, for admins."),
    ] = None
    traces: Annotated[
        Traces, Meta(description="otlp sends spans where OTEL_EXPORTER_OTLP_ENDPOINT says; needs pglambda[otel].")
    ] = Traces.NONE
    drain_delay_seconds: Annotated[Wait, Meta(description="From not ready to taking no new work.")] = 0
    shutdown_timeout_seconds: Annotated[Wait, Meta(description="How long running work may take to end.")] = 30

    @property
    def authenticated(self) -> bool:
        """Whether callers have to show a token or an API key."""
        return self.auth is AuthenticationMode.REQUIRED or (self.auth is None and self.verifies_tokens)

    @property
    def verifies_tokens(self) -> bool:
        """Whether there are keys to verify tokens with."""
        return any((self.jwt_secret, self.jwt_public_key, self.jwt_jwks_url))

    @property
    def embedded(self) -> bool:
        """Whether the service brings its own PostgreSQL."""
        return self.database_url is None

    @property
    def database_connections(self) -> int:
        """Connections that all processes together may open."""
        return self.db_pool_max * self.web_concurrency
