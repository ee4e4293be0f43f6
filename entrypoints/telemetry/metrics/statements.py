"""What is counted of statements in the database."""

from collections.abc import Iterator

from entrypoints.telemetry.metrics.instruments import Counts, Distributions
from entrypoints.telemetry.metrics.samples import Reading, counter, histogram

DURATIONS = histogram(
    "pglambda_db_statement_duration_seconds",
    "Time that SQL statements took on their connection, failed ones included.",
    "statement",
    bounds=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
ERRORS = counter(
    "pglambda_db_statement_errors_total",
    "SQL statements that failed, by SQLSTATE class; deadline: no reply in time; driver: a fault of the driver.",
    "statement",
    "sqlstate_class",
)


class StatementMetrics:
    """Is told of every statement that has ended."""

    def __init__(self) -> None:
        self._durations = Distributions(DURATIONS)
        self._errors = Counts(ERRORS)

    def ended(self, statement: str, duration_s: float, failure: str | None) -> None:
        """Take note of a statement by name, and of the class of its failure, if it failed."""
        self._durations.add(duration_s, statement)
        if failure is not None:
            self._errors.add(statement, failure)

    def read(self) -> Iterator[Reading]:
        """Yield the present figures."""
        yield self._durations.reading()
        yield self._errors.reading()
