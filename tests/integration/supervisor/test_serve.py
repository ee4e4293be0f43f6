"""The complete service, started by its command."""

import re
import signal
import subprocess

import httpx2
import pytest

from tests.integration.embedded.conftest import seed
from tests.integration.supervisor.conftest import Service, gone, wait_until


@pytest.fixture
def command(folder, made):
    seed(made, folder)
    started = []

    def begin(name="serve", **settings):
        started.append(Service(folder, program=("entrypoints", name), **settings))
        return started[-1]

    yield begin
    for each in started:
        each.end()


def initialize(service, title, script):
    response = httpx2.post(
        f"{service.url}/api/v1/initialize",
        json={"script_content": script},
        headers={"Language-Title": title},
        timeout=10,
    )
    assert response.status_code == 200, response.text
    return response.json()["request_id"]


def execute(service, session_id, **params):
    response = httpx2.post(f"{service.url}/api/v1/execute/{session_id}", json={"params": params}, timeout=20)
    assert response.status_code == 200, response.text
    return response.json()["result"], response.json()["execution_count"]


@pytest.mark.timeout(120)
def test_sessions_in_both_languages_survive_a_stop_and_a_kill(command):
    first = command().ready()
    adds = initialize(first, "nodejs-calculator", "return event.params.a + event.params.b;")
    shouts = initialize(first, "python-textprocessor", 'result = params["text"].upper()')
    assert execute(first, adds, a=5, b=3) == (8, 1)
    assert execute(first, shouts, text="hello lambda microservice") == ("HELLO LAMBDA MICROSERVICE", 1)
    family = first.family()
    first.send_signal(signal.SIGTERM)
    assert first.ended() == 0
    assert gone(family)
    second = command().ready()
    assert execute(second, adds, a=10, b=2) == (12, 2)
    family = second.family()
    second.send_signal(signal.SIGKILL)
    wait_until(lambda: gone(family), 5)
    third = command().ready()
    assert execute(third, shouts, text="again") == ("AGAIN", 2)


def test_the_printed_example_works(command):
    service = command().ready()
    printed = re.search(r"Try it.*?\n(.*)\n\nCtrl-C", service.output, re.DOTALL).group(1)
    completed = subprocess.run(["/bin/sh", "-c", printed], capture_output=True, text=True, check=True, timeout=20)
    assert '"result":8' in completed.stdout


def test_a_runtime_host_prints_its_address_and_responds(command):
    service = command("runtime-host")
    wait_until(lambda: f"scripts for controllers on {service.url}" in service.output)
    assert service.status("/health") == 200
    service.send_signal(signal.SIGTERM)
    assert service.ended() == 0
