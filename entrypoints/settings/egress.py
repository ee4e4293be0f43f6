"""The settings of egress."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from urllib.parse import urlsplit

from domain.addresses import Network
from domain.egress.policy import AddressRules
from domain.egress.rule import EgressRule, InvalidRule
from entrypoints.settings.settings import Settings

_LISTED_MAX = 256
_HTTPS_PORT, _HTTP_PORT = 443, 80


def egress_rules(settings: Settings) -> Sequence[EgressRule]:
    """Return what scripts of every owner may reach."""
    return tuple(rule for rule in map(_rule, settings.egress_rules) if rule is not None)


def address_rules(settings: Settings) -> AddressRules:
    """Return which addresses scripts may reach."""
    own_ports = {settings.port, settings.origin_port, settings.metrics_port}
    return AddressRules(
        _networks(settings.egress_allowed_networks),
        _networks(settings.egress_denied_networks),
        frozenset(port for port in own_ports if port),
    )


def guarded_endpoints(settings: Settings) -> Sequence[tuple[str, int]]:
    """Return the hosts and ports of the service's own parts, which scripts may not reach."""
    urls = [*settings.nodejs_runtime_url, *settings.python_runtime_url]
    return [endpoint for endpoint in map(_endpoint, urls) if endpoint is not None]


def egress_settings_are_valid(settings: Settings) -> Iterator[str]:
    """Check the rules, the networks and the file of egress."""
    for text in settings.egress_rules:
        try:
            EgressRule.parse_ceiling(text)
        except InvalidRule as error:
            yield f"EGRESS_RULES: {text!r} is not valid: it {error}."
    for name, given in (
        ("EGRESS_ALLOWED_NETWORKS", settings.egress_allowed_networks),
        ("EGRESS_DENIED_NETWORKS", settings.egress_denied_networks),
    ):
        for text in given:
            if _network(text) is None:
                yield f"{name}: {text!r} is not valid. Set it to networks such as 10.0.0.0/8."
    for name, count in (
        ("EGRESS_RULES", len(settings.egress_rules)),
        ("EGRESS_ALLOWED_NETWORKS", len(settings.egress_allowed_networks)),
        ("EGRESS_DENIED_NETWORKS", len(settings.egress_denied_networks)),
    ):
        if count > _LISTED_MAX:
            yield f"{name}: {count} entries are more than the {_LISTED_MAX} that are allowed. Name fewer."
    if settings.egress_ca_file is not None and not settings.egress_ca_file.is_file():
        yield f"EGRESS_CA_FILE: {settings.egress_ca_file} is not a file. Set it to a file of certificates (PEM)."


def _rule(text: str) -> EgressRule | None:
    try:
        return EgressRule.parse_ceiling(text)
    except InvalidRule:
        return None


def _networks(texts: Sequence[str]) -> tuple[Network, ...]:
    return tuple(network for network in map(_network, texts) if network is not None)


def _network(text: str) -> Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None


def _endpoint(url: str) -> tuple[str, int] | None:
    parts = urlsplit(url)
    if parts.hostname is None:
        return None
    return parts.hostname, parts.port or (_HTTPS_PORT if parts.scheme == "https" else _HTTP_PORT)
