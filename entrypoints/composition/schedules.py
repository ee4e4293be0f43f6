"""The parts of schedules, of one HTTP worker."""

from collections.abc import Sequence
from typing import Any

from dependency_injector import containers, providers

from adapters.cron_calendar import CronCalendar
from domain.schedules.dispatcher import ScheduleDispatcher, ScheduleFirer, SchedulePolicy
from domain.schedules.service import ScheduleService
from domain.schedules.targets import ScheduleTargets
from entrypoints.composition.options import schedule_policy
from entrypoints.server.lifespan import Step
from entrypoints.settings.settings import Settings


def _background(dispatcher: ScheduleDispatcher, policy: SchedulePolicy) -> Sequence[Step]:
    """Return what settles due times; nothing if nothing is accepted, so due times wait for a process that does."""
    return [dispatcher.run] if policy.keeps_responses else []


class Schedules(containers.DeclarativeContainer):
    """Schedules: who stores them, and who fires them."""

    settings = providers.Dependency(instance_of=Settings)
    database = providers.DependenciesContainer()
    ids: providers.Dependency[Any] = providers.Dependency()
    function_sessions: providers.Dependency[Any] = providers.Dependency()
    mapping: providers.Dependency[Any] = providers.Dependency()
    params: providers.Dependency[Any] = providers.Dependency()
    quota: providers.Dependency[Any] = providers.Dependency()
    executions: providers.Dependency[Any] = providers.Dependency()
    wake_queue: providers.Dependency[Any] = providers.Dependency()

    calendar = providers.Singleton(CronCalendar)
    policy = providers.Callable(schedule_policy, settings, executions)
    targets = providers.Singleton(
        ScheduleTargets, database.sessions, database.functions, function_sessions, database.webhooks, mapping, params
    )
    firer = providers.Singleton(
        ScheduleFirer,
        database.clock,
        ids,
        database.schedules,
        targets,
        database.execution_queue,
        quota,
        policy,
        wake_queue,
    )
    dispatcher = providers.Singleton(ScheduleDispatcher, database.clock, database.schedules, firer, calendar, policy)
    background = providers.Callable(_background, dispatcher, policy)
    service = providers.Singleton(
        ScheduleService,
        database.clock,
        ids,
        database.schedules,
        targets,
        calendar,
        firer,
        policy,
        dispatcher.provided.wake,
    )
