"""Comparing the keys of the origin's Redis with its rows, for every command that reads the origin."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from domain.takeover.cache_ports import OriginCache
from domain.takeover.cached import CacheCensus, Disagreement
from domain.takeover.reader_ports import OriginReader
from domain.takeover.source import SourceAddress
from entrypoints.cli.output import table
from entrypoints.cli.takeover.report_file import Note

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

_BATCH = 100
"""Keys that are read at once, with their rows: each may have megabytes."""

_WORDS = {
    "without_row": "Redis alone has the session. Generation 1 serves it, so adopt writes a row first. Others do not.",
    "ended": "Redis alone has the session, and it has expired.",
    "hidden": "The session was moved, and the origin serves it from Redis all the same. Run adopt again.",
    "unreadable": "The value is none of a session, and the origin cannot read it either.",
}

rdb_option = click.option(
    "--rdb",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A dump of the Redis, to be read by a redis-server of its own.",
)


@contextmanager
def with_dump(commands: "Commands", rdb: Path | None, given: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the options with the URL of a Redis that has loaded the dump, if there is one."""
    if rdb is None:
        yield given
        return
    with commands.loaded_dump(rdb) as url:
        yield {**given, "redis": url}


async def compared_keys(
    commands: "Commands", address: SourceAddress, expected: int, note: Note, *, is_dump: bool = False
) -> CacheCensus | None:
    """Compare all keys with their rows, and note those that differ; return None without a Redis.

    About so many keys are `expected`. Raises SourceUnavailable or SourceRefused.
    """
    if address.cache_url is None:
        return None
    async with commands.origin_inspector(address) as origin:
        census = CacheCensus(await origin.now(), is_dump)
    async with commands.origin_reader(address) as reader, commands.origin_cache(address.cache_url) as cache:
        with click.progressbar(length=expected, label="Comparing keys", file=sys.stderr) as bar:
            async for page in cache.ids():
                for start in range(0, len(page), _BATCH):
                    await _compare(census, page[start : start + _BATCH], reader, cache, note)
                bar.update(len(page))
        census.are_limited = await cache.count(1) > 0
    return census


async def _compare(
    census: CacheCensus, ids: Sequence[str], reader: OriginReader, cache: OriginCache, note: Note
) -> None:
    rows = {row.request_id: row for row in await reader.sessions(ids)}
    hidden = {request_id for request_id, is_hidden in (await reader.hidden(ids)).items() if is_hidden}
    for line in census.add(await cache.get(ids), rows, hidden):
        note(line)


def keys_document(census: CacheCensus | None) -> Mapping[str, object] | None:
    """Return the numbers as JSON has them; None without a Redis."""
    if census is None:
        return None
    numbers = {name: getattr(census, name) for name in ("keys", "without_row", "ended", "hidden", "unreadable")}
    return {**numbers, "differing": dict(census.differing), "of_dump": census.is_dump}


def keys_text(census: CacheCensus) -> str:
    """Return the numbers as a table with what each means."""
    rows = [(f"{census.differing[each]:,}", f"{each} differs", each.words) for each in Disagreement]
    rows += [(f"{getattr(census, name):,}", name, words) for name, words in _WORDS.items()]
    of = "a dump, as of its time" if census.is_dump else "Redis"
    title = (f"{census.keys:,}", "keys", f"Compared with their rows; they are those of {of}.")
    return table([title, *(row for row in rows if row[0] != "0")], frozenset({0}))
