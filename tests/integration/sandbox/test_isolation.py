"""A script reaches nothing of the host, of the service, or of another session."""

import json
import os
import struct
from pathlib import Path

import pytest

from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import FailureCode
from tests.contracts.script_runs import failure_of, report_of, result_of, run_of
from tests.integration.sandbox.processes import pid_of
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives workers a uid of their own")
SHORT = Limits(timeout_ms=1000, memory_mb=128, isolation=Isolation.SESSION)

# Calls any function of the C library; returns its result, and errno.
CALL = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    value = getattr(libc, name)(*arguments)
    return [value, ctypes.get_errno()]
"""


async def value_of(runner, source, language=Language.PYTHON):
    return json.loads(await result_of(runner, run_of(source, language=language)))


@pytest.mark.parametrize("path", ["/etc", "/proc", "/sys", "/dev", "/run", "/home", "/var", "/etc/passwd", "/bin"])
async def test_a_worker_has_no_file_of_the_host(shared, path):
    assert await value_of(shared, f"import os\nresult = os.path.exists({path!r})") is False


async def test_a_worker_has_its_own_interpreter_and_no_other_program(shared):
    source = "import os\nresult = [n for p in ('/usr/bin', '/usr/sbin') if os.path.isdir(p) for n in os.listdir(p)]"
    assert all(name.startswith("python") for name in await value_of(shared, source))


async def test_the_file_system_is_read_only(shared):
    source = """
import os
result = []
for folder in ('/', '/pglambda', '/usr', '/lib', os.path.dirname(os.__file__)):
    try:
        os.close(os.open(folder + '/mark', os.O_CREAT | os.O_WRONLY))
        result.append(folder)
    except OSError:
        pass
"""
    assert await value_of(shared, source) == []


async def test_the_environment_is_empty(shared):
    assert await value_of(shared, "import os\nresult = dict(os.environ)") == {}
    assert await value_of(shared, "return process.env", Language.NODEJS) == {}


async def test_a_worker_inherits_its_streams_and_its_channel_only(shared):
    source = """
import os
result = []
for descriptor in range(4096):
    try:
        os.fstat(descriptor)
        result.append(descriptor)
    except OSError:
        pass
"""
    inherited = await value_of(shared, source)
    assert inherited[:3] == [0, 1, 2]
    assert len(inherited) == 4


async def test_there_is_no_network(shared):
    failure = await failure_of(shared, run_of("import socket\nsocket.create_connection(('127.0.0.1', 80), 1)"))
    assert failure.name == "PermissionError"
    node = "await new Promise((_, no) => require('net').connect(80, '127.0.0.1').on('error', no))"
    assert "EPERM" in (await failure_of(shared, run_of(node, language=Language.NODEJS))).message


@pytest.mark.parametrize(
    "call",
    [
        "call('unshare', 0x10000000)",
        "call('unshare', 0x20000)",
        "call('mount', b'none', b'/tmp', b'tmpfs', 0, None)",
        "call('ptrace', 16, 1, 0, 0)",
        "call('syscall', 319, b'x', 0)",
        "call('syscall', 425, 1, 0)",
        "call('syscall', 321, 0, 0, 0)",
        "call('shmget', 0, 4096, 0o1600)",
        "call('prctl', 1, 0, 0, 0, 0)",
        "call('setuid', 0)",
        "call('setns', 0, 0)",
        "call('socket', 1, 1, 0)",
        "call('syscall', 142, 0, bytes(4))",
        "call('syscall', 144, 0, 0, bytes(4))",
        "call('syscall', 203, 0, 128, bytes([255]) * 128)",
        "call('syscall', 314, 0, bytes([48]) + bytes(47), 0)",
    ],
)
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="call numbers of x86_64")
async def test_a_dangerous_call_is_refused(shared, call):
    value, error = await value_of(shared, f"{CALL}\nresult = {call}")
    assert value == -1
    assert error in {1, 22}


async def test_limits_cannot_be_raised(shared):
    source = "import resource\nresource.setrlimit(resource.RLIMIT_DATA, (1 << 40, 1 << 40))"
    assert (await failure_of(shared, run_of(source))).code is FailureCode.SCRIPT_ERROR


async def test_scratch_space_is_limited_in_bytes(shared):
    source = """
import os
result = 0
try:
    for n in range(100):
        with open(f'/tmp/{n}', 'wb', buffering=0) as file:
            result += file.write(bytes(1 << 20))
