"""The buckets of a distributed database, and the nodes that have them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from domain.inspection import BucketFacts, NodeFacts
from entrypoints.cli.doctor.report import Finding, Subject
from entrypoints.settings.settings import Settings

BUCKETS = Subject("buckets")

_FREE_MIN = 10
_SHOWN_MAX = 16
_CLOCK_S_MAX = 1.0


def judge_buckets(facts: tuple[Sequence[BucketFacts], Sequence[NodeFacts]], settings: Settings) -> Sequence[Finding]:
    """Return the findings about buckets; none of a plain database."""
    buckets, nodes = facts
    if not buckets:
        return []
    found = [*(finding for each in buckets for finding in _judge_bucket(each)), *_judge_nodes(nodes)]
    unknown = [] if settings.database_nodes else [_nodes_unknown()]
    return [*unknown, *(found or [_all_is_well(buckets, nodes)]), *_locations(buckets)]


def _nodes_unknown() -> Finding:
    return BUCKETS.problem(
        "the database has buckets, and DATABASE_NODES is not set",
        "A controller with these settings is not ready, and answers calls with 503. Commands refuse to run.",
        "Set DATABASE_NODES=auto, also for commands, and start the controllers again.",
    )


def _all_is_well(buckets: Sequence[BucketFacts], nodes: Sequence[NodeFacts]) -> Finding:
    return BUCKETS.ok(f"{len(buckets)} buckets have all migrations, and all {len(nodes)} nodes respond")


def _locations(buckets: Sequence[BucketFacts]) -> Iterator[Finding]:
    """Yield the first buckets of each node with the shards of their sessions."""
    by_node: dict[str, list[str]] = defaultdict(list)
    for each in buckets:
        for node in each.location.nodes:
            by_node[node].append(f"{each.schema} (shard {each.location.shard})")
    for node, names in by_node.items():
        more = [f"and {len(names) - _SHOWN_MAX} more: see `pglambda migrate status`"] if len(names) > _SHOWN_MAX else []
        yield BUCKETS.ok(f"the node {node} has {', '.join([*names[:_SHOWN_MAX], *more])}")


def _judge_bucket(bucket: BucketFacts) -> Iterator[Finding]:
    if bucket.pending:
        yield BUCKETS.problem(
            f"{bucket.schema} lacks migrations: {', '.join(bucket.pending)}",
            "Calls for its sessions that need them get 503.",
            "pglambda migrate up",
        )
    if len(bucket.location.nodes) != 1:
        yield BUCKETS.problem(
            f"the tables of {bucket.schema} ({bucket.location}) do not lie on one node",
            "Statements name all of them on the node of its sessions.",
            f"SELECT citus_schema_move('{bucket.schema}', 'host', 5432), with the node that shall have it.",
        )


def _judge_nodes(nodes: Sequence[NodeFacts]) -> Iterator[Finding]:
    for node in nodes:
        if node.free_connections is None:
            yield BUCKETS.problem(
                f"the node {node.address} does not respond to the coordinator: {node.reason}",
                "Calls for sessions in its buckets get 503, and no bucket can be migrated.",
                "Start it, or let its standby take over.",
            )
            continue
        ahead_s = (node.clock_ahead_ms or 0.0) / 1000
        if abs(ahead_s) > _CLOCK_S_MAX:
            yield BUCKETS.warning(
                f"the clock of the node {node.address} is {ahead_s:+.1f} s off the coordinator's",
                "Sessions end by the clock of CLOCK_SOURCE alone, but logs of the nodes do not line up.",
                "Let both take their time from the network, by slewing.",
            )
        if node.free_connections < _FREE_MIN:
            yield BUCKETS.warning(
                f"the node {node.address} has {node.free_connections} free connections",
                "A controller that starts may not reach its buckets.",
                "Raise max_connections there, or lower DB_POOL_MAX.",
            )
