"""The parts of a takeover."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path

from attrs import evolve

from adapters.origin.database import OriginDatabase, OriginDatabaseOptions
from adapters.origin.health import origin_version
from adapters.origin.inspection import OriginInspector
from adapters.origin.rows import PostgresOriginFunctions, PostgresOriginReader
from adapters.origin.statements import OriginStatements, load_origin_statements
from domain.functions.lists import FIRST_PLACE, FunctionFilter
from domain.functions.ports import FunctionLookup, FunctionRepository
from domain.identity import SHARED
from domain.scripts.language import LanguageTitle
from domain.scripts.limits import Limits
from domain.takeover.cache_ports import OriginCache
from domain.takeover.function_import import FunctionReader
from domain.takeover.options import TakeoverOptions
from domain.takeover.reader_ports import OriginReader
from domain.takeover.source import SourceAddress, SourceRefused
from domain.takeover.source_session import FunctionScript, TakeoverPolicy
from entrypoints.server.process import launch
from entrypoints.settings.settings import Settings

__all__ = ["OriginInspector", "origin_version"]

_PAGE = 100
_JSON_SIZE_MAX = 1024 * 1024
_DRAIN_S = 5.0


@asynccontextmanager
async def _database(address: SourceAddress) -> AsyncIterator[tuple[OriginDatabase, OriginStatements]]:
    """Connect to the database at an address; raises SourceUnavailable or SourceRefused, as all that is opened by it."""
    statements = load_origin_statements()
    async with OriginDatabase.opened(OriginDatabaseOptions(address), statements.connection) as database:
        yield database, statements


@asynccontextmanager
async def origin_inspector(address: SourceAddress) -> AsyncIterator[OriginInspector]:
    """Yield what inspects the database at an address, be it that of the origin or that of this service."""
    async with _database(address) as (database, statements):
        yield OriginInspector(database, statements.inspection, PostgresOriginReader(database, statements.rows))


@asynccontextmanager
async def origin_reader(address: SourceAddress, shift: timedelta = timedelta(0)) -> AsyncIterator[OriginReader]:
    """Yield what reads the rows at an address; `shift` is that of the takeover's fence."""
    async with _database(address) as (database, statements):
        yield PostgresOriginReader(database, statements.rows, shift)


@asynccontextmanager
async def origin_functions(settings: Settings, address: SourceAddress) -> AsyncIterator[FunctionReader]:
    """Yield what reads the origin's functions."""
    async with _database(address) as (database, statements):
        yield PostgresOriginFunctions(database, statements.rows, max(settings.max_script_size, _JSON_SIZE_MAX))


def takeover_policy(settings: Settings, options: TakeoverOptions) -> TakeoverPolicy:
    """Return how sessions are taken with these settings; an execution may take as much as any session here."""
    return TakeoverPolicy(
        languages=options.languages,
        owners=options.owners,
        limits=Limits(settings.script_timeout_ms, settings.script_memory_max_mb, settings.isolation),
        lifetime_max=timedelta(seconds=settings.session_max_lifetime_seconds),
        retention=timedelta(seconds=settings.session_retention_seconds),
        script_size_max=settings.max_script_size,
        context_size_max=settings.max_context_size,
        expired=options.expired,
        scriptless=options.scriptless,
        honours_status=options.honours_status,
    )


async def with_shared_functions(policy: TakeoverPolicy, functions: FunctionRepository) -> TakeoverPolicy:
    """Return the policy with all shared functions, to which sessions without a script can be pinned."""
    found: dict[LanguageTitle, FunctionScript] = {}
    after = FIRST_PLACE
    while True:
        page = await functions.page(FunctionFilter(owners=frozenset({SHARED})), after, _PAGE)
        for item in page.items:
            function = await functions.find(FunctionLookup.exact(SHARED, item.language_title))
            definition = function.definition
            found[item.language_title] = FunctionScript(function.pinned, definition.script, definition.convention)
        if page.next_after is None:
            return evolve(policy, functions=found)
        after = page.next_after


def origin_cache(url: str) -> AbstractAsyncContextManager[OriginCache]:
    """Return the Redis of the origin, to be entered; raises SourceRefused without the package that it needs."""
    with _redis_needed():
        from adapters.origin.cache import RedisOriginCache  # noqa: PLC0415  # an extra
    return RedisOriginCache.connected(url)


def loaded_dump(path: Path) -> AbstractContextManager[str]:
    """Return the URL of a Redis that has loaded a dump, to be entered by the main thread; raises as `origin_cache`."""
    with _redis_needed():
        from adapters.origin.dump import loaded_dump as loaded  # noqa: PLC0415  # an extra
    return loaded(path, launch=launch)


@contextmanager
def _redis_needed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise SourceRefused(
            "The Redis of the origin cannot be read: the package redis is not installed.",
            remedy="Install it with: pip install 'pglambda[takeover]'",
        ) from error
