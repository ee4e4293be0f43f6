"""The commands `serve` and `runtime-host`."""

import asyncio
import os
from collections.abc import Sequence
from functools import partial

import click
import structlog
from msgspec.structs import replace

from entrypoints.cli.invocation import controller_settings, failures_reported, runtime_host_settings
from entrypoints.cli.lazy_group import examples
from entrypoints.composition.embedded import embedded_server
from entrypoints.server.banner import print_banner, print_runtime_host_banner
from entrypoints.server.control import Targets
from entrypoints.server.supervisor import Supervisor
from entrypoints.server.systemd import ServiceManager
from entrypoints.settings.near_names import near_names
from entrypoints.settings.runtime_hosts import runtime_host_scheme
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.logs import configure_service_logs


@click.command(
    epilog=examples(
        "pglambda serve",
        "PORT=9000 WEB_CONCURRENCY=2 pglambda serve",
        "HOST=0.0.0.0 JWT_SECRET_FILE=/run/secrets/jwt DATABASE_URL_FILE=/run/secrets/database pglambda serve",
    )
)
def serve() -> None:
    """Serve the HTTP API until Ctrl-C or SIGTERM.

    The first signal lets running calls end; a second one skips that wait. Without DATABASE_URL the service runs its own
    PostgreSQL, with the data under DATA_DIR.
    """
    with failures_reported():
        manager = ServiceManager.of(os.environ)
        settings = controller_settings()
        _configure_logs(settings)
        server = embedded_server(settings) if settings.embedded else None
        targets = Targets()
        greeting = partial(print_banner, credentials=credential_commands(settings))
        asyncio.run(Supervisor(settings, targets.controller, targets, server, greeting, manager).run())


@click.command(
    "runtime-host", epilog=examples("HOST=10.0.0.7 RUNTIME_TOKEN_FILE=/run/secrets/runtime pglambda runtime-host")
)
def runtime_host() -> None:
    """Run scripts for controllers on other machines.

    The runtime host listens on HOST and PORT. RUNTIME_TOKEN is required unless HOST is a loopback address. Set
    NODEJS_RUNTIME_URL and PYTHON_RUNTIME_URL of the controllers to its URL; or set CONTROLLER_URL and RUNTIME_HOST_URL
    of the host, so that it registers itself.
    """
    with failures_reported():
        manager = ServiceManager.of(os.environ)
        settings = replace(runtime_host_settings(), web_concurrency=1, auto_migrate=False, origin_port=None)
        _configure_logs(settings)
        targets, scheme = Targets(), runtime_host_scheme(settings)
        banner = print_runtime_host_banner
        asyncio.run(Supervisor(settings, targets.runtime_host, targets, None, banner, manager, scheme).run())


def credential_commands(settings: Settings) -> Sequence[str]:
    """Return the commands that make a credential for this service; none if callers need none."""
    if not settings.authenticated:
        return ()
    return ("token", "keys create") if settings.jwt_secret else ("keys create",)


def _configure_logs(settings: Settings) -> None:
    """Configure the logs, and log the variables that look like settings and have no effect."""
    configure_service_logs(settings.log_level, settings.log_format)
    for near in near_names(os.environ):
        structlog.get_logger(__name__).warning(
            "setting_unknown", variable=near.variable, near=near.setting, remedy=str(near)
        )
