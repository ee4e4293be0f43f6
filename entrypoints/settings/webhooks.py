"""The settings of webhooks."""

from collections.abc import Iterator
from ipaddress import ip_network
from urllib.parse import urlsplit

from domain.addresses import Network
from domain.webhooks.address import AddressPolicy
from domain.webhooks.service import WebhookPolicy
from domain.webhooks.signature import KEY_SIZE_MIN, SigningKey
from entrypoints.settings.settings import Settings
from entrypoints.settings.urls import is_service_url

_LISTED_MAX = 64
_PORT_MAX = 65535
_DIGITS_MAX = 5


def address_policy(settings: Settings) -> AddressPolicy:
    """Return where webhooks may be sent."""
    ports = frozenset(map(int, filter(_is_port, settings.webhook_ports)))
    known = map(_network, settings.webhook_allowed_networks)
    networks = tuple(network for network in known if network is not None)
    return AddressPolicy(ports, networks, settings.webhook_allow_http)


def signing_key(settings: Settings) -> SigningKey | None:
    """Return the key from which secrets follow, None if there is none."""
    return None if settings.webhook_key is None else SigningKey(settings.webhook_key.reveal().encode())


def webhook_policy(settings: Settings) -> WebhookPolicy:
    """Return the limits of webhooks."""
    timeout_s = settings.request_timeout_ms / 1000
    return WebhookPolicy(timeout_s, settings.max_webhooks_per_owner, address_policy(settings))


def webhook_settings_are_valid(settings: Settings) -> Iterator[str]:
    """Check the key, the ports, the networks and the proxy of webhooks."""
    key = None if settings.webhook_key is None else settings.webhook_key.reveal().encode()
    if key is not None and len(key) < KEY_SIZE_MIN:
        yield (
            f"WEBHOOK_KEY: {len(key)} bytes are less than the {KEY_SIZE_MIN} of the digest. Make one with: openssl "
            "rand -base64 48"
        )
    for name, given in (
        ("WEBHOOK_PORTS", settings.webhook_ports),
        ("WEBHOOK_ALLOWED_NETWORKS", settings.webhook_allowed_networks),
    ):
        if len(given) > _LISTED_MAX:
            yield f"{name}: {len(given)} entries are more than the {_LISTED_MAX} that are allowed. Name fewer."
    for text in settings.webhook_ports:
        if not _is_port(text):
            yield f"WEBHOOK_PORTS: {text!r} is not valid. Set it to numbers from 1 to {_PORT_MAX}."
    for text in settings.webhook_allowed_networks:
        if _network(text) is None:
            yield f"WEBHOOK_ALLOWED_NETWORKS: {text!r} is not valid. Set it to networks such as 10.0.0.0/8."
    if settings.webhook_proxy is not None and not _is_proxy(settings.webhook_proxy.reveal()):
        yield "WEBHOOK_PROXY: its value is not the URL of a proxy. Set it to http://host:port."


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX and 1 <= int(text) <= _PORT_MAX


def _network(text: str) -> Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None


def _is_proxy(url: str) -> bool:
    return is_service_url(url) and urlsplit(url).scheme != "unix"
