"""What a run is given by the grants of its session."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from attrs import define, evolve, frozen

from domain.egress.endpoints import NamedEndpoint
from domain.egress.rule import EgressRule
from domain.environments.catalog import EnvironmentCatalog
from domain.executions.execution import Executed, OpenExecution
from domain.files.asked import AskedFiles, no_files
from domain.files.file import LeftBy, StoredFile
from domain.files.left import LeftFiles
from domain.files.run import NO_FILES, FilesOfRuns, PreparedFiles
from domain.grants.ceilings import EgressCeilings
from domain.grants.environment import EnvironmentGrant
from domain.grants.files import FilesGrant
from domain.grants.grants import Grants, GrantsUnknown
from domain.grants.state import SaveOn, StateGrant, StateMode
from domain.identity import Owner
from domain.scripts.environment import Environment
from domain.scripts.files import RunFiles
from domain.scripts.output import OutputListener
from domain.scripts.ports import RunState
from domain.scripts.report import ScriptReport
from domain.scripts.syntax import Syntax
from domain.secrets.run import RunSecrets
from domain.secrets.values import SecretValues
from domain.states.slots import StateSlots
from domain.states.state import SlotClaim


@frozen
class RunMeans:
    """What one run is given: network rules, state, secrets of its owner, the syntax of its script, packages, files.

    `left` is the sink in `files`, if something is to be collected.
    """

    network: tuple[EgressRule, ...] = ()
    state: RunState | None = None
    secrets: RunSecrets | None = None
    syntax: Syntax | None = None
    environment: Environment | None = None
    files: RunFiles | None = None
    left: LeftFiles | None = None
    guarded: tuple[NamedEndpoint, ...] = ()
    """What belongs to the service at the ports of the network rules."""

    @property
    def secret_values(self) -> Mapping[str, str]:
        """The values of secrets by name."""
        return {} if self.secrets is None else self.secrets.values

    def listening(self, listener: OutputListener | None) -> OutputListener | None:
        """Return what receives the output in the place of this listener."""
        return listener if self.secrets is None else self.secrets.listening(listener)

    async def shown(self, report: ScriptReport) -> ScriptReport:
        """Return the report without the secrets of the run, which has ended, and with the files that it left."""
        shown = report if self.secrets is None else await self.secrets.shown_aside(report)
        return shown if self.left is None else self.left.reported(shown)

    @property
    def stored_files(self) -> tuple[StoredFile, ...]:
        """The files that the run has left, to be completed with its end."""
        return () if self.left is None else tuple(self.left.files.values())


NO_MEANS = RunMeans()
"""Of a run whose session has no grants."""


@define(eq=False)
class Means:
    """Collects what the grants of a session name, for one run at a time."""

    _egress: EgressCeilings
    _states: StateSlots
    _secrets: SecretValues
    _environments: EnvironmentCatalog
    _files: FilesOfRuns

    @asynccontextmanager
    async def given(
        self, execution: OpenExecution, slot_wait_s: float | None, asked: AskedFiles | None = None
    ) -> AsyncIterator[RunMeans]:
        """Yield what the run is given, and hold its state's slot meanwhile; the rules are judged for the present owner.

        Raises:
            GrantsUnknown: the session has grants of a later release.
            EgressNotAllowed: the owner may no longer reach a host.
            EnvironmentNotFound: the owner may no longer use the packages.
            EnvironmentNotReady: the packages are not built for this platform.
            StateTaken: another execution holds the slot for longer than `slot_wait_s`, by default QUEUE_TIMEOUT_MS.
            SecretNotFound, SecretNotAllowed, SecretsUnavailable: the owner's secrets have changed.
            FileNotFound, FileExpired: the owner no longer has a file that the call names.
            InvalidRequest: the call names files, and the session has none, or has too little room for them.
            SessionNotFound, Overloaded, StorageUnavailable: the state, or the rules of the owner, cannot be read.
        """
        grants = execution.session.grants or Grants()
        if grants.unknown:
            raise GrantsUnknown(grants.unknown)
        if grants.network is not None:
            await self._egress.require(execution.ref.owner, grants.network.allow)
        network = () if grants.network is None else grants.network.allow
        environment = await self._environment(execution.ref.owner, grants.environment)
        files = await self._prepared(execution, grants.files, asked)
        async with self._state(execution, grants.state, slot_wait_s) as state:
            # Last: what is refused before counts no use of a secret.
            secrets = await self._given_secrets(execution, grants)
            if secrets is not None and files.left is not None:
                files.left.shown = secrets.shown_text
            syntax, guarded = grants.run_syntax, self._egress.guarded(network)
            try:
                yield RunMeans(network, state, secrets, syntax, environment, files.run, files.left, guarded)
            finally:
                if files.left is not None:
                    files.left.close()

    @asynccontextmanager
    async def _state(
        self, execution: OpenExecution, granted: StateGrant | None, slot_wait_s: float | None
    ) -> AsyncIterator[RunState | None]:
        if granted is None:
            yield None
        elif granted.mode is StateMode.SHARED:
            read = await self._states.read(execution.ref)
            yield RunState(read.text, read.version, is_shared=True)
        else:
            claim = SlotClaim(execution.ref, execution.execution_id, execution.deadline_at)
            async with self._states.hold(claim, slot_wait_s) as held:
                saves, is_repl = granted.save_on is SaveOn.ALWAYS, granted.repl
                yield RunState(held.text, held.version, saves_failures=saves, is_repl=is_repl)

    async def _given_secrets(self, execution: OpenExecution, grants: Grants) -> RunSecrets | None:
        if grants.secrets is None:
            return None
        pinned = execution.session.pinned
        pin = None if pinned is None else pinned.pin
        return RunSecrets(await self._secrets.give(execution.ref.owner, grants.secrets.names, pin))

    async def _prepared(
        self, execution: OpenExecution, granted: FilesGrant | None, asked: AskedFiles | None
    ) -> PreparedFiles:
        if granted is None:
            if asked is not None:
                raise no_files()
            return NO_FILES
        assert granted.size_mb is not None, "a session is pinned to a size"
        by = LeftBy(execution.ref, execution.execution_id, execution.deadline_at)
        return await self._files.prepared(by, granted.size_mb, asked)

    async def _environment(self, owner: Owner, granted: EnvironmentGrant | None) -> Environment | None:
        if granted is None:
            return None
        assert granted.version is not None, "a session is pinned to a version"
        return await self._environments.find(owner, granted.name, granted.version)

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
