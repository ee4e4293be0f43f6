"""The services of deploy/compose.yaml, from the image and from Debian's packages in place of the images of others."""

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from attrs import define, field, frozen

from tests.image.conftest import ROOT
from tests.support.ports import free_port

DEPLOY, PARTS = ROOT / "deploy", Path(__file__).parent / "parts"
STAND_INS = ("postgres", "haproxy", "prometheus")
SERVICES = ("postgres", "migration", "runtime-host", "controller-1", "controller-2", "proxy", "prometheus")
SECRETS = {
    "POSTGRES_PASSWORD": "of-the-test",
    "RUNTIME_TOKEN": "of-the-test-" * 4,
    "WEBHOOK_KEY": "of-the-test-" * 4,
    "SECRETS_KEY": f"{'A' * 43}=",
    "GRAFANA_PASSWORD": "of-the-test",
}
TIMEOUT_S = 120.0
CALLERS = 4
UP = (
    'haproxy_server_status{proxy="controllers",server="controller-1",state="UP"}',
    'haproxy_server_status{proxy="controllers",server="controller-2",state="UP"}',
)

pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed"),
]


@frozen
class Deployment:
    """The services, and where they respond."""

    environment: dict[str, str]
    url: str
    proxy_state: str
    prometheus: str

    def both_are_ready(self) -> bool:
        """Return whether the proxy sends calls to both controllers."""
        with contextlib.suppress(httpx2.TransportError):
            lines = httpx2.get(f"{self.proxy_state}/metrics", timeout=10).text.splitlines()
            return sum(line.startswith(UP) and line.endswith(" 1") for line in lines) == 2
        return False

    def compose(self, *arguments: str, timeout_s: float = 400) -> str:
        """Run docker-compose to its end."""
        files = ["--file", str(DEPLOY / "compose.yaml"), "--file", str(DEPLOY / "compose.podman.yaml")]
        completed = subprocess.run(
            ["docker-compose", "--project-name", "pglambda-test", *files, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert completed.returncode == 0, completed.stderr[-3000:]
        return completed.stdout

    def key(self) -> str:
        """Return a new API key that may do everything."""
        made = self.compose(
            "exec", "-T", "controller-1", "pglambda", "keys", "create", "--owner=me", "--scope=execute:all"
        )
        return next(word for word in made.split() if word.startswith("pgl_"))


@define
class Checks:
    """Runs the health checks of all containers, as systemd's timers do where Podman has systemd."""

    podman: object
    _ending: threading.Event

    def run(self) -> None:
        while not self._ending.wait(1):
            for name in self.podman.run("ps", "--format={{.Names}}", "--filter=name=pglambda-test-").stdout.split():
                self.podman.run("healthcheck", "run", name, check=False)


@contextlib.contextmanager
def api_of(podman, folder: Path) -> Iterator[str]:
    """Serve Podman's API for docker-compose, with our profile for system calls; yields its address."""
    configuration = Path(podman.environment["CONTAINERS_CONF_OVERRIDE"])
    with_profile = folder / "containers.conf"
    with_profile.write_text(f'{configuration.read_text()}seccomp_profile = "{DEPLOY}/seccomp.json"\n')
    environment = {**podman.environment, "CONTAINERS_CONF_OVERRIDE": str(with_profile)}
    address = f"unix://{folder}/podman.sock"
    process = subprocess.Popen(["podman", "system", "service", "--time=0", address], env=environment)
    try:
        yield address
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def stand_ins(podman, base) -> dict[str, str]:
    """Images that take the place of those of others, by the variables that name them."""
    for name in STAND_INS:
        arguments = ["--network=host", f"--build-arg=BASE={base}", f"--target={name}", f"--tag=pglambda-test-{name}"]
        podman.run("build", *arguments, str(PARTS), timeout_s=600)
    return {f"{name.upper()}_IMAGE": f"localhost/pglambda-test-{name}" for name in STAND_INS}


@pytest.fixture(scope="module")
def deployment(podman, image, stand_ins, tmp_path_factory) -> Iterator[Deployment]:
    port, state, prometheus = free_port(), free_port(), free_port()
    ports = {"PUBLISH": f"127.0.0.1:{port}", "PROXY_STATE_PORT": str(state), "PROMETHEUS_PORT": str(prometheus)}
    folder = tmp_path_factory.mktemp("compose")
    ending = threading.Event()
    checks = threading.Thread(target=Checks(podman, ending).run)
    with api_of(podman, folder) as address:
        environment = {**os.environ, **SECRETS, **stand_ins, **ports, "PGLAMBDA_IMAGE": image, "DOCKER_HOST": address}
        made = Deployment(environment, *(f"http://127.0.0.1:{each}" for each in (port, state, prometheus)))
        checks.start()
        try:
            made.compose("up", "--detach", "--no-build", *SERVICES)
            yield made
        finally:
            ending.set()
            checks.join()
            made.compose("down", "--volumes", "--timeout=10")


def eventually(condition, timeout_s: float = TIMEOUT_S) -> None:
    ends_at = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends_at, "the condition did not become true in time"
        time.sleep(0.2)


def scraped(deployment: Deployment) -> int:
    """Return how many controllers and runtime hosts Prometheus reads."""
    found = httpx2.get(f"{deployment.prometheus}/api/v1/query", params={"query": 'sum(up{job="pglambda"})'}, timeout=10)
    result = found.json()["data"]["result"]
    return int(result[0]["value"][1]) if result else 0


def initialized(deployment: Deployment, headers: dict[str, str]) -> httpx2.Response:
    return httpx2.post(
        f"{deployment.url}/api/v1/initialize",
        headers={**headers, "Language-Title": "python-next"},
        json={"script_content": "result = params['n'] + 1"},
        timeout=30,
    )


@define
class Caller:
    """Executes a session again and again, and counts what it gets."""

    url: str
    headers: dict[str, str]
    ending: threading.Event
    good: int = 0
    failures: list[str] = field(factory=list)

    def run(self) -> None:
        with httpx2.Client(headers=self.headers, timeout=60) as client:
            while not self.ending.is_set():
                try:
                    response = client.post(self.url, json={"params": {"n": 1}})
                except httpx2.TransportError as error:
                    self.failures.append(repr(error))
                    continue
                if response.status_code == 200:
                    self.good += 1
                else:
                    self.failures.append(response.text)


def test_the_file_with_all_services_is_accepted():
    command = ["docker-compose", "--file", str(DEPLOY / "compose.yaml"), "config", "--quiet"]
    subprocess.run(command, env={**os.environ, **SECRETS}, check=True, timeout=60)


def test_replacing_both_controllers_in_turn_fails_no_call(deployment):
    eventually(deployment.both_are_ready)
    headers = {"Authorization": f"Bearer {deployment.key()}"}
    # The calls go to both controllers in turn, and each reads every 2 s which runtime hosts have registered.
    eventually(lambda: all(initialized(deployment, headers).status_code == 200 for _ in range(4)))
    made = initialized(deployment, headers)
    assert made.status_code == 200, made.text
    url = f"{deployment.url}/api/v1/execute/{made.json()['request_id']}"
    ending = threading.Event()
    callers = [Caller(url, headers, ending) for _ in range(CALLERS)]
    threads = [threading.Thread(target=caller.run) for caller in callers]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: all(caller.good > 5 for caller in callers))
        for name in ("controller-1", "controller-2"):
            deployment.compose("up", "--detach", "--no-deps", "--no-build", "--force-recreate", name)
            eventually(deployment.both_are_ready)
            answered = sum(caller.good for caller in callers)
            eventually(lambda before=answered: sum(caller.good for caller in callers) > before + 100)
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert [failure for caller in callers for failure in caller.failures] == []


def test_prometheus_reads_all_processes_and_has_our_rules(deployment):
    eventually(lambda: scraped(deployment) == 3)
    groups = httpx2.get(f"{deployment.prometheus}/api/v1/rules", timeout=10).json()["data"]["groups"]
    assert "PglambdaDown" in {rule["name"] for group in groups for rule in group["rules"]}
    assert all(rule["health"] != "err" for group in groups for rule in group["rules"])
