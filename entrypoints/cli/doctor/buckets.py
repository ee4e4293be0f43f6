"""The buckets of a distributed database, and the nodes that have them."""

from collections.abc import Iterator, Sequence

from domain.inspection import BucketFacts, NodeFacts
from entrypoints.cli.doctor.report import Finding, Subject

BUCKETS = Subject("buckets")

_FREE_MIN = 10
_CLOCK_S_MAX = 1.0


def judge_buckets(facts: tuple[Sequence[BucketFacts], Sequence[NodeFacts]]) -> Sequence[Finding]:
    """Return the findings about buckets; none of a plain database."""
    buckets, nodes = facts
    if not buckets:
        return []
    found = [*(finding for each in buckets for finding in _judge_bucket(each)), *_judge_nodes(nodes)]
    return found or [BUCKETS.ok(f"{len(buckets)} buckets have all migrations, and all {len(nodes)} nodes respond")]


def _judge_bucket(bucket: BucketFacts) -> Iterator[Finding]:
    if bucket.pending:
        yield BUCKETS.problem(
            f"{bucket.schema} lacks migrations: {', '.join(bucket.pending)}",
            "Calls for its sessions that need them get 503.",
            "pglambda migrate up",
        )
    if len(bucket.nodes) != 1:
        where = " and ".join(bucket.nodes) or "no node"
        yield BUCKETS.problem(
            f"the tables of {bucket.schema} lie on {where}",
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
