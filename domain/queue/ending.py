"""What follows the end of an attempt."""

from domain.clock import IdGenerator, Jitter
from domain.executions.execution import FinishedExecution
from domain.queue.entry import Entry, RetryCause


def following(finished: FinishedExecution, entry: Entry, ids: IdGenerator, jitter: Jitter) -> Entry | None:
    """Return the next attempt after this end, None if there is none.

    It expires with the entry: retries do not prolong what the caller asked for.
    """
    failure = finished.report.failure
    cause = None if failure is None else RetryCause.of(failure.code)
    pause = entry.options.retry.pause_after(entry.attempt, cause, jitter)
    if pause is None or finished.finished_at + pause >= entry.window.expires_at:
        return None
    return entry.next_attempt(ids.new(finished.finished_at, entry.ref.session_id), pause)
