"""The settings of egress."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from urllib.parse import urlsplit

from domain.addresses import Network
from domain.egress.policy import AddressRules
from domain.egress.rule import EgressRule, InvalidRule
from entrypoints.settings.choices import EgressChoice
from entrypoints.settings.nodes import clock_source, node_addresses
from entrypoints.settings.settings import Settings

_LISTED_MAX = 256
_HTTP_PORT = 80
_PORTS = {"https": 443, "redis": 6379, "rediss": 6379}


def egress_rules(settings: Settings) -> Sequence[EgressRule]:
    """Return what scripts of every owner may reach."""
    if settings.egress is EgressChoice.OFF:
        return ()
    return tuple(rule for rule in map(_rule, settings.egress_rules) if rule is not None)


def has_egress(settings: Settings) -> bool:
    """Return whether scripts may reach any host."""
    return has_owner_rules(settings) or bool(egress_rules(settings))


def has_owner_rules(settings: Settings) -> bool:
    """Return whether an operator can let scripts of single owners reach more."""
    return settings.egress is EgressChoice.OWNERS


def host_ceilings(settings: Settings) -> Sequence[EgressRule] | None:
    """Return what this host connects at most; None stands for any host, as those that judge owners allow it."""
    return None if has_owner_rules(settings) else egress_rules(settings)


def address_rules(settings: Settings) -> AddressRules:
    """Return which addresses scripts may reach."""
    own_ports = {settings.port, settings.origin_port, settings.metrics_port}
    return AddressRules(
        _networks(settings.egress_allowed_networks),
        _networks(settings.egress_denied_networks),
        frozenset(port for port in own_ports if port),
    )


def guarded_endpoints(settings: Settings) -> Sequence[tuple[str, int]]:
    """Return the hosts and ports of what belongs to the service, which scripts may not reach.

    The caller adds those of the databases.
    """
    urls = [*settings.nodejs_runtime_url, *settings.python_runtime_url, *settings.controller_url]
    urls += [url for url in (settings.runtime_host_url, settings.origin_url) if url is not None]
    if settings.takeover_redis_url is not None:
        urls.append(settings.takeover_redis_url.reveal())
    nodes = list(node_addresses(settings).values())
    source = clock_source(settings)
    return [*filter(None, map(_endpoint, urls)), *nodes, *([] if source is None else [source])]


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
    return parts.hostname, parts.port or _PORTS.get(parts.scheme, _HTTP_PORT)
