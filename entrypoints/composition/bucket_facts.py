"""What `/health` and metrics show of buckets."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from adapters.buckets.directory import Directory, Storage
from adapters.buckets.webhooks import WebhookRepairs
from adapters.postgres.buckets.node_clocks import NodeClocks
from adapters.postgres.buckets.placements import Placements
from adapters.postgres.buckets.pool import BucketGateway
from domain.clock import Clock
from domain.errors import Unavailable
from domain.stats import BucketStats
from domain.storage.faults import StorageFault


def bucket_stats(
    gateways: Sequence[BucketGateway], placements: Placements, repairs: WebhookRepairs, clocks: NodeClocks
) -> BucketStats:
    """Return the figures of the buckets for metrics."""
    away = sum(gateway.is_away for gateway in gateways)
    return BucketStats(away, placements.reads, placements.moves, repairs.compared_at, clocks.offsets_ms)


async def bucket_facts(
    directory: Directory, placements: Placements, gateways: Sequence[BucketGateway], clock: Clock, clocks: NodeClocks
) -> Mapping[str, object]:
    """Return each bucket with its state and its node; a bucket that is away takes none of the others down."""
    try:
        now, begun = clock.now(), {bucket.number: bucket.from_at for bucket in directory.buckets.buckets}
    except Unavailable as error:
        return {"status": "failing", "reason": error.message}
    states = [
        {
            "number": each.number,
            "state": _state(each, begun, now),
            "sessions_from": begun.get(each.number),
            "node": _node(each, placements),
            "shard": _shard(each, placements),
        }
        for each in directory.all
    ]
    nodes = [
        {"node": each, "buckets": [at["number"] for at in states if at["node"] == each]} for each in clocks.workers
    ]
    facts = {"buckets": states, "nodes": nodes, "clock_offsets_ms": clocks.offsets_ms}
    reasons = [_why_away(each, placements) for each in gateways if each.is_away]
    return {"status": "degraded", "reason": " ".join(reasons), **facts} if reasons else {"status": "ok", **facts}


def _why_away(gateway: BucketGateway, placements: Placements) -> str:
    placement = placements.known(gateway.number)
    which = f"bucket {gateway.number} ({placement.node.address if placement else None})"
    if gateway.fault is StorageFault.RIGHT_MISSING:
        return f"The role lacks rights in {which}. Run `pglambda migrate up` as the owner."
    return f"The node of {which} is away."


def _node(storage: Storage, placements: Placements) -> str | None:
    """Return the address of a bucket's node; None before it is known, and for HOME, which DATABASE_URL names."""
    placement = placements.known(storage.number)
    return None if placement is None else placement.node.address


def _shard(storage: Storage, placements: Placements) -> int | None:
    """Return Citus's number of the shard of a bucket's sessions; None before it is known, and for HOME."""
    placement = placements.known(storage.number)
    return None if placement is None else placement.shards["sessions"]


def _state(storage: Storage, begun: Mapping[int, datetime], now: datetime) -> str:
    if storage.is_away():
        return "away"
    return "serving" if begun.get(storage.number, now) <= now else "announced"
