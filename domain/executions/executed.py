"""An execution that has ended and was counted, as its caller is told of it."""

from uuid import UUID

from attrs import frozen

from domain.executions.execution import ExecutionFailed
from domain.identity import SessionRef
from domain.scripts.language import LanguageTitle
from domain.scripts.report import ScriptReport


@frozen
class Executed:
    """The session's key and title, what came out, and the session's count with it.

    `replayed` says that it is told again, to a call that repeats one with the same idempotency key.
    """

    ref: SessionRef
    execution_id: UUID
    language_title: LanguageTitle
    report: ScriptReport
    execution_count: int
    replayed: bool = False

    def require_success(self) -> "Executed":
        """Return it; raises ExecutionFailed when the script has failed."""
        failure = self.report.failure
        if failure is None:
            return self
        raise ExecutionFailed(
            self.ref.session_id, self.execution_id, self.execution_count, self.report, failure, self.replayed
        )
