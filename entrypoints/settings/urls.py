"""Which URLs a setting may have, and which of them reach this machine alone."""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_local(url: str) -> bool:
    """Return whether only this machine reaches the URL."""
    parts = urlsplit(url)
    return parts.scheme == "unix" or is_loopback(parts.hostname or "")


def is_service_url(url: str) -> bool:
    """Return whether the URL is http://host, https://host or unix:/path, with a valid port if it has one."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError if it is not a port
    except ValueError:
        return False
    if parts.scheme == "unix":
        return parts.path.startswith("/") and not parts.netloc
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def is_origin_url(url: str) -> bool:
    """Return whether the URL is of an origin: scheme, host and port alone."""
    parts = urlsplit(url) if is_service_url(url) else None
    return (
        parts is not None
        and parts.scheme != "unix"
        and parts.geturl() == f"{parts.scheme}://{parts.netloc}"
        and ("@" not in parts.netloc)
        and parts.port != 0
    )


def is_key_url(url: str) -> bool:
    """Return whether keys of token issuers may be read from the URL: by https, or from this machine."""
    if not is_service_url(url):
        return False
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
