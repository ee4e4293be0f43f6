"""What every command does around its own work: settings in, messages and exit statuses out."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

from domain.errors import DomainError, StorageUnavailable
from entrypoints.cli.composition import container
from entrypoints.cli.wiring import Wiring
from entrypoints.server.data_dir import DataDirError
from entrypoints.server.database_server import ServerFailed
from entrypoints.server.listener import CannotListen
from entrypoints.server.process import StartFailed, WronglySet
from entrypoints.settings.environment import SettingsError
from entrypoints.settings.loading import load_settings
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.logs import configure_logs

_FAILURES = (StartFailed, DataDirError, CannotListen, ServerFailed, DomainError, RuntimeError)


class WrongSettings(click.ClickException):
    """Settings that a person has to correct first; the exit status is that of a wrong usage."""

    exit_code = 2


@contextmanager
def failures_told() -> Iterator[None]:
    """Turn what a person can act on into a message and an exit status."""
    try:
        yield
    except (SettingsError, WronglySet) as error:
        raise WrongSettings(str(error)) from error
    except StorageUnavailable as error:
        raise click.ClickException(f"{error} `pglambda doctor` tells why.") from error
    except _FAILURES as error:
        raise click.ClickException(str(error)) from error


def settings_in_force() -> Settings:
    """Return the settings of the environment, with logs as they say; raises SettingsError."""
    settings = load_settings(os.environ)
    configure_logs(settings.log_level, settings.log_format)
    return settings


def wiring_of(context: click.Context) -> Wiring:
    """Return the composition root, or what a test has put in its place."""
    return context.obj or container()
