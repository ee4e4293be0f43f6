"""The parts of executions that run later, of one HTTP worker."""

import random
import time
from collections.abc import Awaitable
from typing import Any
from uuid import UUID

from dependency_injector import containers, providers

from domain.clock import Clock
from domain.executions.running import RunningExecutions
from domain.identity import Owner
from domain.live.hub import LiveHub
from domain.live.ports import LiveOutputStore
from domain.live.writer import LiveWriter
from domain.queue.dispatcher import Dispatcher
from domain.queue.ends import Ends
from domain.queue.following import Ended, ExecutionEvents, ReadState
from domain.queue.ports import ExecutionQueue
from domain.queue.quota import QueueQuota
from domain.queue.served import ServedLanguages
from domain.queue.service import QueueService
from domain.queue.state import ExecutionState
from domain.queue.watch import CancelWatch
from entrypoints.composition.options import dispatch_policy, queue_bounds, queue_policy
from entrypoints.server.lifespan import Step
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.metrics.queue import CountedQueue


def _background(
    dispatcher: Dispatcher, watch: CancelWatch, writer: LiveWriter[Ended], settings: Settings
) -> list[Step]:
    """Return the work in the background; a process that may run nothing claims nothing."""
    return [watch.run, dispatcher.run, writer.run] if settings.max_async_executions != 0 else [watch.run]


def _reader(service: QueueService) -> ReadState:
    def state(owner: Owner, execution_id: UUID) -> Awaitable[ExecutionState]:
        return service.wait(owner, execution_id, 0)

    return state


def command_events(queue: ExecutionQueue, clock: Clock, output: LiveOutputStore) -> ExecutionEvents:
    """Return what follows executions from a process that runs none."""

    def state(owner: Owner, execution_id: UUID) -> Awaitable[ExecutionState]:
        return queue.state(owner, execution_id, clock.now())

    return ExecutionEvents(state, output, LiveHub(), Ends(), random.uniform)


class Queue(containers.DeclarativeContainer):
    """The queue of executions: who accepts, who runs and who stops them."""

    settings = providers.Dependency(instance_of=Settings)
    database = providers.DependenciesContainer()
    ids: providers.Dependency[Any] = providers.Dependency()
    tasks: providers.Dependency[Any] = providers.Dependency()
    probes: providers.Dependency[Any] = providers.Dependency()
    params: providers.Dependency[Any] = providers.Dependency()
    policy: providers.Dependency[Any] = providers.Dependency()
    executions: providers.Dependency[Any] = providers.Dependency()
    running: providers.Dependency[RunningExecutions] = providers.Dependency()
    announce: providers.Dependency[Any] = providers.Dependency()
    quotas: providers.Dependency[Any] = providers.Dependency()
    files: providers.Dependency[Any] = providers.Dependency()

    queue = providers.Singleton(CountedQueue, database.execution_queue)
    served = providers.Singleton(ServedLanguages, probes)
    ends = providers.Singleton(Ends, announce)
    live: providers.Singleton[LiveHub[Ended]] = providers.Singleton(LiveHub)
    jitter = providers.Object(random.uniform)
    dispatcher = providers.Singleton(
        Dispatcher,
        queue,
        executions,
        database.clock,
        ids,
        providers.Callable(dispatch_policy, settings, policy),
        served,
        tasks,
        ends,
        live,
        jitter,
    )
    quota = providers.Singleton(
        QueueQuota, queue, providers.Object(time.monotonic_ns), providers.Callable(queue_bounds, settings), quotas
    )
    service = providers.Singleton(
        QueueService,
        database.clock,
        ids,
        database.sessions,
        database.webhooks,
        queue,
        served,
        params,
        providers.Callable(queue_policy, settings, policy),
        quota,
        ends,
        running,
        tasks,
        jitter,
        dispatcher.provided.wake,
        files,
    )
    events = providers.Singleton(
        ExecutionEvents, providers.Callable(_reader, service), database.live_output, live, ends, jitter
    )
    watch = providers.Singleton(CancelWatch, queue, running)
    writer: providers.Singleton[LiveWriter[Ended]] = providers.Singleton(LiveWriter, live, database.live_output)
    background = providers.Callable(_background, dispatcher, watch, writer, settings)
