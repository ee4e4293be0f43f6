"""Checks that involve several settings, or what a value stands for."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from urllib.parse import urlsplit

from entrypoints.settings.edge import edge_lists_are_valid, rates_are_valid
from entrypoints.settings.egress import egress_settings_are_valid
from entrypoints.settings.environments import environment_settings_are_valid
from entrypoints.settings.nodes import clock_source_is_valid, database_nodes_are_valid
from entrypoints.settings.runtime_hosts import (
    controller_ca_is_usable,
    host_certificate_is_usable,
    registration_is_possible,
    runtime_ca_is_usable,
    runtime_networks_are_valid,
)
from entrypoints.settings.secrets import secret_settings_are_valid
from entrypoints.settings.settings import Settings
from entrypoints.settings.urls import is_key_url, is_local, is_loopback, is_origin_url, is_service_url
from entrypoints.settings.webhooks import webhook_settings_are_valid

Check = Callable[[Settings], Iterator[str]]
"""Yields a problem for each rule that the settings break: `NAME: what is wrong, and why. What to do.`"""

KILL_ALLOWANCE_MS = 500
"""The time to end a sandbox after the script's wall time limit."""

DEADLINE_MARGIN_SECONDS = 60
"""The time between the end of an execution's budget and the deadline of its open record."""

EMBEDDED_CONNECTIONS_MAX = 1000
URL_COUNT_MAX = 32
JWT_SECRET_SIZE_MIN = 32
"""The size of an HS256 digest in bytes (RFC 7518, section 3.2)."""

_PORTS = {"http": 80, "https": 443}
_OTLP = "opentelemetry.exporter.otlp.proto.http"


def defaults_within_maxima(settings: Settings) -> Iterator[str]:
    """Check that a default is not above its own maximum."""
    for name, maximum in (
        ("script_timeout_ms", "script_timeout_max_ms"),
        ("script_memory_mb", "script_memory_max_mb"),
        ("script_files_mb", "script_files_max_mb"),
        ("session_expiry_seconds", "session_max_lifetime_seconds"),
    ):
        value, limit = getattr(settings, name), getattr(settings, maximum)
        if value > limit:
            yield (
                f"{name.upper()}: {value} is above {maximum.upper()}, which is {limit}. Lower {name.upper()}, or raise "
                f"{maximum.upper()}."
            )


def retention_covers_executions(settings: Settings) -> Iterator[str]:
    """Check that a stored session outlives every execution that was admitted while it lived."""
    least, given = execution_deadline_seconds(settings), settings.session_retention_seconds
    if given < least:
        yield (
            f"SESSION_RETENTION_SECONDS: {given} is less than {least}, the deadline of the longest execution. Set it "
            f"to at least {least}, or lower SCRIPT_TIMEOUT_MAX_MS."
        )


