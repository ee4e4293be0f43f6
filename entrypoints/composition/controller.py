"""The controller: the HTTP API over sessions in PostgreSQL and runners of scripts."""

from collections.abc import Mapping

from dependency_injector import providers
from msgspec.structs import replace

from adapters.postgres.anonymous_sessions import AnonymousSessions
from entrypoints.composition.distribution import distribute
from entrypoints.composition.guards import Security, admission, authorization, guards
from entrypoints.composition.http_options import http_options, origin_options
from entrypoints.composition.lifespan import lifespan
from entrypoints.composition.observation import Observation
from entrypoints.composition.origin import Origin
from entrypoints.composition.use_cases import UseCases
from entrypoints.http.app import Api, Application, Hooks
from entrypoints.http.openapi.document import rendered
from entrypoints.http.services import Services
from entrypoints.origin.application import OriginApi, OriginHooks
from entrypoints.server.control import ORIGIN
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings


def _apis(settings: Settings, origin: OriginApi) -> Mapping[str, Api]:
    return {} if settings.origin_port is None else {ORIGIN: origin}


class Controller(UseCases):
    """What one HTTP worker is made of; tests override its providers."""

    anonymous_sessions = providers.Singleton(
        AnonymousSessions, UseCases.database.gateway, UseCases.database.statements.provided.owners.select_session_count
    )
    security = providers.Singleton(
        Security.of,
        UseCases.settings,
        UseCases.database.clock,
        UseCases.database.api_keys,
        UseCases.database.sessions,
        UseCases.mapping,
        anonymous_sessions.provided.warn,
        UseCases.limits.provided.unknown_callers,
    )
    origin = providers.Container(
        Origin,
        settings=UseCases.settings,
        database=UseCases.database,
        ids=UseCases.ids,
        mapping=UseCases.mapping,
        request_timeout_s=UseCases.request_timeout_s,
    )
    observation = providers.Container(
        Observation,
        settings=UseCases.settings,
        telemetry=UseCases.telemetry,
        database=UseCases.database,
        runners=UseCases.runners,
        security=security,
        limits=UseCases.limits,
        fronting=origin.fronting,
        sessions=UseCases.sessions,
        queue=UseCases.queue.queue,
        webhooks=UseCases.sent_webhooks,
        schedules=UseCases.schedules.dispatcher,
        states=UseCases.state_slots,
        secrets=UseCases.secret_values,
        files=UseCases.files,
        environments=UseCases.host_environments,
        build_watch=UseCases.build_watch,
        runtime_hosts=UseCases.runtime_hosts,
    )
    lifespan = providers.Singleton(
        lifespan,
        UseCases.database.gateway,
        UseCases.database.clock_gateways,
        UseCases.database.clock,
        UseCases.database.cleanup,
        UseCases.database.coalescers,
        UseCases.runners,
        UseCases.tasks,
        security,
        UseCases.limits,
        UseCases.telemetry.tracing,
        origin.fronting,
        origin.first_touch,
        UseCases.queue.background,
        UseCases.sent_webhooks,
        UseCases.schedules.background,
        UseCases.runtime_hosts,
        UseCases.secret_values,
        UseCases.database.buckets,
        UseCases.host_environments,
        UseCases.environment_retention,
        UseCases.build_watch,
        UseCases.guarded_names,
    )

    http_options = providers.Callable(http_options, UseCases.settings)
    services = providers.Singleton(
        Services,
        sessions=UseCases.sessions,
        states=UseCases.states,
        files=UseCases.files,
        environments=UseCases.environments,
        executions=UseCases.executions,
        function_sessions=UseCases.function_sessions,
        calls=UseCases.calls,
        history=UseCases.history,
        queue=UseCases.queue.service,
        events=UseCases.queue.events,
        live=UseCases.queue.live,
        schedules=UseCases.schedules.service,
        functions=UseCases.functions,
        audit=UseCases.audit,
        usage=UseCases.usage,
        webhooks=UseCases.webhooks,
        secrets=UseCases.secrets,
        process=observation.health,
        metrics=observation.metrics,
        runtime_hosts=UseCases.runtime_hosts.provided.registry,
    )
    hooks = providers.Singleton(
        Hooks,
        lifespan.provided.start,
        lifespan.provided.end,
        UseCases.queue.dispatcher.provided.drain,
        providers.Callable(guards, UseCases.settings, security, UseCases.limits, UseCases.database.unknown_buckets),
        providers.List(UseCases.telemetry.requests),
        UseCases.limits.provided.charge,
        security.provided.caller,
    )
    origin_hooks = providers.Singleton(
        OriginHooks,
        providers.Callable(admission, UseCases.settings, security, UseCases.limits),
        providers.Callable(authorization, security, UseCases.database.unknown_buckets),
        origin.fronting.provided.hook,
        origin.spellings.provided.of,
    )
    origin_api = providers.Singleton(
        OriginApi,
        services,
        http_options,
        providers.Callable(origin_options, UseCases.settings),
        UseCases.mapping,
        origin_hooks,
    )
    apis = providers.Callable(_apis, UseCases.settings, origin_api)
    application = providers.Singleton(Application, services, http_options, hooks, apis)


def create_controller(settings: Settings) -> Application:
    """Return the ASGI application of one HTTP worker; raises SettingsError for a wrong mapping file or key."""
    controller = Controller(settings=settings)
    if settings.database_nodes is not None:
        distribute(controller, controller.ids, settings)
    application: Application = controller.application()
    return application


def api_document(settings: Settings) -> str:
    """Return the OpenAPI document of a controller with these settings; it opens no connection."""
    database_url = settings.database_url or Secret("postgresql:///")
    return rendered(create_controller(replace(settings, database_url=database_url)).document())
