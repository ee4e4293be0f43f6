"""First executions and sessions in turn: how fast workers start, what a burst meets, what a warm worker takes.

The service has all cores here, as it has where it is installed: a started worker competes with the service itself.
"""

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from attrs import define, field, frozen

from adapters.sandbox.runtimes.interpreters import find_interpreter
from adapters.sandbox.runtimes.launchers import find_programs
from domain.scripts.language import Language
from tests.benchmarks import executions, requests
from tests.benchmarks.http_runs import Case, Meter
from tests.benchmarks.load import Load, LoadGenerator
from tests.benchmarks.machine import pinned
from tests.benchmarks.measurement import Measurement, Turn
from tests.benchmarks.names import BURST, FIRST, LAUNCHER, PACED, PGLAMBDA, TURN
from tests.benchmarks.process_table import worker_private_bytes
from tests.benchmarks.servers import Server
from tests.benchmarks.stages import Stage, Step

TURNS = 5
BURST_SIZE = 200
PACED_RATE = 100.0
IN_TURN = (32, 64, 128, 256, 512)
"""Numbers of sessions that are executed in turn."""

_FIRST_CONNECTIONS = 16
_LOOPS = 2
_TURN_CONNECTIONS = 16
_PACED_CONNECTIONS = 64
_SETTLE_S = 1.0
_START_SHARE = 4
"""Starts of workers are slow: they take so many times the time of other lines."""
_LAUNCHED = {"python": ("-I", "-S", "-c", "0"), "nodejs": ("-e", "0")}


@define(eq=False)
class LauncherLoops:
    """Starts an interpreter by bubblewrap again and again, in two loops at once: what a host can do without a pool."""

    command: Sequence[str]
    _ended: int = field(default=0, init=False)

    @classmethod
    def of(cls, language: str) -> "LauncherLoops":
        """Return the loops for the interpreter that the service itself uses."""
        bwrap = str(find_programs(None).bwrap)
        program = sys.executable if language == "python" else str(_node())
        sandbox = ("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--unshare-all")
        return cls((bwrap, *sandbox, "--die-with-parent", program, *_LAUNCHED[language]))

    def run(self, duration_s: float) -> Turn:
        """Start as many as possible for so long, and return how many a second."""
        started_s, until_s = time.perf_counter(), time.perf_counter() + duration_s
        loops = [threading.Thread(target=self._loop, args=(until_s,)) for _ in range(_LOOPS)]
        self._ended = 0
        with pinned(None):
            for loop in loops:
                loop.start()
            for loop in loops:
                loop.join()
        return Turn(self._ended / (time.perf_counter() - started_s), 0.0)

    def _loop(self, until_s: float) -> None:
        while time.perf_counter() < until_s:
            subprocess.run(self.command, check=True, stdout=subprocess.DEVNULL)
            self._ended += 1


def _node() -> Path:
    interpreter = find_interpreter(Language.NODEJS, None)
    return next(bind.source for bind in interpreter.binds if bind.source.name == "node")


def stages(
    serving: Callable[[], AbstractContextManager[Server]],
    database_pid: int,
    measured_s: float,
    private_mib_by_language: dict[str, float],
) -> Iterator[Stage]:
    """Yield the stages of this module; the private memory of warm workers is put into the dictionary."""
    start_s = measured_s * _START_SHARE
    for language in _LAUNCHED:
        known = {"database_pid": database_pid, "language": language}
        works: Mapping[str, Callable[[Server], list[Measurement]]] = {
            "first executions, in turns with bubblewrap": partial(sustained, **known, duration_s=start_s),
            "100 first executions a second": partial(paced, **known, duration_s=start_s),
            "200 first executions at once": partial(burst, **known),
        }
        yield Stage(serving, [Step(f"{name}, {language}", work) for name, work in works.items()])

    def work(count: int, server: Server) -> list[Measurement]:
        found = in_turn(server, database_pid, count, measured_s)
        if count == IN_TURN[0]:
            private_mib_by_language.update(private_mib(server))
        return found

    yield Stage(serving, [Step(f"{count} sessions in turn", partial(work, count)) for count in IN_TURN])


