"""The use case of calls by name: a function is executed in a hidden session of its caller."""

from functools import partial
from uuid import UUID

from attrs import frozen

from domain.errors import StorageUnavailable
from domain.executions.execution import Executed, Execution
from domain.executions.function_sessions import FunctionSessions
from domain.executions.ports import ExecutionFilter, ExecutionRepository
from domain.executions.service import ExecutionService
from domain.files.asked import AskedFiles
from domain.idempotency import IdempotencyKey
from domain.identity import Owner
from domain.json_text import JsonText
from domain.paging import Page


@frozen
class FunctionCalls:
    """Executes functions by name, and reads the history of these calls. Names are those of FunctionSessions.

    Every method may raise InvalidLanguageTitle or LanguageNotServed, FunctionNotFound, StorageUnavailable or
    Overloaded.
    """

    _sessions: FunctionSessions
    _service: ExecutionService
    _executions: ExecutionRepository

    async def execute(
        self,
        owner: Owner,
        name: str,
        params: JsonText,
        idempotency_key: IdempotencyKey | None = None,
        files: AskedFiles | None = None,
    ) -> Executed:
        """Run the function once with `params`: the owner's own, or else the shared one.

        A version that was registered before the call is used by it. An idempotency key belongs to the owner and the
        function, whatever version the first call with it ran. Raises FunctionVersionNotFound, QuotaReached, what
        ExecutionService.execute raises of a session that lives, or UpdateConflict if the session is closed again and
        again meanwhile.
        """
        budget, lookup = self._sessions.budget(), self._sessions.lookup(owner, name)
        if lookup.version is None and idempotency_key is None:
            run = partial(self._service.execute, params=params, budget=budget, current_only=True, files=files)
            return await self._sessions.in_current(lookup, budget, run)
        keyed = partial(
            self._service.execute, params=params, idempotency_key=idempotency_key, budget=budget, files=files
        )
        return await self._sessions.in_exact(lookup, idempotency_key, budget, keyed)

    async def history(
        self, owner: Owner, name: str, after: UUID | None, size: int, wanted: ExecutionFilter
    ) -> Page[Execution]:
        """Return a page of the owner's calls of a function by name, of all versions or of the one that is named.

        Calls of a hidden session that was closed or removed are not listed. A deactivated function has its history too.
        """
        budget = self._sessions.budget()
        refs = await self._sessions.of(owner, name, budget)
        reading = self._executions.page_of(owner, [ref.session_id for ref in refs], after, size, wanted)
        return await budget.spend(reading, StorageUnavailable)
