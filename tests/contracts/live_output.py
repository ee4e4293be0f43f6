"""The contract of LiveOutputStore."""

from abc import ABC, abstractmethod
from typing import Any

import pytest

from domain.executions.execution import OpenExecution
from domain.live.events import LiveState, OutputPart, OutputPiece
from domain.live.ports import LiveOutputStore
from domain.live.position import OutputStream, Position
from domain.scripts.output import ScriptProgress
from tests.contracts.storage import ALICE, Storage

START = Position()
FIRST, SECOND = 'a "ä"\n', "{\\} é\n"


def part_of(
    execution: OpenExecution,
    number: int,
    stdout: tuple[int, str] = (0, ""),
    stderr: tuple[int, str] = (0, ""),
    **more: Any,
) -> OutputPart:
    out, err = OutputPiece(OutputStream.STDOUT, *stdout), OutputPiece(OutputStream.STDERR, *stderr)
    return OutputPart(execution.ref.session_id, execution.execution_id, number, out, err, **more)


def texts(state: LiveState[Any]) -> tuple[str, str]:
    return bytes(state.stdout.content).decode(), bytes(state.stderr.content).decode()


class LiveOutputContract(ABC):
    """Subclasses have the fixtures `storage` and `output`."""

    @pytest.fixture
    @abstractmethod
    def storage(self) -> Storage: ...

    @pytest.fixture
    async def execution(self, storage: Storage) -> OpenExecution:
        return await storage.begin((await storage.add(ALICE)).ref)

    async def read(
        self, output: LiveOutputStore, execution: OpenExecution, position: Position = START
    ) -> LiveState[Any]:
        return await output.read(execution.ref.session_id, execution.execution_id, position)

    async def test_parts_are_read_from_any_position_on(self, output: LiveOutputStore, execution: OpenExecution) -> None:
        size = len(FIRST.encode())
        assert await output.append(part_of(execution, 1, (0, FIRST), (0, "err")))
        assert await output.append(part_of(execution, 2, (size, SECOND), (3, "")))
        whole = await self.read(output, execution)
        assert texts(whole) == (FIRST + SECOND, "err")
        assert (whole.stdout.size, whole.ended) == (len((FIRST + SECOND).encode()), None)
        for position in (Position(1), Position(size), Position(size + 2, 3)):
            found = await self.read(output, execution, position)
            expected = (FIRST + SECOND).encode()[position.stdout :].decode(), "err"[position.stderr :]
            assert texts(found) == expected
            assert found.after(position)
        nothing = await self.read(output, execution, Position(whole.stdout.size, 3))
        assert nothing.after(Position(whole.stdout.size, 3)) == []

    async def test_progress_is_the_newest_one(self, output: LiveOutputStore, execution: OpenExecution) -> None:
        assert await output.append(part_of(execution, 1, progress=ScriptProgress(None, "one"), progress_count=1))
        assert await output.append(part_of(execution, 2, progress=ScriptProgress(0.5, ""), progress_count=4))
        found = await self.read(output, execution)
        assert (found.progress, found.progress_count) == (ScriptProgress(0.5, ""), 4)
        (event,) = found.after(START)
        assert event.position == Position(0, 0, 4)
        assert (await self.read(output, execution, event.position)).after(event.position) == []

    async def test_a_part_that_is_stored_again_replaces_itself(
        self, output: LiveOutputStore, execution: OpenExecution
    ) -> None:
        for text in (FIRST, FIRST + SECOND):
            assert await output.append(part_of(execution, 1, (0, text)))
        assert texts(await self.read(output, execution)) == (FIRST + SECOND, "")

    async def test_what_does_not_continue_the_position_is_not_read(
        self, output: LiveOutputStore, execution: OpenExecution
    ) -> None:
        assert await output.append(part_of(execution, 1, (10, FIRST), (0, "err")))
        assert texts(await self.read(output, execution)) == ("", "err")

    async def test_an_execution_that_is_not_open_has_none(self, storage: Storage, output: LiveOutputStore) -> None:
        execution = await storage.begin((await storage.add(ALICE)).ref)
        await storage.executions.finish(storage.finished(execution))
        assert not await output.append(part_of(execution, 1, (0, FIRST)))
        assert texts(await self.read(output, execution)) == ("", "")

    async def test_dropping_removes_all_of_an_execution_and_nothing_of_others(
        self, storage: Storage, output: LiveOutputStore, execution: OpenExecution
    ) -> None:
        other = await storage.begin(execution.ref)
        for each in (execution, other):
            assert await output.append(part_of(each, 1, (0, FIRST)))
        await output.drop([(execution.ref.session_id, execution.execution_id)])
        await output.drop([(execution.ref.session_id, execution.execution_id)])
        assert texts(await self.read(output, execution)) == ("", "")
        assert texts(await self.read(output, other)) == (FIRST, "")
