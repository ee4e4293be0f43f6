"""The settings of runtime hosts that register themselves, at the hosts and at controllers."""

import re
import socket
import ssl
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

from domain.addresses import Network
from domain.errors import InvalidRequest
from domain.hosts.host import NAME_PATTERN
from domain.hosts.networks import HostLocation, HostNetworks
from entrypoints.settings.settings import Settings

CONTROLLERS_MAX = 8
_NETWORKS_MAX = 64
_NAME = re.compile(NAME_PATTERN)
_NAME_SIZE_MAX = 128
_ALL_ADDRESSES = frozenset({"0.0.0.0", "::"})  # noqa: S104  # nothing is bound here
_UNFIT = re.compile(r"[^A-Za-z0-9._:-]")


def host_networks(settings: Settings) -> HostNetworks:
    """Return where runtime hosts may be."""
    known = map(_network, settings.runtime_host_networks)
    return HostNetworks(tuple(network for network in known if network is not None))


def runtime_host_name(settings: Settings) -> str:
    """Return RUNTIME_HOST_NAME, or the name of the machine with the port: several hosts may be on one machine."""
    return settings.runtime_host_name or _UNFIT.sub("-", f"{socket.gethostname()}:{settings.port}")[-_NAME_SIZE_MAX:]


def runtime_host_url(settings: Settings) -> str | None:
    """Return RUNTIME_HOST_URL, or the one of HOST and PORT; None if HOST is all addresses of the machine."""
    if settings.runtime_host_url is not None or settings.host in _ALL_ADDRESSES:
        return settings.runtime_host_url
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{runtime_host_scheme(settings)}://{host}:{settings.port}"


def runtime_host_scheme(settings: Settings) -> str:
    """Return the scheme of the URL of a runtime host."""
    return "http" if settings.runtime_tls_cert_file is None else "https"


def host_tls(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS of a runtime host, None if it speaks plain HTTP; raises OSError if a file cannot be used."""
    if settings.runtime_tls_cert_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.runtime_tls_cert_file, settings.runtime_tls_key_file)
    return context


def host_certificate_is_usable(settings: Settings) -> Iterator[str]:
    """Check that the certificate of a runtime host and its key can be read and belong together."""
    if (settings.runtime_tls_cert_file is None) is not (settings.runtime_tls_key_file is None):
        yield "RUNTIME_TLS_CERT_FILE: it needs RUNTIME_TLS_KEY_FILE, and only one is set. Set both, or unset both."
        return
    try:
        host_tls(settings)
    except OSError as error:
        yield (
            f"RUNTIME_TLS_CERT_FILE: the certificate and the key of RUNTIME_TLS_KEY_FILE cannot be used ({error}). "
            "Name a chain and its key, both in PEM, which this user can read."
        )


def runtime_ca_is_usable(settings: Settings) -> Iterator[str]:
    """Check that the certificates that verify runtime hosts can be read."""
    yield from _ca_is_usable("RUNTIME_CA_FILE", settings.runtime_ca_file)


def controller_ca_is_usable(settings: Settings) -> Iterator[str]:
    """Check that the certificates that verify controllers can be read."""
    yield from _ca_is_usable("CONTROLLER_CA_FILE", settings.controller_ca_file)


def _ca_is_usable(name: str, file: Path | None) -> Iterator[str]:
    if file is None:
        return
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        yield (
            f"{name}: the certificates cannot be used ({error}). Name a file of certificates in PEM, which this user "
            "can read, or unset it."
        )


def runtime_networks_are_valid(settings: Settings) -> Iterator[str]:
    """Check the networks of a controller's runtime hosts, and that hosts need a token to register."""
    given, count = settings.runtime_host_networks, len(settings.runtime_host_networks)
    if count > _NETWORKS_MAX:
        yield f"RUNTIME_HOST_NETWORKS: {count} entries are more than the {_NETWORKS_MAX} that are allowed. Name fewer."
    for text in given:
        if _network(text) is None:
            yield f"RUNTIME_HOST_NETWORKS: {text!r} is not valid. Set it to networks such as 10.0.0.0/8."
    if given and settings.runtime_token is None:
        yield (
            "RUNTIME_TOKEN: it is not set, so anybody could register a runtime host and receive scripts. Set the token "
            "of the hosts, or unset RUNTIME_HOST_NETWORKS."
        )


def registration_is_possible(settings: Settings) -> Iterator[str]:
    """Check what a runtime host needs to register itself."""
    controllers, url, name = settings.controller_url, settings.runtime_host_url, settings.runtime_host_name
    count = len(controllers)
    if count > CONTROLLERS_MAX:
        yield f"CONTROLLER_URL: {count} URLs are more than the {CONTROLLERS_MAX} that are allowed. Name fewer."
    for each in controllers:
        if (problem := _url_problem(each)) is not None:
            yield f"CONTROLLER_URL: {each!r} {problem}. Set it to http://host:port or https://host:port."
    if url is not None and (problem := _url_problem(url)) is not None:
        yield f"RUNTIME_HOST_URL: {url!r} {problem}. Set it to http://host:port or https://host:port."
    if name is not None and not _NAME.fullmatch(name):
        yield f"RUNTIME_HOST_NAME: {name!r} does not match {NAME_PATTERN}. Use letters, digits and . _ : - only."
    if controllers and url is None and settings.port == 0:
        yield (
            "RUNTIME_HOST_URL: it is not set, and PORT is 0, so controllers would not know where this runtime host is. "
            "Set PORT, or RUNTIME_HOST_URL."
        )
    if controllers and settings.runtime_tls_cert_file is not None and runtime_host_url(settings) is None:
        yield (
            "RUNTIME_HOST_URL: it is not set, and a runtime host with RUNTIME_TLS_CERT_FILE cannot be reached at its "
            "bare address. Set it to https:// with a name of the certificate."
        )
    if controllers and settings.runtime_token is None:
        yield "RUNTIME_TOKEN: it is not set, and a runtime host needs it to register. Set the token of the controllers."


def _network(text: str) -> Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None


def _url_problem(url: str) -> str | None:
    try:
        HostLocation.of(url)
    except InvalidRequest as error:
        return error.problems[0].message
    return None
