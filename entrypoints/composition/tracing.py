"""How requests are traced."""

from entrypoints.settings.settings import Settings, Traces
from entrypoints.telemetry.tracing.passing import Passing
from entrypoints.telemetry.tracing.trace import Tracing


def tracing_of(settings: Settings) -> Tracing:
    """Return what the setting asks for; what records traces is imported only where they are recorded."""
    if settings.traces is Traces.NONE:
        return Passing()
    from entrypoints.telemetry.tracing.otel import exporting  # noqa: PLC0415  # its packages are an extra

    return exporting()
