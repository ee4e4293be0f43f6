"""What a run is given by the grants of its session."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, evolve, frozen

from domain.egress.rule import EgressRule
from domain.executions.execution import Executed, OpenExecution
from domain.grants.ceilings import EgressCeilings
from domain.grants.grants import GrantsUnknown
from domain.grants.state import SaveOn, StateMode
from domain.scripts.ports import RunState
from domain.states.slots import StateSlots
from domain.states.state import SlotClaim


@frozen
class RunMeans:
    """What one run is given: the rules of its network, and the state of its session."""

    network: tuple[EgressRule, ...] = ()
    state: RunState | None = None


NO_MEANS = RunMeans()
"""Of a run whose session has no grants."""


@define(eq=False)
class Means:
    """Collects what the grants of a session name, for one run at a time."""

    _egress: EgressCeilings
    _states: StateSlots

    @asynccontextmanager
    async def given(self, execution: OpenExecution, slot_wait_s: float | None) -> AsyncIterator[RunMeans]:
        """Yield what the run is given, and hold its state's slot meanwhile; the rules are judged for the present owner.

        Raises:
            GrantsUnknown: the session has grants of a later release.
            EgressNotAllowed: the owner may no longer reach a host.
            StateTaken: another execution holds the slot for longer than `slot_wait_s`, by default QUEUE_TIMEOUT_MS.
            SessionNotFound, Overloaded, StorageUnavailable: the state cannot be read.
        """
        grants = execution.session.grants
        network: tuple[EgressRule, ...] = ()
        assert grants is not None, "a session without grants has no means"
        if grants.unknown:
            raise GrantsUnknown(grants.unknown)
        if grants.network is not None:
            network = grants.network.allow
            await self._egress.require(execution.ref.owner, network)
        if grants.state is None:
            yield RunMeans(network)
        elif grants.state.mode is StateMode.SHARED:
            read = await self._states.read(execution.ref)
            yield RunMeans(network, RunState(read.text, read.version, is_shared=True))
        else:
            claim = SlotClaim(execution.ref, execution.execution_id, execution.deadline_at)
            async with self._states.hold(claim, slot_wait_s) as held:
                saves_failures = grants.state.save_on is SaveOn.ALWAYS
                yield RunMeans(network, RunState(held.text, held.version, saves_failures=saves_failures))

    def used(self, executed: Executed, means: RunMeans) -> Executed:
        """Return the execution with the version of the state that it left, and count what it saved."""
        if means.state is None:
            return executed
        saved = executed.report.state
        if saved is not None:
            self._states.stats.sizes.add(len(saved))
        return evolve(executed, state_version=means.state.version + (saved is not None))

    def state_was_lost(self) -> None:
        """Count a run whose state another one replaced before it ended."""
        self._states.stats.lost += 1
