"""What every command needs: the settings, the container, and messages with exit statuses for failures."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from domain.errors import DomainError, StorageUnavailable
from domain.takeover.source import AddressRefused
from entrypoints.server.data_dir import DataDirError
from entrypoints.server.database import ServerFailed
from entrypoints.server.listener import CannotListen
from entrypoints.server.process import StartFailed, WronglySet
from entrypoints.settings.checks import RUNTIME_HOST_CHECKS
from entrypoints.settings.environment import SettingsError
from entrypoints.settings.loading import load_settings
from entrypoints.settings.near_names import ORIGIN_REMEDY, origin_names
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.logs import configure_logs

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

_FAILURES = (StartFailed, DataDirError, CannotListen, ServerFailed, DomainError, RuntimeError)


class WrongSettings(click.ClickException):
    """The settings are wrong; the exit status is that of a wrong usage."""

    exit_code = 2


@contextmanager
def failures_reported() -> Iterator[None]:
    """Turn an error that an operator can correct into a message and an exit status."""
    try:
        yield
    except click.Abort:  # a RuntimeError: the operator has ended a question
        raise
    except (SettingsError, WronglySet, AddressRefused) as error:
        raise WrongSettings("\n".join((str(error), *_origin_advice()))) from error
    except StorageUnavailable as error:
        raise click.ClickException(f"{error} Run `pglambda doctor` to see why.") from error
    except _FAILURES as error:
        raise click.ClickException(str(error)) from error


def _origin_advice() -> Iterator[str]:
    """Yield what to do with settings of lambda-microservice, if the environment has some."""
    if names := origin_names(os.environ):
        found = ", ".join(names)
        yield f"There are settings of lambda-microservice ({found}), and some mean something else here. {ORIGIN_REMEDY}"


def controller_settings() -> Settings:
    """Return the settings of a controller from the environment, all checked; raises SettingsError."""
    from entrypoints.composition.checks import require_buildable  # noqa: PLC0415  # as in container_of

    settings = load_settings(os.environ)
    require_buildable(settings)
    return settings


def runtime_host_settings() -> Settings:
    """Return the settings of a runtime host from the environment, all checked; raises SettingsError."""
    from entrypoints.composition.checks import RUNTIME_HOST_PARTS, require_buildable  # noqa: PLC0415  # as in container_of

    settings = load_settings(os.environ, RUNTIME_HOST_CHECKS)
    require_buildable(settings, RUNTIME_HOST_PARTS)
    return settings


def settings_in_force() -> Settings:
    """Return the settings of the environment, and configure the logs by them; raises SettingsError."""
    settings = controller_settings()
    configure_logs(settings.log_level, settings.log_format)
    return settings


def container_of(context: click.Context) -> "type[Commands]":
    """Return the container of the commands, imported only when needed: that takes most of the start-up time.

    A test puts a container with other adapters into the context.
    """
    if context.obj is None:
        from entrypoints.composition.commands import Commands  # noqa: PLC0415  # see above

        context.obj = Commands
    container: type[Commands] = context.obj
    return container
