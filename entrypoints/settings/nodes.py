"""The nodes of a distributed database, in DATABASE_NODES."""

import re
from collections.abc import Iterator, Mapping

from entrypoints.settings.settings import Settings

AUTO = "auto"

HOME = "home"

_ADDRESS = r"(\[[0-9a-fA-F:.]+\]|[^\s=,:\[\]]+):(\d{1,5})"
_NODE = re.compile(rf"(\d{{1,9}})={_ADDRESS}")
_SOURCE = re.compile(_ADDRESS)
_PORT_MAX = 65535
_WRONG = (
    "DATABASE_NODES: {!r} is not a node. Set it to auto, or to GROUP=HOST:PORT of each node whose address differs for "
    "controllers, separated by commas."
)


def node_addresses(settings: Settings) -> Mapping[int, tuple[str, int]]:
    """Return the hosts and ports of nodes by group; of other nodes those hold that the cluster has."""
    nodes = settings.database_nodes
    return {} if nodes in {None, AUTO} else dict(_address(part) for part in _parts(nodes or ""))


def database_nodes_are_valid(settings: Settings) -> Iterator[str]:
    """Check that nodes have the required form, and that there is a database that can have any."""
    nodes = settings.database_nodes
    if nodes is None:
        return
    if settings.embedded:
        yield "DATABASE_NODES: the embedded server has no nodes. Set DATABASE_URL, or unset DATABASE_NODES."
    for part in [] if nodes == AUTO else _parts(nodes):
        if _NODE.fullmatch(part) is None or int(part.rpartition(":")[2]) > _PORT_MAX:
            yield _WRONG.format(part)


def clock_source(settings: Settings) -> tuple[str, int] | None:
    """Return host and port of the node whose clock counts; None for the server of DATABASE_URL."""
    if settings.clock_source == HOME:
        return None
    found = _SOURCE.fullmatch(settings.clock_source)
    assert found is not None, "the settings were checked"
    return found[1].strip("[]"), int(found[2])


def clock_source_is_valid(settings: Settings) -> Iterator[str]:
    """Check that the source of the time is home, or the address of a node."""
    source = settings.clock_source
    if source == HOME:
        return
    if settings.database_nodes is None:
        yield "CLOCK_SOURCE: only a distributed database has other nodes. Set DATABASE_NODES, or CLOCK_SOURCE to home."
    if _SOURCE.fullmatch(source) is None or int(source.rpartition(":")[2]) > _PORT_MAX:
        yield f"CLOCK_SOURCE: {source!r} is no node. Set it to home, or to HOST:PORT of a node."


def _parts(nodes: str) -> list[str]:
    return [part.strip() for part in nodes.split(",")]


def _address(part: str) -> tuple[int, tuple[str, int]]:
    found = _NODE.fullmatch(part)
    assert found is not None, "the settings were checked"
    group, host, port = found.groups()
    return int(group), (host.strip("[]"), int(port))
