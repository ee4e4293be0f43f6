"""Rules that hold between several settings."""

import ipaddress
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from urllib.parse import urlsplit

from entrypoints.settings.edge import edge_lists_fit, rates_can_be_read
from entrypoints.settings.settings import Settings

Check = Callable[[Settings], Iterator[str]]

KILL_ALLOWANCE_MS = 500
"""What ending a sandbox may take after the script's wall limit."""

DEADLINE_MARGIN_SECONDS = 60
"""What an open execution's deadline lies beyond its budget."""

EMBEDDED_CONNECTIONS_MAX = 1000
URL_COUNT_MAX = 32
JWT_SECRET_SIZE_MIN = 32
"""As many bytes as the digest of HS256 has (RFC 7518, section 3.2)."""

_OTLP = "opentelemetry.exporter.otlp.proto.http"


def defaults_within_maxima(settings: Settings) -> Iterator[str]:
    """A default is never over its own maximum."""
    if settings.script_timeout_ms > settings.script_timeout_max_ms:
        yield f"SCRIPT_TIMEOUT_MS: must be at most SCRIPT_TIMEOUT_MAX_MS ({settings.script_timeout_max_ms})"
    if settings.script_memory_mb > settings.script_memory_max_mb:
        yield f"SCRIPT_MEMORY_MB: must be at most SCRIPT_MEMORY_MAX_MB ({settings.script_memory_max_mb})"
    if settings.session_expiry_seconds > settings.session_max_lifetime_seconds:
        yield (
            "SESSION_EXPIRY_SECONDS: must be at most SESSION_MAX_LIFETIME_SECONDS "
            f"({settings.session_max_lifetime_seconds})"
        )


def retention_covers_executions(settings: Settings) -> Iterator[str]:
    """A row outlives every execution that was admitted while its session lived."""
    least = execution_deadline_seconds(settings)
    if settings.session_retention_seconds < least:
        yield f"SESSION_RETENTION_SECONDS: must be at least {least}, the deadline of the longest execute"


