"""The packages of an environment: scripts find them, and a zygote has imported some of them for all its workers."""

# ruff: noqa: D103  # functions of one program, which names explain
# ruff: noqa: PTH115, PTH208  # pathlib would be half of the start

from __future__ import annotations

import contextlib
import os
import random
import sys
import time
import weakref

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    import types
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

FOLDER = "/environment"
RANDOM = "numpy.random"
KIB = 1024
SHOWN_MAX = 1000


class UnfitPackage(Exception):
    """A package cannot be imported for all workers at once. The text names it, and says what to do."""


def find() -> None:
    """Let scripts find the packages, of which none hides a module of the standard library."""
    sys.path.append(FOLDER)


def preload(names: Sequence[str], variables: Mapping[str, str]) -> dict[str, float]:
    """Import these packages, and return what that took and what this process has now; raises UnfitPackage.

    A package must leave nothing behind that a fork does not get, or that all forks would share.
    """
    os.environ.update(variables)
    began_s = time.process_time()
    with drawing_anew():
        import_all(names)
    if RANDOM in sys.modules:
        # It draws its seed when it is imported. Without another one all workers would draw the same numbers.
        os.register_at_fork(after_in_child=sys.modules[RANDOM].seed)
    return {"cpu_ms": (time.process_time() - began_s) * 1000, **memory()}


@contextlib.contextmanager
def drawing_anew() -> Iterator[None]:
    """Let each fork draw another seed for the generators of the module random that draw theirs meanwhile."""
    generators: weakref.WeakSet[random.Random] = weakref.WeakSet()
    seed = random.Random.seed

    def noted(self: random.Random, a: Any = None, version: int = 2) -> None:
        seed(self, a, version)
        (generators.add if a is None else generators.discard)(self)

    random.Random.seed = noted  # type: ignore[method-assign]
    try:
        yield
    finally:
        random.Random.seed = seed  # type: ignore[method-assign]
    for each in generators:
        os.register_at_fork(after_in_child=each.seed)


def import_all(names: Sequence[str]) -> None:
    for name in names:
        before = held()
        try:
            __import__(name)
        except BaseException as error:
            raise UnfitPackage(f"the preload of {name} failed: {type(error).__name__}: {shown(error)}") from error
        if left := what_is_left(before):
            raise UnfitPackage(
                f"the preload of {name} failed: it leaves {left}. Leave it out of preload; scripts can import it "
                "all the same."
            )


def shown(error: BaseException) -> str:
    """Return the first and the last line of an error: packages put advice between them."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ... ".join(lines[:1] + lines[1:][-1:])
    return text[:SHOWN_MAX]


def what_is_left(before: Mapping[str, str]) -> str:
    """Return what an import has left active; empty if nothing."""
    threads = len(os.listdir("/proc/self/task")) - 1
    if threads:
        return f"{threads} thread{'s' * (threads > 1)} running"
    if has_child():
        return "a process running"
    return next((what for place, what in held().items() if before.get(place) != what), "")


def has_child() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def held() -> dict[str, str]:
    """Return the open files of this process by their descriptors, and its shared memory by its addresses."""
    return {**open_files(), **shared_memory()}


def open_files() -> dict[str, str]:
    files = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            files[number] = f"{os.readlink(f'/proc/self/fd/{number}')} open"
        except FileNotFoundError:  # that of the listing itself
            continue
    return files


def shared_memory() -> dict[str, str]:
    """Return what a fork would share with all others, beside files that it can only read."""
    shared = {}
    with open("/proc/self/maps") as file:  # noqa: PTH123  # pathlib would be half of the start
        for line in file:
            place, rights = line.split()[:2]
            if rights[3] == "s" and (rights[1] == "w" or line.endswith("(deleted)\n")):
                shared[place] = "memory that all workers would share"
    return shared


def memory() -> dict[str, float]:
    """Return the memory of this process: what no other process has, and what RLIMIT_DATA and RLIMIT_AS count."""
    status = fields("/proc/self/status")
    private = fields("/proc/self/smaps_rollup")
    return {
        "private_bytes": private["Private_Dirty"] + private["Private_Clean"],
        "data_bytes": status["VmData"],
        "mapped_bytes": status["VmSize"],
    }


def fields(path: str) -> dict[str, int]:
    """Return the sizes in a file of /proc, in bytes."""
    with open(path) as file:  # noqa: PTH123  # pathlib would be half of the start
        pairs = [line.partition(":") for line in file]
    return {name: int(text.split()[0]) * KIB for name, _, text in pairs if text.endswith("kB\n")}


def is_theirs(name: str) -> bool:
    """Return whether a module of this name belongs to a package of the environment, also one that was made by hand."""
    root = sys.modules.get(name.partition(".")[0])
    origin = getattr(getattr(root, "__spec__", None), "origin", None)
    return any(path.startswith(FOLDER) for path in (origin, *folders_of(root)) if isinstance(path, str))


def folders_of(module: types.ModuleType | None) -> Sequence[Any]:
    """Return the folders of a package: one that lies in several has no file of its own."""
    try:
        return list(getattr(module, "__path__", ()))
    except Exception:  # noqa: BLE001  # a script may have put any object there
        return ()
