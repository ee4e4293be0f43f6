"""What is counted of executions."""

from collections.abc import Iterator

from domain.errors import DomainError
from domain.scripts.language import Language
from domain.scripts.report import Outcome, ScriptReport
from entrypoints.telemetry.metrics.instruments import Counts, Distributions
from entrypoints.telemetry.metrics.samples import Reading, Sample, counter, histogram

_RUN_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_WAIT_BOUNDS = (0.0001, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class ExecutionMetrics:
    """Is told how each run ended, and of each that no worker took; all names begin with `prefix`."""

    def __init__(self, prefix: str = "pglambda") -> None:
        self._ended = Counts(
            counter(
                f"{prefix}_executions_total",
                "Executions that reached a worker. The code names the error of a failed one; else it is empty.",
                "language",
                "outcome",
                "code",
            )
        )
        for language in Language:
            self._ended.tell(language, Outcome.UNKNOWN, "")
        self._refused = Counts(
            counter(
                f"{prefix}_execution_rejections_total",
                "Executions that no worker accepted, by error code. No script was started.",
                "language",
                "code",
            )
        )
        self._cold = Counts(
            counter(
                f"{prefix}_execution_cold_starts_total",
                "Executions that ran on a worker that was new to their session.",
                "language",
            )
        )
        self._runs = Distributions(
            histogram(
                f"{prefix}_execution_duration_seconds",
                "Wall time of scripts, without the wait for a worker.",
                "language",
                bounds=_RUN_BOUNDS,
            )
        )
        self._waits = Distributions(
            histogram(
                f"{prefix}_execution_queue_duration_seconds",
                "Time that executions waited for a worker.",
                "language",
                bounds=_WAIT_BOUNDS,
            )
        )
        self._cpu = counter(f"{prefix}_execution_cpu_seconds_total", "CPU time of scripts.", "language")
        self._cpu_s = dict.fromkeys(Language, 0.0)

    def ended(self, language: Language, report: ScriptReport) -> None:
        """Take note of a run that has come to its end."""
        self._ended.add(language, report.outcome, report.failure.code if report.failure else "")
        self._runs.add(report.execution_time_ms / 1000, language)
        if report.queue_time_ms is not None:
            self._waits.add(report.queue_time_ms / 1000, language)
        if report.cpu_time_ms is not None:
            self._cpu_s[language] += report.cpu_time_ms / 1000
        if report.cold_start:
            self._cold.add(language)

    def lost(self, language: Language) -> None:
        """Take note of a run whose end nobody knows."""
        self._ended.add(language, Outcome.UNKNOWN, "")

    def refused(self, language: Language, error: DomainError) -> None:
        """Take note of a run that was not started."""
        self._refused.add(language, error.code)

    def read(self) -> Iterator[Reading]:
        """Yield the present figures."""
        for each in (self._ended, self._refused, self._cold, self._runs, self._waits):
            yield each.reading()
        yield Reading(self._cpu, [Sample((language,), used_s) for language, used_s in self._cpu_s.items()])