def execution_deadline_seconds(settings: Settings) -> int:
    """Return the longest time from an execute's admission to its deadline, rounded up."""
    around_ms = max(
        settings.queue_timeout_ms + KILL_ALLOWANCE_MS,
        int(settings.runtime_timeout_seconds * 1000) if _runtime_urls(settings) else 0,
    )
    budget_ms = settings.request_timeout_ms + settings.script_timeout_max_ms + around_ms
    return -(-budget_ms // 1000) + DEADLINE_MARGIN_SECONDS


def connections_within_server(settings: Settings) -> Iterator[str]:
    """The embedded server can be made large enough for every pool."""
    if settings.embedded and settings.database_connections > EMBEDDED_CONNECTIONS_MAX:
        yield (
            f"DB_POOL_MAX: times WEB_CONCURRENCY is {settings.database_connections}, and the embedded server "
            f"takes at most {EMBEDDED_CONNECTIONS_MAX} connections"
        )


def runtime_urls_are_urls(settings: Settings) -> Iterator[str]:
    """Runtime hosts are named by http, https or Unix socket addresses."""
    for name, urls in _runtime_urls(settings).items():
        if len(urls) > URL_COUNT_MAX:
            yield f"{name}: names more than {URL_COUNT_MAX} hosts"
        for url in urls:
            if not _is_runtime_url(url):
                yield f"{name}: {url!r} is not http://host:port, https://host:port or unix:/path"


def runtime_token_off_loopback(settings: Settings) -> Iterator[str]:
    """A runtime host that others can reach knows its callers by the token."""
    for name, urls in _runtime_urls(settings).items():
        far = [url for url in urls if _is_runtime_url(url) and not _is_near(url)]
        if far and settings.runtime_token is None:
            yield f"RUNTIME_TOKEN: must be set, because {name} has {far[0]!r}, which is off loopback"


def authentication_said_off_loopback(settings: Settings) -> Iterator[str]:
    """Being open to a network without authentication is a decision, not an accident."""
    if settings.auth is None and not settings.verifies_tokens and not is_loopback(settings.host):
        yield (
            f"AUTH: must be set, because HOST {settings.host!r} is off loopback: required (with API keys, or with "
            "JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS_URL for tokens), or none, which lets everybody in"
        )


def token_keys_fit(settings: Settings) -> Iterator[str]:
    """Keys for tokens are such, and are there where they are needed."""
    if settings.auth == "none" and settings.verifies_tokens:
        yield "AUTH: is none, and there are keys to verify tokens with; unset AUTH or the JWT_ settings"
    secret = settings.jwt_secret.reveal() if settings.jwt_secret else None
    if secret is not None and len(secret.encode()) < JWT_SECRET_SIZE_MIN:
        yield f"JWT_SECRET: must have at least {JWT_SECRET_SIZE_MIN} bytes; try: openssl rand -base64 48"
    if settings.jwt_jwks_url is not None and not _is_key_url(settings.jwt_jwks_url):
        yield "JWT_JWKS_URL: must be https://..., or http:// on loopback; else anybody on the way can replace the keys"
    if not settings.verifies_tokens:
        for name, value in {"JWT_ISSUER": settings.jwt_issuer, "JWT_AUDIENCE": settings.jwt_audience}.items():
            if value is not None:
                yield f"{name}: needs JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS_URL beside it"


def host_token_off_loopback(settings: Settings) -> Iterator[str]:
    """A runtime host that listens to a network requires its token."""
    if settings.runtime_token is None and not is_loopback(settings.host):
        yield f"RUNTIME_TOKEN: must be set, because HOST {settings.host!r} is off loopback"


def database_url_is_postgresql(settings: Settings) -> Iterator[str]:
    """The database is PostgreSQL, named by a URL."""
    if settings.database_url and not settings.database_url.reveal().startswith(("postgresql://", "postgres://")):
        yield "DATABASE_URL: must begin with postgresql://"


def metrics_have_their_own_port(settings: Settings) -> Iterator[str]:
    """Metrics, where they have a port, do not take that of the API."""
    if settings.metrics_port == settings.port:
        yield f"METRICS_PORT: must differ from PORT, which is {settings.port} too"


def traces_can_be_sent(settings: Settings) -> Iterator[str]:
    """Whoever wants spans has the packages that send them."""
    if settings.traces == "otlp" and not (_is_there("opentelemetry.sdk") and _is_there(_OTLP)):
        yield "TRACES: otlp needs packages that are not installed: pip install 'pglambda[otel]'"


def files_exist(settings: Settings) -> Iterator[str]:
    """Files that are named are there."""
    named = {"RUNTIME_MAPPINGS_FILE": settings.runtime_mappings_file, "NODEJS_PATH": settings.nodejs_path}
    for name, path in named.items():
        if path is not None and not path.is_file():
            yield f"{name}: there is no file {str(path)!r}"


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the package that it would be in
        return False


def _runtime_urls(settings: Settings) -> dict[str, tuple[str, ...]]:
    named = {"NODEJS_RUNTIME_URL": settings.nodejs_runtime_url, "PYTHON_RUNTIME_URL": settings.python_runtime_url}
    return {name: urls for name, urls in named.items() if urls}


def _is_runtime_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError when it is not a port
    except ValueError:
        return False
    if parts.scheme == "unix":
        return parts.path.startswith("/") and not parts.netloc
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _is_key_url(url: str) -> bool:
    if not _is_runtime_url(url):
        return False
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def _is_near(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "unix" or is_loopback(parts.hostname or "")


_COMMON: tuple[Check, ...] = (defaults_within_maxima, files_exist, metrics_have_their_own_port, traces_can_be_sent)

CONTROLLER_CHECKS: tuple[Check, ...] = (
    *_COMMON,
    retention_covers_executions,
    connections_within_server,
    database_url_is_postgresql,
    runtime_urls_are_urls,
    runtime_token_off_loopback,
    authentication_said_off_loopback,
    token_keys_fit,
    rates_can_be_read,
    edge_lists_fit,
)
"""What holds for a service with sessions."""

RUNTIME_HOST_CHECKS: tuple[Check, ...] = (*_COMMON, host_token_off_loopback)
"""What holds for a host that only runs scripts."""
