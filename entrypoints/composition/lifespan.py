"""The order in which the parts of a controller start and end."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from adapters.egress.guarded_names import GuardedNames
from adapters.postgres.batching.coalescer import Coalescer
from adapters.postgres.clock.disciplined import DisciplinedClock
from adapters.postgres.gateway import Gateway
from adapters.postgres.retention.bucket_cleanups import BucketCleanups
from adapters.postgres.retention.cleanup import Cleanup
from domain.concurrency.background_tasks import BackgroundTasks
from domain.environments.retention import EnvironmentRetention
from domain.environments.watch import BuildWatch
from domain.secrets.values import SecretValues
from entrypoints.composition.database import BucketSteps
from entrypoints.composition.environments import HostEnvironments
from entrypoints.composition.first_touch import FirstTouch
from entrypoints.composition.front import Fronting
from entrypoints.composition.guards import OwnerLimits, Security
from entrypoints.composition.runners import Runners
from entrypoints.composition.runtime_hosts import RegisteredHosts
from entrypoints.composition.webhooks import Webhooks
from entrypoints.server.lifespan import Lifespan, Step, bounded, together
from entrypoints.telemetry.tracing.trace import Tracing

_RECORDING_TIMEOUT_S = 5.0
"""The time for recording the ends of executions after the last request."""


def lifespan(  # noqa: PLR0913, PLR0917  # the parts that start and end
    gateway: Gateway,
    clock_gateways: Sequence[Gateway],
    clock: DisciplinedClock,
    cleanup: Cleanup | BucketCleanups,
    coalescers: Sequence[Coalescer[Any, Any]],
    runners: Runners,
    tasks: BackgroundTasks,
    security: Security,
    limits: OwnerLimits,
    tracing: Tracing,
    fronting: Fronting,
    first_touch: FirstTouch,
    queue: Sequence[Step],
    webhooks: Webhooks,
    schedules: Sequence[Step],
    hosts: RegisteredHosts,
    secrets: SecretValues,
    buckets: BucketSteps,
    environments: HostEnvironments,
    retention: EnvironmentRetention,
    build_watch: BuildWatch,
    guarded_names: GuardedNames,
) -> Lifespan:
    """Return the order of the start and the end; no part that is unreachable stops a start."""
    return Lifespan(
        startup=[
            *(each.open for each in (gateway, *clock_gateways)),
            environments.open,
            together(clock.measure, runners.open, guarded_names.look, *fronting.startup),
            *buckets.startup,
            *hosts.startup,
        ],
        background=[
            clock.run,
            cleanup.run,
            *security.background,
            *limits.background,
            *fronting.background,
            *queue,
            *webhooks.background,
            *schedules,
            *hosts.background,
            secrets.run,
            *buckets.background,
            *environments.background,
            retention.run,
            build_watch.run,
            guarded_names.run,
        ],
        shutdown=[partial(tasks.drain, _RECORDING_TIMEOUT_S), *webhooks.shutdown, runners.close],
        close=[
            *security.close,
            *(bounded(each, _RECORDING_TIMEOUT_S) for each in limits.close),
            *fronting.close,
            *webhooks.close,
            *hosts.close,
            first_touch.close,
            secrets.close,
            environments.close,
            guarded_names.close,
            *(bounded(each.close, _RECORDING_TIMEOUT_S) for each in coalescers),
            *buckets.close,
            *(each.close for each in (*clock_gateways, gateway)),
            partial(asyncio.to_thread, tracing.close),
        ],
    )
