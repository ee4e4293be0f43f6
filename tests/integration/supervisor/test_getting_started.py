"""The pages for the first five minutes and for schedules, run as their readers run them."""

import os
import re
import subprocess
import sys

import pytest

from tests.integration.embedded.conftest import seed
from tests.integration.supervisor.conftest import ROOT, Service
from tests.support.programs import unmeasured

PAGE = (ROOT / "docs" / "getting-started.md").read_text()
SCHEDULES = (ROOT / "docs" / "schedules.md").read_text()
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
START = "make run\n"
SHOWN = re.compile(r"(?:^# .*\n)(?:^#   .*\n)*", re.MULTILINE)
"""An output that the page shows; the rest of a long line follows with more blanks."""


def shown_outputs() -> list[str]:
    """Return the outputs that the page shows, each in one line."""
    texts = [text for block in BLOCK.findall(PAGE) for text in SHOWN.findall(block)]
    return [re.sub(r"\n?^# +", " ", text, flags=re.MULTILINE).strip() for text in texts]


def said(pattern: str, outputs: list[str]) -> set[str]:
    return {found for output in outputs for found in re.findall(pattern, output)}


def run_page(service: Service, data_dir: os.PathLike[str], page: str = PAGE) -> str:
    steps = "\n".join(block for block in BLOCK.findall(page) if block != START)
    steps = steps.replace("http://127.0.0.1:8080", service.url).replace("/tmp/", f"{data_dir}/")
    steps = steps.replace(".venv/bin/pglambda", f"{sys.executable} -m entrypoints")
    environ = {**unmeasured(), "DATA_DIR": str(data_dir)}
    return subprocess.run(
        ["bash", "-c", steps], cwd=ROOT, env=environ, check=True, capture_output=True, text=True, timeout=60
    ).stdout


@pytest.mark.timeout(120)
def test_every_step_gives_the_values_messages_and_fields_that_the_page_shows(folder, made):
    seed(made, folder)
    service = Service(folder, program=("entrypoints", "serve"))
    try:
        output = run_page(service.ready(), folder)
    finally:
        service.end()
    outputs = shown_outputs()
    values, messages, names = (said(each, outputs) for each in (r"^\w+$", r'"message":"([^"]*)"', r'"(\w+)":'))
    assert {"ready", "2", "8", "422", "504"} <= values
    assert len(messages) == 5
    # No line ends after a response, so a value may follow one.
    assert sorted(value for value in values if not re.search(rf"\b{value}$", output, re.MULTILINE)) == []
    assert sorted(message for message in messages if message not in output) == []
    assert sorted(name for name in names if f'"{name}":' not in output) == []


@pytest.mark.timeout(60)
def test_every_step_of_the_page_about_schedules_works(service, folder):
    output = run_page(service(program=("entrypoints", "serve")).ready(), folder, SCHEDULES)
    assert '"error"' not in output
    assert output.count('"schedule_id"') == 4  # created, changed, paused, resumed
    assert '"time_zone":"Asia/Tokyo"' in output
    assert '"state":"fired"' in output
    assert '"manual":true' in output
