"""Every setting of the service: its name, type, bounds, default and description."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from domain.scripts.limits import Isolation
from entrypoints.settings.choices import (
    AuthenticationMode,
    EgressChoice,
    HistoryMode,
    Idempotency,
    LogFormat,
    LogLevel,
    NewConvention,
    NodeStartChoice,
    SandboxRequirement,
    Traces,
)
from entrypoints.settings.secret import Secret

ORIGIN_CALLS_MAX = 512
"""Calls of one process that are passed on at once: half of its requests in flight, so a slow origin leaves room."""

ORIGIN_IDLE_MAX = 128

KIBI = 1024
MEBI = 1024 * KIBI


Port = Annotated[int, Meta(ge=0, le=65535)]
Bytes = Annotated[int, Meta(ge=1, le=64 * MEBI)]
Milliseconds = Annotated[int, Meta(ge=1, le=3_600_000)]
Wait = Annotated[float, Meta(ge=0, le=3600)]
Lifetime = Annotated[int, Meta(ge=1, le=366 * 86_400)]
Urls = tuple[str, ...]
Texts = tuple[str, ...]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings; the name of a field in capitals is the name of its environment variable."""

    host: Annotated[str, Meta(min_length=1, max_length=253, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="TCP port to listen on. 0 takes a free port.")] = 8080
    origin_port: Annotated[
        Port | None,
        Meta(description="TCP port on HOST for clients of lambda-microservice, which keep its API. Unset: none."),
    ] = None
    origin_url: Annotated[
        str | None,
        Meta(description="URL of lambda-microservice, to which ORIGIN_PORT passes on what it owns. Unset: nothing."),
    ] = None
    origin_timeout_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="Time that the origin has for a call, up to the end of its reply.")
    ] = 160
    origin_lenient: Annotated[
        bool, Meta(description="Accept at ORIGIN_PORT sessions whose executions can only fail, as the origin does.")
    ] = False
    script_convention: Annotated[
        NewConvention, Meta(description="Calling convention of sessions initialized at ORIGIN_PORT: origin, or own.")
    ] = NewConvention.ORIGIN
    auth: Annotated[
        AuthenticationMode | None,
        Meta(
            description="required (token or API key) or none (everybody). Unset: required with a JWT_ key, else none."
        ),
    ] = None
    jwt_secret: Annotated[Secret | None, Meta(description="Secret that verifies HS256 tokens, at least 32 bytes.")] = (
        None
    )
    jwt_public_key: Annotated[
        Secret | None, Meta(description="Public key in PEM that verifies RS256, ES256 or EdDSA tokens.")
    ] = None
    jwt_jwks_url: Annotated[
        str | None, Meta(description="URL of the key set (JWKS) of the issuer: https, or http on loopback.")
    ] = None
    jwt_issuer: Annotated[str | None, Meta(description="Required value of iss in tokens. Unset: any issuer.")] = None
    jwt_audience: Annotated[
        str | None, Meta(description="Required value of aud in tokens. Unset: only tokens without aud.")
    ] = None
    web_concurrency: Annotated[int, Meta(ge=1, le=64, description="Number of HTTP worker processes.")] = 1
    max_connections: Annotated[
        int,
        Meta(
            ge=16,
            le=65_536,
            description="Limit of client connections of each HTTP worker. At the limit a new one replaces an idle one.",
        ),
    ] = 4096
    allowed_hosts: Annotated[
        Texts,
        Meta(description="Accepted names in Host, * for any. Unset: the names of this machine on loopback, else any."),
    ] = ()
    cors_origins: Annotated[
        Texts, Meta(description="Origins whose pages may call and read responses, * for any. Unset: none.")
    ] = ()
    trusted_proxies: Annotated[
        Texts,
        Meta(description="Addresses and networks of proxies that may set X-Forwarded-For and X-Forwarded-Proto."),
    ] = ()

    rate_limits: Annotated[
        Texts,
        Meta(
            description="Rates of each owner as CLASS=CALLS/SECONDS, e.g. execute=100/60; `unknown` is that of "
            "each address without a valid credential. Unset: no limit."
        ),
    ] = ()
    max_concurrent_per_owner: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)] | None,
        Meta(description="Limit of executions of one owner in all controllers, queued ones included. Unset: no limit."),
    ] = None
    max_sessions_per_owner: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)] | None,
        Meta(description="Limit of live sessions of one owner. Unset: no limit."),
    ] = None
    max_stored_mb_per_owner: Annotated[
        Annotated[int, Meta(ge=1, le=1_048_576)] | None,
        Meta(
            description="Limit in MiB of what one owner has stored: sessions, executions that run later, messages to "
            "webhooks. Unset: no limit."
        ),
    ] = None

    max_queued: Annotated[
        int, Meta(ge=1, le=100_000_000, description="Limit of executions in the queue, of all owners together.")
    ] = 1_000_000
    max_queued_per_owner: Annotated[
        int, Meta(ge=1, le=100_000_000, description="Limit of executions of one owner in the queue.")
    ] = 10_000
    max_schedules_per_owner: Annotated[int, Meta(ge=1, le=10_000, description="Limit of schedules of one owner.")] = 100

    max_functions_per_owner: Annotated[
        Annotated[int, Meta(ge=1, le=20_000)] | None,
        Meta(description="Limit of registered functions of one owner, and of shared ones. Unset: no limit."),
    ] = None
    max_functions_mb_per_owner: Annotated[
        Annotated[int, Meta(ge=1, le=1_048_576)] | None,
        Meta(description="Limit in MiB of the functions of one owner, with all kept versions. Unset: no limit."),
    ] = None

    egress: Annotated[
        EgressChoice,
        Meta(
            description="Which hosts scripts may reach: none (off), those of EGRESS_RULES (rules), or also those of "
            "single owners (owners, with pglambda egress allow). With owners a runtime host connects whatever its "
            "controllers allow."
        ),
    ] = EgressChoice.RULES
    egress_rules: Annotated[
        Texts,
        Meta(
            description="Hosts that scripts of every owner may reach if their session asks for it, such as "
            "api.example.com:443, *.example.com:443, db.example.com:5432/tcp or *:443. Unset: none."
        ),
    ] = ()
    egress_allowed_networks: Annotated[
        Texts, Meta(description="Networks that scripts may reach although they are not public. Unset: none.")
    ] = ()
    egress_denied_networks: Annotated[
        Texts, Meta(description="Networks that scripts may not reach, even if they are public. Unset: none.")
    ] = ()
    egress_ca_file: Annotated[
        Path | None, Meta(description="File of the certificates that scripts trust (PEM). Unset: those of the host.")
    ] = None
    egress_connect_timeout_ms: Annotated[
        int, Meta(ge=100, le=60_000, description="Limit of the connection of a script to a host.")
    ] = 5000
    max_egress_connections: Annotated[
        int, Meta(ge=1, le=256, description="Connections that one execution may have open at once.")
    ] = 16
    max_egress_mb: Annotated[
        int, Meta(ge=1, le=65_536, description="MiB that one execution may send, and as many that it may receive.")
    ] = 64

    secrets_key: Annotated[
        Secret | None,
        Meta(
            description="Keys that seal the secrets of owners: 32 bytes as base64, in lines or behind commas, the same "
            "for all controllers. The first seals, all open. Unset: made in DATA_DIR with the embedded server, else no "
            "secrets."
        ),
    ] = None
    max_secrets_per_owner: Annotated[int, Meta(ge=1, le=1000, description="Limit of secrets of one owner.")] = 100
    environment_index_python: Annotated[
        Secret | None,
        Meta(description="URL of the index from which environments of Python are built (PEP 503). Unset: no builds."),
    ] = None
    environment_index_nodejs: Annotated[
        Secret | None,
        Meta(description="URL of the registry from which environments of Node.js are built. Unset: no builds."),
    ] = None
    environment_index_hosts: Annotated[
        Texts,
        Meta(
            description="Further hosts that builds reach, if an index refers to them for files, such as "
            "files.example.com:443. Unset: none."
        ),
    ] = ()
    environment_builds: Annotated[bool, Meta(description="Build environments on this host.")] = True
    environment_build_seconds: Annotated[
        int, Meta(ge=10, le=3600, description="Limit of the installation of an environment.")
    ] = 600
    environment_preload: Annotated[
        bool,
        Meta(
            description="Import the packages of `preload` before workers start. All sessions of the environment trust "
            "that code."
        ),
    ] = True
    max_environment_zygotes: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            description="Environments of which this host keeps packages imported; the least recently used makes way.",
        ),
    ] = 8
    max_environment_mb: Annotated[
        int, Meta(ge=1, le=16_384, description="Limit in MiB of the files of an environment.")
    ] = 1024
    max_environment_files: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Limit of the files and folders of an environment.")
    ] = 50_000
    max_environments_mb: Annotated[
        int,
        Meta(
            ge=1,
            le=1_048_576,
            description="MiB of environments on the disk of this host; those that were not used for longest make way.",
        ),
    ] = 10_240

    webhook_key: Annotated[
        Secret | None,
        Meta(
            description="Secret from which those of webhooks follow, at least 32 bytes, the same for all controllers. "
            "Unset: made in DATA_DIR with the embedded server, else no webhooks."
        ),
    ] = None
    webhook_ports: Annotated[Texts, Meta(description="TCP ports to which webhooks may be sent.")] = ("443", "8443")
    webhook_allowed_networks: Annotated[
        Texts,
        Meta(description="Networks to which webhooks may be sent although they are not public. Unset: none."),
    ] = ()
    webhook_allow_http: Annotated[bool, Meta(description="Accept webhooks without TLS.")] = False
    webhook_proxy: Annotated[
        Secret | None,
        Meta(description="URL of the HTTP proxy that sends webhooks, and judges their addresses. Unset: none."),
    ] = None
    max_webhooks_per_owner: Annotated[int, Meta(ge=1, le=1000, description="Limit of webhooks of one owner.")] = 20

    database_nodes: Annotated[
        str | None,
        Meta(
            description="Set for a distributed database. auto, or GROUP=HOST:PORT,... for nodes whose addresses differ "
            "from those that the cluster has. Unset: not distributed."
        ),
    ] = None
    clock_source: Annotated[
        str,
        Meta(
            description="The server whose clock counts in a distributed database: home, which DATABASE_URL names, or "
            "HOST:PORT of another node. All controllers need the same."
        ),
    ] = "home"
    database_url: Annotated[
        Secret | None, Meta(description="URL of the PostgreSQL to use. Unset: the embedded server under DATA_DIR.")
    ] = None
    data_dir: Annotated[Path, Meta(description="Folder of the embedded server.")]
    wal_archive_dir: Annotated[
        Path | None,
        Meta(description="Folder for the WAL of the embedded server, for restores to any point in time. Unset: none."),
    ] = None
    auto_migrate: Annotated[
        bool, Meta(description="Migrate the database at start. Unset: true for the embedded server, else false.")
    ]
    db_pool_max: Annotated[int, Meta(ge=2, le=200, description="Limit of database connections of each process.")] = 8
    db_prepare: Annotated[bool, Meta(description="Prepare statements; false if a pooler cannot keep them.")] = True
    db_server_timeouts: Annotated[
        bool, Meta(description="Send time limits as start-up options; false for PgBouncer, which rejects them.")
    ] = True

    session_expiry_seconds: Annotated[Lifetime, Meta(description="Length of a session if its caller sets none.")] = 3600
    session_retention_seconds: Annotated[
        Lifetime, Meta(description="Time for which an ended session can be distinguished from one that never existed.")
    ] = 86_400
    session_max_lifetime_seconds: Annotated[
        Lifetime, Meta(description="Limit of the lifetime of a session, renewals included, and of ttl_seconds.")
    ] = 2_592_000
    history: Annotated[
        HistoryMode, Meta(description="What the history keeps of executions: full, or summary, without payloads.")
    ] = HistoryMode.FULL
    idempotency: Annotated[
        Idempotency, Meta(description="on accepts Idempotency-Key and keeps responses for it; off rejects it.")
    ] = Idempotency.ON
    async_retention_seconds: Annotated[
        int,
        Meta(ge=0, le=604_800, description="Time for which the whole result of an execution that ran later is kept."),
    ] = 86_400
    history_retention_days: Annotated[
        int, Meta(ge=1, le=30, description="Number of days for which the history keeps executions.")
    ] = 7
    audit_retention_days: Annotated[
        int, Meta(ge=1, le=3650, description="Number of days for which the audit record keeps administrative acts.")
    ] = 90
    function_versions_kept: Annotated[
        int, Meta(ge=1, le=100, description="Number of versions of a function that are kept.")
    ] = 20
    storage_max_gb: Annotated[
        Annotated[float, Meta(gt=0, le=1_048_576)] | None,
        Meta(description="Limit of stored data in GiB. Beyond it the oldest history is removed. Unset: no limit."),
    ] = None

    max_script_size: Annotated[Bytes, Meta(description="Limit of a script, in bytes of UTF-8.")] = MEBI
    max_context_size: Annotated[Bytes, Meta(description="Limit of a context, in bytes of JSON.")] = 256 * KIBI
    max_params_size: Annotated[Bytes, Meta(description="Limit of the params of one execution, in bytes of JSON.")] = (
        MEBI
    )
    max_batch_items: Annotated[int, Meta(ge=1, le=10_000, description="Limit of the items of one batch.")] = 1000
    max_batch_size: Annotated[Bytes, Meta(description="Limit of the body of one batch, in bytes of JSON.")] = 8 * MEBI
    max_result_size: Annotated[Bytes, Meta(description="Limit of the result of one execution, in bytes of JSON.")] = (
        MEBI
    )

    max_state_size: Annotated[
        int, Meta(ge=1, le=262_144, description="Limit of the state of a session, in bytes of JSON.")
    ] = 256 * KIBI

    max_file_mb: Annotated[int, Meta(ge=1, le=1024, description="Limit of an uploaded file in MiB.")] = 256
    max_files_mb_per_owner: Annotated[
        int,
        Meta(ge=1, le=1_048_576, description="Limit in MiB of the files of one owner; each counts at least 64 KiB."),
    ] = 1024
    max_files_gb: Annotated[
        float, Meta(gt=0, le=1_048_576, description="Limit in GiB of the files of all owners, on disk.")
    ] = 20
    file_retention_seconds: Annotated[int, Meta(ge=60, le=604_800, description="Time for which a file is kept.")] = (
        86_400
    )

    request_timeout_ms: Annotated[
        int, Meta(ge=100, le=60_000, description="Time budget of a request, without the time of the script itself.")
    ] = 2000
    queue_timeout_ms: Annotated[Milliseconds, Meta(description="Limit of the wait for a worker.")] = 2000
    script_timeout_ms: Annotated[
        Milliseconds, Meta(description="Wall time limit of a script if its caller sets none.")
    ] = 5000
    script_timeout_max_ms: Annotated[
        Milliseconds, Meta(description="Largest wall time limit that a caller can set.")
    ] = 60_000
    script_memory_mb: Annotated[
        int, Meta(ge=16, le=65_536, description="Memory limit of a script in MiB if its caller sets none.")
    ] = 128
    script_memory_max_mb: Annotated[
        int, Meta(ge=16, le=65_536, description="Largest memory limit in MiB that a caller can set.")
    ] = 512
    script_files_mb: Annotated[
        int, Meta(ge=1, le=4096, description="Limit in MiB of the files of an execution if its caller sets none.")
    ] = 16
    script_files_max_mb: Annotated[
        int, Meta(ge=1, le=4096, description="Largest limit in MiB of the files of an execution.")
    ] = 128

    isolation: Annotated[
        Isolation, Meta(description="Lifetime of a worker: session (that of its session) or process (one execution).")
    ] = Isolation.SESSION
    sandbox_uid: Annotated[
        Annotated[int, Meta(ge=1, le=4_294_967_293)] | None,
        Meta(description="User id of workers if the service runs as root. Unset: 64137."),
    ] = None
    sandbox_level: Annotated[
        SandboxRequirement,
        Meta(description="Least acceptable isolation: standard, or separate-uid (workers with their own user id)."),
    ] = SandboxRequirement.STANDARD
    sandbox_node_start: Annotated[
        NodeStartChoice,
        Meta(description="Start of workers for Node.js: fork (of a zygote), exec, or auto (fork where it was tested)."),
    ] = NodeStartChoice.AUTO
    script_node_env: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z0-9_.-]{1,64}$",
            description="process.env.NODE_ENV of Node.js scripts of the calling convention origin. Others have none.",
        ),
    ] = "production"
    max_warm_workers: Annotated[
        int, Meta(ge=1, le=4096, description="Limit of the workers that are kept for their sessions.")
    ] = 512
    max_executions: Annotated[
        int, Meta(ge=1, le=4096, description="Limit of executions that run at the same time on a host.")
    ] = 32
    max_async_executions: Annotated[
        Annotated[int, Meta(ge=0, le=4096)] | None,
        Meta(
            description="Limit of queued executions that an HTTP worker process runs at once; 0 leaves them to other "
            "controllers. Unset: half of MAX_EXECUTIONS, divided among the HTTP workers."
        ),
    ] = None
    max_executions_per_owner: Annotated[
        Annotated[int, Meta(ge=1, le=4096)] | None,
        Meta(description="Limit of running executions of one owner on a host; more wait. Unset: a fair share."),
    ] = None
    sandbox_memory_mb: Annotated[
        Annotated[int, Meta(ge=64, le=16_777_216)] | None,
        Meta(description="Memory limit of all workers together, in MiB. Unset: half of the memory of the host."),
    ] = None
    nodejs_path: Annotated[
        Path | None, Meta(description="Path of a Node.js (20 or newer) to use instead of the packaged one.")
    ] = None

    nodejs_runtime_url: Annotated[
        Urls, Meta(description="URLs of the runtime hosts for Node.js. Unset: this host.")
    ] = ()
    python_runtime_url: Annotated[
        Urls, Meta(description="URLs of the runtime hosts for Python. Unset: this host.")
    ] = ()
    runtime_timeout_seconds: Annotated[
        float,
        Meta(gt=0, le=600, description="Time that a runtime host may take in addition to the limit of the script."),
    ] = 5
    runtime_host_networks: Annotated[
        Texts,
        Meta(
            description="Networks in which runtime hosts may register themselves. They run the languages without a "
            "runtime URL. Unset: none."
        ),
    ] = ()
    controller_url: Annotated[
        Urls,
        Meta(description="URLs of controllers, at one of which a runtime host registers itself. Unset: at none."),
    ] = ()
    runtime_host_url: Annotated[
        str | None,
        Meta(description="URL at which controllers reach this runtime host. Unset: http://, its address, PORT."),
    ] = None
    runtime_host_name: Annotated[
        str | None,
        Meta(description="Name under which a runtime host registers. Unset: the name of the machine, and PORT."),
    ] = None
    runtime_token: Annotated[Secret | None, Meta(description="Secret that controllers and runtime hosts share.")] = None
    runtime_tls_cert_file: Annotated[
        Path | None, Meta(description="Certificate of a runtime host, in PEM. Unset: the host speaks plain HTTP.")
    ] = None
    runtime_tls_key_file: Annotated[Path | None, Meta(description="Private key of RUNTIME_TLS_CERT_FILE, in PEM.")] = (
        None
    )
    runtime_ca_file: Annotated[
        Path | None,
        Meta(description="Certificates, in PEM, that verify https:// runtime hosts. Unset: those of the system."),
    ] = None
    controller_ca_file: Annotated[
        Path | None,
        Meta(description="Certificates, in PEM, that verify an https:// CONTROLLER_URL. Unset: those of the system."),
    ] = None
    runtime_mappings_file: Annotated[
        Path | None, Meta(description="JSON file with further prefixes and patterns of language-titles.")
    ] = None

    takeover_source_url: Annotated[
        Secret | None, Meta(description="URL of the PostgreSQL of lambda-microservice, for a takeover. Unset: none.")
    ] = None
    takeover_source_schema: Annotated[
        str, Meta(min_length=1, max_length=63, description="Schema of the tables of lambda-microservice.")
    ] = "meta"
    takeover_redis_url: Annotated[
        Secret | None,
        Meta(description="URL of the Redis of lambda-microservice, if sessions are there. Unset: none."),
    ] = None

    log_level: Annotated[LogLevel, Meta(description="Least severe level that is logged.")] = LogLevel.INFO
    log_format: Annotated[
        LogFormat, Meta(description="Format of log lines: console, json, or auto (console on a terminal, else json).")
    ] = LogFormat.AUTO
    metrics_port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None,
        Meta(description="Port on HOST for /metrics alone, open to all who reach it. Unset: PORT, for scope admin."),
    ] = None
    traces: Annotated[
        Traces,
        Meta(
            description="otlp sends spans to OTEL_EXPORTER_OTLP_ENDPOINT and needs pglambda[otel]; none sends no spans."
        ),
    ] = Traces.NONE
    drain_delay_seconds: Annotated[
        Wait, Meta(description="Time between not ready and the rejection of new work at a shutdown.")
    ] = 0
    shutdown_timeout_seconds: Annotated[
        Wait, Meta(description="Time that running work has to finish at a shutdown.")
    ] = 30

    @property
    def authenticated(self) -> bool:
        """Whether callers need a token or an API key."""
        return self.auth is AuthenticationMode.REQUIRED or (self.auth is None and self.verifies_tokens)

    @property
    def verifies_tokens(self) -> bool:
        """Whether keys that verify tokens are set."""
        return any((self.jwt_secret, self.jwt_public_key, self.jwt_jwks_url))

    @property
    def embedded(self) -> bool:
        """Whether the service uses the embedded PostgreSQL."""
        return self.database_url is None

    @property
    def has_runtime_hosts(self) -> bool:
        """Whether any language runs on runtime hosts."""
        return bool(self.nodejs_runtime_url or self.python_runtime_url or self.runtime_host_networks)

    @property
    def local_languages(self) -> tuple[str, ...]:
        """The settings of the runtime URLs of those languages whose scripts run on this host."""
        named = {"nodejs_runtime_url": self.nodejs_runtime_url, "python_runtime_url": self.python_runtime_url}
        return () if self.runtime_host_networks else tuple(name for name, urls in named.items() if not urls)

    @property
    def origin_connections(self) -> int:
        """The limit of connections of each HTTP worker to the origin: for calls, and idle ones."""
        return 0 if self.origin_url is None else ORIGIN_CALLS_MAX + ORIGIN_IDLE_MAX

    @property
    def database_connections(self) -> int:
        """The limit of database connections of all processes together."""
        return self.db_pool_max * self.web_concurrency
