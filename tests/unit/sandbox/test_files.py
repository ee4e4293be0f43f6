"""Which files an interpreter needs, and how they are copied for a uid that cannot reach them."""

import fcntl
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from attrs import evolve

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runtimes.copies import Copies, ProgramUnreachable, is_reachable
from adapters.sandbox.runtimes.elf import libraries_of, loader_of
from adapters.sandbox.runtimes.interpreters import Bind, Interpreter, InterpreterMissing, find_interpreter
from adapters.sandbox.runtimes.launchers import ProgramMissing, find_programs
from adapters.sandbox.zygote.sandbox_spec import SandboxSpec
from domain.scripts.language import Language

ROOT = Path(__file__).parents[3]
PROGRAM = Path(sys.executable).resolve()


@pytest.fixture
def copies(tmp_path):
    copies = Copies(tmp_path / "copies")
    copies.folder.mkdir()
    return copies


@pytest.fixture
def interpreter(tmp_path):
    library = tmp_path / "lib"
    (library / "site-packages").mkdir(parents=True)
    (library / "module.py").write_text("x = 1")
    program = tmp_path / "program"
    program.write_text("program")
    program.chmod(0o700)
    binds = [
        Bind(program, Path("/usr/bin/program")),
        Bind(library, Path("/usr/lib/program")),
        Bind(library / "site-packages", Path("/usr/lib/program/site-packages"), hidden=True),
    ]
    (tmp_path / "worker").write_text("guest")
    guest_binds = [Bind(tmp_path / "worker", Path("/guest/worker"))]
    return Interpreter(Language.PYTHON, "1", binds, guest_binds, Path("/usr/bin/program"), ["/guest"], 1, None, 0, 1)


def closed(interpreter, tmp_path):
    tmp_path.chmod(0o700)
    return interpreter


def test_a_private_folder_hides_what_is_below_it(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    file.chmod(0o644)
    tmp_path.chmod(0o700)
    assert not is_reachable(file)
    assert is_reachable(Path("/usr/bin"))


def test_several_threads_may_make_the_same_copy_at_once(copies, tmp_path):
    source = tmp_path / "source"
    source.mkdir(mode=0o700)
    for number in range(50):
        (source / f"module_{number}.py").write_text("x = 1")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: copies.tree([source]), range(16)))
    assert len(set(made)) == 1
    assert len(list((made[0] / "source").iterdir())) == 50
    assert list(copies.folder.iterdir()) == made[:1]


def test_a_copy_that_was_not_completed_is_removed(copies, interpreter, tmp_path):
    (copies.folder / "other-0-0.abc.partial").mkdir()
    os.utime(copies.folder / "other-0-0.abc.partial", (0, 0))
    copies.interpreter(closed(interpreter, tmp_path))
    assert not list(copies.folder.glob("*.partial"))


def test_an_unreachable_file_is_copied_where_every_user_can_read_it(copies, interpreter, tmp_path):
    copied = copies.interpreter(closed(interpreter, tmp_path))
    program, library = copied.binds
    assert copies.folder in program.source.parents
    assert program.source.stat().st_mode & 0o777 == 0o755
    assert (library.source / "module.py").stat().st_mode & 0o777 == 0o644
    (guest,) = copied.guest_binds
    assert copies.folder in guest.source.parents
    assert (guest.source.read_text(), guest.target) == ("guest", Path("/guest/worker"))


def test_a_copy_does_not_contain_hidden_folders(copies, interpreter, tmp_path):
    copied = copies.interpreter(closed(interpreter, tmp_path))
    assert [bind.target for bind in copied.binds if bind.hidden] == []
    assert not (copied.binds[1].source / "site-packages").exists()


def test_each_version_of_a_file_is_copied_once(copies, interpreter, tmp_path):
    first = copies.interpreter(closed(interpreter, tmp_path)).binds[0].source
    assert copies.interpreter(interpreter).binds[0].source == first
    (tmp_path / "program").write_text("another version")
    assert copies.interpreter(interpreter).binds[0].source != first
    assert list(copies.folder.glob("*.partial")) == []


def test_a_copy_that_fails_raises_an_error(copies, tmp_path):
    source = tmp_path / "file"
    source.write_text("x")
    taken = copies.tree([source])
    shutil.rmtree(taken)
    taken.write_text("no folder")
    with pytest.raises(OSError, match=taken.name):
        copies.tree([source])


MAKES_A_COPY = """
import sys
from pathlib import Path
from adapters.sandbox.runtimes.copies import Copies
print(Copies(Path(sys.argv[1])).tree([Path(sys.argv[2])]), end="")
"""


def made_by_a_process_that_ends(copies, source):
    command = [sys.executable, "-c", MAKES_A_COPY, str(copies.folder), str(source)]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    return Path(made.stdout)


def test_copies_of_older_versions_are_removed_unless_a_process_uses_them(copies, tmp_path):
    source, other = tmp_path / "file", tmp_path / "folder" / "file"
    other.parent.mkdir()
    other.write_text("other")
    kept = copies.tree([other])
    source.write_text("1")
    used = copies.tree([source])
    source.write_text("22")
    unused = made_by_a_process_that_ends(copies, source)
    assert used.is_dir()
    assert unused.is_dir()
    source.write_text("333")
    copies.tree([source])
    assert [copy.is_dir() for copy in (used, unused, kept)] == [True, False, True]