def execution_deadline_seconds(settings: Settings) -> int:
    """Return the longest time from the admission of an execution to its deadline, rounded up."""
    around_ms = max(
        settings.queue_timeout_ms + KILL_ALLOWANCE_MS,
        int(settings.runtime_timeout_seconds * 1000) if settings.has_runtime_hosts else 0,
    )
    budget_ms = settings.request_timeout_ms + settings.script_timeout_max_ms + around_ms
    return -(-budget_ms // 1000) + DEADLINE_MARGIN_SECONDS


def connections_within_server(settings: Settings) -> Iterator[str]:
    """Check that the embedded server can have as many connections as all pools together."""
    count = settings.database_connections
    if settings.embedded and count > EMBEDDED_CONNECTIONS_MAX:
        yield (
            f"DB_POOL_MAX: multiplied by WEB_CONCURRENCY it is {count}, and the embedded server accepts at most "
            f"{EMBEDDED_CONNECTIONS_MAX} connections. Lower one of them, or set DATABASE_URL."
        )


def wal_archive_is_separate(settings: Settings) -> Iterator[str]:
    """Check that the embedded server is the one that archives, and that the archive is not part of its data."""
    archive, cluster = settings.wal_archive_dir, settings.data_dir / "postgres"
    if archive is not None and not settings.embedded:
        yield (
            "WAL_ARCHIVE_DIR: it has no effect with DATABASE_URL. Configure archiving on that server (docs/backup.md), "
            "and unset it."
        )
    elif archive is not None and archive.is_relative_to(cluster):
        yield f"WAL_ARCHIVE_DIR: it is inside {cluster}, whose loss it has to survive. Set it to another disk."


def runtime_urls_are_valid(settings: Settings) -> Iterator[str]:
    """Check that runtime hosts have http, https or Unix socket addresses."""
    for name, urls in _runtime_urls(settings).items():
        if len(urls) > URL_COUNT_MAX:
            yield f"{name}: {len(urls)} hosts are more than the {URL_COUNT_MAX} that are allowed. Name fewer."
        for url in urls:
            if not is_service_url(url):
                yield (
                    f"{name}: {url!r} is not the address of a runtime host. Set it to http://host:port, "
                    "https://host:port or unix:/path."
                )


def runtime_token_off_loopback(settings: Settings) -> Iterator[str]:
    """Check that the token is set if a runtime host is on another machine."""
    for name, urls in _runtime_urls(settings).items():
        remote = [url for url in urls if is_service_url(url) and not is_local(url)]
        if remote and settings.runtime_token is None:
            yield (
                f"RUNTIME_TOKEN: it is not set, and {name} has {remote[0]!r}, which is not on loopback. Set the token "
                "of that host."
            )


def authentication_off_loopback(settings: Settings) -> Iterator[str]:
    """Check that access without authentication from a network is a decision, not an accident."""
    if settings.auth is None and not settings.verifies_tokens and not is_loopback(settings.host):
        yield (
            f"AUTH: it is not set, and HOST {settings.host!r} is not on loopback. Set AUTH to required for API "
            "keys; or set JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS_URL for tokens; or set AUTH to none, which accepts "
            "every caller."
        )


def token_keys_are_valid(settings: Settings) -> Iterator[str]:
    """Check the keys that verify tokens, and the settings that need one."""
    if settings.auth == "none" and settings.verifies_tokens:
        yield "AUTH: it is none, and a key that verifies tokens is set. Unset AUTH, or the JWT_ settings."
    secret = settings.jwt_secret.reveal() if settings.jwt_secret else None
    if secret is not None and len(secret.encode()) < JWT_SECRET_SIZE_MIN:
        yield (
            f"JWT_SECRET: {len(secret.encode())} bytes are less than the {JWT_SECRET_SIZE_MIN} that HS256 needs. Make "
            "one with: openssl rand -base64 48"
        )
    if settings.jwt_jwks_url is not None and not is_key_url(settings.jwt_jwks_url):
        yield (
            "JWT_JWKS_URL: it is neither https://... nor http:// on loopback, so the network could replace the keys. "
            "Set it to such a URL."
        )
    if not settings.verifies_tokens:
        for name, value in {"JWT_ISSUER": settings.jwt_issuer, "JWT_AUDIENCE": settings.jwt_audience}.items():
            if value is not None:
                yield (
                    f"{name}: it has no effect without a key that verifies tokens. Set JWT_SECRET, JWT_PUBLIC_KEY or "
                    f"JWT_JWKS_URL too, or unset {name}."
                )


def host_token_off_loopback(settings: Settings) -> Iterator[str]:
    """Check that a runtime host that listens to a network requires its token."""
    if settings.runtime_token is None and not is_loopback(settings.host):
        yield (
            f"RUNTIME_TOKEN: it is not set, and HOST {settings.host!r} is not on loopback. Set the token that the "
            "controllers use."
        )


def database_url_is_postgresql(settings: Settings) -> Iterator[str]:
    """Check that the database is a PostgreSQL."""
    if settings.database_url and not settings.database_url.reveal().startswith(("postgresql://", "postgres://")):
        yield "DATABASE_URL: it does not begin with postgresql://. Set it to the URL of a PostgreSQL, or unset it."


def metrics_port_is_separate(settings: Settings) -> Iterator[str]:
    """Check that metrics do not have the port of an API."""
    for name, port in (("PORT", settings.port), ("ORIGIN_PORT", settings.origin_port)):
        if settings.metrics_port is not None and settings.metrics_port == port:
            yield f"METRICS_PORT: {port} is {name} too. Set it to another port, or unset it."


def origin_port_is_separate(settings: Settings) -> Iterator[str]:
    """Check that the clients of the origin have a port of their own; 0 is a free one."""
    if settings.origin_port and settings.origin_port == settings.port:
        yield f"ORIGIN_PORT: {settings.port} is PORT too. Set PORT to another port: old clients keep theirs."


def origin_url_is_valid(settings: Settings) -> Iterator[str]:
    """Check that the origin has an address, and is not this service."""
    url = settings.origin_url
    if url is None:
        return
    if not is_origin_url(url):
        yield f"ORIGIN_URL: {url!r} is not an address. Set it to http://host:port or https://host:port, without a path."
        return
    parts = urlsplit(url)
    is_here = is_loopback(parts.hostname or "") or parts.hostname == settings.host
    if is_here and (parts.port or _PORTS[parts.scheme]) in {settings.port, settings.origin_port}:
        yield f"ORIGIN_URL: {url!r} is this service, which would call itself. Set it to the address of the origin."


def traces_can_be_sent(settings: Settings) -> Iterator[str]:
    """Check that the packages that send spans are installed."""
    if settings.traces == "otlp" and not (_is_installed("opentelemetry.sdk") and _is_installed(_OTLP)):
        yield "TRACES: otlp needs packages that are not installed. Install them with: pip install 'pglambda[otel]'"


def redis_can_be_used(settings: Settings) -> Iterator[str]:
    """Check that the package that reads Redis is installed."""
    if settings.takeover_redis_url is not None and not _is_installed("redis"):
        yield (
            "TAKEOVER_REDIS_URL: needs a package that is not installed. Install it with: pip install "
            "'pglambda[takeover]'. Unset TAKEOVER_REDIS_URL if the sessions of lambda-microservice are not in Redis."
        )


def files_exist(settings: Settings) -> Iterator[str]:
    """Check that the files that settings name exist."""
    named = {"RUNTIME_MAPPINGS_FILE": settings.runtime_mappings_file, "NODEJS_PATH": settings.nodejs_path}
    for name, path in named.items():
        if path is not None and not path.is_file():
            yield f"{name}: the file {str(path)!r} does not exist. Set it to an existing file, or unset it."


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the parent package is missing
        return False


def _runtime_urls(settings: Settings) -> dict[str, tuple[str, ...]]:
    named = {"NODEJS_RUNTIME_URL": settings.nodejs_runtime_url, "PYTHON_RUNTIME_URL": settings.python_runtime_url}
    return {name: urls for name, urls in named.items() if urls}


_COMMON: tuple[Check, ...] = (
    defaults_within_maxima,
    files_exist,
    metrics_port_is_separate,
    redis_can_be_used,
    traces_can_be_sent,
)

CONTROLLER_CHECKS: tuple[Check, ...] = (
    *_COMMON,
    origin_port_is_separate,
    origin_url_is_valid,
    retention_covers_executions,
    connections_within_server,
    wal_archive_is_separate,
    database_url_is_postgresql,
    database_nodes_are_valid,
    clock_source_is_valid,
    runtime_urls_are_valid,
    runtime_token_off_loopback,
    runtime_networks_are_valid,
    runtime_ca_is_usable,
    authentication_off_loopback,
    token_keys_are_valid,
    rates_are_valid,
    edge_lists_are_valid,
    webhook_settings_are_valid,
    egress_settings_are_valid,
    secret_settings_are_valid,
    environment_settings_are_valid,
)
"""The checks of a controller."""

RUNTIME_HOST_CHECKS: tuple[Check, ...] = (
    *_COMMON,
    host_token_off_loopback,
    host_certificate_is_usable,
    registration_is_possible,
    controller_ca_is_usable,
)
"""The checks of a runtime host."""
