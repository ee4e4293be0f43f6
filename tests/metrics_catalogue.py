"""Every metric that the processes of a service have, as they are wired; nothing is opened or connected."""

import tempfile
from pathlib import Path

from entrypoints.composition.controller import create_controller
from entrypoints.composition.runtime_host import create_runtime_host
from entrypoints.server.metrics import SupervisorMetrics
from entrypoints.settings.loading import load_settings
from entrypoints.telemetry.metrics.connections import ConnectionMetrics
from entrypoints.telemetry.metrics.multiprocess import Siblings
from entrypoints.telemetry.metrics.registry import Registry
from entrypoints.telemetry.metrics.samples import Family, Reading
from entrypoints.telemetry.metrics.scrape import UP

COMMON = {"process", "job", "instance"}
"""Labels that every sample has: ours, and those of a scrape."""


def families() -> dict[str, Family]:
    """Return the families by name, in the order in which they are told."""
    return {family.name: family for family in (*(reading.family for reading in readings()), UP)}


def readings() -> list[Reading]:
    """Return what is told before anything has happened."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings({"DATABASE_URL": "postgresql:///none", "DATA_DIR": str(Path(folder) / "data")})
        registries = (
            create_controller(settings).scrape.registry,
            create_runtime_host(settings).scrape.registry,
            _of_supervisor(folder),
        )
        told = [reading for registry in registries for reading in registry.read()]
        return [*told, *ConnectionMetrics(lambda: 0, 1, lambda: 0).read()]


def _of_supervisor(folder: str) -> Registry:
    return SupervisorMetrics(Siblings(folder, "supervisor", ()), None, list).registry
