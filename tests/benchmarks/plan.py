"""What is measured, in which order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from itertools import cycle
from pathlib import Path

from attrs import define, evolve, field

from tests.benchmarks import callers, executions, http_runs, peer, pgbench, requests, servers, starts, watched
from tests.benchmarks.database import Database
from tests.benchmarks.http_runs import Case, Contender, Times
from tests.benchmarks.machine import Cores
from tests.benchmarks.measurement import Measurement
from tests.benchmarks.names import (
    BARE,
    COUNT,
    EXPRESS,
    GET,
    INITIALIZE,
    NEW_SCRIPTS,
    PATCH,
    PGLAMBDA,
    PGLAMBDA_REMOTE,
    PGLAMBDA_WATCHED,
    PLAIN,
    POST_BESIDE,
    SAME_SCRIPT,
    WARM,
)
from tests.benchmarks.queues import Queues, QueueScope
from tests.benchmarks.servers import NotServing, Program, Server
from tests.benchmarks.sessions import SessionSet
from tests.benchmarks.stages import Scope, Stage, Step, no_server

Loads = Mapping[str, Callable[[], Iterator[bytes]]]

_LANGUAGES = ("python", "nodejs")


@define(eq=False)
class Plan:
    """Makes the stages, and keeps what is found beside the measurements."""

    database: Database
    cores: Cores
    folder: Path
    scope: Scope
    queue: QueueScope
    notes: list[str] = field(factory=list)
    hot_share: float | None = None
    private_mib: dict[str, float] = field(factory=dict)

    def stages(self) -> Iterator[Stage]:
        """Yield the stages in order."""
        for size in self.scope.sizes:
            sessions = SessionSet(size)
            if size in self.scope.sizes_peers:
                yield self._filling(sessions)
                yield self._pgbench(sessions)
                yield self._express(sessions)
                yield self._plain(sessions)
                yield self._comparison(sessions)
            yield self._filling(sessions)
            yield self._pglambda(sessions)
        yield self._filling(SessionSet(self.scope.sizes[0]))
        yield from (self._executions(language) for language in _LANGUAGES)
        yield self._remote_executions()
        yield from Queues(self.database, self.cores, self.folder, self.scope.times, self.queue, self.notes).stages()
        serving = partial(servers.serving, self._program(), None)
        yield from starts.stages(serving, self.database.pid, self.scope.times.measured_s, self.private_mib)

    def _comparison(self, sessions: SessionSet) -> Stage:
        steps = [
            Step(
                f"all in turns: get and initialize, {connections} connections, {sessions.count:,} sessions",
                partial(self._compare, sessions, connections),
            )
            for connections in self.scope.connections_peers
        ]
        return Stage(no_server, steps)

    def _compare(self, sessions: SessionSet, connections: int, _: Server) -> Sequence[Measurement]:
        """Measure what is compared with others, with all of them there at once."""
        known = SessionSet(sessions.count, owner=watched.CALLER)
        self._fill(sessions)
        for _rows in self.database.add(known):
            pass
        with ExitStack() as stack:
            there = self._rivals(stack, sessions)
            watching = partial(servers.pglambda, self.database.url, self.folder / "watched", **watched.SETTINGS)
            there[PGLAMBDA_WATCHED] = stack.enter_context(self._serving(watching))
            reads = {
                BARE: requests.gets(sessions),
                PLAIN: requests.gets(sessions),
                EXPRESS: requests.express_gets(sessions),
                PGLAMBDA: requests.gets(sessions),
                PGLAMBDA_WATCHED: requests.gets(known, **watched.bearer(known.owner)),
            }
            creations = {
                BARE: requests.initializes(),
                PLAIN: requests.initializes(),
                EXPRESS: requests.express_creates(),
                PGLAMBDA: requests.initializes(),
            }
            with watched.scraped(there[PGLAMBDA_WATCHED].url):
                got = self._in_turns(GET, connections, sessions, there, reads)
            return [*got, *self._in_turns(INITIALIZE, connections, sessions, there, creations)]

    def _rivals(self, stack: ExitStack, sessions: SessionSet) -> dict[str, Server]:
        """Start all servers; the stage that measures a peer alone reports a missing one."""
        programs = {BARE: servers.bare, PLAIN: partial(servers.plain, self.database.url), PGLAMBDA: self._program}
        there = {system: stack.enter_context(self._serving(program)) for system, program in programs.items()}
        with suppress(NotServing):
            there[EXPRESS] = stack.enter_context(self._serving_express(sessions))
        return there

    def _in_turns(
        self,
        operation: str,
        connections: int,
        sessions: SessionSet,
        there: Mapping[str, Server],
        loads: Mapping[str, Iterator[bytes]],
    ) -> Sequence[Measurement]:
        contenders = [
            Contender(Case(system, operation, connections, sessions.count), there[system], load)
            for system, load in loads.items()
            if system in there
        ]
        return http_runs.in_turns(contenders, self.database.pid, self.scope.times)

    def _plain(self, sessions: SessionSet) -> Stage:
        loads: Loads = {
            PATCH: partial(requests.patches, sessions),
            COUNT: partial(requests.counts, sessions),
        }
        program = partial(servers.plain, self.database.url)
        return Stage(partial(self._serving, program), list(self._peer_steps(PLAIN, sessions, loads)))

    def _express(self, sessions: SessionSet) -> Stage:
        loads: Loads = {
            PATCH: partial(requests.express_patches, sessions),
            COUNT: partial(requests.express_counts, sessions),
        }
        return Stage(partial(self._serving_express, sessions), list(self._peer_steps(EXPRESS, sessions, loads)))

    def _peer_steps(self, system: str, sessions: SessionSet, loads: Loads) -> Iterator[Step]:
        for connections in self.scope.connections_peers:
            for operation, load in loads.items():
                yield self._http(Case(system, operation, connections, sessions.count), load)

    def _pgbench(self, sessions: SessionSet) -> Stage:
        steps = [
            Step(
                f"pgbench: {operation}, {clients} clients, {sessions.count:,} sessions",
                self._pgbench_work(operation, script, clients, sessions),
            )
            for clients in self.scope.connections_peers
            for operation, script in pgbench.scripts(sessions).items()
        ]
        return Stage(no_server, steps)

    def _pgbench_work(
        self, operation: str, script: str, clients: int, sessions: SessionSet
    ) -> Callable[[Server], Sequence[Measurement]]:
        seconds = round(self.scope.times.warmup_s + self.scope.times.measured_s)

        def work(_: Server) -> Sequence[Measurement]:
            return [
                pgbench.run(
                    self.database,
                    (operation, script),
                    clients=clients,
                    sessions=sessions,
                    core=self.cores.server,
                    seconds=seconds,
                )
            ]

        return work

    def _pglambda(self, sessions: SessionSet) -> Stage:
        scope, count = self.scope, sessions.count
        all_connections = scope.connections_small if count == scope.sizes[0] else scope.connections_large
        loads: Loads = {
            GET: partial(requests.gets, sessions),
            PATCH: partial(requests.patches, sessions),
            INITIALIZE: requests.initializes,
        }
        steps = {
            operation: [
                self._http(Case(PGLAMBDA, operation, each, count), load)
                for each in all_connections
                if operation == PATCH or not self._is_compared(count, each)
            ]
            for operation, load in loads.items()
        }
        inner = [
            Step(f"pglambda: begin and finish, {each} callers, {count:,} sessions", self._callers(sessions, each))
            for each in all_connections
        ]
        once = [self._new_scripts(language) for language in _LANGUAGES] if count == scope.sizes[0] else []
        return Stage(
            partial(self._serving, self._program), [*steps[GET], *inner, *steps[PATCH], *steps[INITIALIZE], *once]
        )

    def _new_scripts(self, language: str) -> Step:
        """Initialize with new scripts, in turns with one script that the service knows."""
        loads = {
            NEW_SCRIPTS[language]: requests.initializes_of_new_scripts(language),
            SAME_SCRIPT[language]: cycle([requests.initialize(language)]),
        }

        def work(server: Server) -> Sequence[Measurement]:
            connections = self.scope.connections
            contenders = [Contender(Case(PGLAMBDA, name, connections, 0), server, load) for name, load in loads.items()]
            return http_runs.in_turns(contenders, self.database.pid, self.scope.times)

        return Step(f"pglambda: {NEW_SCRIPTS[language]}, in turns with one script", work)

    def _is_compared(self, count: int, connections: int) -> bool:
        """Whether reads and creations were measured beside those of others."""
        return count in self.scope.sizes_peers and connections in self.scope.connections_peers

    def _callers(self, sessions: SessionSet, count: int) -> Callable[[Server], Sequence[Measurement]]:
        times_s = (self.scope.times.warmup_s, self.scope.times.measured_s)

        def work(_: Server) -> Sequence[Measurement]:
            before = self.database.row_updates()
            measured = callers.run(self.database, sessions, count, self.cores.server, times_s)
            if (count, sessions.count) == (self.scope.connections, self.scope.sizes[0]):
                self.hot_share = self.database.row_updates().share_since(before)
            return measured

        return work

    def _executions(self, language: str) -> Stage:
        return Stage(
            partial(self._serving, self._program),
            [
                self._warm_beside_bare(language),
                self._warm(PGLAMBDA, language, executions.CROWDED_SESSIONS),
            ],
        )

    def _remote_executions(self) -> Stage:
        return Stage(self._serving_remote, [self._warm(PGLAMBDA_REMOTE, language) for language in _LANGUAGES])

    @property
    def _warm_times(self) -> Times:
        """Each of the interpreters is warm after some hundred executions, not only the service."""
        return evolve(self.scope.times, warmup_s=self.scope.times.warmup_s * 4)

    def _warm(self, system: str, language: str, sessions: int = executions.WARM_SESSIONS) -> Step:
        case = Case(system, WARM[language], self.scope.connections, sessions)

        def work(server: Server) -> Sequence[Measurement]:
            return [http_runs.run(executions.warm(server, case, language), self.database.pid, self._warm_times)]

        return Step(f"{system}: {case.operation}, {sessions} sessions", work)

    def _warm_beside_bare(self, language: str) -> Step:
        case = Case(PGLAMBDA, WARM[language], self.scope.connections, executions.WARM_SESSIONS)
        bare_case = Case(BARE, POST_BESIDE[language], self.scope.connections, 0)

        def work(server: Server) -> Sequence[Measurement]:
            with self._serving(servers.bare) as bare:
                rivals = [
                    Contender(bare_case, bare, requests.initializes()),
                    executions.warm(server, case, language),
                ]
                return http_runs.in_turns(rivals, self.database.pid, self._warm_times)

        return Step(f"in turns with bare Starlette: {case.operation}", work)

    def _fill(self, sessions: SessionSet) -> None:
        for _rows in self.database.fill(sessions):
            pass

    def _filling(self, sessions: SessionSet) -> Stage:
        def work(_: Server) -> Sequence[Measurement]:
            self._fill(sessions)
            return ()

        return Stage(no_server, [Step(f"filling in {sessions.count:,} sessions", work)])

    def _http(self, case: Case, load: Callable[[], Iterator[bytes]]) -> Step:
        def work(server: Server) -> Sequence[Measurement]:
            return [http_runs.run(Contender(case, server, load()), self.database.pid, self.scope.times)]

        return self._step(case, work)

    @staticmethod
    def _step(case: Case, work: Callable[[Server], Sequence[Measurement]]) -> Step:
        among = f", {case.sessions:,} sessions" if case.sessions else ""
        return Step(f"{case.system}: {case.operation}, {case.connections} connections{among}", work)

    def _program(self) -> Program:
        return servers.pglambda(self.database.url, self.folder / "service")

    def _serving(self, program: Callable[[], Program]) -> AbstractContextManager[Server]:
        return servers.serving(program(), self.cores.server)

    @contextmanager
    def _serving_express(self, sessions: SessionSet) -> Iterator[Server]:
        with servers.express(peer.environment(self.database)) as program:
            peer.fill(self.database, sessions)
            with servers.serving(program, self.cores.server) as server:
                yield server

    @contextmanager
    def _serving_remote(self) -> Iterator[Server]:
        with ExitStack() as stack:
            host = stack.enter_context(servers.serving(servers.runtime_host(self.folder / "host"), self.cores.server))
            urls = {"NODEJS_RUNTIME_URL": host.url, "PYTHON_RUNTIME_URL": host.url}
            program = servers.pglambda(self.database.url, self.folder / "service", **urls)
            yield stack.enter_context(servers.serving(program, self.cores.server))
