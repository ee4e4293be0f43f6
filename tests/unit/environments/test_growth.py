"""What a build takes of the disk, and which process of a host builds."""

from pathlib import Path

import pytest

from adapters.environments.building.growth import FREE_MIN, DiskWatch
from adapters.environments.folder import TreeFolder
from domain.environments.tree import TreeLimits

MIB = 1024 * 1024


def watch(folder: Path, free: int = FREE_MIN) -> DiskWatch:
    return DiskWatch(folder, TreeLimits(MIB, 10), lambda _: free)


def test_within_its_limits_nothing_is_found(tmp_path):
    (tmp_path / "data").write_bytes(bytes(2 * MIB))
    assert watch(tmp_path).found() == ""


@pytest.mark.parametrize(
    ("files", "size", "free", "found"),
    [
        (4, MIB, FREE_MIN, "it took 4 MiB of the disk, and 3 times MAX_ENVIRONMENT_MB are allowed (3 MiB)"),
        (30, 1, FREE_MIN, "it made 31 files, and 3 times MAX_ENVIRONMENT_FILES are allowed (30)"),
        (1, 1, FREE_MIN - 1, "has 63 MiB free, and a build leaves 64 MiB. Free the disk"),
    ],
)
def test_what_exceeds_a_limit_is_named(tmp_path, files, size, free, found):
    for number in range(files):
        (tmp_path / f"{number}").write_bytes(b"x" * size)
    assert found in watch(tmp_path, free).found()


async def test_it_looks_until_something_exceeds_a_limit(tmp_path):
    free = [FREE_MIN, FREE_MIN, 0]
    found = await DiskWatch(tmp_path, TreeLimits(MIB, 10), lambda _: free.pop(0)).excess()
    assert (found[:12], free) == ("the disk of ", [])


def test_one_process_of_a_host_builds_and_another_one_takes_its_place(tmp_path):
    assert TreeFolder(tmp_path / "building").lock_alone() is None, "there is no folder yet"
    first, second = TreeFolder(tmp_path), TreeFolder(tmp_path)
    turn = first.lock_alone()
    assert turn is not None
    assert second.lock_alone() is None
    second.begin("tree").close()
    turn.release()
    assert second.lock_alone() is not None
