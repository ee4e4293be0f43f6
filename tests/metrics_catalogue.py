"""Every metric of the processes of a service, as the composition wires them; nothing is opened or connected."""

import tempfile
from pathlib import Path

from prometheus_client.core import Metric

from entrypoints.composition.controller import create_controller
from entrypoints.composition.runtime_host import create_runtime_host
from entrypoints.server.metrics import SupervisorMetrics
from entrypoints.settings.loading import load_settings
from entrypoints.telemetry.metrics.connections import ConnectionMetrics
from entrypoints.telemetry.metrics.instruments import Family, FamilyMetric
from entrypoints.telemetry.metrics.scrape import UP
from entrypoints.telemetry.siblings import Siblings

COMMON = {"process", "job", "instance"}
"""Labels of every sample: ours, and those of a scrape."""


def families() -> dict[str, Family]:
    """Return the families by name, in the order of the exposition."""
    return {family.name: family for family in (*map(family_of, metrics()), UP)}


def family_of(metric: Metric) -> Family:
    """Return the declaration of a metric; those of prometheus_client itself have no labels."""
    if isinstance(metric, FamilyMetric):
        return metric.family
    return Family(metric.samples[0].name, metric.type, metric.documentation)


def metrics() -> list[Metric]:
    """Return what the processes expose before anything has happened."""
    with tempfile.TemporaryDirectory() as folder:
        origin = {"ORIGIN_PORT": "8081", "ORIGIN_URL": "http://none"}
        hosts = {"RUNTIME_HOST_NETWORKS": "10.0.0.0/8", "RUNTIME_TOKEN": "none"}
        given = {"DATABASE_URL": "postgresql:///none", "DATA_DIR": str(Path(folder) / "data"), **origin, **hosts}
        settings = load_settings(given)
        registries = (
            create_controller(settings).scrape.registry,
            create_runtime_host(settings).scrape.registry,
            SupervisorMetrics(Siblings(folder, "supervisor", ()), None, list).registry,
        )
        found = [metric for registry in registries for metric in registry.collect()]
        return [*found, *ConnectionMetrics(lambda: 0, 1, lambda: 0).collect()]
