"""A container of the image, started by the command of docs/deploy/container.md."""

import json
import re
import shlex
import subprocess
import time
import zlib
from collections.abc import Iterator

import httpx2
import pytest

from tests.image.conftest import ROOT
from tests.support.ports import free_port

PAGE = ROOT / "docs/deploy/container.md"
EXAMPLE = re.search(r"```sh\n(A=.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
UNPACKED_MAX, COMPRESSED_MAX = 450e6, 170e6
READY_TIMEOUT_S = 60.0
NAME = "pglambda-test"
ZOMBIES = "import glob; print(sum(' Z ' in open(each).read() for each in glob.glob('/proc/[0-9]*/stat')))"

pytestmark = pytest.mark.timeout(1200)


def command_of_the_page(*, left_out: str = " ") -> list[str]:
    """Return the page's `podman run`, under a name of the test's own, without options that contain `left_out`."""
    text = re.search(r"```sh\n(podman run --detach.*?)```", PAGE.read_text(), re.DOTALL)[1]
    return [word for word in shlex.split(text.replace("\\\n", " "))[1:] if left_out not in word]


class Container:
    """A container of the image on a port of its own."""

    def __init__(self, podman, image: str, volume: str, arguments: list[str]) -> None:
        self.podman, self.port = podman, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        values = {"--name": f"--name={NAME}", "--publish": f"--publish=127.0.0.1:{self.port}:8080"}
        values["--volume"] = f"--volume={volume}:/var/lib/pglambda"
        options = [values.get(word.partition("=")[0], word) for word in arguments[1:-1]]
        podman.run("run", *options, image)

    def ready(self) -> float:
        """Wait until it is ready; returns the seconds that took."""
        began_at = time.monotonic()
        while time.monotonic() < began_at + READY_TIMEOUT_S:
            if self.status("/readyz") == 200:
                return time.monotonic() - began_at
            time.sleep(0.02)
        raise AssertionError(self.podman.run("logs", NAME).stdout)

    def status(self, path: str) -> int:
        try:
            return httpx2.get(self.url + path, timeout=5).status_code
        except httpx2.TransportError:
            return 0

    def call_the_readmes_example(self) -> str:
        """Return the id of the session that it has made."""
        calls = EXAMPLE.replace("http://127.0.0.1:8080", self.url) + "\necho\necho $ID\n"
        completed = subprocess.run(["/bin/sh", "-c", calls], capture_output=True, text=True, check=True, timeout=30)
        response, session_id = completed.stdout.splitlines()
        assert json.loads(response)["result"] == 8
        return session_id

    def execute(self, session_id: str) -> int:
        """Return the count of the executions of the session, after one more."""
        response = httpx2.post(f"{self.url}/api/v1/execute/{session_id}", json={"params": {"a": 1, "b": 2}}, timeout=20)
        assert response.json()["result"] == 3
        return response.json()["execution_count"]


@pytest.fixture
def volume(podman) -> Iterator[str]:
    with podman.volume(NAME) as name:
        yield name


@pytest.fixture
def container(podman, image, volume) -> Container:
    return Container(podman, image, volume, command_of_the_page())


def test_the_image_is_small(podman, image):
    assert json.loads(podman.run("image", "inspect", image).stdout)[0]["Size"] <= UNPACKED_MAX
    packer, packed = zlib.compressobj(6), 0
    with subprocess.Popen(["podman", "save", image], env=podman.environment, stdout=subprocess.PIPE) as saved:
        while part := saved.stdout.read(1 << 20):
            packed += len(packer.compress(part))
    assert saved.returncode == 0
    assert packed + len(packer.flush()) <= COMPRESSED_MAX


def test_sessions_outlive_a_restart_and_a_kill_of_the_container(podman, container):
    container.ready()
    session_id = container.call_the_readmes_example()
    podman.run("restart", NAME)
    container.ready()
    assert container.execute(session_id) == 2
    podman.run("kill", NAME)
    podman.run("start", NAME)
    container.ready()
    assert container.execute(session_id) == 3


def test_the_container_stops_in_order_when_it_is_told_to(podman, container):
    container.ready()
    podman.run("stop", NAME)
    assert podman.run("inspect", "--format={{.State.ExitCode}}", NAME).stdout.strip() == "0"


def test_the_sandbox_holds_in_the_container_and_no_ended_process_remains(podman, container):
    container.ready()
    tried = podman.run("exec", NAME, "pglambda", "selftest", check=False, timeout_s=300)
    assert tried.returncode == 0, tried.stdout[-2000:] + tried.stderr
    sandbox = httpx2.get(f"{container.url}/health").json()["components"]["sandbox"]
    assert (sandbox["status"], sandbox["level"]) == ("ok", "standard")
    assert podman.run("exec", NAME, "python3", "-c", ZOMBIES).stdout.strip() == "0"


def test_the_service_is_not_root_has_no_capabilities_and_cannot_write_to_the_root(podman, container):
    container.ready()
    status = podman.run("exec", NAME, "cat", "/proc/1/status").stdout
    assert re.search(r"^Uid:\s+10001\s", status, re.MULTILINE)
    assert set(re.findall(r"^Cap(?:Eff|Prm|Bnd):\s+(\d+)$", status, re.MULTILINE)) == {"0" * 16}
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    assert podman.run("exec", NAME, "touch", "/opt/new", check=False).returncode != 0


@pytest.mark.parametrize(("left_out", "remedy"), [("unmask=", "unmask=/proc/*"), ("seccomp=", "deploy/seccomp.json")])
def test_without_an_option_the_service_runs_no_script_and_names_the_option(podman, image, volume, left_out, remedy):
    container = Container(podman, image, volume, command_of_the_page(left_out=left_out))
    container.ready()
    headers = {"Language-Title": "python-any"}
    refused = httpx2.post(
        f"{container.url}/api/v1/initialize", headers=headers, json={"script_content": "result = 1"}, timeout=20
    )
    assert refused.status_code == 503
    assert remedy in refused.json()["error"]["message"]
