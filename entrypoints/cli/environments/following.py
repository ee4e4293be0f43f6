"""The log of a build in the terminal."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta

import click
from attrs import define, field

from domain.environments.build import Build, BuildStatus
from domain.environments.environment import StoredEnvironment
from domain.environments.service import EnvironmentService
from entrypoints.cli.output import printable

_PAUSE_S = 1.0
_PROBE_SIZE = 256
QUEUED = "Waiting for a controller with an index and ENVIRONMENT_BUILDS=true."


async def _pause() -> None:
    await asyncio.sleep(_PAUSE_S)


@define(eq=False)
class BuildFollower:
    """Shows what the builds of a version log, on standard error, until none is queued or runs."""

    _service: EnvironmentService
    _pause: Callable[[], Awaitable[None]] = _pause
    _shown: dict[str, Build] = field(factory=dict, init=False)
    _said_queued: bool = field(default=False, init=False)

    async def until_ended(self, name: str, version: int) -> StoredEnvironment:
        """Return the version once its builds have ended; raises EnvironmentNotFound and StorageUnavailable."""
        while True:
            stored = await self._service.get(name, version)
            for build in stored.builds:
                self._show(build)
            if _has_ended(stored):
                return stored
            if not stored.builds and not self._said_queued:
                self._said_queued = True
                click.echo(QUEUED, err=True)
            await self._pause()

    def _show(self, build: Build) -> None:
        before = self._shown.get(build.platform)
        self._shown[build.platform] = build
        if before is not None and before.attempts != build.attempts:
            click.echo(f"The build for {build.platform} was interrupted, and begins anew.", err=True)
            before = None
        text = added("" if before is None else before.log, build.log)
        click.echo(printable(text, sys.stderr), nl=False, err=True)


async def followed(service: EnvironmentService, stored: StoredEnvironment, limit: timedelta) -> StoredEnvironment:
    """Follow the builds of a version; raises ClickException if they do not end in time."""
    name, version = stored.version.name, stored.version.version
    try:
        async with asyncio.timeout(limit.total_seconds()):
            return await BuildFollower(service).until_ended(name, version)
    except TimeoutError:
        found = (await service.get(name, version)).status
        raise click.ClickException(
            f"{name}@{version} is {found} after {limit}, which is the limit of --timeout. Controllers continue with "
            f"it. `pglambda environments show {name}@{version} --follow` waits again, and `pglambda doctor` shows what "
            "this host lacks for builds."
        ) from None


def added(before: str, after: str) -> str:
    """Return what was added to a log of which only the end is kept."""
    if after.startswith(before):
        return after[len(before) :]
    at = before.find(after[:_PROBE_SIZE])
    return after[len(before) - at :] if at >= 0 and after.startswith(before[at:]) else after


def _has_ended(stored: StoredEnvironment) -> bool:
    if any(build.status is BuildStatus.BUILDING for build in stored.builds):
        return False
    return bool(stored.builds) or stored.status == "retired"
