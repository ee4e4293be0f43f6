"""What the coordinator finds out about the nodes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from domain.inspection import NodeFacts

_COORDINATOR = 0
_MS_PER_S = 1000


def node_facts(rows: Iterable[Sequence[Any]]) -> Sequence[NodeFacts]:
    """Return the facts in the rows of `select_node_facts`."""
    found = [(group, address, reached, result) for group, address, reached, result in rows]
    seen: dict[int, Mapping[str, float]] = {group: json.loads(result) for group, _, reached, result in found if reached}
    home = seen.get(_COORDINATOR)
    return [_facts(address, seen.get(group), home, result) for group, address, _, result in found]


def _facts(address: str, seen: Mapping[str, float] | None, home: Mapping[str, float] | None, reason: str) -> NodeFacts:
    if seen is None:
        return NodeFacts(address, None, reason=reason)
    ahead_ms = None if home is None else round((seen["at"] - home["at"]) * _MS_PER_S, 3)
    return NodeFacts(address, int(seen["free"]), ahead_ms)
