"""What a benchmark runs in: a database of its own, on cores of its own, with notes about other processes."""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from tests.benchmarks.database import Database, database, migrate
from tests.benchmarks.machine import Cores
from tests.benchmarks.process_table import busy_s, processor_s, strangers

_OTHERS_SHARE = 0.05


@contextmanager
def bench(*, apart: bool = True) -> Iterator[tuple[Database, Cores, Path]]:
    """Run PostgreSQL in a folder that is gone afterwards, on the core of the load or, not `apart`, on all cores."""
    cores = Cores.choose()
    with _folder() as folder:
        if apart:
            os.sched_setaffinity(0, {cores.load})
        with database(folder, cores.load if apart else None) as postgres:
            asyncio.run(migrate(postgres, folder))
            yield postgres, cores, folder


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pgl-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, workers and PostgreSQL are other users
        yield folder


@contextmanager
def strangers_seen() -> Iterator[list[str]]:
    """Look who else is at work before and after, and how much meanwhile, and yield notes about it."""
    seen = [f"Before the run: {each}; this distorts the results." for each in strangers(os.getpid())]
    for note in seen:
        click.echo(note, err=True)
    started_s, others_s = time.monotonic(), busy_s() - processor_s(os.getpid())
    yield seen
    share = (busy_s() - processor_s(os.getpid()) - others_s) / (time.monotonic() - started_s)
    if share > _OTHERS_SHARE:
        seen.append(f"During the run others took {share:.0%} of a core; this distorts the results.")
    seen.extend(f"After the run: {each}; this distorts the results." for each in strangers(os.getpid()))


@contextmanager
def strangers_printed() -> Iterator[None]:
    """Print the notes of `strangers_seen` at the end."""
    with strangers_seen() as seen:
        yield
    print_notes(seen)


def print_notes(notes: Sequence[str]) -> None:
    """Print notes."""
    for note in notes:
        click.echo(note)