def test_a_copy_in_the_making_stays_while_a_process_has_locked_it(copies, tmp_path):
    (tmp_path / "file").write_text("x")
    making = copies.folder / "file-0-0.1.partial"
    making.mkdir()
    os.utime(making, (0, 0))
    descriptor = os.open(making, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    copies.tree([tmp_path / "file"])
    assert making.is_dir()
    os.close(descriptor)
    copies.tree([tmp_path / "file"])
    assert not making.is_dir()


def test_copies_need_a_folder_that_other_users_can_reach(copies, tmp_path):
    tmp_path.chmod(0o700)
    with pytest.raises(ProgramUnreachable, match="other users"):
        copies.prepare()


def test_a_program_needs_its_loader_and_the_c_library():
    libraries = libraries_of(PROGRAM)
    assert loader_of(PROGRAM) in libraries
    assert any(path.name.startswith("libc.so") for path in libraries)
    assert all(path.exists() for path in libraries)


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh", b"\x7fELF\x02\x01" + bytes(58)])
def test_a_file_that_is_no_program_has_no_loader(tmp_path, content):
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="file"):
        loader_of(file)


def test_python_has_its_paths_in_the_sandbox():
    python = find_interpreter(Language.PYTHON, None)
    targets = [bind.target for bind in (*python.binds, *python.guest_binds)]
    assert python.program in targets
    assert all(target.parts[1] in {"usr", "lib", "lib64", "pglambda"} for target in targets)
    assert python.command(7, 128)[-1] == "7"


def test_a_missing_node_is_an_error(tmp_path):
    with pytest.raises(InterpreterMissing):
        find_interpreter(Language.NODEJS, tmp_path / "node")


def test_an_old_node_is_an_error(tmp_path):
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho v18.1.0\n")
    old.chmod(0o755)
    with pytest.raises(InterpreterMissing, match=r"not Node\.js 20 or newer \(`--version` printed 'v18\.1\.0'\)"):
        find_interpreter(Language.NODEJS, old)


def test_the_error_for_a_missing_program_names_its_package(tmp_path):
    with pytest.raises(ProgramMissing, match="util-linux"):
        find_programs(Path("/opt/bwrap"), str(tmp_path))


def test_a_configured_bubblewrap_comes_first():
    assert find_programs(Path("/opt/bwrap")).bwrap == Path("/opt/bwrap")


def spec_of(interpreter, tmp_path, memory_mb, *, mounts_proc=True):
    programs, options = find_programs(Path("/opt/bwrap")), SandboxOptions(tmp_path)
    return SandboxSpec(interpreter, interpreter, programs, tmp_path, b"", b"", None, memory_mb, mounts_proc, options)


@pytest.mark.parametrize("mounts_proc", [True, False])
def test_the_launcher_mounts_a_proc_only_where_the_kernel_allows_it(interpreter, tmp_path, mounts_proc):
    command = spec_of(interpreter, tmp_path, 64, mounts_proc=mounts_proc).command(7, 8)
    assert ("--mount-proc" in command[: command.index("/opt/bwrap")]) is mounts_proc


def test_the_limit_of_data_is_that_of_the_script_beside_what_its_interpreter_takes(interpreter, tmp_path):
    spec = spec_of(evolve(interpreter, data_base_mb=10), tmp_path, 64)
    assert spec.limits()["data"] == 74 << 20
    assert spec.limits(3 << 20)["data"] == 66 << 20
    assert spec.order(3 << 20)["limits"] == spec.limits(3 << 20)


def test_mapped_memory_is_limited_only_if_the_interpreter_allows_it(interpreter, tmp_path):
    assert "as" not in spec_of(interpreter, tmp_path, 64).limits()
    assert spec_of(evolve(interpreter, mapped_base_mb=10), tmp_path, 64).limits()["as"] == 74 << 20


def test_the_root_becomes_read_only_last_and_hidden_folders_are_covered(interpreter, tmp_path):
    command = spec_of(interpreter, tmp_path, 64).command(7, 8)
    inside = command.index("/opt/bwrap")
    end = command.index("--", inside)
    assert command[end - 2 : end] == ["--remount-ro", "/"]
    assert command[end + 1] == "/usr/bin/program"
    assert command[-1] == "7"
    for covered in ("/usr/lib/program/site-packages", "/worker/usr/lib/program/site-packages"):
        assert command[command.index(covered) - 1] == str(tmp_path)
    assert {"--unshare-all", "--die-with-parent"} <= set(command)
    assert command[command.index("--seccomp") + 1] == "8"


def test_the_root_of_workers_has_their_interpreter_and_no_file_of_the_zygote(interpreter, tmp_path):
    other = Bind(tmp_path, Path("/usr/lib/other"))
    spec = evolve(spec_of(interpreter, tmp_path, 64), zygote=evolve(interpreter, binds=[other]))
    command = spec.command(7, 8)
    assert "/usr/lib/other" in command
    assert "/worker/usr/lib/other" not in command
    assert "/worker/usr/bin/program" in command


@pytest.mark.parametrize(
    ("language", "forks"), [(Language.PYTHON, True), (Language.NODEJS, True), (Language.NODEJS, False)]
)
def test_workers_of_the_zygotes_own_language_are_forks_and_others_are_programs(interpreter, tmp_path, language, forks):
    spec = spec_of(evolve(interpreter, language=language, is_forked=forks), tmp_path, 64)
    assert spec.setup()["forks"] is forks
    assert ("/worker/guest/worker" in spec.command(7, 8)) is not forks
    assert (spec.order()["command"] is None) is forks
