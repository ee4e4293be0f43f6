"""The container of the commands, with other objects in the place of adapters."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from dependency_injector import providers

from entrypoints.composition.commands import Commands


class OpenDatabase:
    """Access to a database that is always open."""

    @asynccontextmanager
    async def opened(self, *_: Any) -> AsyncIterator[None]:
        yield


def commands_with(**objects: Any) -> Callable[..., Commands]:
    """Return what makes a container whose providers give these objects; they need no database."""
    return partial(Commands, **{"database_access": providers.Object(OpenDatabase()), **objects})
