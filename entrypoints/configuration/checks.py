"""Rules that hold between several settings."""

import ipaddress
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from entrypoints.settings import Settings

Check = Callable[["Settings"], Iterator[str]]

KILL_ALLOWANCE_MS = 500
"""What ending a sandbox may take after the script's wall limit."""

DEADLINE_MARGIN_SECONDS = 60
"""What an open execution's deadline lies beyond its budget."""

EMBEDDED_CONNECTIONS_MAX = 1000
URL_COUNT_MAX = 32


def defaults_within_maxima(settings: "Settings") -> Iterator[str]:
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


def retention_covers_executions(settings: "Settings") -> Iterator[str]:
    """A row outlives every execution that was admitted while its session lived."""
    least = execution_deadline_seconds(settings)
    if settings.session_retention_seconds < least:
        yield f"SESSION_RETENTION_SECONDS: must be at least {least}, the deadline of the longest execute"


def execution_deadline_seconds(settings: "Settings") -> int:
    """Return the longest time from an execute's admission to its deadline, rounded up."""
    around_ms = max(
        settings.queue_timeout_ms + KILL_ALLOWANCE_MS,
        int(settings.runtime_timeout_seconds * 1000) if _runtime_urls(settings) else 0,
    )
    budget_ms = settings.request_timeout_ms + settings.script_timeout_max_ms + around_ms
    return -(-budget_ms // 1000) + DEADLINE_MARGIN_SECONDS


def connections_within_server(settings: "Settings") -> Iterator[str]:
    """The embedded server can be made large enough for every pool."""
    if settings.embedded and settings.database_connections > EMBEDDED_CONNECTIONS_MAX:
        yield (
            f"DB_POOL_MAX: times WEB_CONCURRENCY is {settings.database_connections}, and the embedded server "
            f"takes at most {EMBEDDED_CONNECTIONS_MAX} connections"
        )


def runtime_urls_are_urls(settings: "Settings") -> Iterator[str]:
    """Runtime hosts are named by http, https or Unix socket addresses."""
    for name, urls in _runtime_urls(settings).items():
        if len(urls) > URL_COUNT_MAX:
            yield f"{name}: names more than {URL_COUNT_MAX} hosts"
        for url in urls:
            if not _is_runtime_url(url):
                yield f"{name}: {url!r} is not http://host:port, https://host:port or unix:/path"


def runtime_token_off_loopback(settings: "Settings") -> Iterator[str]:
    """A runtime host that others can reach knows its callers by the token."""
    for name, urls in _runtime_urls(settings).items():
        far = [url for url in urls if _is_runtime_url(url) and not _is_near(url)]
        if far and settings.runtime_token is None:
            yield f"RUNTIME_TOKEN: must be set, because {name} has {far[0]!r}, which is off loopback"


def authentication_said_off_loopback(settings: "Settings") -> Iterator[str]:
    """Being open to a network without authentication is a decision, not an accident."""
    if settings.auth is None and not is_loopback(settings.host):
        yield f"AUTH: must be set to none, because HOST {settings.host!r} is off loopback and lets everybody in"


def host_token_off_loopback(settings: "Settings") -> Iterator[str]:
    """A runtime host that listens to a network requires its token."""
    if settings.runtime_token is None and not is_loopback(settings.host):
        yield f"RUNTIME_TOKEN: must be set, because HOST {settings.host!r} is off loopback"


def database_url_is_postgresql(settings: "Settings") -> Iterator[str]:
    """The database is PostgreSQL, named by a URL."""
    if settings.database_url and not settings.database_url.reveal().startswith(("postgresql://", "postgres://")):
        yield "DATABASE_URL: must begin with postgresql://"


def files_exist(settings: "Settings") -> Iterator[str]:
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


def _runtime_urls(settings: "Settings") -> dict[str, tuple[str, ...]]:
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


def _is_near(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "unix" or is_loopback(parts.hostname or "")


_COMMON: tuple[Check, ...] = (defaults_within_maxima, files_exist)

CONTROLLER_CHECKS: tuple[Check, ...] = (
    *_COMMON,
    retention_covers_executions,
    connections_within_server,
    database_url_is_postgresql,
    runtime_urls_are_urls,
    runtime_token_off_loopback,
    authentication_said_off_loopback,
)
"""What holds for a service with sessions."""

RUNTIME_HOST_CHECKS: tuple[Check, ...] = (*_COMMON, host_token_off_loopback)
"""What holds for a host that only runs scripts."""
