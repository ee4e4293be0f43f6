"""Every program and every row of docs/takeover-clients.md gives what the page says."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.programs.origin.calls import execute, initialize
from tests.support.programs import unmeasured

PAGE = (Path(__file__).parents[3] / "docs" / "takeover-clients.md").read_text()
SIDES = ("before", "after", "alone")
PROGRAMS = {"bash": ["bash", "-c"], "javascript": ["node", "-e"], "python": [sys.executable, "-c"]}
BLOCK = re.compile(r"^### (.+?)\n.*?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PRELUDE = PAGE.partition("```bash\n")[2].partition("```")[0]


def rows(header: str) -> list[list[str]]:
    """Return the cells of the table with this first column."""
    table = PAGE.partition(f"| {header} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


BLOCKS = {name: (language, text) for name, language, text in BLOCK.findall(PAGE)}
EXPECTED = [(row[0].removeprefix("[").partition("]")[0], *row[1:]) for row in rows("program | before")]
SCRIPTS = rows("program | Language-Title")


def test_the_page_has_a_block_for_every_row_of_its_programs():
    assert sorted(BLOCKS) == sorted(name for name, *_ in EXPECTED)
    assert len(SCRIPTS) == 9


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: row[0])
def test_a_program_prints_what_the_page_says(asked, row):
    language, text = BLOCKS[row[0]]
    program = PROGRAMS[language]
    for needed in (program[0], "curl", "jq"):
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is not installed")
    side, client = asked
    argv = [*program, f"{PRELUDE}\n{text}" if language == "bash" else text]
    environ = {**unmeasured(), "ORIGIN": str(client.base_url).rstrip("/")}
    ended = subprocess.run(argv, check=False, env=environ, capture_output=True, text=True, timeout=60)
    assert f"`{' '.join(ended.stdout.split())}`" == row[1 + SIDES.index(side)], ended.stderr


@pytest.mark.parametrize("row", SCRIPTS, ids=lambda row: f"{row[0]} {row[1]}")
def test_a_script_gives_what_the_page_says(asked, row):
    side, client = asked
    title, script, params = (cell.strip("`") for cell in row[1:4])
    made = initialize(client, script, title)
    answer = execute(client, made.json()["request_id"], json.loads(params)) if made.status_code == 200 else made
    expected = row[4 + SIDES.index(side)]
    if expected.isdigit():
        assert answer.status_code == int(expected)
    elif expected == "simulated":
        assert answer.json()["result"]["status"] == "success"
    else:
        assert answer.json()["result"] == json.loads(expected.strip("`"))


@pytest.fixture(scope="module", params=["origin", "front", "opened", "alone"])
def asked(request):
    """The column of what answers, and a client of it; the same front passes everything on before it is opened."""
    service = request.getfixturevalue(request.param)
    column = {"origin": "before", "front": "before", "opened": "after"}.get(request.param, request.param)
    with httpx2.Client(base_url=service.url, timeout=30) as client:
        yield column, client
