"""The control group of all workers, in both versions that kernels have."""

import os
from pathlib import Path

import pytest

from adapters.sandbox.isolation.control_group import ControlGroup, GroupLimits, NoControlGroup, make_control_group

LIMITS = GroupLimits(1 << 30, 100)
NAMESPACE = Path("/proc/self/ns/pid").stat().st_ino


def name_of(group):
    """Return the name of the group's folders, which begins with the process."""
    (name,) = {folder.name for folder in group.folders}
    assert name.startswith(f"pglambda-{NAMESPACE}-{os.getpid()}-")
    return name


def write_files(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_version_1_has_a_folder_for_each_controller(tmp_path):
    write_files(tmp_path, {"proc/self/cgroup": "4:memory:/own\n8:cpu,pids:/\n0::/\n"})
    for folder in ("memory/own", "pids"):
        (tmp_path / "sys/fs/cgroup" / folder).mkdir(parents=True)
    group = make_control_group(LIMITS, tmp_path)
    memory, pids = (tmp_path / "sys/fs/cgroup" / folder / name_of(group) for folder in ("memory/own", "pids"))
    assert group == ControlGroup(1, (memory, pids), 1 << 30)
    assert (memory / "memory.limit_in_bytes").read_text() == str(1 << 30)
    assert (pids / "pids.max").read_text() == "100"


def test_a_group_that_the_container_does_not_show_is_made_at_the_root(tmp_path):
    write_files(tmp_path, {"proc/self/cgroup": "4:memory:/not/here\n8:pids:/nor/here\n"})
    for folder in ("memory", "pids"):
        (tmp_path / "sys/fs/cgroup" / folder).mkdir(parents=True)
    group = make_control_group(LIMITS, tmp_path)
    assert [folder.parent.name for folder in group.folders] == ["memory", "pids"]


def test_version_2_has_one_group_next_to_the_services_own(tmp_path):
    write_files(
        tmp_path,
        {"proc/self/cgroup": "0::/unit/service\n", "sys/fs/cgroup/cgroup.controllers": "memory pids"},
    )
    (tmp_path / "sys/fs/cgroup/unit/service").mkdir(parents=True)
    group = make_control_group(LIMITS, tmp_path)
    folder = tmp_path / "sys/fs/cgroup/unit" / name_of(group)
    assert group == ControlGroup(2, (folder,), 1 << 30)
    assert (folder.parent / "cgroup.subtree_control").read_text() == "+memory +pids"
    assert ((folder / "memory.max").read_text(), (folder / "pids.max").read_text()) == (str(1 << 30), "100")
    group.reserve(5)
    group.reserve(7)
    assert (folder / "memory.max").read_text() == str((1 << 30) + 7)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "may not make control groups"),
        ({"proc/self/cgroup": "1:name=systemd:/\n"}, "may not make control groups"),
        ({"proc/self/cgroup": "4:memory:/\n8:pids:/\n"}, "may not make control groups"),
        ({"proc/self/cgroup": "0::/gone\n", "sys/fs/cgroup/cgroup.controllers": "memory", "sys/fs/cgroup/cgroup.subtree_control/is": "a folder"}, "Delegate=yes"),
    ],
)  # fmt: skip
def test_the_error_says_why_no_group_can_be_made(tmp_path, files, reason):
    write_files(tmp_path, files)
    with pytest.raises(NoControlGroup, match=reason):
        make_control_group(LIMITS, tmp_path)


@pytest.mark.parametrize(
    ("version", "file", "text", "kills"),
    [
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 14\n", 14),
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n", None),
        (2, "memory.events", "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n", 2),
        (2, "memory.oom_control", "oom_kill 14\n", None),
    ],
    ids=["version 1", "a kernel that does not count", "version 2", "no such file"],
)
def test_a_group_counts_its_processes_that_were_killed_for_memory(tmp_path, version, file, text, kills):
    write_files(tmp_path, {file: text})
    assert ControlGroup(version, (tmp_path, tmp_path / "pids")).memory_kills() == kills


@pytest.mark.parametrize(
    ("version", "names", "stat"),
    [
        (2, ("memory.current", "memory.max"), "anon 5\ninactive_file 100\n"),
        (1, ("memory.usage_in_bytes", "memory.limit_in_bytes"), "inactive_file 900\ntotal_inactive_file 100\n"),
    ],
)
@pytest.mark.parametrize(("used", "full"), [("1000", False), ("1001", True)])
def test_a_group_is_nearly_full_if_nine_tenths_are_used_and_cannot_be_dropped(  # noqa: PLR0917  # by name
    tmp_path, version, names, stat, used, full
):
    group = ControlGroup(version, (tmp_path,))
    assert not group.is_nearly_full(), "nothing is known"
    for name, text in ((names[0], used), (names[1], "1000"), ("memory.stat", stat)):
        (tmp_path / name).write_text(text)
    assert group.is_nearly_full() is full


def test_groups_of_services_that_have_ended_are_removed_and_others_stay(tmp_path):
    write_files(tmp_path, {"proc/self/cgroup": "4:memory:/\n8:pids:/\n"})
    folders = [tmp_path / "sys/fs/cgroup" / controller for controller in ("memory", "pids")]
    ended = (1 << 22) + 1
    old, living = f"pglambda-{NAMESPACE}-{ended}-1", f"pglambda-{NAMESPACE}-{os.getppid()}-1"
    elsewhere = f"pglambda-{NAMESPACE + 1}-{ended}-1"
    for folder in folders:
        (folder / old).mkdir(parents=True)
        (folder / living).mkdir()
        (folder / elsewhere).mkdir()
    make_control_group(LIMITS, tmp_path)
    assert not any((folder / old).exists() for folder in folders)
    assert all((folder / name).exists() for folder in folders for name in (living, elsewhere))


def test_two_services_of_a_process_have_groups_of_their_own(tmp_path):
    write_files(tmp_path, {"proc/self/cgroup": "4:memory:/\n8:pids:/\n"})
    for controller in ("memory", "pids"):
        (tmp_path / "sys/fs/cgroup" / controller).mkdir(parents=True)
    ended, living = make_control_group(LIMITS, tmp_path), make_control_group(LIMITS, tmp_path)
    assert not {*ended.folders} & {*living.folders}


def test_a_process_is_added_to_every_folder_and_an_empty_group_is_removed(tmp_path):
    folders = tuple(tmp_path / name for name in ("a", "b"))
    for folder in folders:
        folder.mkdir()
    group = ControlGroup(1, folders)
    group.admit(4711)
    assert [(folder / "cgroup.procs").read_text() for folder in folders] == ["4711"] * 2
    group.close()
    assert all(folder.exists() for folder in folders)
    for folder in folders:
        (folder / "cgroup.procs").unlink()
    group.close()
    assert not any(folder.exists() for folder in folders)
