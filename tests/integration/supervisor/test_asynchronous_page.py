"""The shell blocks of docs/asynchronous.md, run as its reader runs them."""

import re
import subprocess

import pytest

from tests.integration.embedded.conftest import seed
from tests.integration.supervisor.conftest import ROOT, Service
from tests.support.programs import unmeasured

PAGE = (ROOT / "docs" / "asynchronous.md").read_text()
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def outputs(folder, made):
    """What each block prints; a later block uses the variables of the earlier ones."""
    seed(made, folder)
    service = Service(folder, program=("entrypoints", "serve"))
    try:
        address = service.ready().url
        steps = "\necho ---\n".join(BLOCK.findall(PAGE)).replace("http://127.0.0.1:8080", address)
        done = subprocess.run(
            ["bash", "-e", "-c", steps], env=unmeasured(), check=True, capture_output=True, text=True, timeout=60
        )
    finally:
        service.end()
    return done.stdout.split("---\n")


@pytest.mark.timeout(120)
def test_the_steps_of_the_page_give_what_it_says(outputs):
    first, second = outputs[:2]
    (promised,) = re.findall(r"returns `(.*?)` with `(.*?)`", PAGE)
    assert all(each in first for each in promised)
    assert '"status":"succeeded","executed":"yes"' in second, "a cancel after the end"
    assert '"status":"queued"' in second, "the repetition"
    assert '"executions":[{"execution_id":' in second
    assert '"languages":[' in second
    live, followed = outputs[2:4]
    assert 'event: stdout\ndata: {"text":"1\\n' in live
    assert live.count("event: end") == followed.count("event: end") == 1
    assert '"result":3' in live
    assert 'data: {"text":"4\\n' in followed