except OSError as error:
    result = [result, error.errno]
"""
    size, error = await value_of(shared, source)
    assert error == 28
    assert size <= 16 << 20


async def test_scratch_space_is_limited_in_files(shared):
    source = """
result = 0
try:
    for result in range(100000):
        open(f'/tmp/{result}', 'w').close()
except OSError as error:
    result = [result, error.errno]
"""
    files, error = await value_of(shared, source)
    assert error == 28
    assert files < 1024


def kernel_text(pid, name):
    return Path(f"/proc/{pid}/{name}").read_text()


async def test_no_limit_of_a_worker_depends_on_how_the_service_was_started(shared):
    worker = await shared.acquire(run_of("result = 1"))
    try:
        lines = kernel_text(pid_of(worker), "limits").splitlines()[1:]
    finally:
        await worker.release()
    limits = {line[:26].strip(): line[26:].split()[:2] for line in lines}
    # Address space has one in Python alone; locks are refused; the resident set's does nothing.
    without = {name for name, values in limits.items() if "unlimited" in values}
    assert without <= {"Max file locks", "Max resident set", "Max realtime timeout"}
    # With 1 the kernel starts no program for crashes; a service without rights cannot raise a 0.
    assert limits["Max core file size"] in (["1", "1"], ["0", "0"])
    assert limits["Max realtime priority"] == limits["Max nice priority"] == ["0", "0"]
    assert limits["Max pending signals"] == [str(shared.options.processes_max)] * 2


def namespace_of(pid, name):
    return Path(f"/proc/{pid}/ns/{name}").readlink()


@as_root
async def test_the_workers_uid_is_not_root_on_the_host(shared):
    worker = await shared.acquire(run_of("result = 1"))
    try:
        pid = pid_of(worker)
        assert kernel_text(pid, "uid_map").split() == ["65534", str(shared.options.sandbox_uid), "1"]
    finally:
        await worker.release()


async def test_the_kernel_confirms_every_layer(shared):
    worker = await shared.acquire(run_of("result = 1"))
    try:
        pid = pid_of(worker)
        for namespace in ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup"):
            assert namespace_of("self", namespace) != namespace_of(pid, namespace)
    finally:
        await worker.release()


FORGERY = """
import os, struct, time
for descriptor in range(3, 4096):
    try:
        os.write(descriptor, {content})
    except OSError:
        pass
time.sleep(5)
"""


@pytest.mark.parametrize(
    "content",
    [
        repr(struct.pack("<II", 2, 0) + b"{}"),
        repr(struct.pack("<II", 0xFFFFFFFF, 0)),
        repr(struct.pack("<II", 34, 4) + b'{"nonce":"1","kind":"result","a":1}'[:34] + b"1234"),
        repr(b"rubbish that is no frame"),
    ],
)
async def test_a_forged_reply_breaks_the_protocol_and_ends_the_worker(shared, content):
    failure = await failure_of(shared, run_of(FORGERY.format(content=content), limits=SHORT))
    assert failure.code is FailureCode.SCRIPT_ERROR
    assert "protocol broken" in failure.message


async def test_a_worker_that_writes_after_its_reply_is_ended(shared):
    source = """
import os, time
read = os.read
def late(*given):
    time.sleep(0.3)
    for descriptor in range(3, 4096):
        try: os.write(descriptor, b'late')
        except OSError: pass
    return read(*given)
os.read = late
result = 1
"""
    run = run_of(source)
    worker = await shared.acquire(run)
    process = worker.process
    assert (await worker.run()).result == "1"
    await worker.release()
    await until(lambda: not process.is_alive)
    again = await report_of(shared, run_of("result = 1", ref=run.ref))
    assert (again.result, again.cold_start) == ("1", True)


async def test_a_worker_leaves_no_process_when_it_is_killed(shared):
    worker = await shared.acquire(run_of("while True: pass", limits=SHORT))
    pid = pid_of(worker)
    await worker.run()
    await worker.release()
    await until(lambda: not Path(f"/proc/{pid}").exists())


def environment_of(pid):
    """Return what root, and any process of the same uid outside, can read."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except PermissionError:
        return b""


async def test_no_secret_of_the_service_is_in_the_environment_of_launchers_and_zygotes(shared):
    for zygote in shared.debug_snapshot().zygotes:
        for pid in (zygote.launcher_pid, zygote.pid):
            assert all(name not in environment_of(pid) for name in (b"PATH", b"HOME"))
