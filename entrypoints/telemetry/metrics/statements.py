"""Metrics of SQL statements."""

from entrypoints.telemetry.metrics.instruments import Collectors, Counts, Histograms, counter, histogram

_DURATIONS = histogram(
    "pglambda_db_statement_duration_seconds",
    "Time that SQL statements took on their connection, failed ones included.",
    "statement",
    bounds=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
_ERRORS = counter(
    "pglambda_db_statement_errors_total",
    "SQL statements that failed, by SQLSTATE class; deadline: no reply in time; driver: a fault of the driver.",
    "statement",
    "sqlstate_class",
)


class StatementMetrics(Collectors):
    """Measures statements by name, and counts those that failed."""

    def __init__(self) -> None:
        self._durations = Histograms(_DURATIONS)
        self._errors = Counts(_ERRORS)
        super().__init__(self._durations, self._errors)

    def ended(self, statement: str, duration_s: float, failure: str | None) -> None:
        """Count a statement by name, with the class of its failure or None."""
        self._durations.add(duration_s, statement)
        if failure is not None:
            self._errors.add(statement, failure)
