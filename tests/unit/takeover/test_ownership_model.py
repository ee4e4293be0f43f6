"""Sessions move between the two sides while processes are killed between any two transactions."""

from datetime import timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.takeover.moving import Progress
from domain.takeover.ownership import Direction
from tests.unit.takeover.world import SETTLE, OriginRow, Process, World, inbound_of

SESSIONS = [UUID(int=number << 120 | 0x4 << 76 | 0b10 << 62 | 0xA00) for number in range(1, 5)]
ODD = SESSIONS[-1]
LIFETIME = timedelta(hours=3)


class OwnershipModel(RuleBasedStateMachine):
    """No session ever has two owners, no call of a live one is answered with 404, and every execution counts once."""

    @initialize()
    def make_sessions(self) -> None:
        self.world = World()
        now = self.world.clock.now()
        for session_id in SESSIONS:
            self.world.origin.rows[session_id] = OriginRow(now, now + LIFETIME, is_odd=session_id == ODD)
        self.processes: list[Process] = []
        self.calls: list[tuple[UUID, Process]] = []

    @rule(session_id=st.sampled_from(SESSIONS))
    def copy(self, session_id: UUID) -> None:
        row = self.world.origin.rows[session_id]
        if self.world.origin.serves(session_id) and not row.is_odd:
            self._start("copy", self.world.store.receive([inbound_of(session_id, row)], "copy", Progress()))
            self.processes[-1].finish()

    @rule(size=st.integers(1, 3))
    def start_command(self, size: int) -> None:
        here = self.world.direction is Direction.HERE
        self._start("command", self.world.adopt(size) if here else self.world.back(size))

    @rule(session_id=st.sampled_from(SESSIONS))
    def touch(self, session_id: UUID) -> None:
        self._start("touch", self.world.mover.settle([session_id], self.world.direction))

    @rule()
    def start_sweep(self) -> None:
        self._start("sweep", self.world.sweep(2))

    @rule(session_id=st.sampled_from(SESSIONS))
    def start_call(self, session_id: UUID) -> None:
        self.calls.append((session_id, Process("call", self.world.call(session_id))))

    @precondition(lambda self: self.processes)
    @rule(data=st.data(), turns=st.integers(1, 12))
    def run_process(self, data: st.DataObject, turns: int) -> None:
        process = data.draw(st.sampled_from(self.processes))
        for _ in range(turns):
            if process.is_running:
                process.turn()
                self.check_owners()

    @precondition(lambda self: self.processes)
    @rule(data=st.data())
    def kill_process(self, data: st.DataObject) -> None:
        process = data.draw(st.sampled_from(self.processes))
        process.kill()
        self.processes.remove(process)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), turns=st.integers(1, 12))
    def run_call(self, data: st.DataObject, turns: int) -> None:
        session_id, process = data.draw(st.sampled_from(self.calls))
        for _ in range(turns):
            if process.is_running:
                process.turn()
                self.check_owners()
        self._judge(session_id, process)

    @precondition(lambda self: self.world.executing_here)
    @rule(data=st.data())
    def finish_here(self, data: st.DataObject) -> None:
        self.world.finish_here(data.draw(st.sampled_from(self.world.executing_here)))

    @precondition(lambda self: self.world.executing_there)
    @rule(data=st.data())
    def finish_there(self, data: st.DataObject) -> None:
        self.world.finish_there(data.draw(st.sampled_from(sorted(self.world.executing_there))))

    @rule(seconds=st.sampled_from([1, 60, 151]))
    def pass_time(self, seconds: int) -> None:
        """The origin ends every execution within the settle time."""
        span = timedelta(seconds=seconds)
        for session_id, (_, started_at) in list(self.world.executing_there.items()):
            if self.world.clock.now() + span - started_at >= SETTLE:
                self.world.finish_there(session_id)
        self.world.clock.advance(span)

    @rule()
    def turn_around(self) -> None:
        """Commands of the other direction have ended, and calls that know the stage before have too."""
        self._quiet()
        here = self.world.direction is Direction.HERE
        self.world.direction = Direction.THERE if here else Direction.HERE

    @invariant()
    def check_owners(self) -> None:
        for session_id in SESSIONS:
            assert len(self.world.owners(session_id)) <= 1, "two owners"

    def teardown(self) -> None:
        self._quiet()
        for execution in list(self.world.executing_here):
            self.world.finish_here(execution)
        for session_id in list(self.world.executing_there):
            self.world.finish_there(session_id)
        self.world.clock.advance(SETTLE)
        Process("sweep", self.world.sweep(2)).finish()
        if self.world.origin.rows[ODD].created_at + LIFETIME <= self.world.clock.now() + 5 * SETTLE:
            return
        self._run_all()
        self._check_end()
        for direction in (Direction.HERE, Direction.THERE, Direction.HERE):
            self.world.direction = direction
            self._run_all()
            self._check_end()

    def _run_all(self) -> None:
        """Run the command to its end, beside an execution of each session that is served here."""
        if self.world.direction is Direction.HERE:
            works = [self.world.adopt(2)]
        else:
            self.calls = [(each, Process("call", self.world.call(each))) for each in SESSIONS]
            self._quiet()
            Process("command", self.world.back(2)).finish()
            works = [self.world.back(2)]
        for execution in list(self.world.executing_here):
            self.world.finish_here(execution)
        for session_id in list(self.world.executing_there):
            self.world.finish_there(session_id)
        for work in works:
            Process("command", work).finish()
        self.world.clock.advance(SETTLE)
        Process("sweep", self.world.sweep(2)).finish()

    def _check_end(self) -> None:
        for session_id in SESSIONS:
            here = self.world.direction is Direction.HERE and session_id != ODD
            assert self.world.owners(session_id) == ["here" if here else "there"]
            row = self.world.origin.rows[session_id]
            count = self.world.memory.sessions[session_id].execution_count if here else row.count
            assert count == self.world.acknowledged.get(session_id, 0)

    def _quiet(self) -> None:
        for process in self.processes:
            process.kill()
        self.processes.clear()
        for session_id, process in self.calls:
            process.finish()
            self._judge(session_id, process)
        self.calls.clear()

    def _judge(self, session_id: UUID, process: Process) -> None:
        is_live = self.world.origin.rows[session_id].created_at + LIFETIME > self.world.clock.now()
        assert process.result != "404" or not is_live, "a live session was answered with 404"

    def _start(self, name: str, work: object) -> None:
        self.processes.append(Process(name, work))


TestOwnership = OwnershipModel.TestCase
TestOwnership.settings = settings(stateful_step_count=60)
