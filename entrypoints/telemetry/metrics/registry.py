"""Everything that one process can tell of itself in figures."""

from collections.abc import Callable, Iterable

from entrypoints.telemetry.metrics.samples import Reading

Source = Callable[[], Iterable[Reading]]
"""Tells present figures; it is asked when somebody wants to know, and never waits."""


class Registry:
    """Asks its sources in the order in which they were added."""

    def __init__(self, *sources: Source) -> None:
        self._sources = list(sources)

    def add(self, source: Source) -> None:
        """Ask this one too."""
        self._sources.append(source)

    def read(self) -> list[Reading]:
        """Return what all sources tell."""
        return [reading for source in self._sources for reading in source()]
