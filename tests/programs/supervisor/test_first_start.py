"""The first start of the complete service on different hosts, as docs/deploy/first-start.md lists them."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.integration.embedded.conftest import RunningServer, seed
from tests.programs.supervisor.conftest import Service, wait_until

NOBODY = 65534
IS_ROOT = os.geteuid() == 0
AS_NORMAL_USER = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--") if IS_ROOT else ()
WITHOUT_NAMESPACES = (
    *("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--keep-caps", "--", "sh", "-c"),
    'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --inh-caps=-all --ambient-caps=-all -- "$@"',
    "sh",
)
"""The sysctl counts for the namespaces below a user namespace, and the service runs in one."""

REFUSAL = """
import ctypes, os, platform, struct, sys
number = {"x86_64": 272, "aarch64": 97}[platform.machine()]
rules = ((0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x0005000D), (0x06, 0, 0, 0x7FFF0000))
code = b"".join(struct.pack("=HBBI", *rule) for rule in rules)
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(code)
program = struct.pack("@HP", len(rules), ctypes.addressof(buffer))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""A program that runs another one, to which the kernel refuses unshare(2) with EACCES, as AppArmor does."""


@pytest.fixture
def begin(folder: Path) -> Iterator[Callable[..., Service]]:
    started: list[Service] = []

    def start(name: str = "serve", **options: object) -> Service:
        settings = {"LOG_FORMAT": "json", **options}
        started.append(Service(folder, program=("entrypoints", name), **settings))
        return started[-1]

    yield start
    for each in started:
        each.end()


def initialized(service: Service, title: str = "python-first") -> httpx2.Response:
    body, headers = {"script_content": "result = 1"}, {"Language-Title": title}
    return httpx2.post(f"{service.url}/api/v1/initialize", json=body, headers=headers, timeout=20)


def ready_and_silent(service: Service) -> None:
    """Wait until it serves, run a script, stop it, and look for lines of the log that need attention."""
    service.ready()
    session_id = initialized(service).json()["request_id"]
    executed = httpx2.post(f"{service.url}/api/v1/execute/{session_id}", json={"params": {}}, timeout=20)
    assert executed.json()["result"] == 1
    service.send_signal(signal.SIGTERM)
    assert service.ended() == 0
    assert "migration_applied" in {line["event"] for line in service.lines()}
    assert service.failures() == []


def test_a_first_start_as_a_normal_user_logs_no_failure_and_shares_its_user_with_workers(begin, folder):
    if IS_ROOT:
        os.chown(folder, NOBODY, NOBODY)
    service = begin(host=AS_NORMAL_USER)
    service.ready()
    layers = service.get("/health").json()["components"]["sandbox"]["layers"]
    assert layers["seccomp"] is True
    assert layers["uid"] == "workers share the service's uid"
    ready_and_silent(service)


def test_a_start_that_migrates_another_servers_database_logs_no_failure(begin, folder, made):
    other = folder / "other"
    other.mkdir(mode=0o711)
    seed(made, other)
    database = RunningServer(other)
    try:
        ready_and_silent(begin(DATABASE_URL=database.server.url, AUTO_MIGRATE="true"))
    finally:
        database.stop()


def test_without_user_namespaces_the_service_serves_what_needs_no_script_and_names_the_remedy(begin):
    service = begin(host=WITHOUT_NAMESPACES).ready()
    assert service.get("/api/v1/sessions").status_code == 200
    for title in ("python-first", "nodejs-first"):
        refused = initialized(service, title)
        assert refused.status_code == 503
        error = refused.json()["error"]
        assert (error["code"], error["details"]["stored"]) == ("RUNTIME_UNAVAILABLE", "no")
        assert "raise sysctl user.max_user_namespaces" in error["message"]


def test_where_a_security_module_refuses_namespaces_the_sandbox_names_the_remedy(begin):
    service = begin("runtime-host", host=("python3", "-c", REFUSAL))
    wait_until(lambda: service.status("/health") == 200)
    reasons = {name: state["reason"] for name, state in service.get("/health").json()["languages"].items()}
    assert set(reasons) == {"nodejs", "python"}
    assert all("Permission denied. What to do: a security module" in each for each in reasons.values())