def sustained(server: Server, database_pid: int, language: str, duration_s: float) -> list[Measurement]:
    """Execute new sessions as fast as they are answered, in turns with the launcher's loops."""
    loops, meter = LauncherLoops.of(language), Meter(server, database_pid)
    calls = Unused(server, language)
    loads: list[Load] = []
    launched: list[Turn] = []
    with LoadGenerator(server.url, _FIRST_CONNECTIONS) as generator:
        generator.each_once(calls.take(2 * _FIRST_CONNECTIONS))
        for _ in range(TURNS):
            launched.append(loops.run(duration_s / TURNS))
            batch = calls.take(round(launched[-1].rate * duration_s / TURNS) + 2 * _FIRST_CONNECTIONS)
            with meter.running():
                loads.append(generator.each_once(batch))
            meter.end_turn(loads[-1])
    run = f"first {language}"
    case = Case(PGLAMBDA, FIRST[language], _FIRST_CONNECTIONS, 0)
    rate = statistics.median(turn.rate for turn in launched)
    beside = Measurement(LAUNCHER, FIRST[language], _LOOPS, 0, rate, 0.0, 0.0, turns=launched, run=run)
    return [meter.measurement(case, Load.joined(loads), run), beside]


def paced(server: Server, database_pid: int, language: str, duration_s: float) -> list[Measurement]:
    """Execute 100 new sessions a second."""
    calls = Unused(server, language).take(round(PACED_RATE * duration_s))
    case = Case(PGLAMBDA, PACED[language], _PACED_CONNECTIONS, 0)
    return _metered(server, database_pid, case, lambda each: each.at_rate(iter(calls), PACED_RATE, duration_s - 0.01))


def burst(server: Server, database_pid: int, language: str) -> list[Measurement]:
    """Execute 200 new sessions at the same moment, after a pause in which the service has prepared workers."""
    calls = Unused(server, language).take(BURST_SIZE)
    time.sleep(_SETTLE_S)
    case = Case(PGLAMBDA, BURST[language], BURST_SIZE, 0)
    return _metered(server, database_pid, case, lambda each: each.each_once(calls))


def in_turn(server: Server, database_pid: int, count: int, duration_s: float) -> list[Measurement]:
    """Execute so many sessions in turn, half of them in Node.js."""
    halves = [Unused(server, language).take(count // 2) for language in ("python", "nodejs")]
    calls = [call for pair in zip(*halves, strict=True) for call in pair]
    with LoadGenerator(server.url, _TURN_CONNECTIONS) as generator:
        generator.each_once(calls)
    case = Case(PGLAMBDA, TURN, _TURN_CONNECTIONS, count)
    return _metered(server, database_pid, case, lambda each: each.keep_busy(cycle(calls), duration_s))


def private_mib(server: Server) -> Mapping[str, float]:
    """Return the median of the private memory of warm workers in MiB, by language."""
    found = worker_private_bytes(server.pid)
    return {language: statistics.median(each) / 1024**2 for language, each in found.items() if each}


def _metered(server: Server, database_pid: int, case: Case, load: Callable[[LoadGenerator], Load]) -> list[Measurement]:
    with LoadGenerator(server.url, case.connections) as generator:
        meter = Meter(server, database_pid)
        with meter.running():
            found = load(generator)
        return [meter.measurement(case, found)]


@frozen
class Unused:
    """Requests for first executions: each of a session that was just made, none twice."""

    server: Server
    language: str

    def take(self, count: int) -> list[bytes]:
        """Make the sessions and return their requests."""
        asked = islice(requests.initializes_of_new_scripts(self.language), count)
        return [requests.execute(each) for each in executions.initialized(self.server, asked)]
