"""The buckets of a distributed database, and the nodes that have them."""

from collections.abc import Iterator, Sequence

from domain.inspection import BucketFacts, NodeFacts
from entrypoints.cli.doctor.report import Finding, Subject

BUCKETS = Subject("buckets")

_FREE_MIN = 10


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
                f"the node {node.address} does not respond to the coordinator",
                "Calls for sessions in its buckets get 503.",
                "Start it, or let its standby take over.",
            )
        elif node.free_connections < _FREE_MIN:
            yield BUCKETS.warning(
                f"the node {node.address} has {node.free_connections} free connections",
                "A controller that starts may not reach its buckets.",
                "Raise max_connections there, or lower DB_POOL_MAX.",
            )
